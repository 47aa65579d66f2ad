import type { IncomingHttpHeaders } from 'node:http'
import { Agent, type Dispatcher } from 'undici'
import type { Answer } from './answer.ts'
import type { Exchange, Headers, Try } from './exchange.ts'
import { ANSWERS, KONG_VIA, type KongAnswer } from './kong-answers.ts'
import type { Service } from './kong-config.ts'

const HOP_BY_HOP = ['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade']
const NOT_FORWARDED: ReadonlySet<string> = new Set([...HOP_BY_HOP, 'content-length', 'expect', 'host'])
const NOT_RETURNED: ReadonlySet<string> = new Set(HOP_BY_HOP)
/** No byte of the request has left: another try cannot do anything twice. */
const NOT_CONNECTED: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
  'UND_ERR_CONNECT_TIMEOUT',
])

export interface Upstreams {
  /** Sends the request and passes the answer on, chunk by chunk. Gives back how to stop it. */
  forward(exchange: Exchange, service: Service, answer: Answer, drained: (resume: () => void) => void): Stop
  targetOf(service: Service): { host: string; port: number }
  close(): Promise<void>
}
export type Stop = () => void

/** `override`: "host:port" of a service → "host:port" to go to in its place. */
export function makeUpstreams(override: Readonly<Record<string, string>>): Upstreams {
  const agents = new Map<Service, Agent>()
  const agentOf = (service: Service) => {
    let agent = agents.get(service)
    if (agent === undefined) {
      agent = new Agent({
        connections: null,
        pipelining: 1,
        headersTimeout: service.readTimeoutMs,
        bodyTimeout: service.readTimeoutMs,
        connect: { timeout: service.connectTimeoutMs },
      })
      agents.set(service, agent)
    }
    return agent
  }

  const targetOf = (service: Service) => {
    const [host, port] = splitTarget(override[`${service.host}:${service.port}`] ?? `${service.host}:${service.port}`)
    return { host, port }
  }

  return {
    targetOf,
    forward(exchange, service, answer, drained) {
      const { host: ip, port } = targetOf(service)
      const headers = upstreamHeaders(exchange, service)
      let controller: Dispatcher.DispatchController | undefined
      let stopped = false
      let firstSent: number | undefined

      const attempt = () => {
        const tried = newTry(ip, port)
        exchange.tries.push(tried)
        const sentAt = Date.now()
        if (firstSent === undefined) {
          firstSent = sentAt
          exchange.kongMs = sentAt - exchange.startedAt
        }
        let headersAt: number | undefined
        const handler: Dispatcher.DispatchHandler = {
          onRequestStart(given) {
            controller = given
            if (stopped) given.abort(new Error('the client hung up'))
          },
          onResponseStart(given, status, upstream, statusText) {
            if (status < 200) return
            headersAt = Date.now()
            exchange.source = 'service'
            exchange.waitingMs = headersAt - sentAt
            exchange.upstreamStatus = joinStatus(exchange.upstreamStatus, status)
            const begun = answer.begin(status, statusText, {
              ...returned(upstream),
              via: KONG_VIA,
              'x-kong-upstream-latency': String(exchange.waitingMs),
              'x-kong-proxy-latency': String(exchange.kongMs),
            })
            if (!begun) given.abort(new Error('a hook failed'))
          },
          onResponseData(given, chunk) {
            if (stopped || answer.chunk(chunk)) return
            given.pause()
            drained(() => given.resume())
          },
          onResponseEnd() {
            if (headersAt !== undefined) exchange.receiveMs = Date.now() - headersAt
            if (!stopped) answer.end()
          },
          onResponseError(_given, error) {
            if (stopped) return
            // The head has gone out: that the rest is missing shows by the broken connection alone.
            if (headersAt !== undefined) return answer.breakOff()
            const code = (error as NodeJS.ErrnoException).code ?? ''
            const given = answerFor(code)
            tried.state = 'failed'
            tried.code = given.status
            exchange.upstreamStatus = joinStatus(exchange.upstreamStatus, given.status)
            if (NOT_CONNECTED.has(code) && exchange.tries.length <= service.retries) attempt()
            else answer.give(given, 'error')
          },
        }
        agentOf(service).dispatch(
          {
            origin: `${service.protocol}://${ip}:${port}`,
            path: exchange.upstreamUri,
            method: exchange.method as Dispatcher.HttpMethod,
            headers,
            body: exchange.requestBody?.length ? exchange.requestBody : null,
          },
          handler,
        )
      }
      attempt()
      return () => {
        stopped = true
        controller?.abort(new Error('the client hung up'))
      }
    },
    async close() {
      await Promise.all([...agents.values()].map((agent) => agent.destroy()))
    },
  }
}

function upstreamHeaders(exchange: Exchange, service: Service): Headers {
  const headers: Headers = {}
  for (const [name, value] of Object.entries(exchange.requestHeaders))
    if (!NOT_FORWARDED.has(name)) headers[name] = value
  const isDefault = service.port === (service.protocol === 'http' ? 80 : 443)
  return {
    ...headers,
    host: isDefault ? service.host : `${service.host}:${service.port}`,
    via: KONG_VIA,
    'x-forwarded-for': exchange.clientIp,
    'x-forwarded-proto': 'http',
    'x-forwarded-host': exchange.host.replace(/:\d+$/, ''),
    'x-forwarded-port': String(exchange.port),
    'x-forwarded-path': exchange.uri.split('?', 1)[0]!,
    'x-real-ip': exchange.clientIp,
    'x-kong-request-id': exchange.id,
  }
}

function returned(headers: IncomingHttpHeaders): Headers {
  const kept: Headers = {}
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined && !NOT_RETURNED.has(name)) kept[name] = value
  return kept
}

function answerFor(code: string): KongAnswer {
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return ANSWERS.noPeer
  if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_CONNECT_TIMEOUT') return ANSWERS.upstreamTimeout
  return ANSWERS.badUpstream
}

/** nginx's $upstream_status: one status for each try. */
function joinStatus(before: string, status: number): string {
  return before === '' ? String(status) : `${before}, ${status}`
}

function newTry(ip: string, port: number): Try {
  const at = performance.timeOrigin + performance.now()
  return {
    ip,
    port,
    balancer_start: Math.floor(at),
    balancer_start_ns: Math.floor(at * 1000) * 1000,
    balancer_latency: 0,
    balancer_latency_ns: 10_000,
  }
}

function splitTarget(target: string): [host: string, port: number] {
  const colon = target.lastIndexOf(':')
  return [target.slice(0, colon), Number(target.slice(colon + 1))]
}
