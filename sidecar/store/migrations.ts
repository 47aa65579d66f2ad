import type { DatabaseSync } from 'node:sqlite'
import { migrate } from './migrate.ts'
import { STORE_MIGRATIONS } from './schema.ts'

export const STORE_VERSION = STORE_MIGRATIONS.length

export function migrateStore(database: DatabaseSync, file: string): void {
  migrate(database, file, STORE_MIGRATIONS)
}
