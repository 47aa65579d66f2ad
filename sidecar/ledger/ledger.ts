import { DatabaseSync } from 'node:sqlite'
import { billedPicoUsd, type LlmCall, TOKEN_TYPES, type TokenType, type Usage } from '../call.ts'
import { migrate } from '../spool/migrate.ts'
import { LEDGER_READER, type Spool } from '../spool/spool.ts'
import { makeCaptureGaps } from './capture-gaps.ts'
import { type LabelKind, type LabelLimits, makeLabelFold } from './fold-labels.ts'
import { LEDGER_MIGRATIONS } from './schema.ts'
import { bucketOf, type HistogramName, makeSeries, type Sample, SUM } from './series.ts'

export interface LedgerOptions {
  file: string
  labelLimits: LabelLimits
  /** How long a numbered capture may be missing before it counts as lost. */
  gapGraceMs: number
  now?: () => number
}

/** Totals that the ledger holds, as named series. Labels in the order given. */
export const LEDGER_SERIES = {
  calls: ['tenant', 'provider', 'model', 'status'],
  tokens: ['tenant', 'provider', 'model', 'type'],
  cost: ['tenant', 'provider', 'model'],
  saved: ['tenant', 'provider', 'model'],
  cache_requests: ['tenant'],
  cache_hits: ['tenant'],
  guardrail: ['tenant', 'guardrail', 'stage', 'action'],
  unpriced: ['tenant', 'provider', 'model', 'reason'],
  usage_source_calls: ['tenant', 'source'],
  usage_source_cost: ['tenant', 'source'],
  repeats: ['tenant'],
  folded: ['kind'],
  capture_gaps: ['node'],
  capture_late: ['node'],
  plugin_dropped: ['reason'],
  tap_errors: ['node'],
} as const
export type LedgerSeries = keyof typeof LEDGER_SERIES

export interface HistogramSample {
  labels: readonly string[]
  /** One for each bound and +Inf; not cumulative. */
  counts: readonly bigint[]
  sumMs: bigint
}

export interface PluginDrops {
  instance: string
  /** Running totals of that instance: told twice, they count once. */
  totals: readonly { reason: string; total: number }[]
  sequences: readonly (readonly [epoch: string, sequence: number])[]
}

export interface Ledger {
  /** Reads the spool from the ledger's own position until the signal aborts. */
  follow(spool: Spool, signal: AbortSignal): Promise<void>
  series(name: LedgerSeries): Iterable<Sample>
  histogram(name: HistogramName): Iterable<HistogramSample>
  /** Where it stands in the spool. */
  readonly position: number
  recordPluginDrops(drops: PluginDrops): void
  /** Running totals of an epoch of the tap, counted like the plugin's. */
  recordTapErrors(errors: readonly { node: string; epoch: string; total: number }[]): void
  /** Turns what has been missing for too long into losses. Called before a scrape, and by `follow`. */
  confirmGaps(): void
  close(): Promise<void>
}

const BATCH = { calls: 500, bytes: 8 * 1024 * 1024 }
const PICO_PER_USD = 1_000_000_000_000n
const HOUR_MS = 3_600_000
const tokenColumn = (type: TokenType) => `tokens_${type}`

interface Cell {
  key: readonly [hour: number, tenant: string, provider: string, model: string, status: string]
  calls: bigint
  cost: bigint
  saved: bigint
  tokens: Partial<Record<TokenType, bigint>>
}

/**
 * The reader with state. Everything that `/metrics` says about calls comes from here, and moves only with the
 * transaction that also moves the position: after a crash it goes on exactly where the stored calls say.
 */
