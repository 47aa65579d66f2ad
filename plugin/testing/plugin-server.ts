import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { somebodyServes } from '../../sidecar/unix-socket.ts'
import { waitUntil } from './wait-until.ts'

const root = join(import.meta.dirname, '..', '..')
const SERVER = join(root, 'node_modules/kong-pdk/bin/kong-js-pluginserver')
const LOAD = join(root, 'plugin/load')
const WITHOUT_TS_NODE = ['--require', join(root, 'plugin/without-ts-node.cjs')]
const STATE_REPORT = pathToFileURL(join(root, 'plugin/testing/report-state.ts')).href

export interface State {
  servers: { events: number; instances: number }[]
  shippers: number
  held: number
  resources: Record<string, number>
}

export interface PluginServer {
  child: ChildProcess
  pid: number
  directory: string
  socket: string
  stdout(): string
  stderr(): string
  running(): boolean
  /** What the process holds, told by itself. Only with `reportState`. */
  state(): Promise<State>
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** The real kong-js-pluginserver with the real plugin, a child process on a socket in a folder of its own. */
export async function startPluginServer(
  options: {
    env?: Record<string, string>
    reportState?: boolean
    /** Of another server, whose socket this one takes over, as when Kong reloads; or one that is not there yet. */
    directory?: string
    /** A folder of plugins in the place of the product's. */
    load?: string
  } = {},
): Promise<PluginServer> {
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'llm-observer-plugin-'))
  const socket = join(directory, 's.sock')
  const taken = madeAt(socket)
  const preload = options.reportState ? ['--import', STATE_REPORT] : []
  // Kong strips the environment of its plugin servers.
  const child = spawn(
    process.execPath,
    [...preload, ...WITHOUT_TS_NODE, SERVER, '-d', options.load ?? LOAD, '-p', directory, '--sock-name', 's.sock'],
    {
      env: { PATH: process.env.PATH ?? '', ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  let stdout = ''
  let stderr = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const running = () => child.exitCode === null && child.signalCode === null
  await waitUntil(async () => {
    if (!running()) throw new Error(`the plugin server ended:\n${stdout}\n${stderr}`)
    return madeAt(socket) !== taken && (await somebodyServes(socket))
  }, 'the plugin server listens')
  return {
    child,
    pid: child.pid!,
    directory,
    socket,
    stdout: () => stdout,
    stderr: () => stderr,
    running,
    async state() {
      const before = stderr.length
      const report = () => /^STATE (.*)$/m.exec(stderr.slice(before))?.[1]
      child.kill('SIGUSR2')
      await waitUntil(() => report() !== undefined, 'the state report')
      return JSON.parse(report()!) as State
    },
    async stop(signal = 'SIGKILL') {
      if (running()) {
        const ended = once(child, 'exit')
        child.kill(signal)
        await ended
      }
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** Tells a socket from one that has taken its place. */
function madeAt(path: string): bigint | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ctimeNs
}

/** Standard output of `--dump-all-plugins`, as Kong's query command reads it. */
export async function dumpPlugins(
  options: { nodeArguments?: readonly string[]; env?: Record<string, string>; cwd?: string } = {},
): Promise<string> {
  const { nodeArguments = WITHOUT_TS_NODE, env = {}, cwd = tmpdir() } = options
  const child = spawn(process.execPath, [...nodeArguments, SERVER, '-d', LOAD, '--dump-all-plugins'], {
    env,
    cwd,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  const [code] = (await once(child, 'close')) as [number]
  if (code !== 0) throw new Error(`--dump-all-plugins ended with ${code}`)
  return output
}
