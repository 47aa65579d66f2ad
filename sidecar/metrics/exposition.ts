import { monitorEventLoopDelay } from 'node:perf_hooks'
import { collectDefaultMetrics, type OpenMetricsContentType, Registry } from 'prom-client'
import { CALL_STATUSES, decimalUsd } from '../call.ts'
import { LOSS_REASONS } from '../capture.ts'
import { HISTOGRAMS, type HistogramName, type HistogramSample, type Sample } from '../ledger/series.ts'
import type { Store } from '../store/store.ts'
import type { Exemplars } from './exemplars.ts'
import { type GatheredMetric, type LabelsOf, METRICS, type MetricDefinition, type MetricName } from './metrics.ts'
import { CONTENT_TYPES, type Format, headText, inSlices, seriesText } from './text-format.ts'

export interface ExpositionSources {
  store: Pick<
    Store,
    | 'series'
    | 'histogram'
    | 'confirmGaps'
    | 'readSpend'
    | 'labelOf'
    | 'stats'
    | 'trouble'
    | 'rolledBack'
    | 'seriesInUse'
  >
  limits: { logBytes: number; series: number }
  /** Series that have not grown for so long are left out until they grow again. */
  idleMs: number
  receive: { captures: Readonly<Record<string, number>>; refusals: Readonly<Record<string, number>>; bytes: number }
  /** By sink; `lastSuccessAt` in epoch ms. */
  deliver: ReadonlyMap<
    string,
    { retries: ReadonlyMap<string, number>; lastSuccessAt: number | undefined; inFlight: number }
  >
  /** By cause. */
  writeFailures: ReadonlyMap<string, number>
  damagedRows: () => number
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

type Write = <M extends GatheredMetric>(name: M, labels: Record<LabelsOf<M>, string>, value: number | string) => void
interface DefaultMetric {
  name: string
  type: string
  get(): Promise<object>
}

const HISTOGRAM_SERIES: Partial<Record<MetricName, HistogramName>> = {
  llm_latency_seconds: 'latency',
  llm_time_to_first_token_seconds: 'first_token',
}
const TABLE = METRICS as Record<MetricName, MetricDefinition>

/**
 * The text of `/metrics`. Nothing is accumulated here: each scrape reads the store's totals and the counters as they stand,
 * so a value is the exact number. It is written in slices: a scrape does not hold up captures.
 */
export function makeExposition(sources: ExpositionSources) {
  const { store } = sources
  const now = sources.now ?? Date.now
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'observer_' })
  const openMetrics = new Registry<OpenMetricsContentType>()
  openMetrics.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
  for (const metric of registry.getMetricsAsArray() as unknown as DefaultMetric[]) {
    const name = metric.type === 'counter' ? metric.name.replace(/_total$/, '') : metric.name
    // prom-client takes any object with `get`; its types know only its own classes.
    openMetrics.registerMetric({ name, get: async () => ({ ...(await metric.get()), name }) } as never)
  }
  const loop = monitorEventLoopDelay({ resolution: 10 })
  loop.enable()

  /** Values of the metrics that are no series of the ledger, gathered anew for each scrape. */
  async function gather(): Promise<Map<MetricName, string[]>> {
    const lines = new Map<MetricName, string[]>()
    const write: Write = (name, labels, value) => {
      const { labels: names } = TABLE[name]
      const values = names.map((label) => (labels as Record<string, string>)[label] ?? '')
      const text = `${seriesText(name, names, values)}${value}\n`
      const known = lines.get(name)
      if (known === undefined) lines.set(name, [text])
      else known.push(text)
    }
    await gatherBudgets(write)
    await gatherStore(write)
    gatherDeliveries(write)
    gatherProcess(write)
    return lines
  }

  async function gatherBudgets(write: Write): Promise<void> {
    const spend = await store.readSpend().catch(() => [])
    for (const { tenant, period, start, end, spent, unpriced, limit } of spend) {
      const labels = { tenant_id: tenant, period }
      write('llm_budget_spent_usd', labels, decimalUsd(spent))
      write('llm_budget_unpriced_calls', labels, String(unpriced))
      if (limit !== undefined) write('llm_budget_limit_usd', labels, decimalUsd(limit))
      write('llm_budget_period_start_timestamp_seconds', labels, start / 1000)
      write('llm_budget_period_end_timestamp_seconds', labels, end / 1000)
    }
  }

  async function gatherStore(write: Write): Promise<void> {
    write('observer_log_limit_bytes', {}, sources.limits.logBytes)
    write('observer_series', {}, store.seriesInUse)
    write('observer_series_limit', {}, sources.limits.series)
    write('observer_store_writable', {}, store.trouble === undefined ? 1 : 0)
    write('observer_store_rolled_back_captures', {}, store.rolledBack)
    write('observer_store_damaged_rows_total', {}, sources.damagedRows())
    for (const [cause, count] of sources.writeFailures) write('observer_store_write_failures_total', { cause }, count)
    const stats = await store.stats().catch(() => undefined)
    if (stats === undefined) return
    write('observer_log_bytes', {}, stats.logBytes)
    write('observer_dead_letter_bytes', {}, stats.deadLetterBytes)
    write('observer_store_file_bytes', {}, stats.fileBytes)
    write('observer_store_wal_bytes', {}, stats.walBytes)
    for (const { sink, oldestAt, deadLetters, held } of stats.sinks) {
      const seconds = oldestAt === undefined ? 0 : Math.max(0, (now() - oldestAt) / 1000)
      write('observer_sink_lag_seconds', { sink }, seconds)
      write('observer_dead_letters', { sink }, deadLetters)
      write('observer_sink_held_calls', { sink }, held)
    }
    // The log knows tenants by their own names; the labels are the ledger's (law 13).
    const settled = makeTally()
    const waiting = makeTally()
    for (const { sink, tenant, outcome, reason, count } of stats.counts) {
      const label = store.labelOf('tenant', tenant)
      const adds = outcome === 'due' || outcome === 'replayed'
      if (outcome !== 'discarded') waiting.add([sink, label], adds ? count : -count)
      if (outcome !== 'due') settled.add([sink, label, outcome, reason], count)
      else settled.add([sink, label, 'sent', ''], 0n)
    }
    for (const { labels, value } of waiting.values())
      write('observer_sink_lag_calls', { sink: labels[0]!, tenant_id: labels[1]! }, String(value))
    for (const { labels, value } of settled.values()) {
      const [sink = '', tenant_id = '', outcome = '', reason = ''] = labels
      write('observer_sink_calls_total', { sink, tenant_id, outcome, reason }, String(value))
    }
  }

  function gatherDeliveries(write: Write): void {
    for (const [sink, { retries, lastSuccessAt, inFlight }] of sources.deliver) {
      write('observer_sink_in_flight_calls', { sink }, inFlight)
      for (const [reason, count] of retries) write('observer_sink_retries_total', { sink, reason }, count)
      if (lastSuccessAt !== undefined)
        write('observer_sink_last_success_timestamp_seconds', { sink }, lastSuccessAt / 1000)
    }
  }

  function gatherProcess(write: Write): void {
    const { receive, book } = sources
    for (const [result, count] of Object.entries(receive.captures)) write('observer_captures_total', { result }, count)
    for (const [reason, count] of Object.entries(receive.refusals))
      write('observer_requests_refused_total', { reason }, count)
    write('observer_received_bytes_total', {}, receive.bytes)
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
    write('observer_price_book_info', { version: book.version }, 1)
    write('observer_price_catalogue_timestamp_seconds', {}, Date.parse(`${book.updated}T00:00:00Z`) / 1000)
    write('observer_price_book_loaded_timestamp_seconds', {}, book.stats.loadedAt / 1000)
    write('observer_price_book_reloads_total', { result: 'ok' }, book.stats.reloads)
    write('observer_price_book_reloads_total', { result: 'invalid' }, book.stats.failures)
  }

  function* gatheredLines(gathered: ReadonlyMap<MetricName, readonly string[]>, format: Format): Generator<string> {
    for (const name of Object.keys(TABLE) as MetricName[]) {
      if (isOfLedger(name)) continue
      const { type, help } = TABLE[name]
      yield headText(name, type, help, format)
      yield* gathered.get(name) ?? []
    }
  }

  function* ledgerLines(format: Format): Generator<string> {
    const shownSince = now() - sources.idleMs
    for (const name of Object.keys(TABLE) as MetricName[]) {
      if (!isOfLedger(name)) continue
      const { type, help, series } = TABLE[name]
      yield headText(name, type, help, format)
      const histogram = HISTOGRAM_SERIES[name]
      if (histogram !== undefined) {
        for (const sample of store.histogram(histogram))
          if (sample.changedAt >= shownSince) yield* histogramLines(name, histogram, sample, format)
      } else if (series !== undefined) {
        if (name === 'llm_calls_total') yield* callLines(shownSince)
        else for (const sample of store.series(series)) if (sample.changedAt >= shownSince) yield lineOf(name, sample)
        if (name === 'observer_captures_lost_total') yield* absentReasons()
      }
    }
  }

  function lineOf(name: MetricName, sample: Sample): string {
    sample.text ??= seriesText(name, TABLE[name].labels, sample.labels)
    return `${sample.text}${valueText(sample.value, TABLE[name].unit)}\n`
  }

  /**
   * Every status of a model that is called exists at 0 before it happens, so that its first failure is an increase. For the
   * same reason statuses of a model are idle together: one that is left out would come back as a new series.
   */
  function* callLines(shownSince: number): Generator<string> {
    const name = 'llm_calls_total'
    const models = new Map<
      string,
      { labels: readonly string[]; statuses: Set<string>; shown: boolean; idle: Sample[] }
    >()
    for (const sample of store.series('calls')) {
      const { labels, changedAt } = sample
      const key = labels.slice(0, 3).join('\u0000')
      let model = models.get(key)
      if (model === undefined) {
        model = { labels, statuses: new Set(), shown: false, idle: [] }
        models.set(key, model)
      }
      model.statuses.add(labels[3]!)
      if (changedAt < shownSince) model.idle.push(sample)
      else {
        model.shown = true
        yield lineOf(name, sample)
      }
    }
    for (const { labels, statuses, shown, idle } of models.values()) {
      if (!shown) continue
      for (const sample of idle) yield lineOf(name, sample)
      for (const status of CALL_STATUSES)
        if (!statuses.has(status)) yield `${seriesText(name, TABLE[name].labels, [...labels.slice(0, 3), status])}0\n`
    }
  }

  function* absentReasons(): Generator<string> {
    const counted = new Set(
      [...store.series('lost')].filter(({ labels }) => labels[0] === '').map(({ labels }) => labels[1]),
    )
    for (const reason of LOSS_REASONS)
      if (!counted.has(reason))
        yield `${seriesText('observer_captures_lost_total', ['node', 'reason'], ['', reason])}0\n`
  }

  function* histogramLines(
    name: MetricName,
    histogram: HistogramName,
    sample: HistogramSample,
    format: Format,
  ): Generator<string> {
    const { labels, counts, sumMs } = sample
    sample.texts ??= histogramTexts(name, histogram, labels)
    let cumulative = 0n
    for (let bucket = 0; bucket < counts.length; bucket++) {
      cumulative += counts[bucket]!
      const exemplar = format === 'openmetrics' ? exemplarText(histogram, labels, bucket) : ''
      yield `${sample.texts[bucket]}${cumulative}${exemplar}\n`
    }
    yield `${sample.texts[counts.length]}${Number(sumMs) / 1000}\n`
    yield `${sample.texts[counts.length + 1]}${cumulative}\n`
  }

  function histogramTexts(name: MetricName, histogram: HistogramName, labels: readonly string[]): string[] {
    const names = TABLE[name].labels
    const bounds = [...HISTOGRAMS[histogram].map(String), '+Inf']
    return [
      ...bounds.map((bound) => seriesText(`${name}_bucket`, [...names, 'le'], [...labels, bound])),
      seriesText(`${name}_sum`, names, labels),
      seriesText(`${name}_count`, names, labels),
    ]
  }

  function exemplarText(histogram: HistogramName, labels: readonly string[], bucket: number): string {
    const exemplar = sources.exemplars?.of(histogram, labels, bucket)
    if (exemplar === undefined) return ''
    const { traceId, spanId, seconds, at } = exemplar
    return ` # {trace_id="${traceId}",span_id="${spanId}"} ${seconds} ${at / 1000}`
  }

  async function render(accept: string | undefined): Promise<{ contentType: string; body: string[] }> {
    const format: Format = accept?.includes('application/openmetrics-text') === true ? 'openmetrics' : 'text'
    // A store that cannot write says so itself; what it has counted stands.
    await store.confirmGaps().catch(() => {})
    // The sinks come after the ledger: a call that is counted there is settled or waits here.
    const body = await inSlices(ledgerLines(format))
    body.push(...(await inSlices(gatheredLines(await gather(), format))))
    const ours = format === 'openmetrics' ? openMetrics : registry
    body.push(`${(await ours.metrics()).replace(/\n*(# EOF\n)?$/, '')}\n`)
    if (format === 'openmetrics') body.push('# EOF\n')
    return { contentType: CONTENT_TYPES[format], body }
  }

  return {
    /** OpenMetrics, with exemplars, where the Accept header has it; else Prometheus' text format. In chunks. */
    render,
    close(): void {
      loop.disable()
      registry.clear()
      openMetrics.clear()
    },
  }
}

function isOfLedger(name: MetricName): boolean {
  return TABLE[name].series !== undefined || HISTOGRAM_SERIES[name] !== undefined
}

function valueText(value: bigint, unit: MetricDefinition['unit']): string {
  if (unit === 'pico_usd') return decimalUsd(value)
  return unit === 'milliseconds' ? String(Number(value) / 1000) : String(value)
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
  }
}
