import type { DatabaseSync } from 'node:sqlite'
import { addMoney, moneyColumns, moneyValues, PICO_PER_USD } from './money-columns.ts'
import { SLOT_MS, type SpendDelta, type SpendRange, type SpendSum } from './spend.ts'

/** The longest month, in the zone that is furthest ahead or behind, and a month to look back. */
const KEPT_MS = 62 * 86_400_000
const COST = ['cost'] as const
const ADJUSTMENT = ['up', 'down'] as const

/** Spend by quarter of an hour and tenant (schema.ts). Inside the caller's transaction. */
export function makeSpendStore(database: DatabaseSync) {
  const columns = ['slot', 'tenant', 'unpriced', ...moneyColumns([...COST, ...ADJUSTMENT])]
  const insert = (sums: string) =>
    database.prepare(
      `INSERT INTO spend (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')}) ON CONFLICT DO UPDATE SET ${sums}`,
    )
  const addUnpriced = 'unpriced = unpriced + excluded.unpriced'
  const addCost = insert(`${addUnpriced}, ${addMoney(COST)}`)
  const addAdjustment = insert(`${addUnpriced}, ${addMoney(ADJUSTMENT)}`)
  const forget = database.prepare('DELETE FROM spend WHERE slot < ?')
  // Two columns an amount, each far from int64 over 3,000 slots (L1).
  const sumOf = database.prepare(
    `SELECT tenant, sum(unpriced) AS unpriced, sum(cost_usd + up_usd - down_usd) AS usd, sum(cost_pico + up_pico - down_pico) AS pico
     FROM spend WHERE slot >= ? AND slot < ? GROUP BY tenant`,
  )
  sumOf.setReadBigInts(true)

  return {
    add(deltas: readonly SpendDelta[]): void {
      for (const { slot, tenant, cost, unpriced } of deltas)
        addCost.run(slot, tenant, unpriced, ...moneyValues(cost), 0, 0, 0, 0)
    },
    /** Of a call that started then: both amounts 0 or more; `unpriced` is 1, 0 or -1. */
    adjust(
      startedAt: number,
      { tenant, up, down, unpriced }: { tenant: string; up: bigint; down: bigint; unpriced: bigint },
    ) {
      addAdjustment.run(
        Math.floor(startedAt / SLOT_MS),
        tenant,
        unpriced,
        0,
        0,
        ...moneyValues(up),
        ...moneyValues(down),
      )
    },
    trim(now: number): void {
      forget.run(Math.floor((now - KEPT_MS) / SLOT_MS))
    },
    sums: (ranges: readonly SpendRange[]): SpendSum[][] =>
      ranges.map(({ from, to }) =>
        (sumOf.all(from, to) as unknown as Row[]).map(({ tenant, unpriced, usd, pico }) => ({
          tenant,
          unpriced,
          cost: usd * PICO_PER_USD + pico,
        })),
      ),
  }
}
type Row = { tenant: string; unpriced: bigint; usd: bigint; pico: bigint }
