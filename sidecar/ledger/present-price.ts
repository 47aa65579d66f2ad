import type { DatabaseSync } from 'node:sqlite'
import type { KeptCall } from './call-lines.ts'

/** A call's price as of now: the first one, or that of its last adjustment. Priced where `reason` is null. */
export interface PresentPrice {
  priceId: string | null
  /** Why it has no price. */
  reason: string | null
  /** pico-USD; 0 where unpriced. */
  cost: number
  /** Of its last adjustment; 0 before the first. */
  number: number
  /** What a retrieval brought: later prices are made from it instead of the call's own line (price-basis.ts). */
  basis?: string
}

interface Row {
  started_at: number
  call: Uint8Array
  number: number
  new_price_id: string | null
  new_reason: string | null
  new_cost: number
  basis: string | null
}

export function makePresentPrices(database: DatabaseSync) {
  const select = database.prepare(
    `SELECT started_at, call, number, new_price_id, new_reason, new_cost, basis FROM adjustments
     WHERE started_at >= ? AND started_at <= ? ORDER BY started_at, call, number`,
  )
  return {
    /** Of calls in the order of their start; the answer is in the same order. */
    of(calls: readonly KeptCall[]): PresentPrice[] {
      const latest = new Map<string, Row>()
      if (calls.length > 0)
        for (const row of select.iterate(calls[0]!.startedAt, calls.at(-1)!.startedAt) as Iterable<unknown>) {
          const adjustment = row as Row
          const key = keyOf(adjustment.started_at, Buffer.from(adjustment.call).toString('hex'))
          latest.set(key, { ...adjustment, basis: adjustment.basis ?? latest.get(key)?.basis ?? null })
        }
      return calls.map((call) => {
        const row = latest.size === 0 ? undefined : latest.get(keyOf(call.startedAt, call.id))
        if (row !== undefined)
          return {
            priceId: row.new_price_id,
            reason: row.new_reason,
            cost: row.new_cost,
            number: row.number,
            ...(row.basis === null ? {} : { basis: row.basis }),
          }
        const { priceId, reason } = call.kind
        return { priceId, reason, cost: call.cost, number: 0 }
      })
    },
  }
}

function keyOf(startedAt: number, id: string): string {
  return `${startedAt} ${id}`
}
