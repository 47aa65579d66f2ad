import { type Random, seededRandom } from '../../dev/seeded-random.ts'
import type { StepSeries } from '../../dev/servers/remote-write.ts'
import { LATENCY_BUCKETS } from '../../sidecar/ledger/series.ts'
import type { MetricName } from '../promql.ts'
import { normal, poisson } from './random-counts.ts'
import { KONG, SIDECAR } from './scenario.ts'
import {
  type Episode,
  FLOWS,
  type Flow,
  INCIDENTS,
  MINUTES_A_DAY,
  ORDINARY_EPISODES,
  PAUSES,
  type Pause,
  SINGLE_ERRORS,
  WEEK_START,
} from './week-plan.ts'

const FINE = 15_000
const MINUTE = 60_000
const PER_MINUTE = MINUTE / FINE
const DAY = MINUTES_A_DAY * MINUTE

/** A week of ordinary life and a day with incidents: the samples that Prometheus would have of it. The same for a seed. */
export function week(seed: number, days: number): { series: StepSeries[]; down: (at: number) => boolean } {
  const random = seededRandom(seed)
  const minutes = days * MINUTES_A_DAY
  const growths: Growths = new Map()
  const spent = new Map<string, Float64Array>()
  for (const flow of FLOWS) calls(flow, random, minutes, growths, spent)
  const series: StepSeries[] = []
  for (const { name, labels, growth, stepMs, from } of growths.values())
    series.push(counter(name, { ...SIDECAR, ...labels }, growth, stepMs, { from, durable: true }))
  for (const [tenant, dollars] of spent) series.push(...budgets(tenant, dollars))
  series.push(...sidecarItself(random, minutes), ...kong(random, minutes), ...singles(minutes))
  return { series, down: (at) => pausedAt(at - WEEK_START, 'prometheus') !== undefined }
}

type Labels = Record<string, string>
type Growths = Map<string, { name: string; labels: Labels; growth: Float64Array; stepMs: number; from: number }>

