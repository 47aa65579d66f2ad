import { DatabaseSync } from 'node:sqlite'
import type { LlmCall } from '../call.ts'
import { deltaOf } from '../ledger/delta.ts'
import { makeLabelFold } from '../ledger/fold-labels.ts'
import { type LedgerStoreOptions, openLedgerStore } from '../ledger/ledger-store.ts'

/** Writes calls into a ledger, batch by batch, without a spool and a thread: its position does not move. */
export function writeLedger(
  { gapGraceMs = 1000, ...options }: Partial<LedgerStoreOptions> & { file: string },
  batches: readonly (readonly LlmCall[])[],
  { now = 1_795_500_000_000, tenants = 100 } = {},
): void {
  const store = openLedgerStore({ gapGraceMs, ...options })
  const loaded = store.load()
  const fold = makeLabelFold({ tenants, models: 100 }, loaded.labels)
  for (const batch of batches)
    store.transaction(() => store.apply(deltaOf(batch, fold), loaded.position, undefined, now))
  store.close()
}

/** All rows of tables, as another program reads them. */
export function rowsOf(file: string, ...tables: readonly string[]): Record<string, Record<string, unknown>[]> {
  const database = new DatabaseSync(file, { readOnly: true })
  const rows = Object.fromEntries(
    tables.map((table) => {
      const statement = database.prepare(`SELECT * FROM ${table}`)
      statement.setReadBigInts(true)
      return [table, statement.all() as Record<string, unknown>[]]
    }),
  )
  database.close()
  return rows
}
