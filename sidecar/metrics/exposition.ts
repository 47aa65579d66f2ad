import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { CALL_STATUSES } from '../call.ts'
import { PLUGIN_DROP_REASONS } from '../capture.ts'
import type { Ledger, LedgerSeries } from '../ledger/ledger.ts'
import type { HistogramName } from '../ledger/series.ts'
import { LEDGER_READER, type Spool } from '../spool/spool.ts'
import { type LabelsOf, METRICS, type MetricName } from './metrics.ts'
import { picoToUsd } from './pico-to-usd.ts'

export interface ExpositionSources {
  ledger: Pick<Ledger, 'series' | 'histogram' | 'confirmGaps' | 'labelOf'>
  spool: Pick<Spool, 'stats'>
  receive: { captures: Readonly<Record<string, number>>; refusals: Readonly<Record<string, number>>; bytes: number }
  deliver: ReadonlyMap<string, SinkStats>
  book: { readonly version: string; readonly stats: { loadedAt: number; reloads: number; failures: number } }
  /** Undefined where nothing is estimated. */
  estimates?: { counted: number; queue_full: number; failed: number; waitingBytes: number } | undefined
  now?: () => number
}
export interface SinkStats {
  /** By reason. */
  retries: ReadonlyMap<string, number>
  /** Epoch milliseconds; undefined before the first success. */
  lastSuccessAt: number | undefined
  inFlight: number
}

interface Value {
  value: number
  labels: Record<string, string>
  metricName?: string
}
type Write = <M extends MetricName>(name: M, labels: Record<LabelsOf<M>, string>, value: number) => void

/** Ledger series → metric. The ledger's labels stand in the metric's order. */
export const FROM_LEDGER: readonly { series: LedgerSeries; metric: MetricName; money?: true }[] = [
  { series: 'calls', metric: 'llm_calls_total' },
  { series: 'tokens', metric: 'llm_tokens_total' },
  { series: 'cost', metric: 'llm_cost_usd_total', money: true },
  { series: 'saved', metric: 'llm_savings_usd_total', money: true },
  { series: 'unpriced', metric: 'llm_unpriced_calls_total' },
  { series: 'usage_source_calls', metric: 'llm_usage_source_calls_total' },
  { series: 'usage_source_cost', metric: 'llm_usage_source_cost_usd_total', money: true },
  { series: 'repeats', metric: 'llm_repeated_answers_total' },
  { series: 'guardrail', metric: 'llm_guardrail_events_total' },
  { series: 'cache_requests', metric: 'kong_semantic_cache_requests_total' },
  { series: 'cache_hits', metric: 'kong_semantic_cache_hits_total' },
  { series: 'capture_gaps', metric: 'observer_capture_gaps_total' },
  { series: 'capture_late', metric: 'observer_capture_late_total' },
  { series: 'plugin_dropped', metric: 'observer_plugin_dropped_total' },
  { series: 'tap_errors', metric: 'observer_tap_errors_total' },
  { series: 'folded', metric: 'observer_labels_folded_total' },
  { series: 'malformed', metric: 'observer_malformed_amounts_total' },
]
const HISTOGRAM_METRICS: Record<HistogramName, MetricName> = {
  latency: 'llm_latency_seconds',
  first_token: 'llm_time_to_first_token_seconds',
}

/**
 * The text of `/metrics`. Nothing is accumulated here: each scrape reads ledger, spool and counters as they stand,
 * so a value is the nearest float64 of the exact number.
 */
