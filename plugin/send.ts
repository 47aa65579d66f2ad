import { Pool } from 'undici'

/**
 * What the sidecar said of one batch.
 * stored: 202, nothing else counts as such. later: the same batch may be taken later. never: it will not be taken like
 * this; `whole` says that no part of it will either. refused: nobody's batch is taken at this address with this token.
 */
export type Answer =
  | { kind: 'stored' }
  | { kind: 'later'; reason: string; afterMs: number }
  | { kind: 'never'; reason: 'too_large' | 'rejected'; whole: boolean }
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
const MAX_ANSWER_CHARACTERS = 4096

export function makeSender(sidecarUrl: string, token: string | undefined): Sender {
  const socketPath = sidecarUrl.startsWith('unix:') ? sidecarUrl.slice('unix:'.length) : undefined
  const url = new URL(socketPath === undefined ? sidecarUrl : 'http://localhost')
  const pool = new Pool(url.origin, {
    connections: MAX_CONNECTIONS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: 0,
    bodyTimeout: 0,
    allowH2: false,
    ...(socketPath === undefined ? {} : { socketPath }),
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
        return { kind: 'later', reason: reasonOf(error), afterMs: 0 }
      }
    },
    close: () => pool.destroy(),
  }
}

function answerOf(status: number, retryAfter: string | string[] | undefined, text: string): Answer {
  if (status === 202) return { kind: 'stored' }
  if (status === 413) return { kind: 'never', reason: 'too_large', whole: false }
  if (status === 400 || status === 422) {
    const error = errorOf(text)
    // The two versions differ: no batch of ours will be taken before one of the sides is upgraded.
    if (error === 'wrong_version') return { kind: 'refused', reason: error }
    return { kind: 'never', reason: 'rejected', whole: error === 'no_valid_capture' }
  }
  if (status === 408 || status === 425 || status === 429 || status >= 500)
    return { kind: 'later', reason: `http_${status}`, afterMs: retryAfterMs(retryAfter) }
  return { kind: 'refused', reason: `http_${status}` }
}

function errorOf(text: string): unknown {
  try {
    return (JSON.parse(text) as { error?: unknown } | null)?.error
  } catch {
    return undefined
  }
}

/** Seconds, or a date (RFC 9110). */
function retryAfterMs(value: string | string[] | undefined): number {
  if (typeof value !== 'string') return 0
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now()
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS) : 0
}

/** A code from Node or undici; never an error's text, which may quote what was sent. */
function reasonOf(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: unknown }
  if (name === 'TimeoutError') return 'timeout'
  if (typeof code === 'string') return code
  return typeof name === 'string' ? name : 'error'
}
