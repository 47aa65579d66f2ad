import { existsSync, renameSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { salvagedFile } from './data-folder.ts'
import { causeOf, faultOf } from './errors.ts'
import { takeLock } from './lock.ts'
import { migrateStore } from './migrations.ts'
import { openForWriting } from './open-database.ts'

/*
 * A damaged page must not cost the ledger. What can be read of each table is copied into a new file: from its beginning to
 * the damage, and from its end back to it. The damaged file stays beside it.
 *
 *   observer.db ──copy──▶ observer.db.salvaging ──whole──▶ observer.db.salvaged
 *   observer.db ──▶ observer.db.damaged-<time>         observer.db.salvaged ──▶ observer.db
 *
 * Nothing is moved before the copy is whole: what ends the process before that (a full disk) leaves the damaged file where
 * it was, and the next start begins again. After that the next start only moves.
 */
export interface SalvageSummary {
  /** Where the damaged file is kept. */
  kept: string
  /** Undefined where an earlier start made the copy, and ended before the files were moved. */
  copied: Copied | undefined
}
interface Copied {
  /** Tables of which something could not be read; `check` says what that means for the sums. */
  incomplete: string[]
  rows: number
}

export function salvage(file: string, now: number): SalvageSummary {
  const whole = salvagedFile(file)
  const lock = takeLock(`${file}.lock`)
  try {
    const copied = existsSync(whole) ? undefined : copyTo(whole, file)
    const kept = `${file}.damaged-${new Date(now).toISOString().replace(/[:.]/g, '-')}`
    for (const suffix of ['', '-wal', '-shm']) moveIfThere(`${file}${suffix}`, `${kept}${suffix}`)
    renameSync(whole, file)
    return { kept, copied }
  } finally {
    lock.close()
  }
}

function copyTo(whole: string, file: string): Copied {
  const unfinished = `${file}.salvaging`
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${unfinished}${suffix}`, { force: true })
  const database = openForWriting(unfinished)
  let copied: Copied
  try {
    migrateStore(database, unfinished)
    const old = new DatabaseSync(file, { readOnly: true, timeout: 5000 })
    try {
      copied = copyAll(old, database)
    } finally {
      old.close()
    }
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  } finally {
    database.close()
  }
  renameSync(unfinished, whole)
  return copied
}

function copyAll(old: DatabaseSync, database: DatabaseSync): Copied {
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
    /** False where something could not be read. An error of the new file is thrown: it is no damage of the old one. */
    const copy = (direction: 'ASC' | 'DESC'): boolean => {
      const order = key.map((column) => `${column} ${direction}`).join(', ')
      const found = readable(() => {
        const select = old.prepare(`SELECT ${list} FROM ${name} ORDER BY ${order}`)
        select.setReadBigInts(true)
        return select.iterate() as Iterator<Record<string, never>>
      })
      if (found === undefined) return false
      for (let isWhole = true; ; rows++) {
        const next = readable(() => found.next())
        if (next === undefined) return false
        if (next.done) return isWhole
        try {
          insert.run(...Object.values(next.value))
        } catch (error) {
          // The row breaks a constraint of its table: the page holds what nobody has written.
          if (faultOf(error) !== 'defect') throw error
          isWhole = false
          rows--
        }
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

/** Undefined where the file is damaged there, or the disk does not give it. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (faultOf(error) === 'transient' && causeOf(error) !== 'disk_error') throw error
    return undefined
  }
}

function moveIfThere(from: string, to: string): void {
  try {
    renameSync(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
