import type { Consumer, Route, Service } from './kong-config.ts'
import type { Reference } from './lua.ts'

export type Headers = Record<string, string | string[]>

/** One attempt to reach the upstream, as Kong's balancer records it. */
export interface Try {
  ip: string
  port: number
  balancer_start: number
  balancer_start_ns: number
  balancer_latency: number
  balancer_latency_ns: number
  state?: 'failed'
  code?: number
}

/** One request through the gateway: what Kong holds in its variables and in ngx.ctx while it serves it. */
export interface Exchange {
  id: string
  /** Epoch milliseconds, whole, as Kong logs it. */
  startedAt: number
  method: string
  /** Path and query as the client sent them. */
  uri: string
  clientIp: string
  host: string
  port: number
  requestHeaders: Headers
  /** `undefined` where the client broke off before its body was here. */
  requestBody: Buffer | undefined
  /** Request line, headers and body on the wire. */
  requestSize: number
  route: Route | undefined
  service: Service | undefined
  consumer: Consumer | undefined
  credentialId: string | undefined
  upstreamUri: string
  /** `service`: the upstream answered; `exit`: Kong or a plugin did; `error`: Kong, because something failed. */
  source: 'service' | 'exit' | 'error'
  upstreamStatus: string
  tries: Try[]
  status: number
  responseHeaders: Headers
  /** Headers and body on the wire. */
  responseSize: number
  /** Milliseconds; `undefined` as long as it did not come to that. */
  kongMs: number
  waitingMs: number | undefined
  receiveMs: number
  requestMs: number
  /** The client hung up. */
  aborted: boolean
  /** What kong.log.set_serialize_value has added to the log document. */
  serializeValues: Record<string, true>
  /** kong.ctx.shared and ngx.ctx of this request. */
  shared: Reference
  context: Reference
}

export function firstOf(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}
