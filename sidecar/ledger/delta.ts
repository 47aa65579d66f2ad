import { type AgentEvent, type LlmCall, TOKEN_TYPES } from '../call.ts'
import type { AdjustmentTotal } from './adjustment-totals.ts'
import { agentMethodOf } from './agent-method.ts'
import { finishKindOf } from './finish-kind.ts'
import type { CallLabels, LabelFold, LabelKind } from './fold-labels.ts'
import { HOUR_MS } from './period.ts'
import { bucketOf, type HistogramName, makeSeries, SUM } from './series.ts'
import { SLOT_MS, type SpendDelta } from './spend.ts'

/** 2^40 ms are 34 years: what lasts longer was measured wrongly. */
const MAX_DURATION_MS = 2 ** 40

export interface CellDelta {
  hour: number
  tenant: string
  provider: string
  model: string
  status: string
  calls: bigint
  /** pico-USD. */
  cost: bigint
  /** By a semantic cache. */
  saved: bigint
  /** By the provider's cache. */
  cacheSaved: bigint
  /** In the order of TOKEN_TYPES. */
  tokens: bigint[]
}
export interface CountDelta {
  name: string
  labels: readonly string[]
  value: bigint
}
/** What one transaction adds. Pure data: SQL and the totals in memory are both moved by it. */
export interface Delta {
  cells: CellDelta[]
  counts: CountDelta[]
  histograms: (CountDelta & { name: HistogramName })[]
  newLabels: readonly { kind: LabelKind; name: string }[]
  spend: SpendDelta[]
  /** What was written as adjustments of earlier calls. */
  adjusted: AdjustmentTotal[]
}

