import { createHash } from 'node:crypto'
import type { LlmCall } from '../call.ts'

/** What happened makes the id (design law 4): the same capture sent again is the same call. */
export function callId(node: string, requestId: string, startedAt: number): string {
  return hash(`${node}\0${requestId}\0${startedAt}`).slice(0, 32)
}

/** Version 00 ends with the flags, a later one may go on, ff is none (W3C Trace Context). */
const TRACEPARENT =
  /^(?:00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}|(?!00|ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?)$/
const ZERO = /^0+$/

/**
 * The caller's trace counts on trusted routes alone. Elsewhere its id is hashed with the tenant – so that calls of one
 * trace still belong together, and nobody writes into another's trace – and the original is kept beside it.
 */
export function traceOf(
  id: string,
  tenant: string,
  traceparent: string | undefined,
  trusted: boolean,
): LlmCall['trace'] {
  const own = hash(`trace\0${id}`)
  const spanId = own.slice(32, 48)
  const parts = TRACEPARENT.exec(traceparent?.trim() ?? '')
  const traceId = parts?.[1] ?? parts?.[3]
  const parentSpanId = parts?.[2] ?? parts?.[4]
  if (traceId === undefined || parentSpanId === undefined || ZERO.test(traceId) || ZERO.test(parentSpanId))
    return { traceId: own.slice(0, 32), spanId }
  if (trusted) return { traceId, spanId, parentSpanId }
  return { traceId: hash(`trace\0${tenant}\0${traceId}`).slice(0, 32), spanId, originalTraceId: traceId }
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
