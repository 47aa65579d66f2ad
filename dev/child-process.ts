import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'

export interface ChildOptions {
  name: string
  command: string
  args: readonly string[]
  env?: Record<string, string>
  /** Standard output and error of all its lives are appended here. */
  logFile: string
  /** Resolves once it serves; called after each start until it returns true. */
  ready: () => Promise<boolean>
  readyWithinMs?: number
}

export interface Child {
  readonly pid: number
  start(): Promise<void>
  /** Sends the signal and waits for the end. */
  kill(signal: NodeJS.Signals): Promise<void>
  /** SIGSTOP, SIGCONT: nothing ends. */
  signal(signal: NodeJS.Signals): void
  running(): boolean
}

/** A process that this program starts, ends and starts again; its readiness is a condition, never a time. */
export function makeChild(options: ChildOptions): Child {
  let child: ChildProcess | undefined
  const running = () => child !== undefined && child.exitCode === null && child.signalCode === null

  return {
    get pid() {
      return child?.pid ?? -1
    },
    running,
    async start() {
      const log = openSync(options.logFile, 'a')
      // No parent environment but PATH: Kong strips it as well.
      child = spawn(options.command, options.args, {
        stdio: ['ignore', log, log],
        env: { PATH: process.env.PATH ?? '', ...options.env },
      })
      closeSync(log)
      const failed = new Promise<never>((_resolve, reject) => child?.once('error', reject))
      failed.catch(() => {})
      const deadline = Date.now() + (options.readyWithinMs ?? 300_000)
      while (!(await Promise.race([options.ready().catch(() => false), failed]))) {
        if (!running()) throw new Error(`${options.name} ended before it was ready:\n${tail(options.logFile)}`)
        if (Date.now() > deadline) {
          child.kill('SIGKILL')
          throw new Error(`${options.name} was not ready in time:\n${tail(options.logFile)}`)
        }
        await new Promise((resolve) => setTimeout(resolve, 25))
      }
    },
    async kill(signal) {
      if (!running()) return
      const ended = once(child!, 'exit')
      child!.kill(signal)
      await ended
    },
    signal(signal) {
      child?.kill(signal)
    },
  }
}

function tail(file: string): string {
  return readFileSync(file, 'utf8').split('\n').slice(-15).join('\n')
}
