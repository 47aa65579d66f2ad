import { createRequire } from 'node:module'
import type { Socket } from 'node:net'

/** Kong's calls: `[0, id, "plugin.Method", arguments]`, answered by `[1, id, error, result]` (MessagePack-RPC). */
type Request = [kind: number, id: number, method: string, args: unknown[]]
const OF_EVENTS = /^(HandleEvent|Step)/
export type Methods = Readonly<Record<string, unknown>>

interface MessagePack {
  Encoder: new () => { encode(value: unknown): Uint8Array }
  Decoder: new () => { decode(bytes: Uint8Array): unknown }
}

/** kong-pdk's own copy of the codec, so that both sides of its server encode alike. */
export function codecOf(listenerFile: string): MessagePack {
  return createRequire(listenerFile)('@msgpack/msgpack') as MessagePack
}

/**
 * Takes the messages of one connection to the plugin server, in the place of kong-pdk's handler, which writes each one
 * out as JSON for a debug line that nobody sees: an eighth of the process' CPU.
 *
 * Kong sends the next call on a connection only after the answer to the last – or after it has given that one up, and
 * has put the connection back into its pool all the same. An answer to the call given up would be taken for the answer
 * to the next one, and both events be lost: of the calls of events only the newest is answered.
 */
export function makeDispatch(socket: Socket, methods: Methods, { Encoder, Decoder }: MessagePack) {
  const encoder = new Encoder()
  const decoder = new Decoder()
  let newest: number | undefined

  const send = (id: number, error: unknown, result: unknown) => {
    if (!socket.destroyed) socket.write(encoder.encode([1, id, error, result]))
  }

  /** One whole message. Throws where it is not a call. */
  return function dispatch(message: Uint8Array): void {
    const [, id, name, args] = decoder.decode(message) as Request
    const [space, method = ''] = name.split('.')
    newest = id
    const call = /^[A-Z]/.test(method) ? methods[method] : undefined
    if (space !== 'plugin') send(id, `RPC for ${space} is not supported`, undefined)
    else if (typeof call !== 'function') send(id, `method ${method} not implemented`, undefined)
    else {
      const awaited = () => id === newest || !OF_EVENTS.test(method)
      // kong-pdk's methods are async; one that throws at once got a message that is not what it expects.
      Promise.resolve(call.apply(methods, args)).then(
        (result: unknown) => awaited() && send(id, undefined, result),
        (error: unknown) => awaited() && send(id, error instanceof Error ? error.message : String(error), undefined),
      )
    }
  }
}