export function makeExposition(sources: ExpositionSources) {
  const now = sources.now ?? Date.now
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'observer_' })
  const loop = monitorEventLoopDelay({ resolution: 10 })
  loop.enable()

  const values = new Map<MetricName, Value[]>()
  for (const name of Object.keys(METRICS) as MetricName[]) {
    const { type, help } = METRICS[name]
    const metric = {
      name,
      help,
      type,
      aggregator: 'sum',
      get: async () => ({ name, help, type, values: values.get(name) ?? [], aggregator: 'sum' }),
      reset: () => {},
    }
    // prom-client takes any object with `get`; its types know only its own classes.
    registry.registerMetric(metric as never)
  }

  async function collectLedger(write: Write): Promise<void> {
    const { ledger } = sources
    // A ledger that cannot write says so itself (`follow`); what it has counted stands.
    await ledger.confirmGaps().catch(() => {})
    // Every outcome exists from the start at 0, so that no ratio is empty and no first increment is lost.
    const known = new Map<string, { labels: readonly string[]; statuses: Set<string> }>()
    for (const { labels } of ledger.series('calls')) {
      const key = labels.slice(0, 3).join('\u0000')
      const series = known.get(key)
      if (series === undefined) known.set(key, { labels, statuses: new Set([labels[3]!]) })
      else series.statuses.add(labels[3]!)
    }
    for (const [series, metric] of [
      ['cache_requests', 'kong_semantic_cache_requests_total'],
      ['cache_hits', 'kong_semantic_cache_hits_total'],
    ] as const) {
      const counted = new Set([...ledger.series(series)].map(({ labels }) => labels[0]))
      for (const tenant_id of tenantsOf(ledger)) if (!counted.has(tenant_id)) write(metric, { tenant_id }, 0)
    }
    for (const { labels, statuses } of known.values()) {
      const [tenant_id = '', provider = '', model = ''] = labels
      for (const status of CALL_STATUSES)
        if (!statuses.has(status)) write('llm_calls_total', { tenant_id, provider, model, status }, 0)
    }
    const dropped = new Set([...ledger.series('plugin_dropped')].map(({ labels }) => labels[0]))
    for (const reason of PLUGIN_DROP_REASONS)
      if (!dropped.has(reason)) write('observer_plugin_dropped_total', { reason }, 0)
    for (const { series, metric, money } of FROM_LEDGER)
      for (const { labels, value } of ledger.series(series)) {
        const named = Object.fromEntries(METRICS[metric].labels.map((label, index) => [label, labels[index] ?? '']))
        write(metric, named as never, money ? picoToUsd(value) : Number(value))
      }
    for (const histogram of Object.keys(HISTOGRAM_METRICS) as HistogramName[]) collectHistogram(histogram)
  }

  function collectHistogram(histogram: HistogramName): void {
    const name = HISTOGRAM_METRICS[histogram]
    const bounds = (METRICS[name] as { buckets: readonly number[] }).buckets
    const into = values.get(name)!
    for (const { labels, counts, sumMs } of sources.ledger.histogram(histogram)) {
      const named = Object.fromEntries(METRICS[name].labels.map((label, index) => [label, labels[index] ?? '']))
      let cumulative = 0
      counts.forEach((count, index) => {
        cumulative += Number(count)
        into.push({
          metricName: `${name}_bucket`,
          labels: { ...named, le: index < bounds.length ? String(bounds[index]) : '+Inf' },
          value: cumulative,
        })
      })
      into.push({ metricName: `${name}_sum`, labels: named, value: Number(sumMs) / 1000 })
      into.push({ metricName: `${name}_count`, labels: named, value: cumulative })
    }
  }

  async function collectSpool(write: Write): Promise<void> {
    const { ledger, spool } = sources
    const { bytes, limitBytes, readers, outcomes, idsForgottenEarly } = await spool.stats()
    write('observer_spool_bytes', {}, bytes)
    write('observer_spool_limit_bytes', {}, limitBytes)
    write('observer_spool_ids_forgotten_total', {}, idsForgottenEarly ?? 0)
    // The spool knows tenants by their own names; the labels are the ledger's (law 13).
    const labelOf = (tenant: string) => ledger.labelOf('tenant', tenant)
    const tenants = tenantsOf(ledger)
    const settled = makeTally()
    for (const { reader, waiting, oldestAt, deadLetters } of readers) {
      const lag = makeTally()
      for (const tenant of tenants) lag.add([tenant], 0n)
      for (const [tenant, calls] of Object.entries(waiting)) lag.add([labelOf(tenant)], BigInt(calls))
      if (lag.size === 0) lag.add([''], 0n)
      for (const { labels, value } of lag.values())
        write('observer_reader_lag_calls', { reader, tenant_id: labels[0]! }, Number(value))
      write(
        'observer_reader_lag_seconds',
        { reader },
        oldestAt === undefined ? 0 : Math.max(0, (now() - oldestAt) / 1000),
      )
      write('observer_dead_letters', { reader }, deadLetters)
      if (reader === LEDGER_READER) continue
      for (const tenant of tenants) {
        settled.add([reader, tenant, 'sent', ''], 0n)
        settled.add([reader, tenant, 'dropped', 'spool_full'], 0n)
      }
    }
    for (const { reader, tenant, outcome, reason, count } of outcomes)
      settled.add([reader, labelOf(tenant), outcome, reason], count)
    for (const { labels, value } of settled.values()) {
      const [sink = '', tenant_id = '', outcome = '', reason = ''] = labels
      write('observer_sink_calls_total', { sink, tenant_id, outcome, reason }, Number(value))
    }
  }

  function collectProcess(write: Write): void {
    const { receive, deliver } = sources
    for (const [result, count] of Object.entries(receive.captures)) write('observer_captures_total', { result }, count)
    for (const [reason, count] of Object.entries(receive.refusals))
      write('observer_requests_refused_total', { reason }, count)
    write('observer_received_bytes_total', {}, receive.bytes)
    for (const [sink, { retries, lastSuccessAt, inFlight }] of deliver) {
      write('observer_sink_in_flight_calls', { sink }, inFlight)
      for (const [reason, count] of retries) write('observer_sink_retries_total', { sink, reason }, count)
      if (lastSuccessAt !== undefined)
        write('observer_sink_last_success_timestamp_seconds', { sink }, lastSuccessAt / 1000)
    }
    for (const [statistic, nanoseconds] of [
      ['p50', loop.percentile(50)],
      ['p99', loop.percentile(99)],
      ['max', loop.max],
    ] as const)
      write('observer_event_loop_lag_seconds', { statistic }, Number.isFinite(nanoseconds) ? nanoseconds / 1e9 : 0)
    loop.reset()
    const estimates = sources.estimates ?? { counted: 0, queue_full: 0, failed: 0, waitingBytes: 0 }
    for (const outcome of ['counted', 'queue_full', 'failed'] as const)
      write('observer_estimates_total', { outcome }, estimates[outcome])
    write('observer_estimate_queue_bytes', {}, estimates.waitingBytes)
    const { version, stats } = sources.book
    write('observer_price_book_info', { version }, 1)
    write('observer_price_book_loaded_timestamp_seconds', {}, stats.loadedAt / 1000)
    write('observer_price_book_reloads_total', { result: 'ok' }, stats.reloads)
    write('observer_price_book_reloads_total', { result: 'invalid' }, stats.failures)
  }

  async function collect(): Promise<string> {
    for (const name of Object.keys(METRICS) as MetricName[]) values.set(name, [])
    const write: Write = (name, labels, value) =>
      values.get(name)!.push({ labels: labels as Record<string, string>, value })
    await collectLedger(write)
    await collectSpool(write)
    collectProcess(write)
    // Metric by metric, with the event loop let go in between: 100,000 series at once would hold it for 0.3 s.
    const texts: string[] = []
    for (const { name } of registry.getMetricsAsArray()) {
      texts.push(await registry.getSingleMetricAsString(name))
      await nextTurn()
    }
    return `${texts.join('\n\n')}\n`
  }
  let last: Promise<unknown> = Promise.resolve()

  return {
    contentType: registry.contentType,
    /** One after the other: two scrapes at once would write into one another's values. */
    render(): Promise<string> {
      const text = last.then(collect, collect)
      last = text
      return text
    },
    close(): void {
      loop.disable()
      registry.clear()
    },
  }
}

function tenantsOf(ledger: Pick<Ledger, 'series'>): Set<string> {
  const tenants = new Set<string>()
  for (const { labels } of ledger.series('calls')) tenants.add(labels[0]!)
  return tenants
}

/** Integer sums by labels: several names may fold into one. */
function makeTally() {
  const sums = new Map<string, { labels: readonly string[]; value: bigint }>()
  return {
    add(labels: readonly string[], value: bigint): void {
      const key = labels.join('\u0000')
      const sum = sums.get(key)
      if (sum === undefined) sums.set(key, { labels, value })
      else sum.value += value
    },
    values: () => sums.values(),
    get size() {
      return sums.size
    },
  }
}
