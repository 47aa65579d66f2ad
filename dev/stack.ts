import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { readTap, type Ship, withSidecar } from '../plugin/tap-text.ts'
import { somebodyServes } from '../sidecar/unix-socket.ts'
import { withTap } from './build-tap.ts'
import { type Child, makeChild } from './child-process.ts'
import { freePort } from './free-port.ts'
import { type Gateway, startGateway } from './gateway/gateway.ts'
import { type Provider, startProvider } from './provider/provider.ts'
import { startRealKong } from './real-kong.ts'
import { startLangfuseSink } from './sinks/langfuse.ts'
import { startLokiSink } from './sinks/loki.ts'
import { startOtlpSink } from './sinks/otlp.ts'

const root = join(import.meta.dirname, '..')
const LANGFUSE_KEYS = { publicKey: 'pk-lf-demo', secretKey: 'sk-lf-demo' }
const TOKEN = 'demo-token-known-to-everybody'
const OPEN_TIMEOUT_MS = 30_000

export interface StackOptions {
  /** Everything that is written – stores, sockets, logs, configuration – lands here. */
  directory: string
  ports?: { gateway?: number; sidecar?: number; provider?: number; otlp?: number; langfuse?: number; loki?: number }
  provider?: { latencyMs?: [number, number]; chunkDelayMs?: [number, number]; recordings?: string }
  /** Merged over the sidecar's configuration. */
  sidecar?: Record<string, unknown>
  /** Merged over every llm-observer configuration of kong.yml. */
  plugin?: Record<string, unknown>
  configFile?: string
  /** Who ships captures of tapped routes; the plugin where absent. */
  ship?: Ship | undefined
  /** The kong of this machine in place of the stand-in gateway. */
  realKong?: boolean
  onStep?: (text: string) => void
}

export type Stack = Awaited<ReturnType<typeof startStack>>

/**
 * The whole product on one machine: mock provider ◀ stand-in gateway ─▶ real kong-js-pluginserver with the plugin
 * ─▶ sidecar (a process of its own) ─▶ stand-in sinks. The demo and the conservation test both run on it.
 */
export async function startStack(options: StackOptions) {
  /** What was started, the last first: a start that fails leaves nothing behind. */
  const closing: (() => Promise<unknown>)[] = []
  const close = async () => {
    for (const end of closing.splice(0).reverse()) await end()
  }
  try {
    return { ...(await startParts(options, (end) => closing.push(end))), close }
  } catch (error) {
    await close()
    throw error
  }
}

async function startParts(options: StackOptions, started: (end: () => Promise<unknown>) => void) {
  const { directory, ports = {} } = options
  const step = options.onStep ?? (() => {})
  mkdirSync(directory, { recursive: true })

  step('mock provider and sinks (OTLP, Langfuse, Loki)')
  const provider: Provider = await startProvider({ port: ports.provider ?? 0, ...options.provider })
  started(() => provider.close())
  const otlp = await startOtlpSink({ port: ports.otlp ?? 0 })
  started(() => otlp.close())
  const langfuse = await startLangfuseSink({ port: ports.langfuse ?? 0, ...LANGFUSE_KEYS })
  started(() => langfuse.close())
  const loki = await startLokiSink({ port: ports.loki ?? 0 })
  started(() => loki.close())

  step('sidecar')
  const socket = join(directory, 'sidecar.sock')
  const observerFile = join(directory, 'observer.yaml')
  const port = ports.sidecar ?? (await freePort())
  const sidecarUrl = `http://127.0.0.1:${port}`
  writeFileSync(
    observerFile,
    stringify({
      listen: { host: '127.0.0.1', port, socket, tokens: { intake: TOKEN } },
      data: join(directory, 'data'),
      attribution: { trustedRoutes: ['trusted'] },
      exporters: {
        otlp: { endpoint: otlp.url },
        langfuse: { url: langfuse.url, ...LANGFUSE_KEYS },
        loki: { url: loki.url },
      },
      ...options.sidecar,
    }),
  )
  const sidecar = makeChild({
    name: 'sidecar',
    command: process.execPath,
    args: [join(root, 'sidecar/main.ts'), '--config', observerFile],
    logFile: join(directory, 'sidecar.log'),
    ready: async () => (await fetch(`${sidecarUrl}/readyz`, { signal: AbortSignal.timeout(OPEN_TIMEOUT_MS) })).ok,
  })
  started(() => sidecar.kill('SIGTERM'))
  await sidecar.start()

  step('kong-js-pluginserver with the plugin llm-observer')
  const pluginSocket = join(directory, 'js.sock')
  const serverArgs = [
    '--require',
    join(root, 'plugin/without-ts-node.cjs'),
    join(root, 'node_modules/kong-pdk/bin/kong-js-pluginserver'),
    '--plugins-directory',
    join(root, 'plugin/load'),
  ]
  const pluginServer: Child = makeChild({
    name: 'kong-js-pluginserver',
    command: process.execPath,
    args: [...serverArgs, '-p', directory, '--sock-name', 'js.sock'],
    logFile: join(directory, 'plugin-server.log'),
    ready: () => somebodyServes(pluginSocket),
  })
  started(() => pluginServer.kill('SIGTERM'))
  await pluginServer.start()

  const accessLog = join(directory, 'gateway-access.log')
  const configFile = join(directory, 'kong.yml')
  const kongYml = readFileSync(options.configFile ?? join(root, 'dev/demo-kong.yml'), 'utf8')
  const tapped = options.ship === 'tap' ? withTap(kongYml, readTap('tap')) : kongYml
  const content = options.ship === 'tap' ? { content: 'on' as const } : {}
  writeFileSync(configFile, withSidecar(tapped, { url: `unix:${socket}`, token: TOKEN, ...content }))
  const forBoth = {
    configFile,
    pluginServerSocket: pluginSocket,
    accessLog,
    upstreamOverride: { '127.0.0.1:9500': `127.0.0.1:${provider.port}` },
    pluginConfig: { sidecar_url: `unix:${socket}`, intake_token: TOKEN, ...options.plugin },
  }
  step(options.realKong ? 'your kong on kong.yml' : 'stand-in gateway on kong.yml')
  const gateway: Gateway = options.realKong
    ? await startRealKong({
        ...forBoth,
        directory,
        port: ports.gateway ?? (await freePort()),
        describePlugin: [process.execPath, ...serverArgs, '--dump-all-plugins'],
      })
    : await startGateway({ ...forBoth, port: ports.gateway ?? 0 })
  started(() => gateway.close())

  return {
    directory,
    provider,
    otlp,
    langfuse,
    loki,
    sidecar,
    sidecarUrl,
    pluginServer,
    gateway,
    accessLog,
    ledgerFile: join(directory, 'data', 'observer.db'),
  }
}
