import { setTimeout as wait } from 'node:timers/promises'
import { Agent } from 'undici'
import { type Random, seededRandom } from '../seeded-random.ts'
import { checkAnswer } from './check-answer.ts'
import { cachedPromptsOf, DEFAULT_MIX, KINDS, type Kind, type PlannedCall, planCall } from './kinds.ts'

export interface TrafficOptions {
  gatewayUrl: string
  calls: number
  concurrency: number
  seed?: number
  /** Calls started per second at most, over all workers. */
  ratePerSecond?: number
  /** The API key of each tenant; the first tenant has the most calls. */
  keys?: Readonly<Record<string, string>>
  /** Weights of the kinds, in place of the default mix: a kind that is not named here is not sent. */
  mix?: Partial<Record<Kind, number>>
  /** No further call is started after it; calls on their way are ended. */
  signal?: AbortSignal
  /** The whole run ends by then. */
  limitMs?: number
  onProgress?: (progress: TrafficProgress) => void
}

export interface TrafficProgress {
  sent: number
  calls: number
  /** Answers that were not what they should be, so far. */
  unexpected: number
}

export interface TrafficSummary {
  /** Calls of which an answer, or a failure, came back. */
  sent: number
  byStatus: Record<number, number>
  byKind: Partial<Record<Kind, number>>
  /** By tenant; calls without a key under `unauthorized`. */
  byTenant: Record<string, number>
  cacheHits: number
  /** The first hundred; `unexpectedCount` counts them all. */
  unexpected: string[]
  unexpectedCount: number
  /** Of the answers' bodies, as they came over the wire. */
  bytes: number
  latencyMs: { p50: number; p95: number }
  durationMs: number
}

/** Of the demo's kong.yml. */
export const DEMO_KEYS: Readonly<Record<string, string>> = {
  blue: 'alice-demo-key',
  red: 'bob-demo-key',
  green: 'carol-demo-key',
  gold: 'dave-demo-key',
}

const MAX_LISTED = 100
const DEFAULT_LIMIT_MS = 10 * 60_000
const CALL_LIMIT_MS = 60_000

/**
 * Sends calls of several tenants through the gateway, reads every answer to its end and checks it. The same seed sends
 * the same calls. It never sends a call twice, whatever becomes of it.
 */
export async function runTraffic(options: TrafficOptions): Promise<TrafficSummary> {
  const { calls, concurrency, ratePerSecond } = options
  if (!(concurrency >= 1)) throw new RangeError(`concurrency must be at least 1, not ${concurrency}`)
  const random = seededRandom(options.seed ?? 1)
  const next = planner(options, random)
  const agent = new Agent({ connections: concurrency, headersTimeout: CALL_LIMIT_MS, bodyTimeout: CALL_LIMIT_MS })
  const limit = AbortSignal.timeout(options.limitMs ?? DEFAULT_LIMIT_MS)
  const stop = options.signal === undefined ? limit : AbortSignal.any([limit, options.signal])
  const summary: TrafficSummary = {
    sent: 0,
    byStatus: {},
    byKind: {},
    byTenant: {},
    cacheHits: 0,
    unexpected: [],
    unexpectedCount: 0,
    bytes: 0,
    latencyMs: { p50: 0, p95: 0 },
    durationMs: 0,
  }
  const latencies: number[] = []
  const started = performance.now()
  const unexpected = (text: string) => {
    summary.unexpectedCount++
    if (summary.unexpected.length < MAX_LISTED) summary.unexpected.push(text)
  }

  let begun = 0
  async function work(): Promise<void> {
    while (begun < calls && !stop.aborted) {
      const index = begun++
      const { planned, tenant, key } = next()
      if (ratePerSecond !== undefined) await until(started + (index * 1000) / ratePerSecond, stop)
      if (stop.aborted) return
      const from = performance.now()
      const outcome = await exchange(agent, options.gatewayUrl, planned, key, stop)
      if ('failed' in outcome && stop.aborted) return
      latencies.push(performance.now() - from)
      summary.sent++
      increment(summary.byKind, planned.kind)
      increment(summary.byTenant, planned.authenticated ? tenant : 'unauthorized')
      if ('failed' in outcome) unexpected(`${planned.kind}: ${outcome.failed}`)
      else {
        increment(summary.byStatus, outcome.status)
        summary.bytes += outcome.bytes
        if (outcome.cacheHit) summary.cacheHits++
        if (outcome.problem !== undefined) unexpected(`${planned.kind}: ${outcome.problem}`)
      }
      options.onProgress?.({ sent: summary.sent, calls, unexpected: summary.unexpectedCount })
    }
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, calls) }, work))
  await agent.destroy()
  if (limit.aborted) unexpected(`the time limit ended the run after ${summary.sent} of ${calls} calls`)

  latencies.sort((a, b) => a - b)
  summary.latencyMs = { p50: quantile(latencies, 0.5), p95: quantile(latencies, 0.95) }
  summary.durationMs = performance.now() - started
  return summary
}

