import { picoUsdOf } from '../pico-usd.ts'
import { decodeJsonSpans, decodeSpans, type ReceivedSpan } from './decode-spans.ts'
import { type HttpSink, startHttpSink } from './http-sink.ts'
import { storedOf } from './langfuse-mapping.ts'
import { sumPerTenant, type TenantTotals } from './tenant-totals.ts'

/**
 * Stands in for Langfuse's OTLP door (v4): Basic auth (401), the version header, a batch with a wrong id refused whole
 * (400), 200 otherwise; stored once for each (minute of start, trace id, span id, start), as its ReplacingMergeTree
 * does. The old batch door answers 207 and takes scores alone, the same one once for its id, name and day. It keeps usage
 * and cost as they were sent. It has no UI and prices nothing. A key pair is a project.
 * Of its API it has the list of a trace's observations.
 */
export interface LangfuseSink extends HttpSink {
  observations(): Observation[]
  received(): number
  perTenant(): Map<string, TenantTotals>
  scores(): Score[]
  scoreRequests(): number
  /** The batch door answers so; undefined: it works. */
  setScoreFault(status: number | undefined): void
}
export interface Score {
  project: string
  id: string
  traceId: string
  observationId?: string
  name: string
  value: string | number
  dataType?: string
  comment?: string
  environment?: string
  metadata?: Record<string, unknown>
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
const BATCH_DOOR = '/api/public/ingestion'
const OBSERVATIONS_API = '/api/public/v2/observations'
const JSON_TYPE = { 'content-type': 'application/json' }

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
  const scores = new Map<string, Score>()
  let scoreFault: number | undefined
  let scoreRequests = 0
  const sink = await startHttpSink(port, ({ request, body }) => {
    if (request.method === 'GET' && request.url?.startsWith(`${OBSERVATIONS_API}?`) === true) {
      const reader = projects.get(request.headers.authorization ?? '')
      if (reader === undefined) return { status: 401, body: '{"message":"Invalid credentials"}' }
      const traceId = new URL(request.url, 'http://x').searchParams.get('traceId')
      const data = [...observations.values()].filter((each) => each.project === reader && each.traceId === traceId)
      return { status: 200, body: JSON.stringify({ data: data.map(readOf), meta: {} }), headers: JSON_TYPE }
    }
    if (request.method !== 'POST' || (request.url !== DOOR && request.url !== BATCH_DOOR)) return { status: 404 }
    const project = projects.get(request.headers.authorization ?? '')
    if (project === undefined) return { status: 401, body: '{"message":"Invalid credentials"}' }
    if (request.url === BATCH_DOOR) {
      scoreRequests++
      return scoreFault === undefined ? takeScores(body, project, scores) : { status: scoreFault }
    }
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
    scores: () => [...scores.values()],
    scoreRequests: () => scoreRequests,
    setScoreFault: (status) => {
      scoreFault = status
    },
    observations: () => [...observations.values()],
    received: () => received,
    perTenant: () =>
      sumPerTenant(
        [...observations.values()]
          // A call's own observation: neither its root nor a guardrail under it.
          .filter(({ attributes }) => attributes.has('langfuse.observation.metadata.cost_state'))
          .map(({ attributes }) => ({
            tenant: String(
              attributes.get('langfuse.trace.metadata.tenant_id') ??
                attributes.get('langfuse.observation.metadata.tenant_id'),
            ),
            tokens: tokensOf(attributes.get('langfuse.observation.usage_details')),
            picoUsd: totalOf(attributes),
          })),
      ),
  }
}

/** An observation as the API tells it (field groups core and metadata). */
function readOf(observation: Observation) {
  const { spanId, traceId, parentSpanId, type, name, metadata } = storedOf(observation)
  const iso = (nanoseconds: bigint) => new Date(Number(nanoseconds / 1_000_000n)).toISOString()
  const { start, end } = observation
  return {
    id: spanId,
    traceId,
    parentObservationId: parentSpanId,
    type,
    name,
    startTime: iso(start),
    endTime: iso(end),
    metadata,
  }
}

/** A v4 server (write mode `events_only`) refuses every event of this door but scores, and says so inside a 207. */
function takeScores(body: Buffer, project: string, scores: Map<string, Score>) {
  const { batch } = JSON.parse(body.toString()) as {
    batch: { id: string; type: string; timestamp: string; body: Omit<Score, 'project'> }[]
  }
  const successes: object[] = []
  const errors: object[] = []
  for (const { id, type, timestamp, body: score } of batch) {
    const valid = type === 'score-create' && TRACE_ID.test(score?.traceId) && typeof score.name === 'string'
    if (!valid || (score.dataType === 'CATEGORICAL' && typeof score.value !== 'string')) {
      errors.push({ id, status: 400, message: 'Invalid request data' })
      continue
    }
    successes.push({ id, status: 201 })
    scores.set([project, score.id, score.name, timestamp.slice(0, 10)].join('/'), { ...score, project })
  }
  return {
    status: 207,
    body: JSON.stringify({ successes, errors }),
    headers: { 'content-type': 'application/json' },
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
    : BigInt(String(attributes.get('langfuse.observation.metadata.cost_pico_usd')).replace(' pUSD', ''))
}
