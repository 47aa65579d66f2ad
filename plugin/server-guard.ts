import { mkdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import net from 'node:net'
import { dirname } from 'node:path'
import { codecOf, type Methods, makeDispatch } from './dispatch.ts'
import { FramingError, makeFramer } from './message-framing.ts'
import { makeNotices, type Notices } from './notices.ts'
import { failProcess } from './shippers.ts'

/**
 * Mends, from outside, what breaks kong-pdk 0.6.0's plugin server. The plugin is loaded before the server listens:
 * - a message split at an unlucky byte, or joined to another, killed the process or lost the second one:
 *   the listener now gets exactly one whole message at a time;
 * - each message was written out as JSON for a debug line, and a call that Kong had given up was answered late, into
 *   the next one: see dispatch.ts;
 * - a message that is not what it expects threw out of its 'data' handler: that connection is closed instead;
 * - sockets had no error handler, so that a client that hung up killed the process;
 * - the listen queue held 511: when Node stalls for a moment, Kong's next connections failed and their events were lost;
 * - a socket in a folder that nobody has made ended the process at each start: the folder is made;
 * - the map of events grew by every event that ends without its last step (Kong died, or waits no more);
 * - instances were never expired: the timer that should do it is stopped right after start.
 *
 * Not mended, because it cannot be seen from here: which connection an event belongs to (Kong takes any idle one for
 * each step), so that an event whose Kong has died is kept until it is certainly dead.
 */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024
/**
 * Events that wait while the process stands still. Each holds some 40 KB in Kong's workers; one that finds no room is lost,
 * and its number shows as a gap. 1,024 are seven seconds at 150 requests/s, and at most 40 MB.
 */
const BACKLOG = 1024
/** Kong gives up on an answer after 60 s: what began two rounds ago is dead. */
const ROUND_MS = 60_000
/** An expired instance costs Kong one line in its log and a new StartInstance; no event is lost by it. */
const INSTANCE_IDLE_SECONDS = 3600

interface PluginInstance {
  isExpired(seconds: number): boolean
  close(): void
}
interface PluginServer {
  events: Map<number, unknown>
  eventID: number
  instances: Map<number, PluginInstance>
  HandleEvent(event: unknown): Promise<{ Data: unknown; EventId: number }>
}
interface Listener {
  ps: PluginServer
  /** Path of its socket. */
  prefix: string
  serve(): net.Server
}
interface ListenerClass {
  prototype: Listener
}
const guarded = new WeakSet<ListenerClass>()
const servers: PluginServer[] = []

/** Does nothing in a process that has not loaded kong-pdk's listener. */
export function guardPluginServer(): void {
  // One cache for the whole process: it holds the copy of kong-pdk that runs, wherever that is installed.
  const loaded = createRequire(import.meta.url).cache
  for (const [file, module] of Object.entries(loaded))
    if (/[\\/]kong-pdk[\\/]listener\.js$/.test(file) && isListenerClass(module?.exports))
      guardListener(module.exports, file)
}

function isListenerClass(value: unknown): value is ListenerClass {
  return typeof value === 'function' && typeof (value.prototype as Partial<Listener> | undefined)?.serve === 'function'
}

export function guardListener(listenerClass: ListenerClass, listenerFile: string): void {
  if (guarded.has(listenerClass)) return
  guarded.add(listenerClass)
  const notices = makeNotices()
  const codec = codecOf(listenerFile)
  const serve = listenerClass.prototype.serve
  listenerClass.prototype.serve = function guardedServe(this: Listener): net.Server {
    makeFolder(dirname(this.prefix), notices)
    const createServer = net.createServer
    // The listener makes its server inside serve(), synchronously: no other server is touched.
    net.createServer = (() =>
      withBacklog(
        createServer((socket) =>
          serveConnection(socket, makeDispatch(socket, this.ps as unknown as Methods, codec), notices),
        ),
      )) as typeof net.createServer
    try {
      return serve.call(this)
    } finally {
      net.createServer = createServer
      mendServer(this.ps)
    }
  }
}

/** Under /var/run it is gone after a reboot. Where it cannot be made, listening fails next, and ends the process. */
function makeFolder(folder: string, notices: Notices): void {
  try {
    mkdirSync(folder, { recursive: true })
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? 'error'
    const message =
      'the folder of the plugin server’s socket is missing and cannot be made: make it for the user of Kong'
    notices.say('error', message, { folder, reason })
  }
}

function withBacklog(server: net.Server): net.Server {
  const listen = server.listen.bind(server) as (options: net.ListenOptions) => net.Server
  server.listen = ((path: string) => listen({ path, backlog: BACKLOG })) as typeof server.listen
  return server
}

function serveConnection(socket: net.Socket, dispatch: (message: Uint8Array) => void, notices: Notices): void {
  socket.on('error', () => socket.destroy())
  const framer = makeFramer(MAX_MESSAGE_BYTES)
  socket.on('data', (chunk: Buffer) => {
    try {
      framer.push(chunk, dispatch)
    } catch (error) {
      const reason = error instanceof FramingError ? error.message : 'unexpected message'
      notices.say('warn', 'a connection to the plugin server was closed', { reason })
      failProcess('connection_closed', reason)
      socket.destroy()
    }
  })
}

function mendServer(server: PluginServer): void {
  servers.push(server)
  const handleEvent = server.HandleEvent
  server.HandleEvent = async function guardedHandleEvent(event) {
    const result = await handleEvent.call(this, event)
    // A handler without a PDK call is over by now, and nobody will step it.
    if (result.Data === 'ret') this.events.delete(result.EventId)
    return result
  }
  let previous = server.eventID
  let oldest = previous
  setInterval(() => {
    forgetDeadEvents(server, oldest)
    oldest = previous
    previous = server.eventID
    expireInstances(server, INSTANCE_IDLE_SECONDS)
  }, ROUND_MS).unref()
}

/** Events are numbered upwards and kept in that order. */
export function forgetDeadEvents(server: Pick<PluginServer, 'events'>, before: number): void {
  for (const id of server.events.keys()) {
    if (id >= before) return
    server.events.delete(id)
  }
}

export function expireInstances(server: Pick<PluginServer, 'instances'>, idleSeconds: number): void {
  for (const [id, instance] of server.instances) {
    if (!instance.isExpired(idleSeconds)) continue
    instance.close()
    server.instances.delete(id)
  }
}

/** For tests and diagnosis: what the guarded servers hold. */
export function guardedState(): { events: number; instances: number }[] {
  return servers.map(({ events, instances }) => ({ events: events.size, instances: instances.size }))
}
