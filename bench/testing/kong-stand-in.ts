import { execFile, spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createServer } from 'node:tls'
import { promisify } from 'node:util'
import { parse, stringify } from 'yaml'
import { startGateway } from '../../dev/gateway/gateway.ts'

/**
 * As much of the command `kong` as bench/kong.sh calls, with the stand-in gateway behind it: `version`, `start`, `stop -p PREFIX`.
 * For a dry run of the script alone: its figures say nothing of Kong.
 */
interface Declarative {
  services: { routes: { plugins: { name: string }[] }[] }[]
}
const [command, ...rest] = process.argv.slice(2)
const env = (name: string) => process.env[name] ?? ''
const pidFile = (prefix: string) => join(prefix, 'pids', 'nginx.pid')
const portsOf = (listen: string) => [...listen.matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port]) => Number(port))
/** What the stand-in does not know: the routes are there, nothing observes them. */
const UNKNOWN = ['http-log', 'opentelemetry']

switch (command) {
  case 'version':
    console.log('stand-in')
    break
  case 'start': {
    const prefix = env('KONG_PREFIX')
    mkdirSync(join(prefix, 'pids'), { recursive: true })
    const child = spawn(process.execPath, [import.meta.filename, 'serve'], { detached: true, stdio: 'ignore' })
    writeFileSync(pidFile(prefix), String(child.pid))
    child.unref()
    break
  }
  case 'stop': {
    const pid = Number(readFileSync(pidFile(rest[1]!), 'utf8'))
    process.kill(pid, 'SIGTERM')
    // Its ports must be free for the next start.
    const gone = () => execFileSafe('kill', ['-0', String(pid)]).then((alive) => !alive)
    while (!(await gone()));
    break
  }
  case 'serve': {
    const declarative = parse(readFileSync(env('KONG_DECLARATIVE_CONFIG'), 'utf8')) as Declarative
    for (const route of declarative.services.flatMap(({ routes }) => routes))
      route.plugins = route.plugins.filter(({ name }) => !UNKNOWN.includes(name))
    const configFile = join(env('KONG_PREFIX'), 'kong.yml')
    writeFileSync(configFile, stringify(declarative))
    const [port, tls] = portsOf(env('KONG_PROXY_LISTEN'))
    await startGateway({ configFile, port: port!, pluginServerSocket: env('KONG_PLUGINSERVER_JS_SOCKET') })
    const certificate = { key: readFileSync(env('KONG_SSL_CERT_KEY')), cert: readFileSync(env('KONG_SSL_CERT')) }
    createServer(certificate, (client) => {
      const plain = connect(port!, '127.0.0.1')
      client.on('error', () => plain.destroy())
      plain.on('error', () => client.destroy())
      client.pipe(plain).pipe(client)
    }).listen(tls, '127.0.0.1')
    break
  }
  default:
    process.exitCode = 1
}

async function execFileSafe(file: string, args: string[]): Promise<boolean> {
  try {
    await promisify(execFile)(file, args)
    return true
  } catch {
    return false
  }
}
