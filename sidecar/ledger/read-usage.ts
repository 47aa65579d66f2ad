import type { DatabaseSync } from 'node:sqlite'
import { TOKEN_TYPES, type TokenType } from '../call.ts'
import { picoUsdOf } from './money-columns.ts'
import { boundsOf, dayOf, HOUR_MS, type Period } from './period.ts'

/** What the ledger holds of one day (UTC), tenant, provider and model. The names are its labels: some may be `__other__`. */
export interface UsageRow {
  /** `2026-11-01` */
  day: string
  tenant: string
  provider: string
  model: string
  calls: bigint
  /** Kinds that occurred. They never overlap. */
  tokens: Partial<Record<TokenType, bigint>>
  /** As first priced. */
  costPicoUsd: bigint
  /** What repricing added (or took, below 0) since. */
  adjustmentsPicoUsd: bigint
}

/** Reads observer.db, also beside a running sidecar. Rows by day, tenant, provider, model. Throws RangeError for a bad period. */
export function readUsage(database: DatabaseSync, period: Period): UsageRow[] {
  const { start, end } = boundsOf(period)
  const cells = database.prepare('SELECT * FROM cells WHERE hour >= ? AND hour < ?')
  cells.setReadBigInts(true)
  const rows = new Map<string, UsageRow>()
  for (const cell of cells.iterate(start / HOUR_MS, end / HOUR_MS) as Iterable<Cell>) {
    const row = rowOf(rows, cell)
    row.calls += cell.calls
    row.costPicoUsd += picoUsdOf(cell, 'cost')
    for (const type of TOKEN_TYPES) {
      const tokens = cell[`tokens_${type}`]
      if (tokens > 0n) row.tokens[type] = (row.tokens[type] ?? 0n) + tokens
    }
  }
  const adjustments = database.prepare('SELECT * FROM adjustment_cells WHERE hour >= ? AND hour < ?')
  adjustments.setReadBigInts(true)
  for (const cell of adjustments.iterate(start / HOUR_MS, end / HOUR_MS) as Iterable<Adjustment>)
    rowOf(rows, cell).adjustmentsPicoUsd += picoUsdOf(cell, 'up') - picoUsdOf(cell, 'down')
  return [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row)
}

interface Key {
  hour: bigint
  tenant: string
  provider: string
  model: string
}
type Cell = Key & Record<'calls' | 'cost_usd' | 'cost_pico' | `tokens_${TokenType}`, bigint>
type Adjustment = Key & Record<'up_usd' | 'up_pico' | 'down_usd' | 'down_pico', bigint>

function rowOf(rows: Map<string, UsageRow>, { hour, tenant, provider, model }: Key): UsageRow {
  const day = dayOf(Number(hour) * HOUR_MS)
  const key = [day, tenant, provider, model].join('\u0000')
  let row = rows.get(key)
  if (row === undefined) {
    row = { day, tenant, provider, model, calls: 0n, tokens: {}, costPicoUsd: 0n, adjustmentsPicoUsd: 0n }
    rows.set(key, row)
  }
  return row
}