function calls(flow: Flow, random: Random, minutes: number, growths: Growths, spent: Map<string, Float64Array>): void {
  const { tenant, provider, model, price, from = 0 } = flow
  /** By how much the counter grows in each step; flows of one tenant add to the same. */
  function growthOf(name: MetricName | `llm_latency_seconds_${string}`, labels: Labels, stepMs = MINUTE): Float64Array {
    const key = name + JSON.stringify(labels)
    let one = growths.get(key)
    if (one === undefined) {
      const growth = new Float64Array((minutes * MINUTE) / stepMs)
      one = { name, labels, growth, stepMs, from: (from * MINUTE) / stepMs }
      growths.set(key, one)
    }
    return one.growth
  }
  const of = { tenant_id: tenant }
  const call = { ...of, provider, model }
  const ended = (status: string, stepMs = FINE) => growthOf('llm_calls_total', { ...call, status }, stepMs)
  const [fine, failedFine, timeoutFine, limitedFine] = [
    ended('ok'),
    ended('server_error'),
    ended('timeout'),
    ended('rate_limited'),
  ]
  const limitedBy = growthOf('llm_rate_limited_calls_total', { ...of, provider, by: 'provider' }, FINE)
  const unauthorized = ended('unauthorized', MINUTE)
  const attempts = growthOf('llm_failed_attempts_total', { ...of, provider })
  const cost = growthOf('llm_cost_usd_total', call)
  const [aboveList, belowList] = [
    growthOf('llm_provider_bill_above_list_usd_total', { provider }),
    growthOf('llm_provider_bill_below_list_usd_total', { provider }),
  ]
  const feeCounted = growthOf('llm_call_reasons_total', { ...of, reason: 'fee_counted' })
  const failedCost = growthOf('llm_failed_cost_usd_total', { ...call, status: 'timeout' })
  const finished = (reason: string) => growthOf('llm_finished_answers_total', { ...call, reason })
  const [stopped, refused, cut] = [finished('stop'), finished('refusal'), finished('length')]
  const source = (one: string) => growthOf('llm_usage_source_calls_total', { ...of, source: one })
  const [told, unknown] = [source('provider'), source('unknown')]
  const costFrom = (one: string) => growthOf('llm_usage_source_cost_usd_total', { ...of, source: one })
  const [toldCost, estimatedCost] = [costFrom('provider'), costFrom('estimated')]
  const lookedUp = growthOf('kong_semantic_cache_requests_total', of)
  const hits = growthOf('kong_semantic_cache_hits_total', of)
  const blocked = growthOf('llm_guardrail_events_total', {
    ...of,
    guardrail: 'ai-prompt-guard',
    stage: 'input',
    action: 'blocked',
  })
  const buckets = [...LATENCY_BUCKETS.map(String), '+Inf'].map((le) =>
    growthOf('llm_latency_seconds_bucket', { ...call, le }),
  )
  const latencyCount = growthOf('llm_latency_seconds_count', call)
  const dollars = spent.get(tenant) ?? new Float64Array(minutes)
  spent.set(tenant, dollars)

  for (let minute = from; minute < minutes; minute++) {
    const now = episodes(minute, flow)
    const rate = flow.peak * rhythm(minute, flow) * now.times
    let good = 0
    let bad = 0
    for (let step = minute * PER_MINUTE; step < (minute + 1) * PER_MINUTE; step++) {
      const all = poisson(random, rate / PER_MINUTE)
      const failed = Math.min(all, poisson(random, all * now.server_error))
      const limited = Math.min(all - failed, poisson(random, all * now.rate_limited))
      const timeout = Math.min(all - failed - limited, poisson(random, all * 0.0005))
      failedFine[step]! += failed
      limitedFine[step]! += limited
      limitedBy[step]! += limited
      timeoutFine[step]! += timeout
      fine[step]! += all - failed - limited - timeout
      good += all - failed - limited - timeout
      bad += failed + limited + timeout
    }
    const few = (share: number) => Math.min(good, poisson(random, good * share))
    unauthorized[minute]! += few(0.002)
    attempts[minute]! += few(0.002)
    const paid = good * price * Math.exp(0.3 * normal(random))
    cost[minute]! += paid
    dollars[minute]! += paid
    // Bills are rounded: to both sides, by less than a hundredth.
    aboveList[minute]! += paid * 0.004
    belowList[minute]! += paid * 0.004
    feeCounted[minute]! += few(0.01)
    failedCost[minute]! += bad * price * 0.3
    const [no, short] = [few(0.01), few(0.05)]
    refused[minute]! += no
    cut[minute]! += short
    stopped[minute]! += Math.max(0, good - no - short)
    const nobodyKnows = few(0.01)
    unknown[minute]! += nobodyKnows
    told[minute]! += good - nobodyKnows
    toldCost[minute]! += paid * 0.98
    estimatedCost[minute]! += paid * 0.02
    lookedUp[minute]! += good
    hits[minute]! += few(0.3)
    blocked[minute]! += few(0.003)
    let within = 0
    LATENCY_SHARES.forEach((share, index) => {
      within += poisson(random, (good + bad) * share)
      buckets[index]![minute]! += within
    })
    latencyCount[minute]! += within
  }
}
/** Of the calls that end in each bucket: most take some 3 s, one in fifty more than 10. */
const LATENCY_SHARES = [0, 0.002, 0.03, 0.21, 0.56, 0.178, 0.0185, 0.001, 0.0005, 0, 0, 0]

function episodes(minute: number, flow: Flow) {
  const now = { times: 1, server_error: 0.001, rate_limited: 0.001 }
  for (const one of [...ORDINARY_EPISODES, ...INCIDENTS])
    if (concerns(one, minute, flow)) Object.assign(now, { ...one })
  return now
}
function concerns({ from, minutes, tenant, provider }: Episode, minute: number, flow: Flow): boolean {
  if (minute < from || minute >= from + minutes) return false
  return (tenant === undefined || tenant === flow.tenant) && (provider === undefined || provider === flow.provider)
}
/** The day's curve with its top at 14:00, a quarter of it at night, and less than half of it at weekends. */
function rhythm(minute: number, { onlyHour }: Flow): number {
  const hour = (minute % MINUTES_A_DAY) / 60
  if (onlyHour !== undefined) return Math.floor(hour) === onlyHour ? 1 : 0
  const weekend = Math.floor(minute / MINUTES_A_DAY) % 7 >= 5 ? 0.4 : 1
  return weekend * (0.25 + 0.75 * (0.5 + 0.5 * Math.cos(((hour - 14) / 12) * Math.PI)))
}

