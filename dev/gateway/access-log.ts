import { closeSync, openSync, writeSync } from 'node:fs'
import { type Exchange, firstOf, type Headers } from './exchange.ts'

/** The gateway's own log: one JSON line a request, written before its answer's end is acted upon by anything else. */
export interface AccessLog {
  write(exchange: Exchange): void
  close(): void
}

export function openAccessLog(file: string): AccessLog {
  const descriptor = openSync(file, 'a')
  return {
    write: (exchange) => void writeSync(descriptor, `${JSON.stringify(accessLogLine(exchange))}\n`),
    close: () => closeSync(descriptor),
  }
}

/**
 * The flat fields are the gateway's account of the request. `consumer` and `response` have the form of Kong's log
 * document as far as they go, so that one reader takes a line of this log and one of Kong's file-log.
 */
export function accessLogLine(exchange: Exchange) {
  const { route, consumer, responseHeaders } = exchange
  const upstreamHeaders = exchange.source === 'service' ? mockHeaders(responseHeaders) : {}
  return {
    request_id: exchange.id,
    started_at: exchange.startedAt,
    route: route?.name,
    consumer: consumer && { username: consumer.username, custom_id: consumer.customId, tags: consumer.tags },
    custom_id: consumer?.customId,
    tags: consumer?.tags,
    status: exchange.status,
    upstream_status: exchange.upstreamStatus,
    request_bytes: exchange.requestSize,
    response_bytes: exchange.responseSize,
    aborted: exchange.aborted,
    cache_status: firstOf(responseHeaders['x-cache-status']),
    upstream_headers: upstreamHeaders,
    response: { status: exchange.status, headers: upstreamHeaders },
  }
}

/** What the mock provider says of its answer. No other header: a log keeps no credentials. */
function mockHeaders(headers: Headers): Headers {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('x-mock-')))
}
