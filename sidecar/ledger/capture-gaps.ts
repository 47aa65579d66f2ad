import type { DatabaseSync } from 'node:sqlite'

/*
 * What was lost between Kong and the plugin can only be known from the tap's numbering (1, 2, 3 … within an epoch), and
 * from the totals that its timer tells. Captures arrive out of order, so a missing number is a loss only after a grace time:
 *
 *   not seen ──a higher one came, or the total is higher──▶ missing ──came after all──▶ seen
 *                                      │ grace is over
 *                                      ▼
 *                                   lost (counted, for good) ──came after all──▶ counted as late; the count stays
 */

/** A worker of Kong that nobody calls is silent for days; a numbering that is forgotten too soon would look like a loss. */
const EPOCH_LIFE_MS = 30 * 24 * 3600 * 1000
/** Ranges of one epoch that may be missing at a time: beyond it the oldest is given up before its time. */
const MAX_RANGES = 1000
/** Dropped numbers that wait for their epoch's first capture. Beyond it they are reported as a gap as well. */
const MAX_ACCOUNTED = 100_000

export interface Arrival {
  node: string
  epoch: string
  sequences: readonly number[]
}
/** How many captures an epoch of the tap has had. */
export interface TapTotal {
  node: string
  epoch: string
  sequence: number
}
export interface GapChange {
  node: string
  lost: number
  late: number
}

interface Range {
  first: number
  last: number
  noticed_at: number
}

/** Runs inside the caller's transactions. */
export function makeCaptureGaps(database: DatabaseSync, graceMs: number) {
  const highestOf = database.prepare('SELECT highest FROM epochs WHERE node = ? AND epoch = ?')
  const nodesOf = database.prepare('SELECT node FROM epochs WHERE epoch = ?')
  const setHighest = database.prepare(
    'INSERT INTO epochs VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET highest = excluded.highest, last_at = excluded.last_at',
  )
  const rangeWith = database.prepare(
    'SELECT first, last, noticed_at FROM missing WHERE node = ? AND epoch = ? AND first <= ? ORDER BY first DESC LIMIT 1',
  )
  const oldestRange = database.prepare(
    'SELECT first, last FROM missing WHERE node = ? AND epoch = ? ORDER BY noticed_at, first LIMIT 1',
  )
  const rangeCount = database.prepare('SELECT count(*) AS count FROM missing WHERE node = ? AND epoch = ?')
  const addRange = database.prepare('INSERT INTO missing VALUES (?, ?, ?, ?, ?)')
  const dropRange = database.prepare('DELETE FROM missing WHERE node = ? AND epoch = ? AND first = ?')
  const overdue = database.prepare('SELECT node, first, last FROM missing WHERE noticed_at <= ?')
  const dropOverdue = database.prepare('DELETE FROM missing WHERE noticed_at <= ?')
  const accountedOf = database.prepare('SELECT sequence FROM accounted WHERE epoch = ?')
  const accountedCount = database.prepare('SELECT count(*) AS count FROM accounted')
  const addAccounted = database.prepare('INSERT OR IGNORE INTO accounted VALUES (?, ?, ?)')
  const dropAccounted = database.prepare('DELETE FROM accounted WHERE epoch = ?')
  const forgetEpochs = database.prepare('DELETE FROM epochs WHERE last_at < ?')
  const forgetAccounted = database.prepare('DELETE FROM accounted WHERE at < ?')

  /** True where the number was missing. */
  function fill(node: string, epoch: string, sequence: number): boolean {
    const range = rangeWith.get(node, epoch, sequence) as Range | undefined
    if (range === undefined || range.last < sequence) return false
    dropRange.run(node, epoch, range.first)
    if (range.first < sequence) addRange.run(node, epoch, range.first, sequence - 1, range.noticed_at)
    if (range.last > sequence) addRange.run(node, epoch, sequence + 1, range.last, range.noticed_at)
    return true
  }

  /** Numbers of one epoch that are accounted for, in any order; and how many the tap says that there were. */
  function arrived({ node, epoch, sequences }: Arrival, now: number, total = 0): GapChange {
    const change: GapChange = { node, lost: 0, late: 0 }
    const row = highestOf.get(node, epoch) as { highest: number } | undefined
    let highest = row?.highest ?? 0
    const all = [...sequences]
    if (row === undefined) {
      for (const { sequence } of accountedOf.all(epoch) as { sequence: number }[])
        if (!sequences.includes(sequence)) all.push(sequence)
      dropAccounted.run(epoch)
    }
    for (const sequence of all.sort((a, b) => a - b)) {
      if (sequence > highest) {
        if (sequence > highest + 1) addRange.run(node, epoch, highest + 1, sequence - 1, now)
        highest = sequence
      } else if (!fill(node, epoch, sequence)) change.late++
    }
    if (total > highest) {
      addRange.run(node, epoch, highest + 1, total, now)
      highest = total
    }
    setHighest.run(node, epoch, highest, now)
    let { count } = rangeCount.get(node, epoch) as { count: number }
    for (; count > MAX_RANGES; count--) {
      const { first, last } = oldestRange.get(node, epoch) as unknown as Range
      dropRange.run(node, epoch, first)
      change.lost += last - first + 1
    }
    return change
  }

  return {
    arrived,
    told: ({ node, epoch, sequence }: TapTotal, now: number): GapChange =>
      arrived({ node, epoch, sequences: [] }, now, sequence),
    /** The plugin dropped these and says so: they are no gap. It does not know the node; epochs are random, so the epoch finds it. */
    accountDropped(epoch: string, sequences: readonly number[], now: number): GapChange[] {
      const nodes = nodesOf.all(epoch) as { node: string }[]
      if (nodes.length > 0) return nodes.map(({ node }) => ({ ...arrived({ node, epoch, sequences }, now), late: 0 }))
      let { count } = accountedCount.get() as { count: number }
      for (const sequence of sequences)
        if (count < MAX_ACCOUNTED) count += Number(addAccounted.run(epoch, sequence, now).changes)
      return []
    },
    /** What has been missing for longer than the grace time is lost; each number once. */
    confirm(now: number): GapChange[] {
      const lost = new Map<string, number>()
      const due = overdue.all(now - graceMs) as { node: string; first: number; last: number }[]
      for (const { node, first, last } of due) lost.set(node, (lost.get(node) ?? 0) + last - first + 1)
      if (due.length > 0) dropOverdue.run(now - graceMs)
      forgetEpochs.run(now - EPOCH_LIFE_MS)
      forgetAccounted.run(now - EPOCH_LIFE_MS)
      return [...lost].map(([node, count]) => ({ node, lost: count, late: 0 }))
    },
  }
}
