import { decodeSpans, type ReceivedSpan } from './decode-spans.ts'
import { type HttpSink, startHttpSink } from './http-sink.ts'
import { sumPerTenant, type TenantTotals } from './tenant-totals.ts'

/**
 * Stands in for an OTLP/HTTP receiver (a Collector): `POST /v1/traces`, protobuf, gzip. It keeps every span that
 * arrived, once for each (trace id, span id). It does not speak gRPC or JSON and forwards nothing.
 */
export interface OtlpSink extends HttpSink {
  /** Distinct spans. */
  spans(): ReceivedSpan[]
  /** How many came, the same ones again included. */
  received(): number
  perTenant(): Map<string, TenantTotals>
}

const USAGE = 'kong.llm.usage.'

export async function startOtlpSink({ port = 0 }: { port?: number } = {}): Promise<OtlpSink> {
  const spans = new Map<string, ReceivedSpan>()
  let received = 0
  const sink = await startHttpSink(port, ({ request, body }) => {
    if (request.method !== 'POST' || request.url !== '/v1/traces') return { status: 404 }
    if (request.headers['content-type'] !== 'application/x-protobuf') return { status: 415 }
    let decoded: ReceivedSpan[]
    try {
      decoded = decodeSpans(body)
    } catch {
      return { status: 400 }
    }
    for (const span of decoded) {
      received++
      spans.set(`${span.traceId}/${span.spanId}`, span)
    }
    return { status: 200, headers: { 'content-type': 'application/x-protobuf' } }
  })
  return {
    ...sink,
    spans: () => [...spans.values()],
    received: () => received,
    perTenant: () =>
      sumPerTenant(
        [...spans.values()].map(({ attributes }) => ({
          tenant: String(attributes.get('tenant.id')),
          tokens: Object.fromEntries(
            [...attributes]
              .filter(([name]) => name.startsWith(USAGE))
              .map(([name, value]) => [name.slice(USAGE.length), Number(value)]),
          ),
          picoUsd: BigInt((attributes.get('kong.llm.cost.pico_usd') ?? 0) as bigint),
        })),
      ),
  }
}
