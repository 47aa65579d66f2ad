import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { collectDefaultMetrics, type OpenMetricsContentType, Registry } from 'prom-client'
import { CALL_STATUSES, USAGE_SOURCES } from '../call.ts'
import { LOSS_REASONS } from '../capture.ts'
import { FINISH_KINDS } from '../ledger/finish-kind.ts'
import type { Ledger, LedgerSeries } from '../ledger/ledger.ts'
import type { HistogramName } from '../ledger/series.ts'
import { LEDGER_READER, type Spool } from '../spool/spool.ts'
import type { Exemplars } from './exemplars.ts'
import { type LabelsOf, METRICS, type MetricName } from './metrics.ts'
import { picoToUsd } from './pico-to-usd.ts'

export interface ExpositionSources {
  ledger: Pick<Ledger, 'series' | 'histogram' | 'confirmGaps' | 'readAdjustments' | 'readSpend' | 'labelOf'>
  spool: Pick<Spool, 'stats'>
  receive: { captures: Readonly<Record<string, number>>; refusals: Readonly<Record<string, number>>; bytes: number }
  deliver: ReadonlyMap<string, SinkStats>
  book: {
    readonly version: string
    readonly updated: string
    readonly stats: { loadedAt: number; reloads: number; failures: number }
  }
  /** Of guardrail events; undefined where Langfuse is no sink. */
  scores?: { readonly sent: number; readonly refused: number } | undefined
  /** Undefined where nothing is estimated. */
  estimates?: { counted: number; queue_full: number; failed: number; waitingBytes: number } | undefined
  exemplars?: Exemplars
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
  /** Shown in OpenMetrics only; `timestamp` in seconds. */
  exemplar?: { labelSet: { trace_id: string; span_id: string }; value: number; timestamp: number } | undefined
}
interface NamedMetric {
  name: string
  type: string
  get(): Promise<object>
}
type Write = <M extends MetricName>(name: M, labels: Record<LabelsOf<M>, string>, value: number) => void