const MONTH_START = Date.UTC(2026, 10, 1)
/** The new day was told three minutes late, once. */
const LATE = { day: 4, minutes: 3 }
function budgets(tenant: string, dollars: Float64Array): StepSeries[] {
  const days = Array.from({ length: 7 }, (_, day) => day * MINUTES_A_DAY).map((from) =>
    dollars.subarray(from, from + MINUTES_A_DAY).reduce((sum, one) => sum + one, 0),
  )
  // Ceilings with some room over a working day, and the working days of the rest.
  const limit = 1.3 * Math.max(...days)
  const before = Math.max(...days) / 3
  const periods = [
    { period: 'day', length: DAY, first: WEEK_START, before: 0, limit },
    { period: 'week', length: 7 * DAY, first: WEEK_START, before: 0, limit: limit * 5.8 },
    { period: 'month', length: 30 * DAY, first: MONTH_START, before, limit: limit * 25 },
  ]
  return periods.flatMap(({ period, length, first, before, limit }) => {
    const of = { ...SIDECAR, tenant_id: tenant, period }
    const values = { spent: dollars.map(() => 0), start: dollars.map(() => 0) }
    let sum = before
    let began = first
    for (let minute = 0; minute < dollars.length; minute++) {
      const late = Math.floor(minute / MINUTES_A_DAY) === LATE.day ? LATE.minutes : 0
      const begins = first + Math.floor((WEEK_START + (minute - late) * MINUTE - first) / length) * length
      if (begins > began) sum = 0
      began = Math.max(began, begins)
      sum += dollars[minute]!
      values.spent[minute] = sum
      values.start[minute] = began / 1000
    }
    const gauges = {
      llm_budget_spent_usd: values.spent,
      llm_budget_limit_usd: values.spent.map(() => limit),
      llm_budget_unpriced_calls: values.spent.map(() => 1),
      llm_budget_period_start_timestamp_seconds: values.start,
      llm_budget_period_end_timestamp_seconds: values.start.map((start) => start + length / 1000),
    }
    return Object.entries(gauges).map(([name, of_]) => gauge(name, of, of_, MINUTE))
  })
}

const LOCKED = (2 * MINUTES_A_DAY + 14 * 60) * PER_MINUTE
function sidecarItself(random: Random, minutes: number): StepSeries[] {
  const fine = minutes * PER_MINUTE
  const each = (steps: number, value: (step: number) => number) =>
    Float64Array.from({ length: steps }, (_, step) => value(step))
  const constant = (name: MetricName, value: number) =>
    gauge(
      name,
      SIDECAR,
      each(minutes, () => value),
      MINUTE,
    )
  const gauges = [
    // On Wednesday another program holds the file for half a minute.
    gauge(
      'observer_store_writable',
      SIDECAR,
      each(fine, (step) => (step === LOCKED || step === LOCKED + 1 ? 0 : 1)),
      FINE,
    ),
    constant('observer_store_rolled_back_captures', 0),
    constant('observer_series', 9000),
    constant('observer_series_limit', 200_000),
    // A tenant meets its limit at Langfuse for ten minutes, each afternoon.
    gauge(
      'observer_sink_held_calls',
      { ...SIDECAR, sink: 'langfuse' },
      each(minutes, (minute) => (minute % MINUTES_A_DAY >= 900 && minute % MINUTES_A_DAY < 910 ? 4 : 0)),
      MINUTE,
    ),
    // Loki is away for ten minutes on Thursday.
    gauge(
      'observer_sink_lag_seconds',
      { ...SIDECAR, sink: 'loki' },
      each(minutes, (minute) => Math.max(1, minute >= 5000 && minute < 5010 ? (minute - 4999) * 60 : 2 * random())),
      MINUTE,
    ),
    gauge(
      'observer_log_bytes',
      SIDECAR,
      each(minutes, (minute) => 2e7 + 5e6 * random() + (minute >= 5000 && minute < 5020 ? 3e7 : 0)),
      MINUTE,
    ),
    constant('observer_log_limit_bytes', 1e9),
    gauge(
      'observer_event_loop_lag_seconds',
      { ...SIDECAR, statistic: 'p99' },
      each(minutes, (minute) => (minute % 3001 === 7 ? 0.9 : 0.03 + 0.02 * random())),
      MINUTE,
    ),
    constant('observer_price_catalogue_timestamp_seconds', (WEEK_START - 20 * DAY) / 1000),
  ]
  const stored = each(minutes, (minute) => poisson(random, 200 * rhythm(minute, FLOWS[0]!)))
  const captures = counter('observer_captures_total', { ...SIDECAR, result: 'stored' }, stored, MINUTE, {
    durable: false,
  })
  return [...gauges, captures, up(SIDECAR, 'sidecar', minutes), up(KONG, 'kong', minutes)]
}

