import { statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { migrate } from './migrate.ts'
import { LEDGER_READER, type Settlement } from './spool.ts'
import { SPOOL_MIGRATIONS } from './sqlite-schema.ts'

/** The synchronous half of the SQLite spool: it lives in a worker thread, see sqlite-worker.ts. */
export interface StoreOptions {
  file: string
  limitBytes: number
  /** undefined: a tool beside a running sidecar; it takes no lock and leaves the cursors' readers as they are. */
  readers: readonly string[] | undefined
  idRetentionMs: number
}

export interface StoredCall {
  id: string
  tenant: string
  billingKey: string | undefined
  body: string
}
export interface StoredRow {
  position: number
  repeat: boolean
  body: string
}
export interface AppendResult {
  /** Of each call: its position, negative where it is stored as a repeat, 0 where it was a duplicate. */
  positions: number[]
}
export interface BuriedCall {
  position: number
  id: string
  tenant: string
  reason: string
  body: string
}

const SQLITE_FULL = 13
const IOERR_WRITE = 778
const TRIM_ROWS = 2000
const PURGE_ROWS = 2000
/** What a row costs besides its body: the keys, the indexes, the page's slack. */
const ROW_OVERHEAD = 350

export class FullError extends Error {}

export function openStore(options: StoreOptions, now: () => number) {
  const { file } = options
  const lock = options.readers === undefined ? undefined : takeLock(`${file}.lock`)
  const database = new DatabaseSync(file, { timeout: 5000 })
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
  migrate(database, file, SPOOL_MIGRATIONS)

  const insertId = database.prepare('INSERT OR IGNORE INTO ids VALUES (?, ?)')
  const claimKey = database.prepare('INSERT OR IGNORE INTO billing_keys VALUES (?, ?)')
  const insertCall = database.prepare(
    'INSERT INTO calls (id, tenant, at, repeat, body, only_reader) VALUES (?, ?, ?, ?, ?, ?)',
  )
  const selectRows = database.prepare(
    'SELECT position, repeat, body FROM calls WHERE position > ? AND (only_reader IS NULL OR only_reader = ?) ORDER BY position LIMIT ?',
  )
  const tenantsBetween = database.prepare(
    'SELECT tenant, count(*) AS count FROM calls WHERE position > ? AND position <= ? AND (only_reader IS NULL OR only_reader = ?) GROUP BY tenant',
  )
  const setCursor = database.prepare('UPDATE cursors SET position = max(position, ?) WHERE reader = ?')
  const addOutcome = database.prepare(
    'INSERT INTO outcomes VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count',
  )
  const deleteUpTo = database.prepare('DELETE FROM calls WHERE position <= ?')
  const oldestRow = database.prepare('SELECT position, at FROM calls ORDER BY position LIMIT 1')
  const oldestFor = database.prepare(
    'SELECT at FROM calls WHERE position > ? AND (only_reader IS NULL OR only_reader = ?) ORDER BY position LIMIT 1',
  )
  const nthRow = database.prepare('SELECT position FROM calls WHERE position <= ? ORDER BY position LIMIT 1 OFFSET ?')
  const bury = database.prepare('INSERT OR REPLACE INTO dead_letters VALUES (?, ?, ?, ?, ?, ?, ?)')
  const pages = database.prepare(
    'SELECT (SELECT page_count FROM pragma_page_count) - (SELECT freelist_count FROM pragma_freelist_count) AS used',
  )
  const pageSize = (database.prepare('PRAGMA page_size').get() as { page_size: number }).page_size
  const dataVersion = database.prepare('PRAGMA data_version')
  // The write-ahead log counts towards the limit, so it may only be a part of it.
  const walPages = Math.floor(Math.min(4 * 1024 * 1024, options.limitBytes / 16) / pageSize)
  database.exec(`PRAGMA wal_autocheckpoint = ${Math.max(16, walPages)}`)

  if (options.readers !== undefined) configureReaders(database, options.readers)
  const cursors = new Map<string, number>()
  let lastPosition = 0
  /** Calls that wait, per reader and tenant: kept up to date, because a scan for each scrape would not be cheap. */
  const waiting = new Map<string, Map<string, number>>()
  let seenVersion = -1
  refresh()

  /** From the file: at start, and when a tool has written beside us. */
  function refresh(): void {
    cursors.clear()
    for (const row of database.prepare('SELECT reader, position FROM cursors').all() as {
      reader: string
      position: number
    }[])
      cursors.set(row.reader, row.position)
    lastPosition =
      (database.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'calls'").get() as { seq: number } | undefined)
        ?.seq ?? 0
    waiting.clear()
    for (const [reader, position] of cursors) {
      const perTenant = new Map<string, number>()
      for (const { tenant, count } of tenantsBetween.all(position, lastPosition, reader) as {
        tenant: string
        count: number
      }[])
        perTenant.set(tenant, count)
      waiting.set(reader, perTenant)
    }
    seenVersion = versionOfOthers()
  }
  function versionOfOthers(): number {
    return (dataVersion.get() as { data_version: number }).data_version
  }

  function usedBytes(): number {
    return (pages.get() as { used: number }).used * pageSize + walBytes(file)
  }

  /** All or nothing; a full disk is `FullError`, and nothing has changed. */
  function transaction<T>(work: () => T): T {
    database.exec('BEGIN IMMEDIATE')
    try {
      const result = work()
      database.exec('COMMIT')
      return result
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK')
      refresh()
      const code = (error as { errcode?: number }).errcode
      if (code === SQLITE_FULL || code === IOERR_WRITE) throw new FullError()
      throw error
    }
  }

  function count(reader: string, tenant: string, change: number): void {
    const perTenant = waiting.get(reader)
    if (perTenant === undefined) return
    const value = (perTenant.get(tenant) ?? 0) + change
    if (value > 0) perTenant.set(tenant, value)
    else perTenant.delete(tenant)
  }

  /** Law 3: frees `bytes` by moving readers other than the ledger past the oldest rows; false where the ledger stands in the way. */
  function makeRoom(bytes: number): boolean {
    let used = usedBytes()
    while (used + bytes > options.limitBytes) {
      const oldest = oldestRow.get() as { position: number } | undefined
      const ledger = cursors.get(LEDGER_READER) ?? lastPosition
      if (oldest === undefined || oldest.position > ledger) return false
      const target = Math.min(
        ledger,
        (nthRow.get(ledger, TRIM_ROWS / 4) as { position: number } | undefined)?.position ?? ledger,
      )
      for (const [reader, position] of cursors) if (position < target) moveOn(reader, position, target)
      deleteUpTo.run(target)
      const after = usedBytes()
      if (after >= used) return after + bytes <= options.limitBytes
      used = after
    }
    return true
  }

  function moveOn(reader: string, from: number, to: number): void {
    for (const { tenant, count: skipped } of tenantsBetween.all(from, to, reader) as {
      tenant: string
      count: number
    }[]) {
      addOutcome.run(reader, tenant, 'dropped', 'spool_full', skipped)
      count(reader, tenant, -skipped)
    }
    setCursor.run(to, reader)
    cursors.set(reader, to)
  }

  return {
    cursors,
    get lastPosition() {
      return lastPosition
    },
    transaction,
    /** Inside a transaction. Throws FullError where there is no room. */
    append(calls: readonly StoredCall[]): AppendResult {
      const bytes = calls.reduce((sum, call) => sum + call.body.length + ROW_OVERHEAD, 0)
      if (!makeRoom(bytes)) throw new FullError()
      const at = now()
      const positions = calls.map((call) => {
        if (insertId.run(call.id, at).changes === 0) return 0
        const repeat = call.billingKey !== undefined && claimKey.run(call.billingKey, at).changes === 0
        const { lastInsertRowid } = insertCall.run(call.id, call.tenant, at, repeat ? 1 : 0, call.body, null)
        lastPosition = Number(lastInsertRowid)
        for (const reader of cursors.keys()) count(reader, call.tenant, 1)
        return repeat ? -lastPosition : lastPosition
      })
      return { positions }
    },
    read(reader: string, after: number, calls: number, bytes: number): StoredRow[] {
      const rows: StoredRow[] = []
      let size = 0
      for (const row of selectRows.iterate(after, reader, calls) as Iterable<{
        position: number
        repeat: number
        body: string
      }>) {
        size += row.body.length
        if (rows.length > 0 && size > bytes) break
        rows.push({ position: row.position, repeat: row.repeat === 1, body: row.body })
      }
      return rows
    },
    /** Inside a transaction. Settlements of positions passed before are ignored. */
    commit(reader: string, upTo: number, settled: readonly Settlement[]): void {
      const from = cursors.get(reader)
      if (from === undefined) throw new Error(`the spool has no reader ${reader}`)
      const counts = new Map<string, { settlement: Settlement; count: number }>()
      for (const settlement of settled) {
        if (settlement.position <= from) continue
        const key = `${settlement.tenant}\u0000${settlement.outcome}\u0000${settlement.reason}`
        const counted = counts.get(key)
        if (counted === undefined) counts.set(key, { settlement, count: 1 })
        else counted.count++
      }
      for (const { settlement, count: times } of counts.values())
        addOutcome.run(reader, settlement.tenant, settlement.outcome, settlement.reason, times)
      if (upTo <= from) return
      for (const { tenant, count: passed } of tenantsBetween.all(from, upTo, reader) as {
        tenant: string
        count: number
      }[])
        count(reader, tenant, -passed)
      setCursor.run(upTo, reader)
      cursors.set(reader, upTo)
    },
    bury(reader: string, calls: readonly BuriedCall[]): void {
      for (const call of calls) bury.run(reader, call.position, call.id, call.tenant, call.reason, now(), call.body)
    },
    deadLetters(reader: string | undefined) {
      return database
        .prepare(
          'SELECT reader, position, id, tenant, reason, at, body FROM dead_letters WHERE ?1 IS NULL OR reader = ?1 ORDER BY reader, position',
        )
        .all(reader ?? null) as {
        reader: string
        position: number
        id: string
        tenant: string
        reason: string
        at: number
        body: string
      }[]
    },
    /** Inside a transaction: a row of its own for that reader alone; the call's id stays claimed. */
    replay(reader: string, positions: readonly number[] | undefined): number {
      let replayed = 0
      for (const letter of this.deadLetters(reader)) {
        if (positions !== undefined && !positions.includes(letter.position)) continue
        const { lastInsertRowid } = insertCall.run(letter.id, letter.tenant, now(), 0, letter.body, reader)
        database.prepare('DELETE FROM dead_letters WHERE reader = ? AND position = ?').run(reader, letter.position)
        lastPosition = Number(lastInsertRowid)
        count(reader, letter.tenant, 1)
        replayed++
      }
      return replayed
    },
    /** A slice of what every reader has passed, and of ids past their time. True where more waits. */
    trim(): boolean {
      if (options.readers === undefined) return false
      const passed = cursors.size === 0 ? 0 : Math.min(...cursors.values())
      const slice = (nthRow.get(passed, TRIM_ROWS) as { position: number } | undefined)?.position
      const trimmed = Number(deleteUpTo.run(slice ?? passed).changes)
      const oldestAt = (oldestRow.get() as { at: number } | undefined)?.at ?? Number.POSITIVE_INFINITY
      const before = Math.min(now() - options.idRetentionMs, oldestAt)
      let purged = 0
      for (const table of ['ids', 'billing_keys'] as const) {
        const key = table === 'ids' ? 'id' : 'key'
        purged += Number(
          database
            .prepare(
              `DELETE FROM ${table} WHERE ${key} IN (SELECT ${key} FROM ${table} WHERE at < ? ORDER BY at LIMIT ${PURGE_ROWS})`,
            )
            .run(before).changes,
        )
      }
      return trimmed >= TRIM_ROWS || purged >= PURGE_ROWS
    },
    stats() {
      const outcomes = database.prepare('SELECT reader, tenant, outcome, reason, count FROM outcomes')
      outcomes.setReadBigInts(true)
      const letters = new Map(
        (
          database.prepare('SELECT reader, count(*) AS count FROM dead_letters GROUP BY reader').all() as {
            reader: string
            count: number
          }[]
        ).map((row) => [row.reader, row.count]),
      )
      return {
        bytes: usedBytes(),
        limitBytes: options.limitBytes,
        rows: (database.prepare('SELECT count(*) AS count FROM calls').get() as { count: number }).count,
        lastPosition,
        readers: [...cursors].map(([reader, position]) => ({
          reader,
          position,
          waiting: Object.fromEntries(waiting.get(reader) ?? []),
          oldestAt: (oldestFor.get(position, reader) as { at: number } | undefined)?.at,
          deadLetters: letters.get(reader) ?? 0,
        })),
        outcomes: outcomes.all() as never[],
      }
    },
    /** True where a tool has changed the file since the last look; what is kept in memory is then read anew. */
    changedByOthers(): boolean {
      if (versionOfOthers() === seenVersion) return false
      refresh()
      return true
    },
    close(): void {
      database.close()
      lock?.close()
    },
  }
}
export type Store = ReturnType<typeof openStore>

/** A reader that is new starts at the oldest row kept; one that is no longer configured must not hold the trim. */
function configureReaders(database: DatabaseSync, readers: readonly string[]): void {
  database.exec('BEGIN IMMEDIATE')
  const start = database.prepare(
    `INSERT OR IGNORE INTO cursors SELECT ?, coalesce((SELECT min(position) - 1 FROM calls), (SELECT seq FROM sqlite_sequence WHERE name = 'calls'), 0)`,
  )
  for (const reader of readers) start.run(reader)
  for (const { reader } of database.prepare('SELECT reader FROM cursors').all() as { reader: string }[])
    if (!readers.includes(reader)) database.prepare('DELETE FROM cursors WHERE reader = ?').run(reader)
  database.exec('COMMIT')
}

/** An exclusive transaction on a file of its own: the kernel lets go of it when the process dies, however it dies. */
function takeLock(file: string): DatabaseSync {
  const lock = new DatabaseSync(file, { timeout: 0 })
  try {
    lock.exec('PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE')
  } catch {
    lock.close()
    throw new Error(`${file} is held by another process: two sidecars must not share one store`)
  }
  return lock
}

function walBytes(file: string): number {
  return statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0
}
