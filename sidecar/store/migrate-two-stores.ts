import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import { asRepeat, type LlmCall } from '../call.ts'
import { DAY_MS } from '../ledger/period.ts'
import { OLD_LEDGER, OLD_LOG, STORE_FILE } from './data-folder.ts'
import { takeLock } from './lock.ts'
import { LETTER_BYTES, ROW_BYTES } from './log.ts'
import { migrateStore } from './migrations.ts'
import { openForWriting } from './open-database.ts'
import { packCalls } from './packed-calls.ts'
import { makeWriter, type WriterOptions } from './writer.ts'

/*
 * Version 0.1 kept spool.db (the log, with the ledger as one of its readers) and ledger.db (with its own position in it).
 *
 *   ledger.db ──copy──▶ observer.db.migrating ──its migrations──▶ one store
 *   spool.db  ──rows that a sink waits for, cursors, outcomes, dead letters, ids of the last seven days──▶ into it
 *             ──calls that the ledger had not read──▶ counted, as an append counts them
 *
 * The old files are moved to `before-one-store/` at the end. A crash before that leaves them as they were, and the next start
 * begins again.
 */
export interface MigrationSummary {
  /** Calls that the ledger had not read, and that are counted now. */
  counted: number
  /** Rows that sinks still wait for. */
  waiting: number
  deadLetters: number
}

const KEPT_IN = 'before-one-store'
const BATCH = 500
const CARRIED_MS = 7 * DAY_MS

export function needsMigration(folder: string): boolean {
  return (
    !existsSync(join(folder, STORE_FILE)) && (existsSync(join(folder, OLD_LEDGER)) || existsSync(join(folder, OLD_LOG)))
  )
}

export function migrateTwoStores(
  folder: string,
  options: Pick<WriterOptions, 'labelLimits' | 'callRetentionMs' | 'reservedTenants'>,
  now: number,
): MigrationSummary {
  const target = join(folder, `${STORE_FILE}.migrating`)
  for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(`${target}${suffix}`, { force: true })
  const locks = [OLD_LOG]
    .filter((name) => existsSync(join(folder, name)))
    .map((name) => takeLock(join(folder, `${name}.lock`)))
  try {
    const followed = named(join(folder, OLD_LEDGER), (file) => copyLedger(file, target))
    const database = openForWriting(target)
    const summary = { counted: 0, waiting: 0, deadLetters: 0 }
    try {
      migrateStore(database, target)
      const spool = join(folder, OLD_LOG)
      if (existsSync(spool)) {
        named(spool, () => {
          const old = new DatabaseSync(spool, { timeout: 5000 })
          try {
            summary.counted = countUnread(old, database, target, followed, options, now)
            Object.assign(summary, importLog(old, database, now))
          } finally {
            old.close()
          }
        })
      }
      database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    } finally {
      database.close()
    }
    renameSync(target, join(folder, STORE_FILE))
    const kept = join(folder, KEPT_IN)
    mkdirSync(kept, { recursive: true, mode: 0o700 })
    for (const name of [OLD_LEDGER, OLD_LOG])
      for (const suffix of ['', '-wal', '-shm'])
        if (existsSync(join(folder, `${name}${suffix}`)))
          renameSync(join(folder, `${name}${suffix}`), join(kept, `${name}${suffix}`))
    return summary
  } finally {
    for (const lock of locks) lock.close()
    rmSync(join(folder, `${OLD_LOG}.lock`), { force: true })
  }
}

/** An error names the file that it comes from. */
function named<T>(file: string, work: (file: string) => T): T {
  try {
    return work(file)
  } catch (error) {
    throw new Error(`${file}: ${(error as Error).message}; it is left as it was`, { cause: error })
  }
}

/** Where the ledger stood, and in which spool. */
function copyLedger(file: string, target: string): { position: number; spool: string | null } {
  if (!existsSync(file)) return { position: 0, spool: null }
  const old = new DatabaseSync(file, { timeout: 5000 })
  try {
    old.prepare('VACUUM INTO ?').run(target)
    const row = old.prepare('SELECT * FROM position').get() as { position: number; spool?: string | null }
    return { position: row.position, spool: row.spool ?? null }
  } finally {
    old.close()
  }
}

function countUnread(
  old: DatabaseSync,
  database: DatabaseSync,
  file: string,
  followed: { position: number; spool: string | null },
  options: Pick<WriterOptions, 'labelLimits' | 'callRetentionMs' | 'reservedTenants'>,
  now: number,
): number {
  const identity = has(old, 'identity') ? (old.prepare('SELECT id FROM identity').get() as { id: string }).id : null
  const last = lastPositionOf(old)
  // Another spool, or an empty one in the place of the old: its positions start again, and its calls are new.
  const replaced = identity !== null && followed.spool !== null && identity !== followed.spool
  let after = replaced || last < followed.position ? 0 : followed.position
  const writer = makeWriter(database, { ...options, file, sinks: [], logLimitBytes: 0, gapGraceMs: 0 })
  const only = columnsOf(old, 'calls').includes('only_reader') ? 'AND only_reader IS NULL' : ''
  const rows = old.prepare(
    `SELECT position, repeat, body FROM calls WHERE position > ? ${only} ORDER BY position LIMIT ${BATCH}`,
  )
  let counted = 0
  for (;;) {
    const batch = rows.all(after) as { position: number; repeat: number; body: string }[]
    if (batch.length === 0) return counted
    const calls = batch.flatMap(({ repeat, body }) => {
      const call = parsed(body)
      if (call === undefined) return []
      return [repeat === 1 ? asRepeat(call) : call]
    })
    const request = { calls: packCalls(calls), ignored: [], lost: [], acknowledged: [], totals: [], given: [] }
    const { results } = writer.append([request], [], 0, now)
    counted += results[0]!.codes.filter((code) => code > 0).length
    after = batch.at(-1)!.position
  }
}

