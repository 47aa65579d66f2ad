import type { DatabaseSync } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import type { Outcome } from './sink-log.ts'

export interface StoredLetter {
  position: number
  id: string
  tenant: string
  reason: string
  /** JSON in UTF-8. */
  body: Uint8Array
}
export interface SettleRequest {
  sink: string
  upTo: number | undefined
  outcomes: readonly Outcome[]
  held: readonly { position: number; tenant: string }[]
  deadLetters: readonly StoredLetter[]
}

/** What a row takes besides its body: its columns and its share of pages. */
export const ROW_BYTES = 96
const TRIM_ROWS = 1000
const FREE_ROWS = 500
/** The same of a dead letter. */
export const LETTER_BYTES = 300

/**
 * The log's half of the store (schema.ts): rows, cursors, what is held, dead letters. Everything that writes runs inside the
 * caller's transaction; `reload` when one was given up. No sink holds up an append: see `free`.
 */
export function makeLog(database: DatabaseSync, limits: { logBytes: number; letterBytes: number }) {
  const insertRow = database.prepare(
    'INSERT INTO log (at, tenant, only_sink, repeat, bytes, checksum, body) VALUES (?, ?, ?, ?, ?, ?, ?)',
  )
  const cursorsOf = database.prepare('SELECT sink, position FROM sinks WHERE retired = 0')
  const setCursor = database.prepare('UPDATE sinks SET position = ? WHERE sink = ?')
  const addCount = database.prepare(
    'INSERT INTO sink_counts VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count',
  )
  const hold = database.prepare('INSERT OR IGNORE INTO held VALUES (?, ?, ?)')
  const letGo = database.prepare('DELETE FROM held WHERE sink = ? AND tenant = ? AND position = ?')
  const oldest = database.prepare('SELECT position FROM log ORDER BY position LIMIT 1 OFFSET ?')
  const nthWaiting = database.prepare(
    `SELECT position FROM log WHERE position > ?1 OR position IN (SELECT position FROM held)
     ORDER BY position LIMIT 1 OFFSET ?2`,
  )
  const newest = database.prepare('SELECT max(position) AS position FROM log')
  const tenantsBetween = database.prepare(
    `SELECT tenant, count(*) AS count FROM log WHERE position > ? AND position <= ? AND (only_sink IS NULL OR only_sink = ?)
     GROUP BY tenant`,
  )
  const heldUpTo = database.prepare(
    'SELECT sink, tenant, count(*) AS count FROM held WHERE position <= ? GROUP BY 1, 2',
  )
  const dropHeld = database.prepare('DELETE FROM held WHERE position <= ?')
  const sumUpTo = database.prepare('SELECT coalesce(sum(bytes), 0) AS bytes FROM log WHERE position <= ?')
  const deleteUpTo = database.prepare('DELETE FROM log WHERE position <= ?')
  const nthBetween = database.prepare(
    `SELECT position FROM log WHERE position > ? AND position <= ? ORDER BY position LIMIT 1 OFFSET ${TRIM_ROWS - 1}`,
  )
  const sumPassed = database.prepare(
    `SELECT coalesce(sum(bytes), 0) AS bytes, count(*) AS rows FROM log
     WHERE position > ? AND position <= ? AND position NOT IN (SELECT position FROM held)`,
  )
  const deletePassed = database.prepare(
    'DELETE FROM log WHERE position > ? AND position <= ? AND position NOT IN (SELECT position FROM held)',
  )
  const rowAt = database.prepare('SELECT tenant, only_sink, bytes FROM log WHERE position = ?')
  const deleteAt = database.prepare('DELETE FROM log WHERE position = ?')
  const heldAt = database.prepare('SELECT sink FROM held WHERE position = ?')
  const dropHeldAt = database.prepare('DELETE FROM held WHERE position = ?')
  const stateOf = database.prepare('SELECT value FROM state WHERE name = ?')
  const setState = database.prepare('UPDATE state SET value = ? WHERE name = ?')

  const putLetter = database.prepare('INSERT OR REPLACE INTO dead_letters VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)')
  const letterBytes = database.prepare('SELECT bytes FROM dead_letters WHERE sink = ? AND position = ?')
  const oldestLetter = database.prepare(
    'SELECT sink, position, tenant, bytes FROM dead_letters ORDER BY at, position LIMIT 1',
  )
  const dropLetter = database.prepare('DELETE FROM dead_letters WHERE sink = ? AND position = ?')
  const lettersOf = database.prepare(
    'SELECT position, id, tenant, reason, bytes, checksum, body FROM dead_letters WHERE sink = ? ORDER BY position LIMIT ?',
  )

  let cursors = new Map<string, number>()
  let bytes = 0
  let bytesOfLetters = 0
  let lastPosition = 0
  /** Rows up to here that are still there were held when `trim` came past; it does not look at them again. */
  let swept = 0
  /** Of these, what a sink let go since. */
  let released: number[] = []
  function reload(): void {
    cursors = new Map(
      (cursorsOf.all() as { sink: string; position: number }[]).map(({ sink, position }) => [sink, position]),
    )
    bytes = (stateOf.get('log_bytes') as { value: number }).value
    bytesOfLetters = (stateOf.get('dead_letter_bytes') as { value: number }).value
    const sequence = database.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'log'").get() as
      | { seq: number }
      | undefined
    lastPosition = sequence?.seq ?? 0
    swept = 0
    released = []
  }
  reload()

  function addBytes(change: number): void {
    bytes += change
    setState.run(bytes, 'log_bytes')
  }
  function addLetterBytes(change: number): void {
    bytesOfLetters += change
    setState.run(bytesOfLetters, 'dead_letter_bytes')
  }
  function count(sink: string, tenant: string, outcome: string, reason: string, calls: number): void {
    addCount.run(sink, tenant, outcome, reason, calls)
  }

  function dropUpTo(target: number): void {
    for (const [sink, position] of cursors) {
      if (position >= target) continue
      for (const { tenant, count: calls } of tenantsBetween.all(position, target, sink) as TenantCount[])
        count(sink, tenant, 'dropped', 'log_full', calls)
      setCursor.run(target, sink)
      cursors.set(sink, target)
    }
    for (const { sink, tenant, count: calls } of heldUpTo.all(target) as (TenantCount & { sink: string })[])
      count(sink, tenant, 'dropped', 'log_full', calls)
    dropHeld.run(target)
    const { bytes: freed } = sumUpTo.get(target) as { bytes: number }
    deleteUpTo.run(target)
    addBytes(-freed)
  }

  function discardLetters(): void {
    while (bytesOfLetters > limits.letterBytes) {
      const letter = oldestLetter.get() as { sink: string; position: number; tenant: string; bytes: number } | undefined
      if (letter === undefined) return
      dropLetter.run(letter.sink, letter.position)
      count(letter.sink, letter.tenant, 'discarded', 'dead_letters_full', 1)
      addLetterBytes(-letter.bytes)
    }
  }

  return {
    get cursors(): ReadonlyMap<string, number> {
      return cursors
    },
    get lastPosition() {
      return lastPosition
    },
    get bytes() {
      return bytes
    },
    get hasSinks() {
      return cursors.size > 0
    },
    reload,
    /** Bytes that a body takes of the log's limit. */
    sizeOf: (bodyBytes: number): number => bodyBytes + ROW_BYTES,
    /** Returns the position of the row, or 0 where no sink waits for it. `due` gathers per tenant, see `countDue`. */
    append(call: { tenant: string; repeat: boolean; body: Uint8Array }, now: number, due: Map<string, number>): number {
      if (cursors.size === 0) return 0
      const size = call.body.length + ROW_BYTES
      const { tenant, repeat, body } = call
      const row = insertRow.run(now, tenant, null, repeat ? 1 : 0, size, crc32(body), body)
      bytes += size
      lastPosition = Number(row.lastInsertRowid)
      due.set(tenant, (due.get(tenant) ?? 0) + 1)
      return lastPosition
    },
    /** After the appends of a transaction. */
    countDue(due: ReadonlyMap<string, number>): void {
      if (due.size === 0) return
      for (const sink of cursors.keys()) for (const [tenant, calls] of due) count(sink, tenant, 'due', '', calls)
      setState.run(bytes, 'log_bytes')
    },
    lacksRoom: (needed: number): boolean => bytes > 0 && bytes + needed > limits.logBytes,
    /** Calls that find no room even in an empty log: each sink has lost them. */
    countDropped(dropped: ReadonlyMap<string, number>): void {
      for (const sink of cursors.keys())
        for (const [tenant, calls] of dropped) {
          count(sink, tenant, 'due', '', calls)
          count(sink, tenant, 'dropped', 'log_full', calls)
        }
    },
    /**
     * Law 3: deletes a slice of the oldest rows until `needed` bytes fit, and counts them as dropped for each sink that had
     * not settled them. A batch that is in flight counts as dropped even if its sink takes it.
     */
    free(needed: number): void {
      const nth = oldest.get(FREE_ROWS - 1) as { position: number } | undefined
      const last = nth?.position ?? (newest.get() as { position: number | null }).position
      // Only as many of the slice as are needed.
      if (last === null) addBytes(-bytes)
      else dropUpTo(smallestPrefix(last, bytes + needed - limits.logBytes))
    },
    /** The same by count: the oldest rows that a sink waits for. */
    dropOldest(rows: number): void {
      const last = nthWaiting.get(Math.min(...cursors.values()), rows - 1) as { position: number } | undefined
      if (rows > 0) dropUpTo(last?.position ?? lastPosition)
    },
    settle(request: SettleRequest, now: number): void {
      const { sink, upTo, outcomes, held, deadLetters } = request
      const from = cursors.get(sink)
      if (from === undefined) throw new Error(`the store has no sink ${sink}`)
      const tally = new Map<string, { outcome: Outcome; count: number }>()
      const settledNow = new Set<number>()
      for (const outcome of outcomes) {
        const { position, tenant } = outcome
        const isNew =
          position > from ? upTo !== undefined && position <= upTo : letGo.run(sink, tenant, position).changes > 0
        if (!isNew || settledNow.has(position)) continue
        settledNow.add(position)
        if (position <= swept) released.push(position)
        const key = `${tenant}\u0000${outcome.outcome}\u0000${outcome.reason}`
        const counted = tally.get(key)
        if (counted === undefined) tally.set(key, { outcome, count: 1 })
        else counted.count++
      }
      for (const { outcome, count: calls } of tally.values())
        count(sink, outcome.tenant, outcome.outcome, outcome.reason, calls)
      for (const { position, tenant } of held)
        if (position > from && !settledNow.has(position)) hold.run(sink, tenant, position)
      for (const letter of deadLetters) {
        // Dropped meanwhile: it is counted as that.
        if (!settledNow.has(letter.position)) continue
        const known = (letterBytes.get(sink, letter.position) as { bytes: number } | undefined)?.bytes ?? 0
        const size = letter.body.length + LETTER_BYTES
        const { position, id, tenant, reason, body } = letter
        putLetter.run(sink, position, id, tenant, reason, now, size, crc32(body), body)
        addLetterBytes(size - known)
      }
      discardLetters()
      if (upTo !== undefined && upTo > from) {
        setCursor.run(upTo, sink)
        cursors.set(sink, upTo)
      }
    },
    /** A slice of what every sink has settled. True where more waits. */
    trim(): boolean {
      if (bytes === 0) return false
      let freed = 0
      for (const position of released.splice(0, TRIM_ROWS)) {
        const row = rowAt.get(position) as { bytes: number } | undefined
        if (row === undefined || heldAt.get(position) !== undefined) continue
        deleteAt.run(position)
        freed += row.bytes
      }
      const passed = cursors.size === 0 ? lastPosition : Math.min(...cursors.values())
      const nth = (nthBetween.get(swept, passed) as { position: number } | undefined)?.position
      const upTo = nth ?? passed
      const { bytes: sum, rows } = sumPassed.get(swept, upTo) as { bytes: number; rows: number }
      if (rows > 0) deletePassed.run(swept, upTo)
      swept = Math.max(swept, upTo)
      if (sum + freed > 0) addBytes(-sum - freed)
      return nth !== undefined || released.length > 0
    },
    /** A slice of dead letters, each put back as a row for its sink alone. */
    replay(sink: string, positions: readonly number[] | undefined, slice: number, now: number): number {
      if (!cursors.has(sink)) return 0
      let replayed = 0
      for (const letter of lettersOf.all(sink, positions === undefined ? slice : -1) as unknown as (StoredLetter & {
        bytes: number
        checksum: number
      })[]) {
        if (replayed === slice) break
        if (positions !== undefined && !positions.includes(letter.position)) continue
        const size = letter.body.length + ROW_BYTES
        const row = insertRow.run(now, letter.tenant, sink, 0, size, letter.checksum, letter.body)
        lastPosition = Number(row.lastInsertRowid)
        addBytes(size)
        dropLetter.run(sink, letter.position)
        addLetterBytes(-letter.bytes)
        count(sink, letter.tenant, 'replayed', '', 1)
        replayed++
      }
      return replayed
    },
    /** Rows that cannot be read: for each sink that had not settled one it counts as dropped. */
    setAside(positions: readonly number[]): void {
      for (const position of positions) {
        const row = rowAt.get(position) as { tenant: string; only_sink: string | null; bytes: number } | undefined
        if (row === undefined) continue
        const waiting = new Set((heldAt.all(position) as { sink: string }[]).map(({ sink }) => sink))
        for (const [sink, cursor] of cursors)
          if (cursor < position && (row.only_sink === null || row.only_sink === sink)) waiting.add(sink)
        for (const sink of waiting) count(sink, row.tenant, 'dropped', 'damaged', 1)
        dropHeldAt.run(position)
        deleteAt.run(position)
        addBytes(-row.bytes)
      }
    },
  }

  /** The first position at which the rows up to it take `wanted` bytes; `last` where they take less. */
  function smallestPrefix(last: number, wanted: number): number {
    let sum = 0
    for (const row of database
      .prepare('SELECT position, bytes FROM log WHERE position <= ? ORDER BY position')
      .iterate(last) as Iterable<{ position: number; bytes: number }>) {
      sum += row.bytes
      if (sum >= wanted) return row.position
    }
    return last
  }
}
export type Log = ReturnType<typeof makeLog>
type TenantCount = { tenant: string; count: number }