function kong(random: Random, minutes: number): StepSeries[] {
  const of = { ...KONG, service: 'openai', route: 'chat', workspace: 'default' }
  const requests = Float64Array.from({ length: minutes }, (_, minute) =>
    poisson(random, 200 * rhythm(minute, FLOWS[0]!)),
  )
  const add = (name: string, labels: Record<string, string>, share: number) =>
    counter(
      name,
      { ...of, ...labels },
      requests.map((count) => Math.round(count * share)),
      MINUTE,
      { durable: false },
    )
  return [
    add('kong_http_requests_total', { code: '200', source: 'service', consumer: '' }, 1),
    add('kong_http_requests_total', { code: '503', source: 'kong', consumer: '' }, 0.004),
    ...(['25', '50', '80', '100', '250', '+Inf'] as const).map((le, index) =>
      add('kong_kong_latency_ms_bucket', { le }, [0.9, 0.96, 0.98, 0.99, 1, 1][index]!),
    ),
    add('kong_kong_latency_ms_count', {}, 1),
  ]
}

function singles(minutes: number): StepSeries[] {
  return SINGLE_ERRORS.map(([name, labels, minute, from0]) => {
    const growth = new Float64Array(minutes)
    growth[minute] = 1
    return counter(name, { ...SIDECAR, ...labels }, growth, MINUTE, { from: from0 ? 0 : minute, durable: true })
  })
}

function up(labels: Record<string, string>, of: Pause['of'], minutes: number): StepSeries {
  const values = new Float64Array(minutes * PER_MINUTE).fill(1)
  for (let step = 0; step < values.length; step++) {
    if (pausedAt(step * FINE, of) !== undefined) values[step] = 0
    if (pausedAt(step * FINE, 'prometheus') !== undefined) values[step] = Number.NaN
  }
  return { labels: { ...labels, __name__: 'up' }, start: WEEK_START, stepMs: FINE, values }
}

/** Without the scrapes that failed; where the process began anew and counts itself, from 0. */
function counter(
  name: string,
  labels: Record<string, string>,
  growth: Float64Array,
  stepMs: number,
  { from = 0, durable }: { from?: number; durable: boolean },
): StepSeries {
  const values = new Float64Array(growth.length)
  const of = labels.job === 'kong' ? 'kong' : 'sidecar'
  let sum = 0
  for (let step = 0; step < growth.length; step++) {
    const paused = pausedAt(step * stepMs, of)
    if (paused?.restart && !durable) sum = 0
    sum += growth[step]!
    values[step] = step < from || !isScraped(step, stepMs) ? Number.NaN : sum
  }
  return gauge(name, labels, values, stepMs)
}
function gauge(name: string, labels: Record<string, string>, values: Float64Array, stepMs: number): StepSeries {
  const of = labels.job === 'kong' ? 'kong' : 'sidecar'
  const staleAt: number[] = []
  const seen = values.slice()
  for (const { of: who, from, seconds } of PAUSES) {
    if (who !== of && who !== 'prometheus') continue
    for (let step = Math.ceil((from * 1000) / stepMs); step * stepMs < (from + seconds) * 1000; step++) {
      if (step >= seen.length) break
      if (who === of && !Number.isNaN(seen[step]!)) staleAt.push(step)
      seen[step] = Number.NaN
    }
  }
  return { labels: { ...labels, __name__: name }, start: WEEK_START, stepMs, values: seen, staleAt }
}
/** Each 15 s only where something happens, or on the first morning: elsewhere a minute tells as much. */
function isScraped(step: number, stepMs: number): boolean {
  return (step * stepMs) % MINUTE === 0 || isFine(step * stepMs)
}
export function isFine(sinceStart: number): boolean {
  const minute = sinceStart / MINUTE
  const near = (from: number, minutes: number) => minute >= from - 5 && minute < from + minutes + 10
  if (minute >= 480 && minute < 720) return true
  return (
    [...ORDINARY_EPISODES, ...INCIDENTS].some(({ from, minutes }) => near(from, Math.min(minutes, 30))) ||
    PAUSES.some(({ from, seconds }) => near(from / 60, seconds / 60))
  )
}
function pausedAt(sinceStart: number, of: Pause['of']): Pause | undefined {
  return PAUSES.find(
    (one) => one.of === of && sinceStart >= one.from * 1000 && sinceStart < (one.from + one.seconds) * 1000,
  )
}