/** Gathers first, so that each row is written once. Never throws: a call that is stored must be counted. */
export function makeDelta(fold: LabelFold) {
  const cells = new Map<string, CellDelta>()
  const counts = makeSeries()
  const histograms = { latency: makeSeries(), first_token: makeSeries() }
  const spend = new Map<string, SpendDelta>()
  const adjusted: AdjustmentTotal[] = []

  /** An amount that cannot be one is 0, and counted. */
  function amount(field: string, value: number, limit = Number.MAX_SAFE_INTEGER): bigint {
    if (Number.isSafeInteger(value) && value >= 0 && value <= limit) return BigInt(value)
    counts.add('malformed', [field], 1n)
    return 0n
  }
  function observe(name: HistogramName, labels: readonly string[], milliseconds: number): void {
    const rounded = amount(name, Math.round(milliseconds), MAX_DURATION_MS)
    histograms[name].add(name, [...labels, String(bucketOf(name, Number(rounded)))], 1n)
    histograms[name].add(name, [...labels, String(SUM)], rounded)
  }

  /** `cost`: what the call's line says, pico-USD. */
  function add(call: LlmCall, { tenant, provider, model }: CallLabels, cost: bigint): void {
    const { status, gateway, cache } = call
    const startedAt = Number.isFinite(call.startedAt) ? call.startedAt : 0
    const hour = Math.floor(startedAt / HOUR_MS)
    const slot = Math.floor(startedAt / SLOT_MS)

    const key = `${hour}\u0000${tenant}\u0000${provider}\u0000${model}\u0000${status}`
    let cell = cells.get(key)
    if (cell === undefined) {
      cell = {
        hour,
        tenant,
        provider,
        model,
        status,
        calls: 0n,
        cost: 0n,
        saved: 0n,
        cacheSaved: 0n,
        tokens: TOKEN_TYPES.map(() => 0n),
      }
      cells.set(key, cell)
    }
    cell.calls++
    cell.cost += cost
    if (call.savedPicoUsd !== undefined) cell.saved += amount('saved', call.savedPicoUsd)
    if (call.cost.state === 'priced' && call.cost.cacheSavedPicoUsd !== undefined)
      cell.cacheSaved += amount('saved', call.cost.cacheSavedPicoUsd)
    const spent = spend.get(`${slot} ${tenant}`) ?? { slot, tenant, cost: 0n, unpriced: 0n }
    spent.cost += cost
    if (call.cost.state === 'unpriced' && call.repeat !== true) spent.unpriced++
    spend.set(`${slot} ${tenant}`, spent)
    for (let index = 0; index < TOKEN_TYPES.length; index++) {
      const tokens = call.usage[TOKEN_TYPES[index]!]
      if (tokens !== undefined && tokens !== 0) cell.tokens[index]! += amount('tokens', tokens)
    }

    // A route's own pre-function replaces a global tap: such a route is not seen into, and must not go unnoticed.
    if (gateway.source === 'log') counts.add('untapped', [fold.admit('route', gateway.route ?? 'none')], 1n)
    if (call.usageReason === 'websocket') counts.add('websockets', [fold.admit('route', gateway.route ?? 'none')], 1n)
    if (call.repeat === true) {
      counts.add('repeats', [tenant], 1n)
      return
    }
    const series = [tenant, provider, model]
    observe('latency', series, call.durationMs)
    if (call.timeToFirstByteMs !== undefined && status === 'ok') observe('first_token', series, call.timeToFirstByteMs)
    if (cache === 'hit' || cache === 'miss' || cache === 'refresh') counts.add('cache_requests', [tenant], 1n)
    if (cache === 'hit') counts.add('cache_hits', [tenant], 1n)
    // Answers alone: how long a refusal took says nothing of the time that a cached answer saves.
    if ((cache === 'hit' || cache === 'miss' || cache === 'refresh') && status === 'ok') {
      const result = cache === 'hit' ? 'hit' : 'miss'
      counts.add('cache_calls', [...series, result], 1n)
      const took = amount('latency', Math.round(call.durationMs), MAX_DURATION_MS)
      counts.add('cache_milliseconds', [...series, result], took)
    }
    if (call.cacheLookup?.picoUsd !== undefined)
      counts.add('lookup_cost', [tenant], amount('lookup', call.cacheLookup.picoUsd))
    else if (call.cacheLookup?.embeddingsModel !== undefined) counts.add('unpriced_lookups', [tenant], 1n)
    if (call.claimedTenant !== undefined) counts.add('tenant_claims', [tenant], 1n)
    if (call.rateLimit?.refusedBy !== undefined)
      counts.add('rate_limited', [tenant, provider, call.rateLimit.refusedBy], 1n)
    for (const attempt of call.attempts?.slice(0, -1) ?? []) {
      const failing = attempt.provider === undefined ? provider : fold.admit('provider', attempt.provider)
      counts.add('failed_attempts', [tenant, failing], 1n)
    }
    for (const event of call.guardrails)
      counts.add('guardrail', [tenant, fold.admit('guardrail', event.guardrail), event.stage, event.action], 1n)
    for (const reason of call.finishReasons ?? []) counts.add('finished', [...series, finishKindOf(reason)], 1n)
    if (call.cost.state === 'unpriced') counts.add('unpriced', [...series, call.cost.reason], 1n)
    counts.add('usage_source_calls', [tenant, call.usageSource], 1n)
    counts.add('usage_source_cost', [tenant, call.usageSource], cost)
    for (const reason of call.reasons ?? []) counts.add('reasons', [tenant, reason], 1n)
    if (call.cost.state === 'priced' && call.cost.listPicoUsd !== undefined) {
      const list = amount('cost', call.cost.listPicoUsd)
      counts.add('bill_above_list', [provider], cost > list ? cost - list : 0n)
      counts.add('bill_below_list', [provider], list > cost ? list - cost : 0n)
    }
    if (call.agent !== undefined) addAgent(call, call.agent, tenant)
  }

  /** Calls of MCP and A2A: no model answered. Methods are the protocols' own words; what is not one of them is `other`. */
  function addAgent(call: LlmCall, { protocol, method, error }: AgentEvent, tenant: string): void {
    const labels = [
      tenant,
      protocol,
      agentMethodOf(method),
      error === undefined && call.status === 'ok' ? 'ok' : 'error',
    ]
    counts.add('agent_calls', labels, 1n)
    const took = amount('latency', Math.round(call.durationMs), MAX_DURATION_MS)
    counts.add('agent_milliseconds', labels, took)
  }

  return {
    add,
    count: counts.add,
    amount,
    adjust: (total: AdjustmentTotal): void => void adjusted.push(total),
    take(): Delta {
      const { news, folded } = fold.take()
      for (const kind of folded) counts.add('folded', [kind], 1n)
      return {
        cells: [...cells.values()],
        counts: [...counts.all()],
        histograms: [...histograms.latency.all(), ...histograms.first_token.all()] as Delta['histograms'],
        newLabels: news,
        spend: [...spend.values()],
        adjusted,
      }
    },
  }
}
export type DeltaBuilder = ReturnType<typeof makeDelta>
