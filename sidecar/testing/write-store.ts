import { DatabaseSync } from 'node:sqlite'
import type { LlmCall } from '../call.ts'
import { openStore, type StoreOptions } from '../store/store.ts'

/** Writes calls into a store, a transaction a batch, and closes it. */
export async function writeStore(
  file: string,
  batches: readonly (readonly LlmCall[])[],
  { now = 1_795_500_000_000, ...options }: { now?: number } & Partial<Omit<StoreOptions, 'file' | 'now'>> = {},
): Promise<void> {
  const store = await openStore({ file, sinks: [], now: () => now, ...options })
  for (const calls of batches) await store.append({ calls })
  await store.close()
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