export async function openLedger(options: LedgerOptions): Promise<Ledger> {
  const now = options.now ?? Date.now
  const database = new DatabaseSync(options.file, { timeout: 5000 })
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
  migrate(database, options.file, LEDGER_MIGRATIONS)

  const gaps = makeCaptureGaps(database, options.gapGraceMs)
  const fold = makeLabelFold(
    options.labelLimits,
    database.prepare('SELECT kind, name FROM labels').all() as { kind: string; name: string }[],
  )
  const totals = makeSeries()
  const histograms: Record<HistogramName, ReturnType<typeof makeSeries>> = {
    latency: makeSeries(),
    first_token: makeSeries(),
  }
  let position = readPosition(database)
  loadTotals(database, totals, histograms)

  const setPosition = database.prepare('UPDATE position SET position = ?')
  const addCell = database.prepare(
    `INSERT INTO cells (hour, tenant, provider, model, status, calls, cost_usd, cost_pico, saved_usd, saved_pico, ${TOKEN_TYPES.map(tokenColumn).join(', ')})
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ${TOKEN_TYPES.map(() => '?').join(', ')})
     ON CONFLICT DO UPDATE SET calls = calls + excluded.calls, cost_usd = cost_usd + excluded.cost_usd, cost_pico = cost_pico + excluded.cost_pico,
       saved_usd = saved_usd + excluded.saved_usd, saved_pico = saved_pico + excluded.saved_pico,
       ${TOKEN_TYPES.map((type) => `${tokenColumn(type)} = ${tokenColumn(type)} + excluded.${tokenColumn(type)}`).join(', ')}`,
  )
  const addCount = database.prepare(
    'INSERT INTO counts VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value',
  )
  const addHistogram = database.prepare(
    'INSERT INTO histograms VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value',
  )
  const admit = database.prepare('INSERT OR IGNORE INTO labels VALUES (?, ?)')
  const dropTotal = database.prepare('SELECT total FROM plugin_drops WHERE instance = ? AND reason = ?')
  const setDropTotal = database.prepare(
    'INSERT INTO plugin_drops VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET total = excluded.total',
  )

  /** All or nothing: on an error neither the store nor the totals have moved. */
  function transaction(work: (delta: ReturnType<typeof makeDelta>) => void): void {
    const delta = makeDelta()
    const admitted: [LabelKind, string][] = []
    database.exec('BEGIN IMMEDIATE')
    try {
      work(delta)
      for (const [kind, name] of delta.newLabels) {
        admitted.push([kind, name])
        admit.run(kind, name)
      }
      for (const cell of delta.cells.values())
        addCell.run(
          ...cell.key,
          cell.calls,
          cell.cost / PICO_PER_USD,
          cell.cost % PICO_PER_USD,
          cell.saved / PICO_PER_USD,
          cell.saved % PICO_PER_USD,
          ...TOKEN_TYPES.map((type) => cell.tokens[type] ?? 0n),
        )
      for (const name of COUNTED)
        for (const { labels, value } of delta.counts.of(name)) {
          const [a = '', b = '', c = '', d = ''] = labels
          if (name === SPLIT_MONEY) addCount.run(`${name}${IN_USD}`, a, b, c, d, value / PICO_PER_USD)
          addCount.run(name, a, b, c, d, name === SPLIT_MONEY ? value % PICO_PER_USD : value)
        }
      for (const name of ['latency', 'first_token'] as const)
        for (const { labels, value } of delta.histograms[name].of(name))
          addHistogram.run(name, labels[0]!, labels[1]!, labels[2]!, Number(labels[3]), value)
      database.exec('COMMIT')
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK')
      for (const [kind, name] of admitted.length > 0 ? admitted : delta.newLabels) fold.forget(kind, name)
      throw error
    }
    for (const cell of delta.cells.values()) addCellToTotals(totals, cell)
    for (const name of COUNTED) for (const { labels, value } of delta.counts.of(name)) totals.add(name, labels, value)
    for (const name of ['latency', 'first_token'] as const)
      for (const { labels, value } of delta.histograms[name].of(name)) histograms[name].add(name, labels, value)
  }

  function label(delta: ReturnType<typeof makeDelta>, kind: LabelKind, name: string): string {
    const { label: folded, isNew, folded: wasFolded } = fold.fold(kind, name)
    if (isNew) delta.newLabels.push([kind, folded])
    if (wasFolded) delta.counts.add('folded', [kind], 1n)
    return folded
  }

  function count(delta: ReturnType<typeof makeDelta>, call: LlmCall): void {
    const tenant = label(delta, 'tenant', call.tenant)
    const model = label(delta, 'model', call.model)
    const { provider, status } = call
    const cost = BigInt(billedPicoUsd(call))
    delta.cell(
      [Math.floor(call.startedAt / HOUR_MS), tenant, provider, model, status],
      cost,
      BigInt(call.savedPicoUsd ?? 0),
      call.usage,
    )
    const counts = delta.counts
    const { gateway, cache } = call
    if (gateway.epoch !== undefined && gateway.sequence !== undefined) {
      const seen = gaps.arrived(gateway.node, gateway.epoch, gateway.sequence, now())
      // The series is there at 0 from a node's first call, so that its first loss is an increase.
      counts.add('capture_gaps', [gateway.node], 0n)
      // Its number was given up, or an old epoch's numbers are forgotten: the loss stays counted, and so does this.
      if (seen === 'seen') counts.add('capture_late', [gateway.node], 1n)
    }
    if (call.repeat === true) {
      counts.add('repeats', [tenant], 1n)
      return
    }
    const series = [tenant, provider, model]
    delta.observe('latency', series, call.durationMs)
    if (call.timeToFirstByteMs !== undefined && call.status === 'ok')
      delta.observe('first_token', series, call.timeToFirstByteMs)
    if (cache === 'hit' || cache === 'miss' || cache === 'refresh') counts.add('cache_requests', [tenant], 1n)
    if (cache === 'hit') counts.add('cache_hits', [tenant], 1n)
    for (const event of call.guardrails)
      counts.add('guardrail', [tenant, event.guardrail, event.stage, event.action], 1n)
    if (call.cost.state === 'unpriced') counts.add('unpriced', [...series, call.cost.reason], 1n)
    counts.add('usage_source_calls', [tenant, call.usageSource], 1n)
    counts.add('usage_source_cost', [tenant, call.usageSource], cost)
  }

  /** By how much a running total has grown since it was told last; told twice, it has not. Inside a transaction. */
  function grown(instance: string, reason: string, total: number): bigint {
    const before = (dropTotal.get(instance, reason) as { total: number } | undefined)?.total ?? 0
    if (total <= before) return 0n
    setDropTotal.run(instance, reason, total)
    return BigInt(total - before)
  }

  const ledger: Ledger = {
    get position() {
      return position
    },
    series: (name) => totals.of(name),
    histogram: (name) => histogramSamples(name, histograms[name].of(name)),
    async follow(spool, signal) {
      const { lastPosition } = await spool.stats()
      // The spool was replaced by an empty one: its positions start again, and its calls are new.
      if (lastPosition < position) position = 0
      while (!signal.aborted) {
        const batch = await spool.read(LEDGER_READER, BATCH, signal, position)
        if (batch === undefined) break
        transaction((delta) => {
          for (const { call } of batch.entries) count(delta, call)
          setPosition.run(batch.upTo)
        })
        position = batch.upTo
        await spool.commit(LEDGER_READER, position, [])
      }
    },
    recordPluginDrops({ instance, totals: told, sequences }) {
      transaction(({ counts }) => {
        for (const { reason, total } of told) counts.add('plugin_dropped', [reason], grown(instance, reason, total))
        // The plugin does not know the node; epochs are random, so the epoch alone finds it.
        for (const [epoch, sequence] of sequences)
          for (const { node } of nodesOf.all(epoch) as { node: string }[]) gaps.arrived(node, epoch, sequence, now())
      })
    },
    recordTapErrors(errors) {
      transaction(({ counts }) => {
        for (const { node, epoch, total } of errors)
          counts.add('tap_errors', [node], grown(`tap ${node} ${epoch}`, 'tap_error', total))
      })
    },
    confirmGaps() {
      if ((anyMissing.get(now() - options.gapGraceMs) as object | undefined) === undefined) return
      transaction(({ counts }) => {
        for (const [node, lost] of gaps.confirm(now())) counts.add('capture_gaps', [node], BigInt(lost))
      })
    },
    async close() {
      database.close()
    },
  }
  const nodesOf = database.prepare('SELECT node FROM epochs WHERE epoch = ?')
  const anyMissing = database.prepare('SELECT 1 FROM missing WHERE noticed_at <= ? LIMIT 1')
  return ledger
}

