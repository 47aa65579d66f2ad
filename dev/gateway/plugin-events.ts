import { makeMessagePackRpc, RpcError } from './message-pack-rpc.ts'
import { answerPdkCall, type LogEvent } from './pdk.ts'
import { makePluginInstances } from './plugin-instances.ts'

/**
 * Log events of external plugins, as Kong's log timers run them: beside the requests, a bounded number at a time, each
 * once. What cannot be delivered is lost, and counted; nothing of it reaches a client.
 */
export interface PluginEvents {
  push(event: LogEvent): void
  stats(): { sent: number; lost: number; running: number; waiting: number }
  /** No event runs or waits. */
  idle(): Promise<void>
  close(): void
}

export interface PluginEventsOptions {
  socketPath: string
  /** Kong's lua_max_running_timers and lua_max_pending_timers. */
  maxRunning?: number
  maxWaiting?: number
  timeoutMs?: number
  /** Once for each event that is over, delivered or lost. */
  onDone?: (event: LogEvent) => void
  onLost?: (reason: string) => void
}

const DEFAULT_MAX_RUNNING = 4096
const DEFAULT_MAX_WAITING = 16_384
/** Kong would try for ever; a server that forgets each instance at once is none. */
const MAX_STARTS = 3

export function makePluginEvents(options: PluginEventsOptions): PluginEvents {
  const { maxRunning = DEFAULT_MAX_RUNNING, maxWaiting = DEFAULT_MAX_WAITING } = options
  const rpc = makeMessagePackRpc({
    socketPath: options.socketPath,
    ...(options.timeoutMs !== undefined && { timeoutMs: options.timeoutMs }),
    // A server that comes back numbers its instances from 0 again: an old id would be another one's.
    onServerGone: () => instances.forget(),
  })
  const instances = makePluginInstances(rpc)
  const waiting: LogEvent[] = []
  const whenIdle: (() => void)[] = []
  let running = 0
  let sent = 0
  let lost = 0

  function lose(event: LogEvent, reason: string): void {
    lost++
    options.onLost?.(reason)
    options.onDone?.(event)
  }

  function next(): void {
    while (running < maxRunning && waiting.length > 0) {
      running++
      void run(waiting.shift()!)
    }
    if (running === 0) for (const resolve of whenIdle.splice(0)) resolve()
  }

  async function run(event: LogEvent): Promise<void> {
    try {
      await handle(event, MAX_STARTS)
      sent++
      options.onDone?.(event)
    } catch (error) {
      lose(event, (error as Error).message)
    } finally {
      running--
      next()
    }
  }

  async function handle(event: LogEvent, starts: number): Promise<void> {
    const instance = await instances.idOf(event.plugin)
    try {
      let step = stepOf(await rpc.call('plugin.HandleEvent', { InstanceId: instance, EventName: 'log' }))
      while (step.call !== undefined) {
        const { method, data } = answerPdkCall(event, step.call.method, step.call.args)
        step = stepOf(
          await rpc.call(method, data === undefined ? { EventId: step.event } : { EventId: step.event, Data: data }),
        )
      }
    } catch (error) {
      if (!(error instanceof RpcError) || !error.message.toLowerCase().includes('no plugin instance') || starts <= 1)
        throw error
      instances.forget()
      await handle(event, starts - 1)
    }
  }

  return {
    push(event) {
      if (waiting.length >= maxWaiting) lose(event, 'too many pending timers')
      else {
        waiting.push(event)
        next()
      }
    },
    stats: () => ({ sent, lost, running, waiting: waiting.length }),
    async idle() {
      if (running > 0 || waiting.length > 0) await new Promise<void>((resolve) => whenIdle.push(resolve))
    },
    close() {
      for (const event of waiting.splice(0)) lose(event, 'closed')
      rpc.close()
    },
  }
}

interface StepIn {
  event: number
  /** The next PDK call; `undefined`: the handler has returned. */
  call: { method: string; args: readonly unknown[] } | undefined
}

function stepOf(result: unknown): StepIn {
  if (!(result instanceof Map)) throw new Error('a step without a result')
  const event = result.get('EventId')
  const data = result.get('Data')
  if (typeof event !== 'number') throw new Error('a step without EventId')
  if (data === 'ret') return { event, call: undefined }
  const method = data instanceof Map ? data.get('Method') : undefined
  if (typeof method !== 'string') throw new Error('a step that names no method')
  const args = (data as Map<string, unknown>).get('Args')
  return { event, call: { method, args: Array.isArray(args) ? args : [] } }
}
