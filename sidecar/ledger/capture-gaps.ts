import type { DatabaseSync } from 'node:sqlite'

/*
 * What was lost between Kong and the plugin can only be known from the tap's numbering (1, 2, 3 … within an epoch).
 * Captures arrive out of order, so a missing number is a loss only after a grace time:
 *
 *   not seen ──a higher one came──▶ missing ──came after all──▶ seen
 *                                      │ grace is over
 *                                      ▼
 *                                   lost (counted, for good) ──came after all──▶ counted as late; the count stays
 */
const EPOCH_LIFE_MS = 24 * 3600 * 1000
/** A burst of garbage numbers must not fill the table: beyond this, ranges of an epoch are joined to one. */
const MAX_RANGES = 1000

export interface CaptureGaps {
  /** A numbered capture is accounted for: it came, or the plugin said that it dropped it. Idempotent. */
  arrived(node: string, epoch: string, sequence: number, now: number): 'new' | 'seen' | 'filled'
  /** Numbers that have been missing for longer than the grace time, per node; each is returned once. */
  confirm(now: number): Map<string, number>
}

interface Range {
  first: number
  last: number
  noticed_at: number
}

/** Runs inside the caller's transactions. */
export function makeCaptureGaps(database: DatabaseSync, graceMs: number): CaptureGaps {
  const highestOf = database.prepare('SELECT highest FROM epochs WHERE node = ? AND epoch = ?')
  const setHighest = database.prepare(
    'INSERT INTO epochs VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET highest = max(highest, excluded.highest), last_at = excluded.last_at',
  )
  const rangeWith = database.prepare(
    'SELECT first, last, noticed_at FROM missing WHERE node = ? AND epoch = ? AND first <= ? ORDER BY first DESC LIMIT 1',
  )
  const rangeCount = database.prepare('SELECT count(*) AS count FROM missing WHERE node = ? AND epoch = ?')
  const addRange = database.prepare('INSERT INTO missing VALUES (?, ?, ?, ?, ?)')
  const dropRange = database.prepare('DELETE FROM missing WHERE node = ? AND epoch = ? AND first = ?')
  const overdue = database.prepare('SELECT node, epoch, first, last FROM missing WHERE noticed_at <= ?')
  const dropOverdue = database.prepare('DELETE FROM missing WHERE noticed_at <= ?')
  const forgetEpochs = database.prepare('DELETE FROM epochs WHERE last_at < ?')

  return {
    arrived(node, epoch, sequence, now) {
      const row = highestOf.get(node, epoch) as { highest: number } | undefined
      const highest = row?.highest ?? 0
      if (sequence > highest) {
        setHighest.run(node, epoch, sequence, now)
        if (sequence > highest + 1) {
          const { count } = rangeCount.get(node, epoch) as { count: number }
          if (count < MAX_RANGES) addRange.run(node, epoch, highest + 1, sequence - 1, now)
        }
        return 'new'
      }
      const range = rangeWith.get(node, epoch, sequence) as Range | undefined
      if (range === undefined || range.last < sequence) return 'seen'
      dropRange.run(node, epoch, range.first)
      if (range.first < sequence) addRange.run(node, epoch, range.first, sequence - 1, range.noticed_at)
      if (range.last > sequence) addRange.run(node, epoch, sequence + 1, range.last, range.noticed_at)
      return 'filled'
    },
    confirm(now) {
      const lost = new Map<string, number>()
      const due = overdue.all(now - graceMs) as { node: string; epoch: string; first: number; last: number }[]
      for (const { node, first, last } of due) lost.set(node, (lost.get(node) ?? 0) + last - first + 1)
      if (due.length > 0) dropOverdue.run(now - graceMs)
      forgetEpochs.run(now - EPOCH_LIFE_MS)
      return lost
    },
  }
}