/** Ledger series → metric. The ledger's labels stand in the metric's order. */
export const FROM_LEDGER: readonly { series: LedgerSeries; metric: MetricName; money?: true; milliseconds?: true }[] = [
  { series: 'calls', metric: 'llm_calls_total' },
  { series: 'tokens', metric: 'llm_tokens_total' },
  { series: 'cost', metric: 'llm_cost_usd_total', money: true },
  { series: 'failed_cost', metric: 'llm_failed_cost_usd_total', money: true },
  { series: 'saved', metric: 'llm_savings_usd_total', money: true },
  { series: 'cache_saved', metric: 'llm_cache_savings_usd_total', money: true },
  { series: 'adjusted_cost', metric: 'llm_cost_adjustment_usd_total', money: true },
  { series: 'adjusted_calls', metric: 'llm_adjusted_calls_total' },
  { series: 'finished', metric: 'llm_finished_answers_total' },
  { series: 'unpriced', metric: 'llm_unpriced_calls_total' },
  { series: 'usage_source_calls', metric: 'llm_usage_source_calls_total' },
  { series: 'usage_source_cost', metric: 'llm_usage_source_cost_usd_total', money: true },
  { series: 'repeats', metric: 'llm_repeated_answers_total' },
  { series: 'guardrail', metric: 'llm_guardrail_events_total' },
  { series: 'cache_requests', metric: 'kong_semantic_cache_requests_total' },
  { series: 'cache_hits', metric: 'kong_semantic_cache_hits_total' },
  { series: 'cache_calls', metric: 'kong_semantic_cache_answers_total' },
  { series: 'cache_milliseconds', metric: 'kong_semantic_cache_answer_seconds_total', milliseconds: true },
  { series: 'lookup_cost', metric: 'kong_semantic_cache_lookup_cost_usd_total', money: true },
  { series: 'unpriced_lookups', metric: 'kong_semantic_cache_unpriced_lookups_total' },
  { series: 'rate_limited', metric: 'llm_rate_limited_calls_total' },
  { series: 'failed_attempts', metric: 'llm_failed_attempts_total' },
  { series: 'tenant_claims', metric: 'llm_tenant_claims_refused_total' },
  { series: 'capture_gaps', metric: 'observer_capture_gaps_total' },
  { series: 'capture_late', metric: 'observer_capture_late_total' },
  { series: 'plugin_dropped', metric: 'observer_plugin_dropped_total' },
  { series: 'tap_errors', metric: 'observer_tap_errors_total' },
  { series: 'untapped', metric: 'observer_untapped_total' },
  { series: 'websockets', metric: 'observer_websockets_total' },
  { series: 'folded', metric: 'observer_labels_folded_total' },
  { series: 'malformed', metric: 'observer_malformed_amounts_total' },
]
const FAILED = CALL_STATUSES.filter((status) => status !== 'ok')
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
  // OpenMetrics names a counter's family without `_total`; prom-client adds it to the samples.
  const openMetrics = new Registry<OpenMetricsContentType>()
  openMetrics.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
  for (const metric of registry.getMetricsAsArray() as unknown as NamedMetric[]) {
    const name = metric.type === 'counter' ? metric.name.replace(/_total$/, '') : metric.name
    openMetrics.registerMetric({ name, get: async () => ({ ...(await metric.get()), name }) } as never)
  }

  async function collectLedger(write: Write): Promise<void> {
    const { ledger } = sources
    // A ledger that cannot write says so itself (`follow`); what it has counted stands.
    await ledger.confirmGaps().catch(() => {})
    await ledger.readAdjustments().catch(() => {})
    collectZeros(write)
    for (const { series, metric, money, milliseconds } of FROM_LEDGER)
      for (const { labels, value } of ledger.series(series)) {
        const shown = money ? picoToUsd(value) : milliseconds ? Number(value) / 1000 : Number(value)
        write(metric, named(metric, labels), shown)
      }
    for (const histogram of Object.keys(HISTOGRAM_METRICS) as HistogramName[]) collectHistogram(histogram)
  }

  /** Every outcome exists at 0 before it happens, so that no ratio is empty and no first increment is lost. */
  function collectZeros(write: Write): void {
    const { ledger } = sources
    const known = new Map<string, readonly string[]>()
    for (const { labels } of ledger.series('calls')) known.set(keyOf(labels.slice(0, 3)), labels.slice(0, 3))
    const models = [...known.values()]
    const tenants = [...tenantsOf(ledger)].map((tenant) => [tenant])
    const usageSources = tenants.flatMap((tenant) => USAGE_SOURCES.map((source) => [...tenant, source]))
    const zeros: Partial<Record<LedgerSeries, readonly (readonly string[])[]>> = {
      calls: models.flatMap((labels) => CALL_STATUSES.map((status) => [...labels, status])),
      failed_cost: models.flatMap((labels) => FAILED.map((status) => [...labels, status])),
      finished: models.flatMap((labels) => FINISH_KINDS.map((kind) => [...labels, kind])),
      adjusted_cost: models.flatMap((labels) => ['up', 'down'].map((direction) => [...labels, direction])),
      adjusted_calls: models,
      usage_source_calls: usageSources,
      usage_source_cost: usageSources,
      cache_requests: tenants,
      cache_hits: tenants,
      plugin_dropped: LOSS_REASONS.map((reason) => [reason]),
    }
    for (const { series, metric } of FROM_LEDGER) {
      if (zeros[series] === undefined) continue
      const counted = new Set([...ledger.series(series)].map(({ labels }) => keyOf(labels)))
      for (const labels of zeros[series]) if (!counted.has(keyOf(labels))) write(metric, named(metric, labels), 0)
    }
  }

  function collectHistogram(histogram: HistogramName): void {
    const name = HISTOGRAM_METRICS[histogram]
    const bounds = (METRICS[name] as { buckets: readonly number[] }).buckets
    const into = values.get(name)!
    for (const { labels, counts, sumMs } of sources.ledger.histogram(histogram)) {
      const series = named(name, labels)
      let cumulative = 0
      counts.forEach((count, index) => {
        cumulative += Number(count)
        into.push({
          metricName: `${name}_bucket`,
          labels: { ...series, le: index < bounds.length ? String(bounds[index]) : '+Inf' },
          value: cumulative,
          exemplar: exemplarOf(histogram, labels, index),
        })
      })
      into.push({ metricName: `${name}_sum`, labels: series, value: Number(sumMs) / 1000 })
      into.push({ metricName: `${name}_count`, labels: series, value: cumulative })
    }
  }

  function exemplarOf(histogram: HistogramName, labels: readonly string[], bucket: number): Value['exemplar'] {
    const exemplar = sources.exemplars?.of(histogram, labels, bucket)
    if (exemplar === undefined) return undefined
    const { traceId, spanId, seconds, at } = exemplar
    return { labelSet: { trace_id: traceId, span_id: spanId }, value: seconds, timestamp: at / 1000 }
  }

  async function collectBudgets(write: Write): Promise<void> {
    const spend = await sources.ledger.readSpend().catch(() => [])
    for (const { tenant, period, start, end, spent, unpriced, limit } of spend) {
      const labels = { tenant_id: tenant, period }
      write('llm_budget_spent_usd', labels, picoToUsd(spent))
      write('llm_budget_unpriced_calls', labels, Number(unpriced))
      if (limit !== undefined) write('llm_budget_limit_usd', labels, picoToUsd(limit))
      write('llm_budget_period_start_timestamp_seconds', labels, start / 1000)
      write('llm_budget_period_end_timestamp_seconds', labels, end / 1000)
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
    for (const outcome of ['sent', 'refused'] as const)
      write('observer_langfuse_scores_total', { outcome }, sources.scores?.[outcome] ?? 0)
    const { version, updated, stats } = sources.book
    write('observer_price_book_info', { version }, 1)
    write('observer_price_catalogue_timestamp_seconds', {}, Date.parse(`${updated}T00:00:00Z`) / 1000)
    write('observer_price_book_loaded_timestamp_seconds', {}, stats.loadedAt / 1000)
    write('observer_price_book_reloads_total', { result: 'ok' }, stats.reloads)
    write('observer_price_book_reloads_total', { result: 'invalid' }, stats.failures)
  }

  async function collect(accept: string | undefined): Promise<{ contentType: string; body: string }> {
    for (const name of Object.keys(METRICS) as MetricName[]) values.set(name, [])
    const write: Write = (name, labels, value) =>
      values.get(name)!.push({ labels: labels as Record<string, string>, value })
    await collectLedger(write)
    await collectBudgets(write)
    await collectSpool(write)
    collectProcess(write)
    // Metric by metric, with the event loop let go in between: 100,000 series at once would hold it for 0.3 s.
    const open = accept?.includes('application/openmetrics-text') === true
    const format = open ? openMetrics : registry
    const texts: string[] = []
    for (const { name } of format.getMetricsAsArray()) {
      texts.push(await format.getSingleMetricAsString(name))
      await nextTurn()
    }
    return { contentType: format.contentType, body: open ? `${texts.join('\n')}\n# EOF\n` : `${texts.join('\n\n')}\n` }
  }
  let last: Promise<unknown> = Promise.resolve()

  return {
    /**
     * OpenMetrics, with exemplars, where the Accept header has it; else Prometheus' text format.
     * One after the other: two scrapes at once would write into one another's values.
     */
    render(accept?: string): Promise<{ contentType: string; body: string }> {
      const collected = last.then(
        () => collect(accept),
        () => collect(accept),
      )
      last = collected
      return collected
    },
    close(): void {
      loop.disable()
      registry.clear()
      openMetrics.clear()
    },
  }
}

function named<M extends MetricName>(metric: M, labels: readonly string[]): Record<LabelsOf<M>, string> {
  const names: readonly string[] = METRICS[metric].labels
  return Object.fromEntries(names.map((name, index) => [name, labels[index] ?? ''])) as Record<LabelsOf<M>, string>
}

function keyOf(labels: readonly string[]): string {
  return labels.join('\u0000')
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
