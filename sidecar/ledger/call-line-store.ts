import type { DatabaseSync } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import type { LlmCall } from '../call.ts'
import { callLine, KIND_COLUMNS, LINE_COLUMNS, startOf } from './call-lines.ts'
import type { CallLabels } from './fold-labels.ts'
import { DAY_MS, HOUR_MS } from './period.ts'

/** Rows of a table that one transaction trims. */
const SLICE = 2000
const MAX_KINDS = 10_000

/** A line for each call, by start and id: the memory of which calls are stored. Inside the caller's transactions. */
export function makeCallLineStore(database: DatabaseSync, retentionMs: number) {
  const addKind = database.prepare(
    `INSERT INTO call_kinds (${KIND_COLUMNS.join(', ')}) VALUES (${KIND_COLUMNS.map(() => '?').join(', ')})`,
  )
  const addLine = database.prepare(
    `INSERT OR IGNORE INTO calls (kind, checksum, ${LINE_COLUMNS.join(', ')}) VALUES (?, ?, ${LINE_COLUMNS.map(() => '?').join(', ')})`,
  )
  const has = database.prepare('SELECT 1 FROM calls WHERE started_at = ? AND id = ?')
  const keptFromOf = database.prepare('SELECT kept_from FROM retention')
  const setKeptFrom = database.prepare('UPDATE retention SET kept_from = ?')
  const trims = ['adjustments', 'calls', 'answers'].map((table) => ({
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
    /**
     * False where the call's line is there: it is stored, and nothing is added. A call that started before lines are kept
     * cannot be recognised; it has no line.
     */
    add(call: LlmCall, labels: CallLabels, cost: number): boolean {
      if (startOf(call) < keptFrom) return true
      const { kind, line } = callLine(call, labels, cost)
      const key = kind.join('\u0000')
      const known = stored.get(key)
      if (known === undefined && has.get(line[0]!, lineId(call.id)) !== undefined) return false
      const row = known ?? addKind.run(...kind).lastInsertRowid
      if (known === undefined) {
        if (stored.size > MAX_KINDS) stored.clear()
        stored.set(key, row)
      }
      const [startedAt, id, ...rest] = line
      const checksum = lineChecksum(line)
      return addLine.run(row, checksum, startedAt!, lineId(id as string), ...rest).changes > 0
    },
    has: (call: LlmCall): boolean => has.get(startOf(call), lineId(call.id)) !== undefined,
    /** Whether calls of that start have a line, if they are stored. */
    keeps: (call: LlmCall): boolean => startOf(call) >= keptFrom,
    /** Drops a slice of what is older than the retention: by the hour, so that most transactions drop nothing. */
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
    /** Whether a slice is left that `trim` would drop. */
    hasMore: (): boolean => trimming,
    /** What is kept in memory is read again: a transaction was given up. */
    forget,
  }
}

/** Ids are 32 hex digits; whatever else one is, it stays itself. */
export function lineId(id: string): Uint8Array {
  const bytes = Buffer.from(id, 'hex')
  return bytes.length * 2 === id.length ? bytes : Buffer.from(id)
}

/** CRC-32 of a line's own columns, its id as hex digits (call-lines.ts, LINE_COLUMNS). */
export function lineChecksum(line: readonly (string | number | null)[]): number {
  return crc32(line.join('|'))
}
