import { extname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { type Budgets, budgetsConfigSchema, makeBudgets } from '../budgets/budgets.ts'
import { type LlmCall, TOKEN_TYPES, type TokenType } from '../call.ts'
import { LEDGER_READER, type Spool } from '../spool/spool.ts'
import type { AdjustmentTotal } from './adjustment-totals.ts'
import type { TapTotal } from './capture-gaps.ts'
import { type CellDelta, type CountDelta, type Delta, deltaOf } from './delta.ts'
import { cleanLabel, type LabelKind, type LabelLimits, makeLabelFold } from './fold-labels.ts'
import type { LedgerStoreOptions, Loaded, RunningTotal } from './ledger-store.ts'
import type { Answer, Request } from './ledger-worker.ts'
import { type HistogramName, type HistogramSample, histogramSamples, makeSeries, type Sample } from './series.ts'
import { makeSpend, type TenantSpend } from './spend.ts'

export interface LedgerOptions {
  file: string
  labelLimits: LabelLimits
  /** How long a numbered capture may be missing before it counts as lost. */
  gapGraceMs: number
  /** How long a call's own line is kept, so that it can be priced again; for ever where not given. */
  callRetentionMs?: number
  /** Calendars and ceilings of tenants; without: UTC, and no ceilings. */
  budgets?: Budgets
  now?: () => number
  /**
   * The disk is full, or another program keeps the file locked: the ledger waits and tries the same batch again. Told
   * once each time that it begins.
   */
  onStall?: (error: Error) => void
  /** Told after the commit, once for each call that was counted. */
  onCounted?: (calls: readonly LlmCall[]) => void
}

/** Totals that the ledger holds, as named series. Labels in the order given. */
export const LEDGER_SERIES = {
  calls: ['tenant', 'provider', 'model', 'status'],
  tokens: ['tenant', 'provider', 'model', 'type'],
  cost: ['tenant', 'provider', 'model'],
  failed_cost: ['tenant', 'provider', 'model', 'status'],
  saved: ['tenant', 'provider', 'model'],
  cache_saved: ['tenant', 'provider', 'model'],
  adjusted_cost: ['tenant', 'provider', 'model', 'direction'],
  adjusted_calls: ['tenant', 'provider', 'model'],
  cache_requests: ['tenant'],
  cache_hits: ['tenant'],
  cache_calls: ['tenant', 'provider', 'model', 'result'],
  cache_milliseconds: ['tenant', 'provider', 'model', 'result'],
  lookup_cost: ['tenant'],
  unpriced_lookups: ['tenant'],
  rate_limited: ['tenant', 'provider', 'by'],
  failed_attempts: ['tenant', 'provider'],
  tenant_claims: ['tenant'],
  guardrail: ['tenant', 'guardrail', 'stage', 'action'],
  finished: ['tenant', 'provider', 'model', 'reason'],
  unpriced: ['tenant', 'provider', 'model', 'reason'],
  usage_source_calls: ['tenant', 'source'],
  usage_source_cost: ['tenant', 'source'],
  repeats: ['tenant'],
  folded: ['kind'],
  malformed: ['field'],
  capture_gaps: ['node'],
  capture_late: ['node'],
  plugin_dropped: ['reason'],
  tap_errors: ['node'],
  untapped: ['route'],
  websockets: ['route'],
} as const
export type LedgerSeries = keyof typeof LEDGER_SERIES

export interface PluginDrops {
  instance: string
  /** Running totals of that instance: told twice, they count once. */
  totals: readonly { reason: string; total: number }[]
  sequences: readonly (readonly [epoch: string, sequence: number])[]
}

export interface TenantTotals {
  tenant: string
  calls: bigint
  tokens: Partial<Record<TokenType, bigint>>
  picoUsd: bigint
  savedPicoUsd: bigint
  unpriced: bigint
}

/** What the methods that write promise: it is stored when they resolve. A rejection may be left unobserved. */
export interface Ledger {
  /** Reads the spool from the ledger's own position until the signal aborts. */
  follow(spool: Spool, signal: AbortSignal): Promise<void>
  series(name: LedgerSeries): Iterable<Sample>
  histogram(name: HistogramName): Iterable<HistogramSample>
  perTenant(): TenantTotals[]
  /** The label under which a name is counted, or would be. */
  labelOf(kind: LabelKind, name: string): string
  /** Where it stands in the spool. */
  readonly position: number
  recordPluginDrops(drops: PluginDrops): Promise<void>
  /** Running totals of an epoch of the tap, counted like the plugin's. */
  recordTapErrors(errors: readonly { node: string; epoch: string; total: number }[]): Promise<void>
  /** What the tap's timer tells: captures up to that number exist, whether they came or not. */
  recordTapTotal(total: TapTotal): Promise<void>
  /**
   * Turns what has been missing for too long into losses. Called before each scrape. Time in which the ledger was closed
   * or had calls to catch up with, or in which captures were refused, does not count as time in which one could have come.
   */
  confirmGaps(): Promise<void>
  /** Captures were refused for now (the spool is full): the plugin keeps them and sends them again. */
  capturesRefused(): void
  /** Sees what `reprice`, another process, has written since. Called before each scrape. */
  readAdjustments(): Promise<void>
  /** What every tenant with calls or a ceiling has spent of its current day, week and month; exact. */
  readSpend(): Promise<TenantSpend[]>
  close(): Promise<void>
}

const BATCH = { calls: 500, bytes: 8 * 1024 * 1024 }
const RETRY_MS = 1000

class StoreWaits extends Error {}

/**
 * The reader with state. Everything that `/metrics` says about calls comes from here, and moves only after the
 * transaction that also moves the position: after a crash it goes on exactly where the stored calls say.
 *
 *   spool.read ─▶ deltaOf (pure) ─▶ worker: cells, counts, position in one transaction ─▶ totals in memory ─▶ spool.commit
 */
export async function openLedger(options: LedgerOptions): Promise<Ledger> {
  const now = options.now ?? Date.now
  const budgets = options.budgets ?? makeBudgets(budgetsConfigSchema.parse({}))
  const { loaded, ask, close } = await openWorker({
    file: options.file,
    gapGraceMs: options.gapGraceMs,
    callRetentionMs: options.callRetentionMs,
    reservedTenants: budgets.tenants.map(cleanLabel),
  })
  const fold = makeLabelFold(options.labelLimits, loaded.labels)
  const totals = makeSeries()
  const histograms = makeSeries()
  const spend = makeSpend(budgets, (ranges) => ask({ op: 'spend', ranges }).then(({ sums = [] }) => sums))
  let adjustments = seriesOf(loaded.adjustments)
  let { position, spool: followed } = loaded
  /** Since when it has been open and at the end of the spool. */
  let caughtUpSince = now()
  for (const cell of loaded.cells) addCell(cell)
  for (const { name, labels, value } of loaded.counts)
    if (isSeries(name)) totals.add(name, labels.slice(0, LEDGER_SERIES[name].length), value)
  for (const { name, labels, value } of loaded.histograms) histograms.add(name, labels, value)

  function addCell(cell: Omit<CellDelta, 'hour'>): void {
    const { tenant, provider, model, status, calls, cost, saved, cacheSaved, tokens } = cell
    totals.add('calls', [tenant, provider, model, status], calls)
    totals.add('cost', [tenant, provider, model], cost)
    if (status !== 'ok') totals.add('failed_cost', [tenant, provider, model, status], cost)
    totals.add('saved', [tenant, provider, model], saved)
    totals.add('cache_saved', [tenant, provider, model], cacheSaved)
    for (let index = 0; index < TOKEN_TYPES.length; index++)
      if (tokens[index]! > 0n) totals.add('tokens', [tenant, provider, model, TOKEN_TYPES[index]!], tokens[index]!)
  }
  function addCounted({ counted = [] }: Answer): void {
    addCounts(counted)
  }
  function addCounts(counts: readonly CountDelta[]): void {
    for (const { name, labels, value } of counts) totals.add(name, labels, value)
  }

  /** Stored and then counted; waits where the disk is full. False when the signal ended it: nothing has moved. */
  async function apply(delta: Delta, upTo: number, spool: string | undefined, signal: AbortSignal): Promise<boolean> {
    for (let stalled = false; ; ) {
      try {
        const { counted = [] } = await ask({ op: 'apply', delta, position: upTo, spool, now: now() })
        for (const cell of delta.cells) addCell(cell)
        spend.add(delta.spend)
        addCounts(delta.counts)
        addCounts(counted)
        for (const { name, labels, value } of delta.histograms) histograms.add(name, labels, value)
        position = upTo
        return true
      } catch (error) {
        if (!(error instanceof StoreWaits) || signal.aborted) {
          for (const [kind, name] of delta.newLabels) fold.forget(kind, name)
          if (error instanceof StoreWaits) return false
          throw error
        }
        if (!stalled) options.onStall?.(error)
        stalled = true
        caughtUpSince = now()
        await sleep(RETRY_MS, undefined, { signal }).catch(() => {})
      }
    }
  }

  /** A caller that does not wait must not bring the process down: the same failure ends `follow`, which says so. */
  function unobserved(work: Promise<void>): Promise<void> {
    work.catch(() => {})
    return work
  }
  function grow(told: RunningTotal[], dropped: { epoch: string; sequences: number[] }[]): Promise<void> {
    return unobserved(ask({ op: 'grow', totals: told, dropped, now: now() }).then(addCounted))
  }

  return {
    get position() {
      return position
    },
    series: (name) => (name === 'adjusted_cost' || name === 'adjusted_calls' ? adjustments : totals).of(name),
    histogram: (name) => histogramSamples(name, histograms.of(name)),
    perTenant: () => tenantTotals(totals.of.bind(totals)),
    labelOf: fold.labelOf,
    async follow(spool, signal) {
      const { lastPosition, identity } = await spool.stats()
      // Another spool, or an empty one in the place of the old: its positions start again, and its calls are new.
      const replaced = identity !== undefined && followed !== undefined && identity !== followed
      if (replaced || lastPosition < position) position = 0
      followed = identity
      while (!signal.aborted) {
        const batch = await spool.read(LEDGER_READER, BATCH, signal, position)
        if (batch === undefined) break
        const calls = batch.entries.map(({ call }) => call)
        if (!(await apply(deltaOf(calls, fold), batch.upTo, identity, signal))) break
        options.onCounted?.(calls)
        if (batch.entries.length === BATCH.calls) caughtUpSince = now()
        await spool.commit(LEDGER_READER, position, [])
      }
    },
    recordPluginDrops({ instance, totals: told, sequences }) {
      const byEpoch = new Map<string, number[]>()
      for (const [epoch, sequence] of sequences) {
        const known = byEpoch.get(epoch)
        if (known === undefined) byEpoch.set(epoch, [sequence])
        else known.push(sequence)
      }
      return grow(
        told.map(({ reason, total }) => ({
          instance,
          reason,
          total,
          counter: { name: 'plugin_dropped', labels: [reason] },
        })),
        [...byEpoch].map(([epoch, dropped]) => ({ epoch, sequences: dropped })),
      )
    },
    recordTapErrors: (errors) =>
      grow(
        errors.map(({ node, epoch, total }) => ({
          instance: `tap ${node} ${epoch}`,
          reason: 'tap_error',
          total,
          counter: { name: 'tap_errors', labels: [fold.labelOf('node', node)] },
        })),
        [],
      ),
    recordTapTotal({ node, epoch, sequence }) {
      const label = fold.labelOf('node', node)
      // There at 0 before its first loss, as after a node's first call.
      totals.add('capture_gaps', [label], 0n)
      return unobserved(ask({ op: 'tapTotals', told: [{ node: label, epoch, sequence }], now: now() }).then(addCounted))
    },
    capturesRefused() {
      caughtUpSince = now()
    },
    confirmGaps() {
      if (now() - caughtUpSince < options.gapGraceMs) return Promise.resolve()
      return unobserved(ask({ op: 'confirmGaps', now: now() }).then(addCounted))
    },
    async readAdjustments() {
      const { adjustments: changed } = await ask({ op: 'adjustments' })
      if (changed === undefined) return
      adjustments = seriesOf(changed)
      spend.forget()
    },
    readSpend() {
      const tenants = new Set(budgets.tenants.map((tenant) => fold.labelOf('tenant', tenant)))
      for (const { labels } of totals.of('calls')) tenants.add(labels[0]!)
      return spend.read(tenants, now())
    },
    close,
  }
}

function seriesOf(adjustments: readonly AdjustmentTotal[]) {
  const series = makeSeries()
  for (const { tenant, provider, model, entries, up, down } of adjustments) {
    series.add('adjusted_cost', [tenant, provider, model, 'up'], up)
    series.add('adjusted_cost', [tenant, provider, model, 'down'], down)
    series.add('adjusted_calls', [tenant, provider, model], entries)
  }
  return series
}

function isSeries(name: string): name is LedgerSeries {
  return Object.hasOwn(LEDGER_SERIES, name)
}

function tenantTotals(series: (name: LedgerSeries) => Iterable<Sample>): TenantTotals[] {
  const tenants = new Map<string, TenantTotals>()
  const add = (name: LedgerSeries, into: (of: TenantTotals, value: bigint, labels: readonly string[]) => void) => {
    for (const { labels, value } of series(name)) {
      const tenant = labels[0]!
      const found = tenants.get(tenant) ?? {
        tenant,
        calls: 0n,
        tokens: {},
        picoUsd: 0n,
        savedPicoUsd: 0n,
        unpriced: 0n,
      }
      tenants.set(tenant, found)
      into(found, value, labels)
    }
  }
  add('calls', (of, value) => {
    of.calls += value
  })
  add('tokens', (of, value, labels) => {
    const type = labels[3] as TokenType
    of.tokens[type] = (of.tokens[type] ?? 0n) + value
  })
  add('cost', (of, value) => {
    of.picoUsd += value
  })
  add('saved', (of, value) => {
    of.savedPicoUsd += value
  })
  add('unpriced', (of, value) => {
    of.unpriced += value
  })
  return [...tenants.values()]
}

/** The store in its thread, so that no fsync holds up the event loop. */
async function openWorker(workerData: LedgerStoreOptions) {
  const pending = new Map<number, { resolve: (answer: Answer) => void; reject: (error: Error) => void }>()
  let tickets = 0
  let broken: Error | undefined
  // The same extension as this file: .ts in the checkout, .js in the package.
  const worker = new Worker(new URL(`./ledger-worker${extname(import.meta.url)}`, import.meta.url), { workerData })
  const fail = (error: Error) => {
    broken ??= error
    for (const { reject } of pending.values()) reject(broken)
    pending.clear()
  }
  const opened = new Promise<Loaded>((resolve, reject) => {
    worker.on('message', (answer: Answer) => {
      const { ticket, loaded, error } = answer
      if (ticket === 0) {
        if (loaded !== undefined) resolve(loaded)
        else reject(new Error(error?.message))
        return
      }
      const asked = pending.get(ticket)
      pending.delete(ticket)
      if (error === undefined) asked?.resolve(answer)
      else asked?.reject(error.passing ? new StoreWaits(error.message) : new Error(error.message))
    })
    worker.on('error', (error: Error) => {
      fail(error)
      reject(error)
    })
    worker.on('exit', () => fail(new Error('the ledger is closed')))
  })
  function ask(request: Request): Promise<Answer> {
    if (broken !== undefined) return Promise.reject(broken)
    const ticket = ++tickets
    return new Promise((resolve, reject) => {
      pending.set(ticket, { resolve, reject })
      worker.postMessage({ ...request, ticket })
    })
  }
  try {
    return {
      loaded: await opened,
      ask,
      async close() {
        if (broken === undefined) await ask({ op: 'close' })
        await worker.terminate()
      },
    }
  } catch (error) {
    await worker.terminate()
    throw error
  }
}