function importLog(old: DatabaseSync, database: DatabaseSync, now: number): Omit<MigrationSummary, 'counted'> {
  const summary = { waiting: 0, deadLetters: 0 }
  const retired = columnsOf(old, 'cursors').includes('retired') ? 'retired' : '0'
  const cursors = old
    .prepare(`SELECT reader, position, ${retired} AS retired FROM cursors WHERE reader <> 'ledger'`)
    .all() as { reader: string; position: number; retired: number }[]
  const active = cursors.filter((cursor) => cursor.retired === 0)
  database.exec('BEGIN IMMEDIATE')
  try {
    const addSink = database.prepare('INSERT INTO sinks VALUES (?, ?, ?)')
    for (const { reader, position, retired } of cursors) addSink.run(reader, position, retired)
    const addCount = database.prepare(
      'INSERT INTO sink_counts VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count',
    )
    // due = what has an outcome, less what came to it again from the dead letters, and what waits.
    const outcomes = old.prepare("SELECT * FROM outcomes WHERE reader <> 'ledger'").all() as unknown as Outcome[]
    for (const { reader, tenant, outcome, reason, count } of outcomes) {
      addCount.run(reader, tenant, outcome, reason, count)
      if (outcome !== 'discarded') addCount.run(reader, tenant, 'due', '', outcome === 'replayed' ? -count : count)
    }
    const addRow = database.prepare('INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?)')
    const only = columnsOf(old, 'calls').includes('only_reader') ? 'only_reader' : 'NULL'
    let bytes = 0
    const from = active.length === 0 ? Number.MAX_SAFE_INTEGER : Math.min(...active.map(({ position }) => position))
    for (const row of old
      .prepare(`SELECT position, at, tenant, ${only} AS only_sink, repeat, body FROM calls WHERE position > ?`)
      .iterate(from) as Iterable<unknown>) {
      const { position, at, tenant, only_sink, repeat, body } = row as LogRow
      const utf8 = Buffer.from(body)
      const size = utf8.length + ROW_BYTES
      // A row that is damaged already keeps a checksum that says so: it is set aside when it is read.
      const checksum = parsed(body) === undefined ? crc32(utf8) ^ 1 : crc32(utf8)
      addRow.run(position, at, tenant, only_sink, repeat, size, checksum, utf8)
      bytes += size
      summary.waiting++
      for (const cursor of active)
        if (cursor.position < position && (only_sink === null || only_sink === cursor.reader))
          addCount.run(cursor.reader, tenant, 'due', '', 1)
    }
    database.prepare("UPDATE state SET value = ? WHERE name = 'log_bytes'").run(bytes)
    database.prepare("DELETE FROM sqlite_sequence WHERE name = 'log'").run()
    database.prepare("INSERT INTO sqlite_sequence (name, seq) VALUES ('log', ?)").run(lastPositionOf(old))

    if (has(old, 'dead_letters')) {
      const addLetter = database.prepare('INSERT INTO dead_letters VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)')
      let letterBytes = 0
      for (const row of old.prepare('SELECT * FROM dead_letters').iterate() as Iterable<unknown>) {
        const { reader, position, id, tenant, reason, at, body } = row as Letter
        const utf8 = Buffer.from(body)
        const size = utf8.length + LETTER_BYTES
        addLetter.run(reader, position, id, tenant, reason, at, size, crc32(utf8), utf8)
        letterBytes += size
        summary.deadLetters++
      }
      database.prepare("UPDATE state SET value = ? WHERE name = 'dead_letter_bytes'").run(letterBytes)
    }
    // Ids of calls that may have no line (an older ledger kept none): recognised as long as before.
    if (columnsOf(old, 'ids').includes('key')) {
      const addId = database.prepare('INSERT OR IGNORE INTO carried_ids VALUES (?)')
      for (const row of old.prepare('SELECT key FROM ids WHERE at > ?').iterate(now - CARRIED_MS) as Iterable<unknown>)
        addId.run((row as { key: Uint8Array }).key)
      database.prepare("INSERT OR REPLACE INTO state VALUES ('carried_until', ?)").run(now + CARRIED_MS)
    }
    database.exec('COMMIT')
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
  return summary
}

function lastPositionOf(old: DatabaseSync): number {
  const row = old.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'calls'").get() as { seq: number } | undefined
  return row?.seq ?? 0
}
function has(database: DatabaseSync, table: string): boolean {
  return database.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?").get(table) !== undefined
}
function columnsOf(database: DatabaseSync, table: string): string[] {
  return (database.prepare('SELECT name FROM pragma_table_info(?)').all(table) as { name: string }[]).map(
    ({ name }) => name,
  )
}
function parsed(body: string): LlmCall | undefined {
  try {
    const call = JSON.parse(body) as LlmCall
    return typeof call?.id === 'string' ? call : undefined
  } catch {
    return undefined
  }
}

interface Outcome {
  reader: string
  tenant: string
  outcome: string
  reason: string
  count: number
}
interface LogRow {
  position: number
  at: number
  tenant: string
  only_sink: string | null
  repeat: number
  body: string
}
interface Letter {
  reader: string
  position: number
  id: string
  tenant: string
  reason: string
  at: number
  body: string
}
