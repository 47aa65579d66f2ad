import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { makeChild } from './child-process.ts'
import type { Gateway } from './gateway/gateway.ts'

export interface RealKongOptions {
  directory: string
  configFile: string
  port: number
  pluginServerSocket: string
  /** Command whose output describes the plugin (`--dump-all-plugins`). */
  describePlugin: readonly [command: string, ...args: string[]]
  accessLog: string
  upstreamOverride: Record<string, string>
  pluginConfig: Record<string, unknown>
}

interface KongFile {
  services: {
    url?: string
    routes?: { plugins?: { name: string; config?: object }[] }[]
    plugins?: { name: string; config?: object }[]
  }[]
  plugins?: { name: string; config?: object }[]
}

const QUIET_MS = 1500

export function findKong(): string | undefined {
  const found = spawnSync('sh', ['-c', 'command -v kong'], { encoding: 'utf8' }).stdout.trim()
  return found === '' ? undefined : found
}

/**
 * `--kong`: the kong of this machine in place of the stand-in, without a database, on the same kong.yml. The plugin
 * server is the one that runs already (no start_cmd; query_cmd prints its description). Kong's own file-log writes the
 * access log, in the format that the stand-in writes too.
 */
export async function startRealKong(options: RealKongOptions): Promise<Gateway> {
  const kong = findKong()
  if (kong === undefined)
    throw new Error('--kong needs a kong binary on PATH; without the flag the demo uses its stand-in gateway')
  const prefix = join(options.directory, 'kong')
  mkdirSync(prefix, { recursive: true })

  const declarative = parse(readFileSync(options.configFile, 'utf8'), { merge: true }) as KongFile
  for (const service of declarative.services) {
    for (const [from, to] of Object.entries(options.upstreamOverride))
      if (service.url !== undefined) service.url = service.url.replace(from, to)
    for (const plugin of [
      ...(service.plugins ?? []),
      ...(service.routes ?? []).flatMap(({ plugins }) => plugins ?? []),
    ])
      if (plugin.name === 'llm-observer') plugin.config = { ...plugin.config, ...options.pluginConfig }
  }
  declarative.plugins = [
    ...(declarative.plugins ?? []),
    { name: 'file-log', config: { path: options.accessLog, reopen: true } },
  ]
  const configFile = join(options.directory, 'kong-of-the-demo.yml')
  // Kong reads YAML 1.1, in which an unquoted off is false.
  writeFileSync(configFile, stringify(declarative, { version: '1.1', aliasDuplicateObjects: false }))
  writeFileSync(options.accessLog, '')

  const [command, ...args] = options.describePlugin
  const description = join(options.directory, 'plugin.json')
  writeFileSync(description, execFileSync(command, args))

  const env = {
    KONG_DATABASE: 'off',
    KONG_DECLARATIVE_CONFIG: configFile,
    KONG_PREFIX: prefix,
    KONG_PROXY_LISTEN: `127.0.0.1:${options.port}`,
    KONG_ADMIN_LISTEN: 'off',
    KONG_NGINX_WORKER_PROCESSES: '1',
    KONG_NGINX_DAEMON: 'off',
    KONG_PLUGINS: 'bundled,llm-observer',
    KONG_PLUGINSERVER_NAMES: 'js',
    KONG_PLUGINSERVER_JS_SOCKET: options.pluginServerSocket,
    KONG_PLUGINSERVER_JS_QUERY_CMD: `/bin/cat ${description}`,
    HOME: options.directory,
  }
  const url = `http://127.0.0.1:${options.port}`
  const child = makeChild({
    name: 'kong',
    command: kong,
    args: ['start', '--prefix', prefix],
    env,
    logFile: join(options.directory, 'kong.log'),
    // No route at /: any answer of Kong will do.
    ready: async () => (await fetch(url)).status === 404,
  })
  await child.start()
  return {
    url,
    port: options.port,
    stats: () => ({ requests: lines(options.accessLog), eventsSent: 0, eventsLost: 0, eventsRunning: 0 }),
    /** Kong tells nobody when its log timers are done: its log has grown no more for a while. */
    async idle() {
      let size = -1
      while (size !== statSync(options.accessLog).size) {
        size = statSync(options.accessLog).size
        await new Promise((resolve) => setTimeout(resolve, QUIET_MS))
      }
    },
    close: () => child.kill('SIGQUIT'),
  }
}

function lines(file: string): number {
  return readFileSync(file, 'utf8').split('\n').length - 1
}
