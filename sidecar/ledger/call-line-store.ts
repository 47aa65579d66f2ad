import type { DatabaseSync } from 'node:sqlite'
import { KIND_COLUMNS, type KindLines, LINE_COLUMNS } from './call-lines.ts'
import { DAY_MS } from './period.ts'

const HOUR_MS = 3_600_000
/** Rows of a table that one transaction trims. */
const SLICE = 2000
const MAX_KINDS = 10_000

/** Runs inside the caller's transactions; `forget` when one was given up. */
export function makeCallLineStore(database: DatabaseSync, retentionMs: number) {
  const addKind = database.prepare(
    `INSERT INTO call_kinds (${KIND_COLUMNS.join(', ')}) VALUES (${KIND_COLUMNS.map(() => '?').join(', ')})`,
  )
  // An id that outlived its seven days in the spool and came again: it is one call, and has one line.
  const addLine = database.prepare(
    `INSERT OR IGNORE INTO calls (kind, ${LINE_COLUMNS.join(', ')}) VALUES (?, ${LINE_COLUMNS.map(() => '?').join(', ')})`,
  )
  const keptFromOf = database.prepare('SELECT kept_from FROM retention')
  const setKeptFrom = database.prepare('UPDATE retention SET kept_from = ?')
  const trims = ['adjustments', 'calls'].map((table) => ({
    nth: database.prepare(
      `SELECT started_at FROM ${table} WHERE started_at < ? ORDER BY started_at LIMIT 1 OFFSET ${SLICE}`,
    ),
    drop: database.prepare(`DELETE FROM ${table} WHERE started_at <= ?`),
  }))
  const dropKinds = database.prepare('DELETE FROM call_kinds WHERE day < ?')

  /** Where kinds were stored. Of one that is forgotten a second row is made. */
  const stored = new Map<string, number | bigint>()
  let keptFrom = Number.NaN
  let trimming = true
  function forget(): void {
    stored.clear()
    keptFrom = (keptFromOf.get() as { kept_from: number }).kept_from
    trimming = true
  }
  forget()

  return {
    add(kinds: readonly KindLines[]): void {
      if (stored.size > MAX_KINDS) stored.clear()
      for (const { key, kind, lines } of kinds) {
        let row = stored.get(key)
        if (row === undefined) {
          row = addKind.run(...kind).lastInsertRowid
          stored.set(key, row)
        }
        for (const [startedAt, id, ...rest] of lines) addLine.run(row, startedAt!, bytesOf(id as string), ...rest)
      }
    },
    /** Drops a slice of what is older than the retention: by the hour, so that the most batches drop nothing. */
    trim(now: number): void {
      const keepFrom = Math.floor((now - retentionMs) / HOUR_MS) * HOUR_MS
      if (keepFrom > keptFrom) {
        setKeptFrom.run(keepFrom)
        keptFrom = keepFrom
        trimming = true
      }
      if (!trimming) return
      let more = false
      for (const { nth, drop } of trims) {
        const last = nth.get(keptFrom) as { started_at: number } | undefined
        drop.run(last?.started_at ?? keptFrom - 1)
        if (last !== undefined) more = true
      }
      if (more) return
      if (dropKinds.run(Math.floor(keptFrom / DAY_MS)).changes > 0) stored.clear()
      trimming = false
    },
    forget,
  }
}

/** Ids are 32 hex digits; whatever else one is, it stays itself. */
function bytesOf(id: string): Uint8Array {
  const bytes = Buffer.from(id, 'hex')
  return bytes.length * 2 === id.length ? bytes : Buffer.from(id)
}
