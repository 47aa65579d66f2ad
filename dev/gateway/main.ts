import { parseArgs } from 'node:util'
import { startGateway } from './gateway.ts'

// The stand-in gateway as a process: node dev/gateway/main.ts --config dev/demo-kong.yml
const { values } = parseArgs({
  options: {
    config: { type: 'string', default: 'dev/demo-kong.yml' },
    port: { type: 'string', default: '8000' },
    socket: { type: 'string' },
    'access-log': { type: 'string' },
  },
})
const port = Number(values.port)
if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Error(`--port: not a port: ${values.port}`)
const gateway = await startGateway({
  configFile: values.config,
  port,
  ...(values.socket !== undefined && { pluginServerSocket: values.socket }),
  ...(values['access-log'] !== undefined && { accessLog: values['access-log'] }),
})
console.log(`gateway listens on ${gateway.url}`)
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void gateway.close().then(() => process.exit(0)))
