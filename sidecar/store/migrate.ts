import type { DatabaseSync } from 'node:sqlite'

/**
 * Brings a store to this program's schema; refuses one that a newer program wrote.
 * `migrations[n]` leads from version n to n + 1; they are appended, never edited.
 */
export function migrate(database: DatabaseSync, file: string, migrations: readonly string[]): void {
  const { user_version: found } = database.prepare('PRAGMA user_version').get() as { user_version: number }
  if (found > migrations.length)
    throw new Error(
      `${file} has schema version ${found}, and this program knows versions up to ${migrations.length}: a newer one wrote it; upgrade, or point \`data\` at another folder`,
    )
  for (let version = found; version < migrations.length; version++) {
    database.exec('BEGIN IMMEDIATE')
    try {
      database.exec(migrations[version]!)
      database.exec(`PRAGMA user_version = ${version + 1}`)
      database.exec('COMMIT')
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK')
      throw new Error(
        `${file} could not be brought from schema version ${version} to ${version + 1}: ${(error as Error).message}`,
      )
    }
  }
}
