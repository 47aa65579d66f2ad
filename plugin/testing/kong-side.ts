import { connect, type Socket } from 'node:net'
import { decodeMultiStream, encode } from '@msgpack/msgpack'

export type PdkAnswer = (method: string, args: unknown[]) => unknown
/** An answer that is never given: Kong's side has died. */
export const NEVER = Symbol('never')
interface StepIn {
  Data: 'ret' | { Method: string; Args: unknown[] }
  EventId: number
}

/** Kong's side of one connection to the plugin server, as small as the tests need it: one call at a time. */
export interface KongSide {
  socket: Socket
  call(method: string, ...args: unknown[]): Promise<unknown>
  startInstance(config: unknown): Promise<number>
  /** A whole event of the log phase. Returns the PDK methods that the plugin called. */
  event(instance: number, answer: PdkAnswer): Promise<string[]>
  close(): void
}

export function request(id: number, method: string, ...args: unknown[]): Uint8Array {
  return encode([0, id, method, args], { ignoreUndefined: true })
}

export async function connectAsKong(path: string): Promise<KongSide> {
  const socket = connect(path)
  await new Promise((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  socket.on('error', () => {})
  const responses = decodeMultiStream(socket)
  let id = 0

  async function call(method: string, ...args: unknown[]): Promise<unknown> {
    socket.write(request(++id, method, ...args))
    const { value, done } = await responses.next()
    if (done) throw new Error('the plugin server closed the connection')
    const [kind, answered, error, result] = value as [number, number, unknown, unknown]
    if (kind !== 1 || answered !== id) throw new Error(`unexpected response ${JSON.stringify(value)}`)
    if (error !== null && error !== undefined) throw new Error(String(error))
    return result
  }

  return {
    socket,
    call,
    async startInstance(config) {
      const started = await call('plugin.StartInstance', { Name: 'llm-observer', Config: JSON.stringify(config) })
      return (started as { Id: number }).Id
    },
    async event(instance, answer) {
      const called: string[] = []
      let step = (await call('plugin.HandleEvent', { InstanceId: instance, EventName: 'log' })) as StepIn
      while (step.Data !== 'ret') {
        called.push(step.Data.Method)
        const data = answer(step.Data.Method, step.Data.Args)
        if (data === NEVER) return called
        if (data instanceof Error)
          step = (await call('plugin.StepError', { EventId: step.EventId, Data: data.message })) as StepIn
        else step = (await call('plugin.Step', { EventId: step.EventId, Data: data })) as StepIn
      }
      return called
    },
    close: () => socket.destroy(),
  }
}
