import { type LlmCall, TOKEN_TYPES, type TokenType } from '../call.ts'
import type { AdjustmentTotal } from '../ledger/adjustment-totals.ts'
import type { CellDelta, Delta } from '../ledger/delta.ts'
import { type CallLabels, type LabelKind, type LabelLimits, makeLabelFold } from '../ledger/fold-labels.ts'
import type { LoadedLedger } from '../ledger/ledger-tables.ts'
import { type HistogramName, type HistogramSample, makeHistograms, makeSeries, type Sample } from '../ledger/series.ts'

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
  reasons: ['tenant', 'reason'],
  bill_above_list: ['provider'],
  bill_below_list: ['provider'],
  agent_calls: ['tenant', 'protocol', 'method', 'outcome'],
  agent_milliseconds: ['tenant', 'protocol', 'method', 'outcome'],
  folded: ['kind'],
  malformed: ['field'],
  lost: ['node', 'reason'],
  late: ['node'],
  late_refused: ['node'],
  plugin_errors: ['kind'],
  tap_errors: ['node'],
  untapped: ['route'],
  websockets: ['route'],
  content_expired: ['tenant'],
} as const
export type LedgerSeries = keyof typeof LEDGER_SERIES

export interface TenantTotals {
  tenant: string
  calls: bigint
  tokens: Partial<Record<TokenType, bigint>>
  picoUsd: bigint
  savedPicoUsd: bigint
  unpriced: bigint
}

/** The ledger's totals in memory, for `/metrics`. They move by what a transaction returns, after its commit. */
export interface Totals {
  series(name: LedgerSeries): Iterable<Sample>
  histogram(name: HistogramName): Iterable<HistogramSample>
  perTenant(): TenantTotals[]
  /** The label under which a name is counted, or would be. */
  labelOf(kind: LabelKind, name: string): string
  labelsOf(call: Pick<LlmCall, 'tenant' | 'provider' | 'model'>): CallLabels
  /** Lines of `/metrics` that the admitted tenants, providers and models may make. */
  readonly seriesInUse: number
}

export function makeTotals(
  limits: LabelLimits,
  loaded: LoadedLedger,
  now: number,
): Totals & { apply(delta: Delta, now: number): void } {
  const totals = makeSeries()
  const histograms = makeHistograms()
  const fold = makeLabelFold(limits, { names: loaded.labels, models: loaded.cells })
  for (const cell of loaded.cells) addCell(cell, now)
  for (const { name, labels, value } of loaded.counts)
    if (isSeries(name)) totals.add(name, labels.slice(0, LEDGER_SERIES[name].length), value, now)
  for (const { name, labels, value } of loaded.histograms) histograms.add(name, labels, value, now)
  for (const total of loaded.adjustments) addAdjustments(total, now)

  function addCell(cell: Omit<CellDelta, 'hour'>, at: number): void {
    const { tenant, provider, model, status, calls, cost, saved, cacheSaved, tokens } = cell
    totals.add('calls', [tenant, provider, model, status], calls, at)
    totals.add('cost', [tenant, provider, model], cost, at)
    if (status !== 'ok') totals.add('failed_cost', [tenant, provider, model, status], cost, at)
    totals.add('saved', [tenant, provider, model], saved, at)
    totals.add('cache_saved', [tenant, provider, model], cacheSaved, at)
    for (let index = 0; index < TOKEN_TYPES.length; index++)
      if (tokens[index]! > 0n) totals.add('tokens', [tenant, provider, model, TOKEN_TYPES[index]!], tokens[index]!, at)
  }
  function addAdjustments({ tenant, provider, model, entries, up, down }: AdjustmentTotal, at: number): void {
    totals.add('adjusted_cost', [tenant, provider, model, 'up'], up, at)
    totals.add('adjusted_cost', [tenant, provider, model, 'down'], down, at)
    totals.add('adjusted_calls', [tenant, provider, model], entries, at)
  }

  return {
    apply(delta, at) {
      fold.learn(delta.newLabels, delta.cells)
      for (const cell of delta.cells) addCell(cell, at)
      for (const { name, labels, value } of delta.counts) totals.add(name, labels, value, at)
      for (const { name, labels, value } of delta.histograms) histograms.add(name, labels, value, at)
      for (const total of delta.adjusted) addAdjustments(total, at)
    },
    series: (name) => totals.of(name),
    histogram: (name) => histograms.of(name),
    perTenant: () => tenantTotals((name) => totals.of(name)),
    labelOf: fold.labelOf,
    labelsOf: fold.labelsOf,
    get seriesInUse() {
      return fold.series
    },
  }
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
