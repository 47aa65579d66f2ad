import type { DatabaseSync } from 'node:sqlite'
import type { LlmCall } from '../call.ts'
import { type AdjustmentTotal, makeAdjustmentSums } from './adjustment-totals.ts'
import { lineId } from './call-line-store.ts'
import type { CallLabels } from './fold-labels.ts'
import { HOUR_MS } from './period.ts'
import { makeSpendStore } from './spend-store.ts'

/** A call's price at a time: the first one, or that of an adjustment. Priced where `reason` is null. */
export interface PriceOfCall {
  priceId: string | null
  /** Why it has no price. */
  reason: string | null
  /** pico-USD; 0 where unpriced. */
  cost: number
}

/** A new price for a call that is in the ledger. JSON: it crosses the administrative door. */
export interface Adjustment {
  startedAt: number
  /** 32 hex digits. */
  id: string
  labels: CallLabels
  /** `number` of its last adjustment, 0 before the first: where it has changed meanwhile, the adjustment is stale. */
  before: PriceOfCall & { number: number }
  after: PriceOfCall
  book: string
  /** What `after` was made from where it is not the call's own line (price-basis.ts). */
  basis?: string
}

/** Writes adjusting entries and their sums. Inside the caller's transaction. */
export function makeAdjustments(database: DatabaseSync) {
  const insert = database.prepare('INSERT INTO adjustments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
  const numberOf = database.prepare(
    'SELECT coalesce(max(number), 0) AS number FROM adjustments WHERE started_at = ? AND call = ?',
  )
  const addSums = makeAdjustmentSums(database)
  const spend = makeSpendStore(database)

  return {
    isStale: ({ startedAt, id, before }: Adjustment): boolean =>
      (numberOf.get(startedAt, lineId(id)) as { number: number }).number !== before.number,
    write({ startedAt, id, labels, before, after, book, basis }: Adjustment, now: number): AdjustmentTotal {
      const difference = after.cost - before.cost
      insert.run(
        startedAt,
        lineId(id),
        before.number + 1,
        now,
        before.priceId,
        before.reason,
        before.cost,
        after.priceId,
        after.reason,
        after.cost,
        difference,
        book,
        basis ?? null,
      )
      const up = BigInt(Math.max(0, difference))
      const down = BigInt(Math.max(0, -difference))
      const total = { ...labels, entries: 1n, up, down }
      addSums(Math.floor(startedAt / HOUR_MS), total)
      const unpriced = BigInt(Number(after.reason !== null) - Number(before.reason !== null))
      spend.adjust(startedAt, { tenant: labels.tenant, up, down, unpriced })
      return total
    },
  }
}
export type Adjustments = ReturnType<typeof makeAdjustments>

/** What a call costs now, as the price that an adjustment may set. */
export function priceOf({ cost }: Pick<LlmCall, 'cost'>): PriceOfCall {
  if (cost.state === 'unpriced') return { priceId: null, reason: cost.reason, cost: 0 }
  return { priceId: cost.state === 'priced' ? cost.priceId : cost.reason, reason: null, cost: cost.picoUsd }
}
