import { type HttpSink, startHttpSink } from './http-sink.ts'
import { sumPerTenant, type TenantTotals } from './tenant-totals.ts'

/**
 * Stands in for Loki's push door: `POST /loki/api/v1/push`, JSON, 204; 401 without X-Scope-OrgID, 400 for a line over
 * 256 KB, more than 15 labels, or a time over a week old. Entries are kept
 * as Loki keeps them: the same line at the same time in the same stream is one entry. It has no query language.
 */
export interface LokiEntry {
  /** From the metadata or the line. */
  callId: string
  tenant: string
  labels: Record<string, string>
  /** Nanoseconds. */
  at: bigint
  text: string
  line: Record<string, unknown>
  metadata: Record<string, string>
}
export interface LokiSink extends HttpSink {
  entries(): LokiEntry[]
  received(): number
  perTenant(): Map<string, TenantTotals>
}

const MAX_LINE = 256 * 1024
const MAX_LABELS = 15
const WEEK_NS = 7n * 24n * 3600n * 1_000_000_000n

export async function startLokiSink({
  port = 0,
  now = Date.now,
}: {
  port?: number
  now?: () => number
} = {}): Promise<LokiSink> {
  const entries = new Map<string, LokiEntry>()
  let received = 0
  const sink = await startHttpSink(port, ({ request, body }) => {
    if (request.method !== 'POST' || request.url !== '/loki/api/v1/push') return { status: 404 }
    const tenant = request.headers['x-scope-orgid']
    if (typeof tenant !== 'string' || tenant === '') return { status: 401, body: 'no org id' }
    if (request.headers['content-type'] !== 'application/json') return { status: 415 }
    const accepted: LokiEntry[] = []
    try {
      const { streams } = JSON.parse(body.toString('utf8')) as {
        streams: { stream: Record<string, string>; values: [string, string, Record<string, string>?][] }[]
      }
      for (const { stream, values } of streams) {
        if (Object.keys(stream).length > MAX_LABELS) return { status: 400, body: 'too many labels' }
        for (const [at, line, metadata = {}] of values) {
          if (Buffer.byteLength(line) > MAX_LINE) return { status: 400, body: 'line too long' }
          if (BigInt(at) < BigInt(now()) * 1_000_000n - WEEK_NS) return { status: 400, body: 'entry too far behind' }
          const content = JSON.parse(line) as Record<string, unknown>
          const callId = metadata.call_id ?? content.call_id
          // Not Loki's rule but this stand-in's: without it nobody could tell a line that came twice.
          if (typeof callId !== 'string') return { status: 400, body: 'no call_id' }
          accepted.push({ callId, tenant, labels: stream, at: BigInt(at), text: line, line: content, metadata })
        }
      }
    } catch {
      return { status: 400 }
    }
    for (const entry of accepted) {
      received++
      entries.set(JSON.stringify([tenant, sorted(entry.labels), String(entry.at), entry.text]), entry)
    }
    return { status: 204 }
  })
  return {
    ...sink,
    entries: () => [...entries.values()],
    received: () => received,
    perTenant: () =>
      sumPerTenant(
        [...entries.values()].map(({ tenant, line }) => ({
          tenant,
          tokens: (line.tokens ?? {}) as Record<string, number>,
          picoUsd: BigInt(String(line.cost_pico_usd ?? 0)),
        })),
      ),
  }
}

function sorted(labels: Record<string, string>): [string, string][] {
  return Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))
}
