import type { DatabaseSync } from 'node:sqlite'
import { addMoney, moneyColumns, moneyValues, picoUsdOf } from './money-columns.ts'

/** Adjusting entries of a series over all time. All three only grow: what was adjusted back is in both directions. */
export interface AdjustmentTotal {
  tenant: string
  provider: string
  model: string
  entries: bigint
  /** pico-USD, both 0 or more. */
  up: bigint
  down: bigint
}

const MONEY = ['up', 'down'] as const

export function readAdjustmentTotals(database: DatabaseSync): AdjustmentTotal[] {
  const select = database.prepare('SELECT * FROM adjustment_totals')
  select.setReadBigInts(true)
  return (select.all() as unknown as Row[]).map((row) => ({
    tenant: row.tenant,
    provider: row.provider,
    model: row.model,
    entries: row.entries,
    up: picoUsdOf(row, 'up'),
    down: picoUsdOf(row, 'down'),
  }))
}
type Row = Record<'tenant' | 'provider' | 'model', string> &
  Record<'entries' | `${(typeof MONEY)[number]}_${'usd' | 'pico'}`, bigint>

/** Adds to the cell of the hour and to the total. Inside the caller's transaction. */
export function makeAdjustmentSums(database: DatabaseSync) {
  const [addCell, addTotal] = [
    { table: 'adjustment_cells', key: ['hour', 'tenant', 'provider', 'model'] },
    { table: 'adjustment_totals', key: ['tenant', 'provider', 'model'] },
  ].map(({ table, key }) => {
    const columns = [...key, 'entries', ...moneyColumns(MONEY)]
    return database.prepare(
      `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})
       ON CONFLICT DO UPDATE SET entries = entries + excluded.entries, ${addMoney(MONEY)}`,
    )
  }) as [ReturnType<DatabaseSync['prepare']>, ReturnType<DatabaseSync['prepare']>]

  return (hour: number, { tenant, provider, model, entries, up, down }: AdjustmentTotal): void => {
    const values = [tenant, provider, model, entries, ...moneyValues(up), ...moneyValues(down)]
    addCell.run(hour, ...values)
    addTotal.run(...values)
  }
}
