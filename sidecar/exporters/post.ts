import { STATUS_CODES, validateHeaderName, validateHeaderValue } from 'node:http'
import { promisify } from 'node:util'
import { constants, gzip } from 'node:zlib'
import { Agent, request } from 'undici'
import { resolveSecret, type Secret } from '../secret.ts'
import { addressOf, causeOf } from './causes.ts'
import type { Drop, Retry } from './exporter.ts'

const compress = promisify(gzip)
const MAX_ANSWER_BYTES = 64 * 1024
/** What is asked for may be longer than an answer to a push. */
const MAX_READ_BYTES = 1024 * 1024
const CONNECTIONS = 4

export interface Push {
  url: string
  headers: Readonly<Record<string, string>>
  body: Uint8Array | string
  gzip: boolean
}

/** What a sink made of one push; reasons are words of a closed list and carry nothing of the request. */
export type Answer = { ok: Buffer } | Retry | Drop

/**
 * Statuses below 500 after which the same push may be taken later. 404 and 405 are a wrong address: the operator's to
 * mend, as a wrong credential is, and no reason to bury every call.
 */
const LATER = new Set([404, 405, 408, 425, 429])

export interface Poster {
  post(push: Push, signal: AbortSignal): Promise<Answer>
  get(url: string, headers: Readonly<Record<string, string>>): Promise<Answer>
  close(): Promise<void>
}

/** HTTP with a pool of its own for each exporter. */
export function makePoster(timeoutMs: number): Poster {
  const agent = new Agent({
    connections: CONNECTIONS,
    connect: { timeout: timeoutMs },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
  })
  return {
    async post(push, signal) {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
      try {
        const body = push.gzip ? await compress(push.body, { level: constants.Z_BEST_SPEED }) : push.body
        const headers = push.gzip ? { ...push.headers, 'content-encoding': 'gzip' } : push.headers
        const response = await request(push.url, { method: 'POST', headers, body, dispatcher: agent, signal: limit })
        const answer = await readBounded(response.body)
        return classify(response.statusCode, answer, response.headers['retry-after'], addressOf(push.url))
      } catch (error) {
        if (signal.aborted) return { retry: 'aborted' }
        const address = addressOf(push.url)
        if (limit.aborted) return { retry: 'timeout', cause: `${address} gave no answer within ${timeoutMs} ms` }
        return causeOf(error, address)
      }
    },
    async get(url, headers) {
      try {
        const signal = AbortSignal.timeout(timeoutMs)
        const response = await request(url, { method: 'GET', headers, dispatcher: agent, signal })
        const answer = await readBounded(response.body, MAX_READ_BYTES)
        return classify(response.statusCode, answer, response.headers['retry-after'], addressOf(url))
      } catch (error) {
        return causeOf(error, addressOf(url))
      }
    },
    close: () => agent.destroy(),
  }
}

function classify(status: number, body: Buffer, retryAfter: string | string[] | undefined, address: string): Answer {
  if (status >= 200 && status < 300) return { ok: body }
  const reason = statusReason(status)
  const cause = `${address} answered ${status}`
  // 500 too: Langfuse answers it where its own S3 or Redis is away.
  if (status >= 500 || LATER.has(status)) return { retry: reason, cause, ...afterOf(retryAfter) }
  // Credentials and addresses (a redirect) are the operator's to mend: no call is given up for them.
  if (status === 401 || status === 403) return { retry: 'unauthorized', cause }
  if (status < 400) return { retry: reason, cause }
  return { drop: reason, cause }
}

/** A closed list: statuses that HTTP registers, by number; any other by its class. */
function statusReason(status: number): string {
  return STATUS_CODES[status] === undefined ? `http_${Math.floor(status / 100)}xx` : `http_${status}`
}

async function readBounded(
  body: AsyncIterable<Buffer> & { destroy(): unknown },
  limit = MAX_ANSWER_BYTES,
): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    size += chunk.length
    if (size > limit) {
      body.destroy()
      break
    }
  }
  return Buffer.concat(chunks)
}

/** Seconds or an HTTP date. */
function afterOf(header: string | string[] | undefined): { afterMs?: number } {
  const text = Array.isArray(header) ? header[0] : header
  if (text === undefined) return {}
  const seconds = Number(text)
  const afterMs = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(text) - Date.now()
  return Number.isFinite(afterMs) && afterMs > 0 ? { afterMs } : {}
}

/** Headers of the configuration, names in lower case, values revealed. Throws the name of one that HTTP cannot carry. */
export function resolveHeaders(
  headers: Readonly<Record<string, Secret>>,
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, secret]) => [
      name.toLowerCase(),
      headerValue(name, resolveSecret(secret, environment)),
    ]),
  )
}

function headerValue(name: string, value: string): string {
  try {
    validateHeaderName(name)
    validateHeaderValue(name, value)
  } catch {
    throw new Error(`the header ${JSON.stringify(name)} has a name or a value that HTTP cannot carry`)
  }
  return value
}
