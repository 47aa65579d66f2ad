import { DatabaseSync } from 'node:sqlite'

export interface LedgerRow {
  calls: number
  tokens: number
  picoUsd: bigint
}
const PICO_PER_USD = 1_000_000_000_000n
const NOTHING: LedgerRow = { calls: 0, tokens: 0, picoUsd: 0n }

/** What the ledger's own database holds of each `tenant provider model`, by plain SQL. */
export function ledgerRows(file: string): Map<string, LedgerRow> {
  const database = new DatabaseSync(file, { readOnly: true })
  try {
    const cells = database.prepare('SELECT * FROM cells')
    cells.setReadBigInts(true)
    const rows = new Map<string, LedgerRow>()
    for (const cell of cells.iterate() as Iterable<Record<string, string | bigint>>) {
      const amount = (column: string) => BigInt(cell[column]!)
      const key = `${cell.tenant} ${cell.provider} ${cell.model}`
      const tokens = Object.keys(cell).filter((column) => column.startsWith('tokens_'))
      rows.set(
        key,
        addedUp([
          rows.get(key) ?? NOTHING,
          {
            calls: Number(amount('calls')),
            tokens: tokens.reduce((sum, column) => sum + Number(amount(column)), 0),
            picoUsd: amount('cost_usd') * PICO_PER_USD + amount('cost_pico'),
          },
        ]),
      )
    }
    return rows
  } finally {
    database.close()
  }
}

export function addedUp(rows: Iterable<LedgerRow>): LedgerRow {
  let sum = NOTHING
  for (const { calls, tokens, picoUsd } of rows)
    sum = { calls: sum.calls + calls, tokens: sum.tokens + tokens, picoUsd: sum.picoUsd + picoUsd }
  return sum
}

/** By tenant alone. */
export function byTenant(rows: ReadonlyMap<string, LedgerRow>): Map<string, LedgerRow> {
  const tenants = new Map<string, LedgerRow[]>()
  for (const [key, row] of rows) {
    const tenant = key.split(' ')[0]!
    tenants.set(tenant, [...(tenants.get(tenant) ?? []), row])
  }
  return new Map([...tenants].map(([tenant, own]) => [tenant, addedUp(own)]))
}