interface Next {
  planned: PlannedCall
  tenant: string
  key: string
}

function planner(options: TrafficOptions, random: Random): () => Next {
  const keys = Object.entries(options.keys ?? DEMO_KEYS)
  if (keys.length === 0) throw new RangeError('traffic needs at least one tenant with a key')
  const mix: Partial<Record<Kind, number>> = options.mix ?? DEFAULT_MIX
  const kinds = KINDS.map((kind) => [kind, mix[kind] ?? 0] as const)
  // Unlike weights, so that a mix-up of two tenants shows: the n-th has a n-th of the first's.
  const tenants = keys.map((entry, index) => [entry, 1 / (index + 1)] as const)
  const cachedPrompts = cachedPromptsOf(random)
  return () => {
    const kind = weighted(random, kinds)
    const [tenant, key] = weighted(random, tenants)
    return { planned: planCall(kind, random, cachedPrompts), tenant, key }
  }
}

type Outcome = { status: number; bytes: number; cacheHit: boolean; problem: string | undefined } | { failed: string }

async function exchange(
  agent: Agent,
  gatewayUrl: string,
  planned: PlannedCall,
  key: string,
  stop: AbortSignal,
): Promise<Outcome> {
  try {
    const response = await agent.request({
      origin: gatewayUrl,
      path: planned.path,
      method: 'POST',
      headers: { ...planned.headers, ...(planned.authenticated ? { apikey: key } : {}) },
      body: planned.body,
      signal: stop,
    })
    const chunks: Buffer[] = []
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      chunks.push(chunk)
      if (planned.abort) break // leaving the loop closes the connection
    }
    const body = Buffer.concat(chunks)
    return {
      status: response.statusCode,
      bytes: body.length,
      cacheHit: response.headers['x-cache-status'] === 'Hit',
      problem: checkAnswer(planned, response.statusCode, response.headers, body),
    }
  } catch (error) {
    return { failed: error instanceof Error ? `${error.name}: ${error.message}` : String(error) }
  }
}

async function until(moment: number, stop: AbortSignal): Promise<void> {
  const delay = moment - performance.now()
  if (delay > 0) await wait(delay, undefined, { signal: stop }).catch(() => {})
}

function weighted<T>(random: Random, list: readonly (readonly [T, number])[]): T {
  const total = list.reduce((sum, [, weight]) => sum + weight, 0)
  if (!(total > 0)) throw new RangeError('every weight is 0')
  let left = random() * total
  for (const [item, weight] of list) {
    left -= weight
    if (left < 0) return item
  }
  return list.findLast(([, weight]) => weight > 0)![0]
}

function increment<K extends string | number>(counts: Partial<Record<K, number>>, key: K): void {
  counts[key] = (counts[key] ?? 0) + 1
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}
