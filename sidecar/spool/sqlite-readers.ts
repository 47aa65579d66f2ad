import type { DatabaseSync } from 'node:sqlite'

/**
 * Brings the cursors in line with the configuration. A new reader starts at the oldest row kept; one that is gone is
 * retired: what waited for it is dropped and counted, and it holds no row. If it comes back it goes on from there.
 */
export function configureReaders(database: DatabaseSync, readers: readonly string[]): void {
  const end = "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'calls'), 0)"
  const beforeOldest = `coalesce((SELECT min(position) - 1 FROM calls), ${end})`
  const start = database.prepare(`INSERT OR IGNORE INTO cursors (reader, position) SELECT ?, ${beforeOldest}`)
  const comeBack = database.prepare(
    `UPDATE cursors SET retired = 0, position = max(position, ${beforeOldest}) WHERE reader = ? AND retired = 1`,
  )
  const countDropped = database.prepare(
    `INSERT INTO outcomes SELECT ?1, tenant, 'dropped', 'reader_removed', count(*) FROM calls
      WHERE position > ?2 AND (only_reader IS NULL OR only_reader = ?1) GROUP BY tenant
     ON CONFLICT DO UPDATE SET count = count + excluded.count`,
  )
  const retire = database.prepare(`UPDATE cursors SET retired = 1, position = ${end} WHERE reader = ?`)

  database.exec('BEGIN IMMEDIATE')
  try {
    for (const reader of readers) {
      start.run(reader)
      comeBack.run(reader)
    }
    const active = database.prepare('SELECT reader, position FROM cursors WHERE retired = 0').all() as {
      reader: string
      position: number
    }[]
    for (const { reader, position } of active) {
      if (readers.includes(reader)) continue
      countDropped.run(reader, position)
      retire.run(reader)
    }
    database.exec('COMMIT')
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}
