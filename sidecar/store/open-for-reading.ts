import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { STORE_VERSION } from './migrations.ts'

/**
 * The store for a tool that reads beside a running sidecar, or without one: it makes no store and migrates none, waits for
 * locks, and keeps every read short. Throws an Error that says what to do.
 */
export function openForReading(file: string): DatabaseSync {
  if (!existsSync(file)) throw new Error(`${file}: there is no store; \`data\` of observer.yaml names its folder`)
  const database = new DatabaseSync(file, { readOnly: true, timeout: 5000 })
  try {
    const { user_version: found } = database.prepare('PRAGMA user_version').get() as { user_version: number }
    if (found < STORE_VERSION)
      throw new Error(`an older program wrote it (schema version ${found}): start this one's sidecar once`)
    if (found > STORE_VERSION) throw new Error(`a newer program wrote it (schema version ${found}): upgrade`)
    return database
  } catch (error) {
    database.close()
    throw new Error(`${file}: ${(error as Error).message}`)
  }
}

/** Reads with such a connection, and closes it. */
export function readStore<T>(file: string, read: (database: DatabaseSync) => T): T {
  const database = openForReading(file)
  try {
    return read(database)
  } finally {
    database.close()
  }
}