/** Series that are kept in `counts`; the others are sums over `cells`. */
const COUNTED = [
  'cache_requests',
  'cache_hits',
  'guardrail',
  'unpriced',
  'usage_source_calls',
  'usage_source_cost',
  'repeats',
  'folded',
  'capture_gaps',
  'capture_late',
  'plugin_dropped',
  'tap_errors',
] as const satisfies readonly LedgerSeries[]

/** Money among the counts: whole dollars stand in a row of their own, for the reason that schema.ts gives. */
const SPLIT_MONEY = 'usage_source_cost' satisfies LedgerSeries
const IN_USD = '.usd'

/** What one transaction adds, gathered first so that each row is written once. */
function makeDelta() {
  const cells = new Map<string, Cell>()
  const counts = makeSeries()
  const histograms = { latency: makeSeries(), first_token: makeSeries() }
  return {
    cells,
    counts,
    histograms,
    newLabels: [] as [LabelKind, string][],
    cell(key: Cell['key'], cost: bigint, saved: bigint, usage: Usage) {
      const name = key.join('\u0000')
      let cell = cells.get(name)
      if (cell === undefined) {
        cell = { key, calls: 0n, cost: 0n, saved: 0n, tokens: {} }
        cells.set(name, cell)
      }
      cell.calls++
      cell.cost += cost
      cell.saved += saved
      for (const type of TOKEN_TYPES) {
        const tokens = usage[type]
        if (tokens !== undefined) cell.tokens[type] = (cell.tokens[type] ?? 0n) + BigInt(tokens)
      }
    },
    observe(name: HistogramName, labels: readonly string[], milliseconds: number) {
      histograms[name].add(name, [...labels, String(bucketOf(name, milliseconds))], 1n)
      histograms[name].add(name, [...labels, String(SUM)], BigInt(Math.round(milliseconds)))
    },
  }
}

