import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { LEDGER_MIGRATIONS } from './schema.ts'

/**
 * ledger.db for a tool that works beside a running sidecar, or without one: it makes no store and migrates none, waits
 * for locks, and keeps every read and every transaction short. Throws an Error that says what to do.
 */
export function openLedgerFile(file: string, mode: 'read' | 'write'): DatabaseSync {
  if (!existsSync(file)) throw new Error(`${file}: there is no ledger; \`data\` of observer.yaml names its folder`)
  const database = new DatabaseSync(file, { readOnly: mode === 'read', timeout: 5000 })
  try {
    const { user_version: found } = database.prepare('PRAGMA user_version').get() as { user_version: number }
    if (found < LEDGER_MIGRATIONS.length)
      throw new Error(`an older program wrote it (schema version ${found}): start this one's sidecar once`)
    if (found > LEDGER_MIGRATIONS.length) throw new Error(`a newer program wrote it (schema version ${found}): upgrade`)
    if (mode === 'write') database.exec('PRAGMA synchronous = FULL')
    return database
  } catch (error) {
    database.close()
    throw new Error(`${file}: ${(error as Error).message}`)
  }
}
