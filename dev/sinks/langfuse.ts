import { picoUsdOf } from '../pico-usd.ts'
import { decodeJsonSpans, decodeSpans, type ReceivedSpan } from './decode-spans.ts'
import { type HttpSink, startHttpSink } from './http-sink.ts'
import { sumPerTenant, type TenantTotals } from './tenant-totals.ts'

/**
 * Stands in for Langfuse's OTLP door (v4): Basic auth (401), the version header, a batch with a wrong id refused whole
 * (400), 200 otherwise; stored once for each (minute of start, trace id, span id, start), as its ReplacingMergeTree
 * does. It keeps usage and cost as they were sent. It has no UI and prices nothing. A key pair is a project.
 */
export interface LangfuseSink extends HttpSink {
  observations(): Observation[]
  received(): number
  perTenant(): Map<string, TenantTotals>
}
export type Observation = ReceivedSpan & {
  /** Public key of the project. */
  project: string
}
export interface ProjectKeys {
  publicKey: string
  secretKey: string
}

const FLOAT_IS_EXACT_BELOW_USD = 8192
const TRACE_ID = /^(?!0+$)[0-9a-f]{32}$/
const SPAN_ID = /^(?!0+$)[0-9a-f]{16}$/
const DOOR = '/api/public/otel/v1/traces'

export async function startLangfuseSink({
  port = 0,
  publicKey,
  secretKey,
  otherProjects = [],
}: ProjectKeys & { port?: number; otherProjects?: readonly ProjectKeys[] }): Promise<LangfuseSink> {
  const observations = new Map<string, Observation>()
  const projects = new Map(
    [{ publicKey, secretKey }, ...otherProjects].map((keys) => [
      `Basic ${Buffer.from(`${keys.publicKey}:${keys.secretKey}`).toString('base64')}`,
      keys.publicKey,
    ]),
  )
  let received = 0
  const sink = await startHttpSink(port, ({ request, body }) => {
    if (request.method !== 'POST' || request.url !== DOOR) return { status: 404 }
    const project = projects.get(request.headers.authorization ?? '')
    if (project === undefined) return { status: 401, body: '{"message":"Invalid credentials"}' }
    // Without it a v4 server writes the events where its v4 views do not look.
    if (request.headers['x-langfuse-ingestion-version'] !== '4')
      return { status: 400, body: '{"message":"ingestion version"}' }
    let spans: ReceivedSpan[]
    try {
      spans = request.headers['content-type'] === 'application/json' ? decodeJsonSpans(body) : decodeSpans(body)
    } catch {
      return { status: 400 }
    }
    if (spans.some(({ traceId, spanId }) => !TRACE_ID.test(traceId) || !SPAN_ID.test(spanId))) return { status: 400 }
    for (const span of spans) {
      received++
      const key = [project, span.start / 60_000_000_000n, span.traceId, span.spanId, span.start].join('/')
      observations.set(key, { ...span, project })
    }
    return { status: 200, body: '{}', headers: { 'content-type': 'application/json' } }
  })
  return {
    ...sink,
    observations: () => [...observations.values()],
    received: () => received,
    perTenant: () =>
      sumPerTenant(
        [...observations.values()]
          .filter(({ attributes }) => attributes.get('langfuse.observation.type') !== 'guardrail')
          .map(({ attributes }) => ({
            tenant: String(attributes.get('langfuse.trace.metadata.tenant_id')),
            tokens: tokensOf(attributes.get('langfuse.observation.usage_details')),
            picoUsd: totalOf(attributes),
          })),
      ),
  }
}

/** Buckets of tokens say which side they are of; what is billed besides tokens (web searches …) does not. */
function tokensOf(details: unknown): Record<string, number> {
  const all = Object.entries(JSON.parse(String(details ?? '{}')) as Record<string, number>)
  return Object.fromEntries(all.filter(([bucket]) => /input|output/.test(bucket)))
}

/**
 * Read as Langfuse reads it: a float64, kept with 12 decimals. That is exact up to 8,192 USD a call; beyond, the exact
 * integer is read from the metadata that came with it.
 */
function totalOf(attributes: ReceivedSpan['attributes']): bigint {
  const details = String(attributes.get('langfuse.observation.cost_details') ?? '{}')
  const { total = 0 } = JSON.parse(details) as { total?: number }
  return total < FLOAT_IS_EXACT_BELOW_USD
    ? picoUsdOf(total.toFixed(12))
    : BigInt(String(attributes.get('langfuse.observation.metadata.cost_pico_usd')))
}
