import { connect, type Socket } from 'node:net'
import { type HostFields, type Lua, type LuaValue, PUSHED, type Reference, Results } from './lua.ts'

/**
 * `ngx.timer` and `ngx.socket.tcp` of OpenResty, as far as a chunk needs them that now and then speaks to a server:
 * each timer runs as a thread of its own, beside the requests; connect, send and receive wait as cosockets do.
 */
export interface LuaTimers {
  timer: HostFields
  socket: HostFields
  /** As at the end of a worker: what waits runs at once and is told that it is premature. */
  close(): Promise<void>
}

const DEFAULT_TIMEOUT_MS = 60_000

export function makeLuaTimers(lua: Lua): LuaTimers {
  const waiting = new Map<NodeJS.Timeout, Reference>()
  const running = new Set<Promise<unknown>>()
  let closed = false

  function run(callback: Reference, premature: boolean): void {
    const done = lua.start(callback, premature).finally(() => {
      lua.release(callback)
      running.delete(done)
    })
    running.add(done)
  }

  return {
    timer: {
      at(args) {
        if (closed && (args.number(1) ?? 0) > 0) return new Results(null, 'process exiting')
        const callback = args.reference(2)
        const timer = setTimeout(
          () => {
            waiting.delete(timer)
            run(callback, false)
          },
          (args.number(1) ?? 0) * 1000,
        )
        timer.unref()
        waiting.set(timer, callback)
        return 1
      },
      every: () => {
        throw new Error('ngx.timer.every is not here: use ngx.timer.at')
      },
    },
    socket: {
      tcp() {
        lua.pushNewTable()
        lua.setFields(makeCosocket())
        return PUSHED
      },
    },
    async close() {
      closed = true
      for (const [timer, callback] of waiting) {
        clearTimeout(timer)
        run(callback, true)
      }
      waiting.clear()
      await Promise.all(running)
    },
  }
}

/** The first argument of each is the socket itself (`sock:connect(…)`). */
function makeCosocket(): HostFields {
  let socket: Socket | undefined
  let received = Buffer.alloc(0)
  let ended: string | undefined
  let timeoutMs = DEFAULT_TIMEOUT_MS
  let changed = () => {}

  /** Until `look` finds something; cosockets give nil and the reason where they give up. */
  async function until(look: () => LuaValue | Results | undefined): Promise<LuaValue | Results> {
    const deadline = Date.now() + timeoutMs
    for (;;) {
      const found = look()
      if (found !== undefined) return found
      if (ended !== undefined) return new Results(null, ended)
      const left = deadline - Date.now()
      if (left <= 0) return new Results(null, 'timeout')
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        changed = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  return {
    settimeout(args) {
      timeoutMs = args.number(2) ?? timeoutMs
      return null
    },
    connect(args) {
      const host = args.text(2) ?? ''
      let connected = false
      socket = host.startsWith('unix:')
        ? connect({ path: host.slice('unix:'.length) })
        : connect({ host: host.replace(/^\[|\]$/g, ''), port: args.number(3) ?? 0 })
      socket.on('connect', () => {
        connected = true
        changed()
      })
      socket.on('data', (chunk: Buffer) => {
        received = Buffer.concat([received, chunk])
        changed()
      })
      socket.on('error', (error: NodeJS.ErrnoException) => {
        ended = error.code === 'ECONNREFUSED' ? 'connection refused' : error.message
        changed()
      })
      socket.on('close', () => {
        ended ??= 'closed'
        changed()
      })
      return until(() => (connected ? 1 : undefined))
    },
    send(args) {
      const bytes = args.pieces(2)
      if (ended !== undefined || socket === undefined) return new Results(null, ended ?? 'closed')
      socket.write(bytes)
      return bytes.length
    },
    receive(args) {
      const count = args.number(2)
      if (count !== undefined)
        return until(() => {
          if (received.length < count) return undefined
          const bytes = received.subarray(0, count)
          received = received.subarray(count)
          return bytes
        })
      if (args.text(2) !== '*l') throw new Error('receive: a number or "*l"')
      return until(() => {
        const end = received.indexOf('\n')
        if (end < 0) return undefined
        const line = received.subarray(0, end)
        received = received.subarray(end + 1)
        return Buffer.from(line.toString('latin1').replace(/\r$/, ''), 'latin1')
      })
    },
    /** No connection is kept: each is a new one. */
    getreusedtimes: () => 0,
    setkeepalive() {
      socket?.destroy()
      return 1
    },
    close() {
      socket?.destroy()
      return 1
    },
  }
}
