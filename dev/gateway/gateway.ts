import { randomBytes, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { openAccessLog } from './access-log.ts'
import { type Answer, answerTo } from './answer.ts'
import type { Exchange, Headers } from './exchange.ts'
import { authenticate } from './key-auth.ts'
import { ANSWERS, type KongAnswer } from './kong-answers.ts'
import { type KongConfig, type Route, readKongConfig } from './kong-config.ts'
import { createKongLua } from './kong-lua.ts'
import { logDocument } from './log-document.ts'
import { makePluginEvents } from './plugin-events.ts'
import { passUpgrade, refuseUpgrade } from './upgrade.ts'
import { makeUpstreams, type Stop } from './upstream.ts'

/** A stand-in for Kong 3.9: what it does of Kong, and what not, is told in README.md beside this file. */
export interface Gateway {
  url: string
  port: number
  stats(): { requests: number; eventsSent: number; eventsLost: number; eventsRunning: number }
  /** No request is on its way, and all log events are delivered or lost. */
  idle(): Promise<void>
  close(): Promise<void>
}

export interface GatewayOptions {
  configFile: string
  port?: number
  /** Without it, external plugins do not run. */
  pluginServerSocket?: string
  /** A file to which the log document of each request is appended, one JSON line each. */
  accessLog?: string
  /** "127.0.0.1:9500" → "127.0.0.1:41234" */
  upstreamOverride?: Record<string, string>
  /** Merged over every configuration of llm-observer. */
  pluginConfig?: Record<string, unknown>
  nodeId?: string
  workerPid?: number
  /** Called before each function of Kong's Lua API, with its name; tests make it throw. */
  luaFault?: (operation: string) => void
  /** Why an event was lost. */
  onEventLost?: (reason: string) => void
}

const KEEP_ALIVE_MS = 60_000

export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const config = readKongConfig(options.configFile, { pluginConfig: { 'llm-observer': options.pluginConfig ?? {} } })
  const nodeId = options.nodeId ?? randomUUID()
  const lua = createKongLua({
    nodeId,
    workerPid: options.workerPid ?? process.pid,
    ...(options.luaFault && { fault: options.luaFault }),
  })
  for (const { preFunction, postFunction } of config.routes)
    for (const plugin of [preFunction, postFunction]) if (plugin !== undefined) lua.load(plugin)
  const upstreams = makeUpstreams(options.upstreamOverride ?? {})
  const accessLog = options.accessLog === undefined ? undefined : openAccessLog(options.accessLog)

  /** How many log events of an exchange are not over yet: its Lua tables are needed as long. */
  const pendingEvents = new Map<Exchange, number>()
  const eventDone = (exchange: Exchange) => {
    const left = (pendingEvents.get(exchange) ?? 1) - 1
    if (left > 0) pendingEvents.set(exchange, left)
    else {
      pendingEvents.delete(exchange)
      lua.end(exchange)
    }
  }
  const events =
    options.pluginServerSocket === undefined
      ? undefined
      : makePluginEvents({
          socketPath: options.pluginServerSocket,
          onDone: ({ exchange }) => eventDone(exchange),
          ...(options.onEventLost && { onLost: options.onEventLost }),
        })

  let requests = 0
  let inFlight = 0
  const whenQuiet: (() => void)[] = []

  const server = createServer((request, response) => {
    requests++
    inFlight++
    void serve(request, response)
  })
  server.keepAliveTimeout = KEEP_ALIVE_MS
  const tunnels = new Set<Duplex>()
  server.on('upgrade', (request, socket, head) => {
    requests++
    inFlight++
    tunnels.add(socket)
    void serveUpgrade(request, socket, head).finally(() => tunnels.delete(socket))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const bytesBefore = request.socket.bytesWritten
    const exchange = newExchange(request, port, lua.begin())
    exchange.route = routeOf(config, exchange.uri)
    exchange.service = exchange.route?.service
    const answer = answerTo(response, exchange, lua, exchange.route?.preFunction, response.shouldKeepAlive)
    let stop: Stop | undefined

    const closed = new Promise<void>((resolve) => {
      response.once('close', () => {
        exchange.aborted = !response.writableFinished && !answer.broken()
        // As nginx does: once a byte has gone out, the status stays what the client was told.
        if (exchange.aborted && !response.headersSent) exchange.status = 499
        stop?.()
        exchange.requestMs = Date.now() - exchange.startedAt
        exchange.responseSize = request.socket.bytesWritten - bytesBefore
        resolve()
      })
    })

    exchange.requestBody = await readBody(request)
    exchange.requestSize = sizeOf(request, exchange.requestBody)
    stop = passOn(exchange, answer, response)
    await closed
    afterAnswer(exchange)
  }

  /** The handshake goes through access like any request; what passes after it is seen by nobody. */
  async function serveUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const exchange = newExchange(request, port, lua.begin())
    socket.on('error', () => {})
    exchange.route = routeOf(config, exchange.uri)
    exchange.service = exchange.route?.service
    exchange.requestBody = Buffer.alloc(0)
    const refused = enter(exchange)
    if (refused !== undefined) {
      exchange.source = refused.source
      refuseUpgrade(exchange, socket, refused.answer)
    } else await passUpgrade(exchange, upstreams.targetOf(exchange.route!.service), socket, head)
    // nginx filters the header of a 101 too.
    lua.hook(exchange.route?.preFunction, 'header_filter', exchange)
    exchange.requestMs = Date.now() - exchange.startedAt
    afterAnswer(exchange)
  }

  /** Kong's access phase; its own answer where it lets nothing pass. */
  function enter(exchange: Exchange): { answer: KongAnswer; source: 'exit' | 'error' } | undefined {
    const { route } = exchange
    if (route === undefined) return { answer: ANSWERS.noRoute, source: 'exit' }
    exchange.upstreamUri = upstreamUri(route, exchange.uri)
    if (lua.hook(route.preFunction, 'access', exchange) !== undefined)
      return { answer: ANSWERS.failed, source: 'error' }
    const refusal = route.keyAuth && authenticate(exchange, route.keyAuth, config.consumers)
    if (refusal !== undefined) return { answer: refusal, source: 'exit' }
    if (lua.hook(route.postFunction, 'access', exchange) !== undefined)
      return { answer: ANSWERS.failed, source: 'error' }
    return undefined
  }

  function passOn(exchange: Exchange, answer: Answer, response: ServerResponse): Stop | undefined {
    const refused = enter(exchange)
    if (response.destroyed) return undefined
    if (refused !== undefined) {
      answer.give(refused.answer, refused.source)
      return undefined
    }
    return upstreams.forward(exchange, exchange.route!.service, answer, (resume) => response.once('drain', resume))
  }

  /** Kong's log phase. Nothing in it can reach the client any more. */
  function afterAnswer(exchange: Exchange): void {
    accessLog?.write(logDocument(exchange))
    lua.hook(exchange.route?.preFunction, 'log', exchange)
    const document = logDocument(exchange)
    const external = events === undefined ? [] : (exchange.route?.external ?? [])
    if (external.length === 0) lua.end(exchange)
    else {
      pendingEvents.set(exchange, external.length)
      for (const plugin of external)
        events!.push({ plugin, exchange, document, nodeId, shared: (key) => lua.sharedValue(exchange, key) })
    }
    inFlight--
    if (inFlight === 0) for (const resolve of whenQuiet.splice(0)) resolve()
  }

  return {
    url: `http://127.0.0.1:${port}`,
    port,
    stats() {
      const { sent, lost, running, waiting } = events?.stats() ?? { sent: 0, lost: 0, running: 0, waiting: 0 }
      return { requests, eventsSent: sent, eventsLost: lost, eventsRunning: running + waiting }
    },
    async idle() {
      while (inFlight > 0) await new Promise<void>((resolve) => whenQuiet.push(resolve))
      await events?.idle()
    },
    async close() {
      const ended = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      for (const socket of tunnels) socket.destroy()
      await ended
      while (inFlight > 0) await new Promise<void>((resolve) => whenQuiet.push(resolve))
      await lua.close()
      events?.close()
      await upstreams.close()
      accessLog?.close()
    },
  }
}

