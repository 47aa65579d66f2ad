import type { ServerResponse } from 'node:http'
import type { Exchange, Headers } from './exchange.ts'
import { answerBody, KONG_SERVER, type KongAnswer } from './kong-answers.ts'
import type { PreFunction } from './kong-config.ts'
import type { KongLua } from './kong-lua.ts'

/**
 * The way of an answer to the client, through header_filter and body_filter. As in nginx, an error that a hook lets
 * through breaks the connection: that is what the tap's own pcall must prevent.
 */
export interface Answer {
  /** False where a hook failed: the connection is gone. */
  begin(status: number, statusText: string | undefined, headers: Headers): boolean
  /** False where the client must drain first, or the connection is gone. */
  chunk(bytes: Buffer): boolean
  end(): void
  /** Without an end: the client must see that something is missing. */
  breakOff(): void
  /** It was broken off from this side. */
  broken(): boolean
  /** Kong's own answer, whole. */
  give(answer: KongAnswer, source: 'exit' | 'error'): void
}

export function answerTo(
  response: ServerResponse,
  exchange: Exchange,
  lua: KongLua,
  preFunction: PreFunction | undefined,
  keepAlive: boolean,
): Answer {
  let brokenOff = false
  const answer: Answer = {
    begin(status, statusText, headers) {
      exchange.status = status
      const hasBody = response.req.method !== 'HEAD' && status !== 204 && status !== 304
      exchange.responseHeaders = {
        server: KONG_SERVER,
        connection: keepAlive ? 'keep-alive' : 'close',
        ...(hasBody && headers['content-length'] === undefined && { 'transfer-encoding': 'chunked' }),
        ...headers,
        'x-kong-request-id': exchange.id,
      }
      if (lua.hook(preFunction, 'header_filter', exchange) !== undefined) {
        answer.breakOff()
        return false
      }
      // Node frames the body itself.
      const { 'transfer-encoding': _, ...sent } = exchange.responseHeaders
      if (statusText) response.writeHead(status, statusText, sent)
      else response.writeHead(status, sent)
      response.flushHeaders()
      return true
    },
    chunk(bytes) {
      const filtered = lua.filterBody(preFunction, exchange, bytes, false)
      if ('error' in filtered) {
        answer.breakOff()
        return false
      }
      return filtered.chunk.length === 0 || response.write(filtered.chunk)
    },
    end() {
      const filtered = lua.filterBody(preFunction, exchange, Buffer.alloc(0), true)
      if ('error' in filtered) answer.breakOff()
      else response.end(filtered.chunk.length === 0 ? undefined : filtered.chunk)
    },
    breakOff() {
      brokenOff = true
      response.destroy()
    },
    broken: () => brokenOff,
    give({ status, message, headers }, source) {
      exchange.source = source
      exchange.kongMs = Date.now() - exchange.startedAt
      const body = answerBody(message, exchange.id)
      const lowerCase = Object.entries(headers ?? {}).map(([name, value]) => [name.toLowerCase(), value])
      const begun = answer.begin(status, undefined, {
        ...Object.fromEntries(lowerCase),
        'content-type': 'application/json; charset=utf-8',
        'content-length': String(body.length),
        'x-kong-response-latency': String(exchange.kongMs),
      })
      if (!begun) return
      if (response.req.method !== 'HEAD') answer.chunk(body)
      if (!response.destroyed) answer.end()
    },
  }
  return answer
}
