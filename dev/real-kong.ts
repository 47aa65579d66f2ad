import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
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
/** No start takes so long; what Kong itself says ends the waiting at once. */
const START_LIMIT_MS = 60_000
const QUIT_SECONDS = 10
const END_LIMIT_MS = 15_000

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
  if (process.getuid?.() === 0) letWorkersIn(options)

  const env = {
    KONG_DATABASE: 'off',
    KONG_DECLARATIVE_CONFIG: configFile,
    KONG_PREFIX: prefix,
    KONG_PROXY_LISTEN: `127.0.0.1:${options.port}`,
    KONG_ADMIN_LISTEN: 'off',
    KONG_NGINX_WORKER_PROCESSES: '1',
    KONG_PLUGINS: 'bundled,llm-observer',
    KONG_PLUGINSERVER_NAMES: 'js',
    KONG_PLUGINSERVER_JS_SOCKET: options.pluginServerSocket,
    KONG_PLUGINSERVER_JS_QUERY_CMD: `/bin/cat ${description}`,
    HOME: options.directory,
  }
  const url = `http://127.0.0.1:${options.port}`
  const running = new KongCommand(kong, prefix, env, join(options.directory, 'kong.log'))
  try {
    await running.start(url)
  } catch (error) {
    await running.end()
    throw error
  }
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
    close: () => running.end(),
  }
}

function lines(file: string): number {
  return readFileSync(file, 'utf8').split('\n').length - 1
}

/** Workers of a Kong that root started run as another user: they enter the folder, write the access log, use the socket. */
function letWorkersIn({ directory, accessLog, pluginServerSocket }: RealKongOptions): void {
  chmodSync(directory, 0o711)
  chmodSync(accessLog, 0o666)
  chmodSync(pluginServerSocket, 0o666)
}

/**
 * `kong start` and `kong quit` of one prefix. nginx is a daemon: a signal to a `kong start` that stays in the foreground ends
 * the command alone, and leaves nginx behind.
 */
class KongCommand {
  readonly #kong: string
  readonly #prefix: string
  readonly #env: Record<string, string>
  readonly #logFile: string

  constructor(kong: string, prefix: string, env: Record<string, string>, logFile: string) {
    this.#kong = kong
    this.#prefix = prefix
    this.#env = env
    this.#logFile = logFile
  }

  /** Resolves once Kong answers at the address; throws an Error with Kong's own words as soon as it cannot. */
  async start(url: string): Promise<void> {
    const code = await this.#run(START_LIMIT_MS, 'start', '-p', this.#prefix)
    if (code !== 0)
      throw new Error(`kong does not start (exit code ${code ?? 'none in time'}):\n${tail(this.#logFile)}`)
    const deadline = Date.now() + START_LIMIT_MS
    while (!(await answers(url))) {
      const fault = this.#fault()
      if (fault !== undefined) throw new Error(`kong started and does not answer: ${fault}`)
      if (Date.now() > deadline) throw new Error(`kong started and does not answer at ${url}:\n${this.#errors()}`)
      await pause(50)
    }
  }

  /** Gracefully, then by force: nothing of this Kong is left. */
  async end(): Promise<void> {
    const pid = this.#master()
    if (pid === undefined) return
    const workers = childrenOf(pid)
    await this.#run(END_LIMIT_MS, 'quit', '-p', this.#prefix, '--timeout', String(QUIT_SECONDS))
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const left = [pid, ...workers].filter(runs)
      if (left.length === 0) return
      for (const each of left) kill(each, signal)
      for (const deadline = Date.now() + END_LIMIT_MS; left.some(runs) && Date.now() < deadline; ) await pause(50)
    }
  }

  /** The exit code; undefined where it had to be ended. */
  async #run(limitMs: number, ...args: string[]): Promise<number | undefined> {
    const log = openSync(this.#logFile, 'a')
    const child = spawn(this.#kong, args, {
      stdio: ['ignore', log, log],
      env: { PATH: process.env.PATH ?? '', ...this.#env },
    })
    closeSync(log)
    return new Promise((resolve, reject) => {
      const limit = setTimeout(() => child.kill('SIGKILL'), limitMs)
      child.once('error', reject)
      child.once('exit', (code) => {
        clearTimeout(limit)
        resolve(code ?? undefined)
      })
    })
  }

  #master(): number | undefined {
    const file = join(this.#prefix, 'pids', 'nginx.pid')
    const pid = existsSync(file) ? Number(readFileSync(file, 'utf8').trim()) : 0
    return pid > 1 && runs(pid) ? pid : undefined
  }

  #errors(): string {
    const file = join(this.#prefix, 'logs', 'error.log')
    return existsSync(file) ? tail(file) : tail(this.#logFile)
  }

  #fault(): string | undefined {
    const errors = this.#errors()
    if (this.#master() === undefined) return `nginx has ended\n${errors}`
    if (!errors.includes('cannot be respawned')) return undefined
    return `its worker ended, and nginx starts no other. It runs as another user where root starts Kong: can that user enter ${this.#prefix}?\n${errors}`
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    // No route at /: any answer of Kong will do.
    return (await fetch(url, { signal: AbortSignal.timeout(1000) })).status === 404
  } catch {
    return false
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

function kill(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}
/** Whether the process runs; one that has ended and that nobody has waited for does not. */
function runs(pid: number): boolean {
  if (!kill(pid, 0)) return false
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return process.platform !== 'linux'
  }
}

function childrenOf(pid: number): number[] {
  const { stdout } = spawnSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' })
  return (stdout ?? '')
    .split('\n')
    .map(Number)
    .filter((child) => child > 1)
}

function tail(file: string): string {
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-15).join('\n')
}
