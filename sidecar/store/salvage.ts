import { renameSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { migrateStore } from './migrations.ts'
import { openForWriting } from './open-database.ts'

/*
 * A damaged page must not cost the ledger. What can be read of each table is copied into a new file: from its beginning to
 * the damage, and from its end back to it. The damaged file stays beside it.
 *
 *   observer.db ──▶ observer.db.damaged-<time>        observer.db (new): every row that could be read
 */
export interface SalvageSummary {
  /** Where the damaged file is kept. */
  kept: string
  /** Tables of which something could not be read; `check` says what that means for the sums. */
  incomplete: string[]
  rows: number
}

export function salvage(file: string, now: number): SalvageSummary {
  const kept = `${file}.damaged-${new Date(now).toISOString().replace(/[:.]/g, '-')}`
  for (const suffix of ['', '-wal', '-shm']) moveIfThere(`${file}${suffix}`, `${kept}${suffix}`)
  const database = openForWriting(file)
  try {
    migrateStore(database, file)
    const old = new DatabaseSync(kept, { timeout: 5000 })
    try {
      return { kept, ...copyAll(old, database) }
    } finally {
      old.close()
    }
  } finally {
    database.close()
  }
}

function copyAll(old: DatabaseSync, database: DatabaseSync): Omit<SalvageSummary, 'kept'> {
  const tables = (
    database.prepare("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").all() as {
      name: string
      sql: string
    }[]
  ).map(({ name, sql }) => ({ name, withoutRowid: sql.includes('WITHOUT ROWID') }))
  const incomplete: string[] = []
  let rows = 0
  database.exec('BEGIN IMMEDIATE')
  for (const { name, withoutRowid } of tables) {
    const columns = (
      database.prepare('SELECT name, pk FROM pragma_table_info(?)').all(name) as { name: string; pk: number }[]
    ).map((column) => ({ ...column, name: `"${column.name}"` }))
    const key = withoutRowid
      ? columns
          .filter(({ pk }) => pk > 0)
          .sort((a, b) => a.pk - b.pk)
          .map((column) => column.name)
      : ['rowid']
    const list = columns.map((column) => column.name).join(', ')
    // State and retention stand in the new file already.
    const insert = database.prepare(
      `INSERT OR REPLACE INTO ${name} (${list}) VALUES (${columns.map(() => '?').join(', ')})`,
    )
    const copy = (direction: 'ASC' | 'DESC'): boolean => {
      try {
        const select = old.prepare(
          `SELECT ${list} FROM ${name} ORDER BY ${key.map((column) => `${column} ${direction}`).join(', ')}`,
        )
        select.setReadBigInts(true)
        for (const row of select.iterate() as Iterable<Record<string, never>>) {
          insert.run(...Object.values(row))
          rows++
        }
        return true
      } catch {
        return false
      }
    }
    if (name === 'retention') database.exec('DELETE FROM retention')
    if (!copy('ASC')) {
      incomplete.push(name)
      copy('DESC')
    }
  }
  // Positions must not start again: cursors stand where the sinks were.
  database.exec(
    `DELETE FROM sqlite_sequence WHERE name = 'log';
     INSERT INTO sqlite_sequence (name, seq)
       SELECT 'log', max(coalesce((SELECT max(position) FROM log), 0), coalesce((SELECT max(position) FROM sinks), 0));
     UPDATE state SET value = (SELECT coalesce(sum(bytes), 0) FROM log) WHERE name = 'log_bytes';
     UPDATE state SET value = (SELECT coalesce(sum(bytes), 0) FROM dead_letters) WHERE name = 'dead_letter_bytes';
     INSERT OR IGNORE INTO retention SELECT 1, 0 WHERE NOT EXISTS (SELECT 1 FROM retention);`,
  )
  database.exec('COMMIT')
  return { incomplete, rows }
}

function moveIfThere(from: string, to: string): void {
  try {
    renameSync(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