function addCellToTotals(totals: ReturnType<typeof makeSeries>, { key, calls, cost, saved, tokens }: Cell): void {
  const [, tenant, provider, model, status] = key
  totals.add('calls', [tenant, provider, model, status], calls)
  totals.add('cost', [tenant, provider, model], cost)
  if (saved > 0n) totals.add('saved', [tenant, provider, model], saved)
  for (const type of TOKEN_TYPES) {
    const value = tokens[type]
    if (value !== undefined && value > 0n) totals.add('tokens', [tenant, provider, model, type], value)
  }
}

function readPosition(database: DatabaseSync): number {
  return (database.prepare('SELECT position FROM position').get() as { position: number }).position
}

function loadTotals(
  database: DatabaseSync,
  totals: ReturnType<typeof makeSeries>,
  histograms: Record<HistogramName, ReturnType<typeof makeSeries>>,
): void {
  const cells = database.prepare('SELECT * FROM cells')
  cells.setReadBigInts(true)
  for (const row of cells.iterate() as Iterable<Record<string, bigint | string>>) {
    const big = (column: string) => row[column] as bigint
    const text = (column: string) => row[column] as string
    addCellToTotals(totals, {
      key: [Number(big('hour')), text('tenant'), text('provider'), text('model'), text('status')],
      calls: big('calls'),
      cost: big('cost_usd') * PICO_PER_USD + big('cost_pico'),
      saved: big('saved_usd') * PICO_PER_USD + big('saved_pico'),
      tokens: Object.fromEntries(TOKEN_TYPES.map((type) => [type, big(tokenColumn(type))])),
    })
  }
  const counts = database.prepare('SELECT metric, a, b, c, d, value FROM counts')
  counts.setReadBigInts(true)
  for (const row of counts.iterate() as Iterable<{
    metric: string
    a: string
    b: string
    c: string
    d: string
    value: bigint
  }>) {
    const inUsd = row.metric.endsWith(IN_USD)
    const name = (inUsd ? row.metric.slice(0, -IN_USD.length) : row.metric) as LedgerSeries
    const labels = [row.a, row.b, row.c, row.d].slice(0, LEDGER_SERIES[name].length)
    totals.add(name, labels, inUsd ? row.value * PICO_PER_USD : row.value)
  }
  const buckets = database.prepare('SELECT metric, tenant, provider, model, bucket, value FROM histograms')
  buckets.setReadBigInts(true)
  for (const row of buckets.iterate() as Iterable<{
    metric: HistogramName
    tenant: string
    provider: string
    model: string
    bucket: bigint
    value: bigint
  }>)
    histograms[row.metric]?.add(row.metric, [row.tenant, row.provider, row.model, String(row.bucket)], row.value)
}

function histogramSamples(name: HistogramName, samples: Iterable<Sample>): HistogramSample[] {
  const width = bucketOf(name, Number.POSITIVE_INFINITY) + 1
  const byLabels = new Map<string, { labels: readonly string[]; counts: bigint[]; sumMs: bigint }>()
  for (const { labels, value } of samples) {
    const [tenant, provider, model, bucket] = labels as [string, string, string, string]
    const key = `${tenant}\u0000${provider}\u0000${model}`
    let sample = byLabels.get(key)
    if (sample === undefined) {
      sample = { labels: [tenant, provider, model], counts: Array<bigint>(width).fill(0n), sumMs: 0n }
      byLabels.set(key, sample)
    }
    if (Number(bucket) === SUM) sample.sumMs = value
    else sample.counts[Number(bucket)] = value
  }
  return [...byLabels.values()]
}
