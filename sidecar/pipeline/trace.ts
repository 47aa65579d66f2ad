import { hash } from 'node:crypto'
import type { LlmCall } from '../call.ts'
import type { Capture } from '../capture.ts'
import type { Headers } from './exchange-of.ts'

/** What happened makes the id (design law 4): the same capture sent again is the same call. */
export function callId(node: string, requestId: string, startedAt: number): string {
  return sha256(`${node}\0${requestId}\0${startedAt}`).slice(0, 32)
}

/** Version 00 ends with the flags, a later one may go on, ff is none (W3C Trace Context). */
const TRACEPARENT =
  /^(?:00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}|(?!00|ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?)$/
/** `<trace>-<span>`, then perhaps sampling state and parent. */
const B3_SINGLE = /^([0-9a-f]{32}|[0-9a-f]{16})-([0-9a-f]{16})(?:-.*)?$/i
const B3_TRACE = /^(?:[0-9a-f]{32}|[0-9a-f]{16})$/i
const B3_SPAN = /^[0-9a-f]{16}$/i
const ZERO = /^0+$/

/** A span of somebody else's, to stand under. */
export interface RemoteSpan {
  /** 32 hex digits. */
  traceId: string
  /** 16 hex digits. */
  spanId: string
}

/** The span that the request's headers name: W3C, else B3 (single, then several headers). Ids of 64 bits are padded. */
export function remoteSpan(headers: Headers): RemoteSpan | undefined {
  return ofTraceparent(headers.traceparent) ?? ofB3(headers)
}

function ofTraceparent(header: string | undefined): RemoteSpan | undefined {
  if (header === undefined) return undefined
  const parts = TRACEPARENT.exec(header.trim())
  return valid(parts?.[1] ?? parts?.[3], parts?.[2] ?? parts?.[4])
}

function ofB3(headers: Headers): RemoteSpan | undefined {
  const single = headers.b3 === undefined ? null : B3_SINGLE.exec(headers.b3.trim())
  if (single !== null) return valid(single[1], single[2])
  if (headers['x-b3-traceid'] === undefined) return undefined
  const traceId = headers['x-b3-traceid']?.trim() ?? ''
  const spanId = headers['x-b3-spanid']?.trim() ?? ''
  return B3_TRACE.test(traceId) && B3_SPAN.test(spanId) ? valid(traceId, spanId) : undefined
}

function valid(traceId: string | undefined, spanId: string | undefined): RemoteSpan | undefined {
  if (traceId === undefined || spanId === undefined || ZERO.test(traceId) || ZERO.test(spanId)) return undefined
  return { traceId: traceId.toLowerCase().padStart(32, '0'), spanId: spanId.toLowerCase() }
}

/**
 * Kong's own trace, where its opentelemetry plugin is on and began that trace itself: then nobody outside has chosen its
 * id. The log document names it; the request's headers, as Kong sends them on, name Kong's span. What the client had
 * sent is known from the tap alone (`client_trace`): without it Kong may have taken over the client's trace.
 */
export function traceOfKong(capture: Capture, headers: Headers): { traceId: string; spanId?: string } | undefined {
  const { trace_id: named } = capture.log
  const given = [named?.w3c, named?.b3].find((id) => typeof id === 'string' && B3_TRACE.test(id)) as string | undefined
  if (given === undefined || ZERO.test(given) || capture.client_trace == null) return undefined
  const traceId = given.toLowerCase().padStart(32, '0')
  if (namesTrace(capture.client_trace.toLowerCase(), traceId)) return undefined
  const span = remoteSpan(headers)
  return span?.traceId === traceId ? span : { traceId }
}

/** Hexadecimal, perhaps without its leading zeros or in parts (AWS), or decimal, whole or its lower half (Datadog). */
function namesTrace(headers: string, traceId: string): boolean {
  const id = BigInt(`0x${traceId}`)
  return (
    headers.replaceAll('-', '').includes(id.toString(16)) ||
    [id, BigInt.asUintN(64, id)].some((number) => headers.includes(String(number)))
  )
}

/**
 * The caller's trace counts on trusted routes alone. Elsewhere its id is hashed with the tenant – so that calls of one
 * trace still belong together, and nobody writes into another's trace – and the original is kept beside it.
 */
export function traceOf(
  id: string,
  tenant: string,
  from: { caller: RemoteSpan | undefined; trusted: boolean; kong?: { traceId: string; spanId?: string } | undefined },
): LlmCall['trace'] {
  const own = sha256(`trace\0${id}`)
  const spanId = own.slice(32, 48)
  const { caller, trusted, kong } = from
  if (kong !== undefined)
    return {
      traceId: kong.traceId,
      spanId,
      ...(kong.spanId !== undefined && { parentSpanId: kong.spanId, parentBy: 'kong' as const }),
    }
  if (caller === undefined) return { traceId: own.slice(0, 32), spanId }
  if (trusted) return { traceId: caller.traceId, spanId, parentSpanId: caller.spanId, parentBy: 'caller' }
  return {
    traceId: sha256(`trace\0${tenant}\0${caller.traceId}`).slice(0, 32),
    spanId,
    originalTraceId: caller.traceId,
  }
}

function sha256(text: string): string {
  return hash('sha256', text)
}