function newExchange(request: IncomingMessage, port: number, tables: Pick<Exchange, 'shared' | 'context'>): Exchange {
  const requestHeaders: Headers = {}
  for (const [name, values] of Object.entries(request.headersDistinct))
    if (values !== undefined) requestHeaders[name] = values.length === 1 ? values[0]! : values
  return {
    id: randomBytes(16).toString('hex'),
    startedAt: Date.now(),
    method: request.method ?? 'GET',
    uri: request.url ?? '/',
    clientIp: request.socket.remoteAddress ?? '',
    host: request.headers.host ?? '',
    port,
    requestHeaders,
    requestBody: undefined,
    requestSize: 0,
    route: undefined,
    service: undefined,
    consumer: undefined,
    credentialId: undefined,
    upstreamUri: '',
    source: 'exit',
    upstreamStatus: '',
    tries: [],
    status: 0,
    responseHeaders: {},
    responseSize: 0,
    kongMs: 0,
    waitingMs: undefined,
    receiveMs: 0,
    requestMs: 0,
    aborted: false,
    serializeValues: {},
    ...tables,
  }
}

/** The whole body, as Kong's request_buffering has it; `undefined` where the client broke off. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks)
  } catch {
    return undefined
  }
}

function sizeOf(request: IncomingMessage, body: Buffer | undefined): number {
  const line = `${request.method} ${request.url} HTTP/${request.httpVersion}\r\n`
  let size = line.length + 2 + (body?.length ?? 0)
  for (let at = 0; at < request.rawHeaders.length; at += 2)
    size += request.rawHeaders[at]!.length + request.rawHeaders[at + 1]!.length + 4
  return size
}

/** The longest path prefix wins. */
function routeOf({ routes }: KongConfig, uri: string): Route | undefined {
  const path = uri.split('?', 1)[0]!
  let found: Route | undefined
  let length = 0
  for (const route of routes)
    for (const prefix of route.paths)
      if (prefix.length > length && path.startsWith(prefix)) {
        found = route
        length = prefix.length
      }
  return found
}

/** Kong's path handling v0: what is left after the prefix, joined to the service's path. */
function upstreamUri(route: Route, uri: string): string {
  if (!route.stripPath) return route.service.path + uri
  const path = uri.split('?', 1)[0]!
  const prefix = route.paths
    .filter((candidate) => path.startsWith(candidate))
    .toSorted((a, b) => b.length - a.length)[0]!
  const rest = uri.slice(prefix.length)
  return route.service.path + (rest.startsWith('/') ? rest : `/${rest}`)
}
