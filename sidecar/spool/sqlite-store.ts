import { DatabaseSync } from 'node:sqlite'
import { migrate } from './migrate.ts'
import { makeReaderCounts } from './reader-counts.ts'
import { LEDGER_READER, type OutcomeCount, type Settlement, type SpoolStats } from './spool.ts'
import { CLAIM_BYTES, claimKey, makeClaims } from './sqlite-claims.ts'
import { type BuriedCall, makeDeadLetters } from './sqlite-dead-letters.ts'
import { takeLock } from './sqlite-lock.ts'
import { configureReaders } from './sqlite-readers.ts'
import { makeRoomMeter } from './sqlite-room.ts'
import { SPOOL_MIGRATIONS } from './sqlite-schema.ts'

/** The synchronous half of the SQLite spool: it lives in a worker thread, see sqlite-worker.ts. */
export interface StoreOptions {
  file: string
  limitBytes: number
  /** undefined: a tool beside a running sidecar; it takes no lock and leaves readers and schema as they are. */
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

/** SQLITE_FULL; and what a full disk makes of a write and of the shared-memory file. */
const FULL_CODES: readonly unknown[] = [13, 778, 4874]
const TRIM_ROWS = 2000
const MAKE_ROOM_ROWS = 50
/** What a row costs besides its body: its keys, the indexes, the slack of its pages. */
const ROW_OVERHEAD = 600

export class FullError extends Error {}

export function openStore(options: StoreOptions, now: () => number) {
  const { file, limitBytes } = options
  const lock = options.readers === undefined ? undefined : takeLock(`${file}.lock`)
  const database = new DatabaseSync(file, { timeout: 5000 })
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;')
  database.function('claim_key', { deterministic: true }, (text) => claimKey(String(text)))
  if (options.readers === undefined) requireSchema(database, file)
  migrate(database, file, SPOOL_MIGRATIONS)
  if (options.readers !== undefined) configureReaders(database, options.readers)

  const insertCall = database.prepare(
    'INSERT INTO calls (id, tenant, at, repeat, body, only_reader) VALUES (?, ?, ?, ?, ?, ?)',
  )
  const selectRows = database.prepare(
    'SELECT position, repeat, body FROM calls WHERE position > ? AND (only_reader IS NULL OR only_reader = ?) ORDER BY position LIMIT ?',
  )
  const tenantsBetween = database.prepare(
    'SELECT tenant, count(*) AS count FROM calls WHERE position > ? AND position <= ? AND (only_reader IS NULL OR only_reader = ?) GROUP BY tenant',
  )
  const allRows = database.prepare('SELECT position, tenant, only_reader FROM calls ORDER BY position')
  const setCursor = database.prepare('UPDATE cursors SET position = ? WHERE reader = ?')
  const addOutcome = database.prepare(
    'INSERT INTO outcomes VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count',
  )
  const allOutcomes = database.prepare('SELECT reader, tenant, outcome, reason, count FROM outcomes')
  allOutcomes.setReadBigInts(true)
  const deleteUpTo = database.prepare('DELETE FROM calls WHERE position <= ?')
  const oldestRow = database.prepare('SELECT position, at FROM calls ORDER BY position LIMIT 1')
  const oldestFor = database.prepare(
    'SELECT at FROM calls WHERE position > ? AND (only_reader IS NULL OR only_reader = ?) ORDER BY position LIMIT 1',
  )
  const nthRow = database.prepare('SELECT position FROM calls WHERE position <= ? ORDER BY position LIMIT 1 OFFSET ?')
  const dataVersion = database.prepare('PRAGMA data_version')
  const { id: identity } = database.prepare('SELECT id FROM identity').get() as { id: string }

  const room = makeRoomMeter(database, file, limitBytes)
  const counts = makeReaderCounts()
  const claims = makeClaims(database, {
    retentionMs: options.idRetentionMs,
    limit: Math.floor(limitBytes / 2 / CLAIM_BYTES),
  })
  const letters = makeDeadLetters(database, limitBytes / 8, (...outcome) => addOutcome.run(...outcome))
  let seenVersion = -1
  refresh()

  /** From the file: at start, and when a tool has written beside us. */
  function refresh(): void {
    const cursors = database.prepare('SELECT reader, position FROM cursors WHERE retired = 0').all() as {
      reader: string
      position: number
    }[]
    const sequence = database.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'calls'").get() as
      | { seq: number }
      | undefined
    counts.load(
      new Map(cursors.map(({ reader, position }) => [reader, position])),
      sequence?.seq ?? 0,
      allRows.iterate() as Iterable<{ position: number; tenant: string; only_reader: string | null }>,
    )
    letters.recount()
    seenVersion = versionOfOthers()
  }
  function versionOfOthers(): number {
    return (dataVersion.get() as { data_version: number }).data_version
  }

  /** All or nothing, in the file and in memory; a full disk is `FullError`. */
  function transaction<T>(work: () => T): T {
    claims.begin()
    letters.begin()
    room.begin()
    try {
      database.exec('BEGIN IMMEDIATE')
      const result = work()
      database.exec('COMMIT')
      counts.keep()
      return result
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK')
      counts.takeBack()
      claims.takeBack()
      letters.takeBack()
      if (FULL_CODES.includes((error as { errcode?: number }).errcode)) throw new FullError()
      throw error
    }
  }

  /** Law 3: room for `bytes`, by moving readers other than the ledger past the oldest rows; false where the ledger stands in the way. */
  function makeRoom(bytes: number): boolean {
    // What would not fit into an empty store must not empty this one.
    if (room.least(bytes) > limitBytes) return false
    while (room.usedWith(bytes) > limitBytes) {
      const before = room.usedWith(bytes)
      const oldest = oldestRow.get() as { position: number } | undefined
      const ledger = counts.cursors.get(LEDGER_READER) ?? counts.lastPosition
      if (oldest === undefined || oldest.position > ledger) return false
      const target = (nthRow.get(ledger, MAKE_ROOM_ROWS) as { position: number } | undefined)?.position ?? ledger
      for (const [reader, position] of counts.cursors) if (position < target) moveOn(reader, position, target)
      counts.deleted(Number(deleteUpTo.run(target).changes))
      if (room.usedWith(bytes) >= before) return false
    }
    return true
  }

  function moveOn(reader: string, from: number, to: number): void {
    for (const { tenant, count } of tenantsBetween.all(from, to, reader) as { tenant: string; count: number }[]) {
      addOutcome.run(reader, tenant, 'dropped', 'spool_full', count)
      counts.settled(reader, tenant, count)
    }
    setCursor.run(to, reader)
    counts.moved(reader, to)
  }

  return {
    get cursors() {
      return counts.cursors
    },
    get lastPosition() {
      return counts.lastPosition
    },
    transaction,
    /** Inside a transaction. `full` where there is no room: then nothing of it is stored. */
    append(calls: readonly StoredCall[]): AppendResult | 'full' {
      let bytes = 0
      for (const call of calls) bytes += Buffer.byteLength(call.body) + ROW_OVERHEAD
      if (!makeRoom(bytes)) return 'full'
      room.wrote(bytes)
      const at = now()
      const perTenant = new Map<string, number>()
      let last = 0
      const positions = calls.map((call) => {
        if (!claims.id(call.id, at)) return 0
        const repeat = call.billingKey !== undefined && !claims.billingKey(call.billingKey, at)
        last = Number(insertCall.run(call.id, call.tenant, at, repeat ? 1 : 0, call.body, null).lastInsertRowid)
        perTenant.set(call.tenant, (perTenant.get(call.tenant) ?? 0) + 1)
        return repeat ? -last : last
      })
      for (const [tenant, count] of perTenant) counts.appended(tenant, last, undefined, count)
      return { positions }
    },
    /** Throws FullError where the open transaction is larger than was foreseen. */
    checkRoom(): void {
      if (!room.within()) throw new FullError()
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
      const from = counts.cursors.get(reader)
      if (from === undefined) throw new Error(`the spool has no reader ${reader}`)
      if (upTo <= from) return
      const tally = new Map<string, { settlement: Settlement; count: number }>()
      for (const settlement of settled) {
        if (settlement.position <= from) continue
        const key = `${settlement.tenant}\u0000${settlement.outcome}\u0000${settlement.reason}`
        const counted = tally.get(key)
        if (counted === undefined) tally.set(key, { settlement, count: 1 })
        else counted.count++
      }
      for (const { settlement, count } of tally.values())
        addOutcome.run(reader, settlement.tenant, settlement.outcome, settlement.reason, count)
      for (const { tenant, count } of tenantsBetween.all(from, upTo, reader) as { tenant: string; count: number }[])
        counts.settled(reader, tenant, count)
      setCursor.run(upTo, reader)
      counts.moved(reader, upTo)
    },
    /** Inside a transaction. */
    bury: (reader: string, calls: readonly BuriedCall[]): void => letters.bury(reader, calls, now()),
    deadLetters: letters.list,
    /** Inside a transaction: a row of its own for that reader alone; the call's id stays claimed. */
    replay(reader: string, positions: readonly number[] | undefined): number {
      let replayed = 0
      for (const letter of letters.list(reader)) {
        if (positions !== undefined && !positions.includes(letter.position)) continue
        const { lastInsertRowid } = insertCall.run(letter.id, letter.tenant, now(), 0, letter.body, reader)
        letters.remove(letter)
        addOutcome.run(reader, letter.tenant, 'replayed', '', 1)
        counts.appended(letter.tenant, Number(lastInsertRowid), reader, 1)
        replayed++
      }
      return replayed
    },
    /** Inside a transaction: a slice of what every reader has passed, and of claims to forget. True where more waits. */
    trim(): boolean {
      if (options.readers === undefined) return false
      const passed = counts.cursors.size === 0 ? 0 : Math.min(...counts.cursors.values())
      const slice = (nthRow.get(passed, TRIM_ROWS) as { position: number } | undefined)?.position
      const trimmed = Number(deleteUpTo.run(slice ?? passed).changes)
      counts.deleted(trimmed)
      const oldestAt = (oldestRow.get() as { at: number } | undefined)?.at ?? Number.POSITIVE_INFINITY
      return claims.forget(now(), oldestAt) || trimmed >= TRIM_ROWS
    },
    stats(): SpoolStats {
      const buried = letters.counts()
      return {
        identity,
        bytes: room.used(),
        limitBytes,
        rows: counts.rows,
        lastPosition: counts.lastPosition,
        idsForgottenEarly: claims.forgottenEarly,
        readers: [...counts.cursors].map(([reader, position]) => ({
          reader,
          position,
          waiting: counts.waitingOf(reader),
          oldestAt: (oldestFor.get(position, reader) as { at: number } | undefined)?.at,
          deadLetters: buried.get(reader) ?? 0,
        })),
        outcomes: allOutcomes.all() as unknown as OutcomeCount[],
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

/** A tool must not migrate the store of a sidecar that may be running. */
function requireSchema(database: DatabaseSync, file: string): void {
  const { user_version: found } = database.prepare('PRAGMA user_version').get() as { user_version: number }
  if (found < SPOOL_MIGRATIONS.length)
    throw new Error(
      `${file} has schema version ${found}; this program works with ${SPOOL_MIGRATIONS.length}: start its sidecar once, which brings the store up to date`,
    )
}
