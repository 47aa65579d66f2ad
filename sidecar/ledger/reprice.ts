import type { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { costOfBill } from '../../pricing/cost-of-bill.ts'
import type { PriceBook } from '../../pricing/price-book.ts'
import type { Cost } from '../call.ts'
import { type Adjustment, priceOf } from './adjustments.ts'
import type { KeptCall } from './call-lines.ts'
import { boundsOf, type Period } from './period.ts'
import { makePresentPrices, type PresentPrice } from './present-price.ts'
import { withBasis } from './price-basis.ts'
import { walkCalls } from './walk-calls.ts'

/*
 * New prices for a past period make adjusting entries; nothing that was counted is edited (store/schema.ts, L4).
 *
 *   slice of calls ─▶ price again, no lock held ─▶ those whose price differs from first price + adjustments so far
 *                                                     ▼
 *                      one short transaction: is it still so? ─no─▶ the slice again
 *                                                     │ yes
 *                                                     ▼
 *                                             entries and their sums
 *
 * So a second run writes nothing, a run that was killed is finished by the next, and two at once do not adjust twice. The
 * one that writes is the running sidecar, or this process where none runs (administration.ts).
 */

export interface RepriceOptions extends Period {
  /** Only the calls of these; a model as the response or the request names it. */
  tenant?: string
  provider?: string
  model?: string
  /** Says what would be written, and writes nothing. */
  dryRun?: boolean
  /** The present prices. Each call is priced as of its own start. */
  book: PriceBook
  /** Writes adjusting entries in one transaction; false where one is stale, and nothing is written. */
  write: (adjustments: readonly Adjustment[]) => Promise<boolean>
}

export interface RepriceSummary {
  /** Calls that started before it are not kept: they were not looked at. Undefined where that touches none of the period. */
  keptFrom: number | undefined
  seen: number
  /** Nothing was to be paid for them, at any price. */
  free: number
  /** Their price is what it was. */
  unchanged: number
  /** Adjusting entries written (dry run: that would be). */
  adjusted: number
  /** Bills of more lines than are kept: their price stays. */
  merged: number
  /** Calls that have no price now either, or none any more. */
  unpriced: { provider: string; model: string; reason: string; calls: number }[]
  tenants: { tenant: string; adjusted: number; up: bigint; down: bigint }[]
}

const PAUSE_MS = 5
/** Entries of one transaction: it takes some 10 ms. */
const WRITE_SLICE = 500

/** Throws RangeError for a bad period, and Error with what to do where there is no such ledger. */
export async function reprice(database: DatabaseSync, options: RepriceOptions): Promise<RepriceSummary> {
  const { start, end } = boundsOf(options)
  const { kept_from: keptFrom } = database.prepare('SELECT kept_from FROM retention').get() as { kept_from: number }
  const tally = makeTally(start < keptFrom ? keptFrom : undefined)
  const present = makePresentPrices(database)
  const { tenant, provider, model } = options
  for (const slice of walkCalls(database, { start: Math.max(start, keptFrom), end, tenant, provider, model }))
    for (const outcome of await adjust(slice)) tally.add(outcome)
  return tally.summary()

  async function adjust(slice: readonly KeptCall[]): Promise<Outcome[]> {
    const settled: Outcome[] = []
    for (let at = 0; at < slice.length; at += WRITE_SLICE) {
      const calls = slice.slice(at, at + WRITE_SLICE)
      for (;;) {
        const before = present.of(calls)
        const outcomes = calls.map((call, index) => outcomeOf(call, before[index]!, options.book))
        const adjustments = outcomes.flatMap(({ adjustment }) => adjustment ?? [])
        if (adjustments.length > 0 && options.dryRun !== true) {
          const began = performance.now()
          const written = await options.write(adjustments)
          // A sidecar that works beside this run has the file to itself half of the time.
          await sleep(Math.max(PAUSE_MS, performance.now() - began))
          // Another run was faster: what it wrote is the new base.
          if (!written) continue
        }
        settled.push(...outcomes)
        break
      }
    }
    return settled
  }
}

interface Outcome {
  call: KeptCall
  is: 'free' | 'merged' | 'unchanged' | 'adjusted'
  /** Why it has no price now. */
  unpriced?: string
  adjustment?: Adjustment
}

function outcomeOf(kept: KeptCall, before: PresentPrice, book: PriceBook): Outcome {
  const call = before.basis === undefined ? kept : withBasis(kept, before.basis)
  if (call.kind.state === 'free') return { call, is: 'free' }
  // Nobody knows what was used: no price book can tell what it costs.
  if (call.kind.usageSource === 'unknown') return { call, is: 'unchanged', unpriced: 'no_usage' }
  if (call.merged) return { call, is: 'merged', ...(before.reason !== null && { unpriced: before.reason }) }
  const cost = presentCost(call, book)
  const after = priceOf({ cost })
  const unpriced = after.reason === null ? {} : { unpriced: after.reason }
  if ((before.reason === null) === (after.reason === null) && before.cost === after.cost)
    return { call, is: 'unchanged', ...unpriced }
  const { id, startedAt } = call
  const { labels } = call.kind
  return { call, is: 'adjusted', ...unpriced, adjustment: { id, startedAt, labels, before, after, book: cost.book } }
}

function presentCost(call: KeptCall, book: PriceBook): Cost {
  const { startedAt, durationMs, usage, lines, reportedPicoUsd } = call
  const { tenant, provider, models, serviceTier, attributes } = call.kind
  return costOfBill(
    book,
    {
      tenant,
      provider,
      models,
      at: startedAt,
      durationMs,
      ...(serviceTier === undefined ? {} : { serviceTier }),
      ...(attributes === undefined ? {} : { attributes }),
    },
    { usage, ...(lines === undefined ? {} : { lines }), ...(reportedPicoUsd === undefined ? {} : { reportedPicoUsd }) },
  )
}

function makeTally(keptFrom: number | undefined) {
  const count = { free: 0, merged: 0, unchanged: 0, adjusted: 0 }
  const unpriced = new Map<string, RepriceSummary['unpriced'][number]>()
  const tenants = new Map<string, RepriceSummary['tenants'][number]>()
  return {
    add({ call, is, unpriced: reason, adjustment }: Outcome): void {
      count[is]++
      if (reason !== undefined) {
        const { provider, models } = call.kind
        const model = models[0] ?? 'unknown'
        const key = [provider, model, reason].join('\u0000')
        const known = unpriced.get(key)
        if (known === undefined) unpriced.set(key, { provider, model, reason, calls: 1 })
        else known.calls++
      }
      if (adjustment !== undefined) {
        const { tenant } = call.kind
        const sum = tenants.get(tenant) ?? { tenant, adjusted: 0, up: 0n, down: 0n }
        const difference = BigInt(adjustment.after.cost - adjustment.before.cost)
        sum.adjusted++
        if (difference > 0n) sum.up += difference
        else sum.down -= difference
        tenants.set(tenant, sum)
      }
    },
    summary: (): RepriceSummary => ({
      keptFrom,
      ...count,
      seen: count.free + count.merged + count.unchanged + count.adjusted,
      unpriced: [...unpriced.values()].sort((a, b) => b.calls - a.calls),
      tenants: [...tenants.values()].sort((a, b) => (a.tenant < b.tenant ? -1 : 1)),
    }),
  }
}
