import { createConnection, type Socket } from 'node:net'
import { type Packable, pack, type Unpacked, unpack } from './message-pack.ts'

/**
 * Kong's side of its MessagePack-RPC with a plugin server: `[0, id, method, arguments]` there, `[1, id, error, result]`
 * back. A connection carries one call at a time; a call takes an idle one, or opens another, and leaves it for the next.
 */
export interface MessagePackRpc {
  /** Rejects with `RpcError` where the server said no, with another Error where it could not be asked. */
  call(method: string, ...args: Packable[]): Promise<Unpacked>
  connections(): { idle: number; busy: number }
  close(): void
}

/** The plugin server's own answer: it is there, and refuses. */
export class RpcError extends Error {}

export interface RpcOptions {
  socketPath: string
  /** For connecting and for each answer, as Kong's sockets have it. */
  timeoutMs?: number
  maxIdle?: number
  idleMs?: number
  /** A connection ended that this side did not end: the server is gone, or has been replaced. */
  onServerGone?: () => void
}

const DEFAULT_TIMEOUT_MS = 60_000
const DEFAULT_MAX_IDLE = 256

export function makeMessagePackRpc(options: RpcOptions): MessagePackRpc {
  const {
    socketPath,
    timeoutMs = DEFAULT_TIMEOUT_MS,
    maxIdle = DEFAULT_MAX_IDLE,
    idleMs = DEFAULT_TIMEOUT_MS,
  } = options
  const idle: Connection[] = []
  const busy = new Set<Connection>()
  let messageId = 0
  let closed = false

  const forget = (connection: Connection) => {
    const at = idle.indexOf(connection)
    if (at >= 0) idle.splice(at, 1)
    busy.delete(connection)
  }
  const open = () =>
    openConnection(socketPath, timeoutMs, (connection, byUs) => {
      forget(connection)
      if (!byUs) options.onServerGone?.()
    })

  return {
    async call(method, ...args) {
      if (closed) throw new Error('closed')
      const id = ++messageId
      const connection = idle.pop() ?? open()
      busy.add(connection)
      const { error, result } = await connection.exchange(id, pack([0, id, method, args]))
      busy.delete(connection)
      if (closed || idle.length >= maxIdle) connection.end()
      else {
        idle.push(connection)
        connection.rest(idleMs)
      }
      if (error !== null) throw new RpcError(String(error))
      return result
    },
    connections: () => ({ idle: idle.length, busy: busy.size }),
    close() {
      closed = true
      for (const connection of [...idle, ...busy]) connection.end()
    },
  }
}

interface Answer {
  error: Unpacked
  result: Unpacked
}

interface Connection {
  exchange(id: number, message: Uint8Array): Promise<Answer>
  /** Until the next call; ends after `ms` without one. */
  rest(ms: number): void
  end(): void
}

function openConnection(
  path: string,
  timeoutMs: number,
  onEnd: (connection: Connection, byUs: boolean) => void,
): Connection {
  const socket: Socket = createConnection(path)
  let pending: { id: number; resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined
  let received: Buffer = Buffer.alloc(0)
  let ended = false

  const fail = (error: Error, byUs: boolean) => {
    if (ended) return
    ended = true
    socket.destroy()
    onEnd(connection, byUs)
    pending?.reject(error)
    pending = undefined
  }
  socket.setTimeout(timeoutMs)
  socket.on('timeout', () => fail(new Error('timeout'), true))
  // EAGAIN: its backlog is full. It is there.
  socket.on('error', (error: NodeJS.ErrnoException) => fail(error, error.code === 'EAGAIN'))
  socket.on('close', () => fail(new Error('no data'), false))
  socket.on('data', (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
    try {
      for (let message = unpack(received); message !== undefined; message = unpack(received)) {
        received = received.subarray(message.end)
        settle(message.value)
        if (received.length === 0) break
      }
    } catch (error) {
      fail(error as Error, true)
    }
  })

  function settle(message: Unpacked): void {
    if (!Array.isArray(message)) throw new Error('the plugin server sent no array')
    // [2, label, arguments] is a notification: kong-pdk sends none.
    if (message[0] === 2) return
    if (message[0] !== 1 || pending === undefined || message[1] !== pending.id)
      throw new Error('an answer that nobody asked for')
    const { resolve } = pending
    pending = undefined
    resolve({ error: message[2] ?? null, result: message[3] ?? null })
  }

  const connection: Connection = {
    exchange(id, message) {
      return new Promise((resolve, reject) => {
        if (ended) return reject(new Error('no data'))
        pending = { id, resolve, reject }
        socket.setTimeout(timeoutMs)
        socket.ref()
        socket.write(message)
      })
    },
    rest(ms) {
      socket.setTimeout(ms)
      socket.unref()
    },
    end: () => fail(new Error('closed'), true),
  }
  return connection
}
