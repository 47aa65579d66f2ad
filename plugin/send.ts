import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { Pool } from 'undici'
import { makeConnector, type TlsConfig } from './tls.ts'

/**
 * What became of one batch.
 * stored: 202, nothing else counts as such. later: nothing was taken, the same batch may be later.
 * unanswered: no answer, or a failure of the sidecar itself; what is in the batch may be the cause.
 * never: the sidecar refuses this batch as it is. refused: it takes nobody's batch at this address with this token.
 */
export type Answer =
  | { kind: 'stored'; rejected: readonly { index: number; message: string }[] }
  | { kind: 'later'; reason: string; afterMs: number }
  | { kind: 'unanswered'; reason: string }
  | { kind: 'never'; reason: 'too_large' | 'rejected'; message: string }
  | { kind: 'refused'; reason: string }

/** Posts one batch. It never loops, sleeps or throws; `ship.ts` does what has to be done again. */
export interface Sender {
  send(body: Buffer, timeoutMs: number): Promise<Answer>
  close(): Promise<void>
}

/** One connection carries the batches; the others are there for the hand-over when the process ends. */
export const MAX_CONNECTIONS = 8
/** Longer than a quiet minute: a warm connection is what makes the hand-over at SIGTERM fast. */
const KEEP_ALIVE_MS = 60_000
const MAX_RETRY_AFTER_MS = 60_000
const MAX_ANSWER_CHARACTERS = 65_536
const MAX_MESSAGE = 200

export function makeSender(sidecarUrl: string, token: string | undefined, tls?: TlsConfig): Sender {
  const socketPath = sidecarUrl.startsWith('unix:') ? sidecarUrl.slice('unix:'.length) : undefined
  const url = new URL(socketPath === undefined ? sidecarUrl : 'http://localhost')
  const pool = new Pool(url.origin, {
    connections: MAX_CONNECTIONS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: 0,
    bodyTimeout: 0,
    allowH2: false,
    ...(socketPath === undefined ? {} : { socketPath }),
    ...(tls !== undefined && url.protocol === 'https:' && { connect: makeConnector(tls) }),
  })
  const path = `${url.pathname.replace(/\/+$/, '')}/v1/captures`
  const headers: Record<string, string> = { 'content-type': 'application/json' }
  if (token !== undefined) headers.authorization = `Bearer ${token}`

  return {
    async send(body, timeoutMs) {
      try {
        const response = await pool.request({
          path,
          method: 'POST',
          headers,
          body,
          signal: AbortSignal.timeout(timeoutMs),
        })
        const text = (await response.body.text()).slice(0, MAX_ANSWER_CHARACTERS)
        return answerOf(response.statusCode, response.headers['retry-after'], text)
      } catch (error) {
        return failureOf(error, socketPath)
      }
    },
    close: () => pool.destroy(),
  }
}

/** Statuses that may be about what was sent, not about the sidecar's state: a proxy's too. */
const UNANSWERED: ReadonlySet<number> = new Set([408, 500, 502, 504])

function answerOf(status: number, retryAfter: string | string[] | undefined, text: string): Answer {
  if (status === 202) return { kind: 'stored', rejected: rejectedOf(text) }
  if (status === 413) return { kind: 'never', reason: 'too_large', message: messageOf(text) }
  if (status === 400 || status === 422) {
    // The two versions differ: no batch of ours will be taken before one of the sides is upgraded.
    if (parsed(text)?.error === 'wrong_version') return { kind: 'refused', reason: `wrong_version: ${messageOf(text)}` }
    return { kind: 'never', reason: 'rejected', message: messageOf(text) }
  }
  if (UNANSWERED.has(status)) return { kind: 'unanswered', reason: `http_${status}` }
  if (status === 425 || status === 429 || status >= 500)
    return { kind: 'later', reason: `http_${status}`, afterMs: retryAfterMs(retryAfter) }
  return { kind: 'refused', reason: `http_${status}` }
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const json: unknown = JSON.parse(text)
    return json !== null && typeof json === 'object' ? (json as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** The sidecar's own words: they name fields, never values. */
function messageOf(text: string): string {
  const message = parsed(text)?.message
  return typeof message === 'string' ? message.slice(0, MAX_MESSAGE) : ''
}

function rejectedOf(text: string): { index: number; message: string }[] {
  const rejected = parsed(text)?.rejected
  if (!Array.isArray(rejected)) return []
  return rejected.flatMap((one: { index?: unknown; message?: unknown } | null) =>
    typeof one?.index === 'number' && typeof one.message === 'string'
      ? [{ index: one.index, message: one.message.slice(0, MAX_MESSAGE) }]
      : [],
  )
}

/** Seconds, or a date (RFC 9110). */
function retryAfterMs(value: string | string[] | undefined): number {
  if (typeof value !== 'string') return 0
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now()
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS) : 0
}

/** A connection that broke after it was made: the sidecar may have died of what it got. */
const BROKEN: ReadonlySet<string> = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'])

/** A code from Node or undici; never an error's text, which may quote what was sent. */
function failureOf(error: unknown, socketPath: string | undefined): Answer {
  const { code, name } = error as { code?: unknown; name?: unknown }
  if (name === 'TimeoutError') return { kind: 'unanswered', reason: 'timeout' }
  if (typeof code === 'string' && BROKEN.has(code)) return { kind: 'unanswered', reason: code }
  const reason = typeof code === 'string' ? code : typeof name === 'string' ? name : 'error'
  return { kind: 'later', reason: socketPath === undefined ? reason : socketProblem(socketPath, reason), afterMs: 0 }
}

/** Says which file is missing or closed: a unix socket's folder is often made by nobody. */
function socketProblem(socketPath: string, reason: string): string {
  const folder = dirname(socketPath)
  if (reason === 'EACCES') return `EACCES: this user may not open ${socketPath}`
  if (reason !== 'ENOENT') return reason
  return existsSync(folder)
    ? `ENOENT: there is no ${socketPath}; the sidecar makes it (listen.socket)`
    : `ENOENT: there is no folder ${folder} for the socket of sidecar_url`
}
