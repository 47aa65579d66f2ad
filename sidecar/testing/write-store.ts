import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { administer } from '../administration/client.ts'
import type { LlmCall } from '../call.ts'
import { type RepriceOptions, type RepriceSummary, reprice } from '../ledger/reprice.ts'
import { openForReading } from '../store/open-for-reading.ts'
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

/** `reprice` as the command does it: through the sidecar that runs on the folder, or alone. */
export async function repriceStore(file: string, options: Omit<RepriceOptions, 'write'>): Promise<RepriceSummary> {
  if (options.dryRun === true) return await repriceWith(async () => true)
  const administration = await administer(dirname(file))
  try {
    return await repriceWith(administration.adjust)
  } finally {
    await administration.close()
  }

  async function repriceWith(write: RepriceOptions['write']): Promise<RepriceSummary> {
    const database = openForReading(file)
    try {
      return await reprice(database, { ...options, write })
    } finally {
      database.close()
    }
  }
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
