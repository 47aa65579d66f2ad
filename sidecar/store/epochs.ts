import type { DatabaseSync } from 'node:sqlite'
import {
  type Covered,
  closeOldest,
  confirm,
  cover,
  decodeHoles,
  encodeHoles,
  extend,
  isSettled,
  type Numbers,
  newNumbers,
  oldestHole,
} from './numbers.ts'
import { epochKey } from './open-database.ts'

/** A worker of Kong that nobody calls is silent for days; a numbering that is forgotten too soon would look like a loss. */
const EPOCH_LIFE_DAYS = 30
/** Holes of one epoch. Beyond it the oldest is closed: counted as lost, and what comes for it is `late_refused`. */
const MAX_HOLES = 1000
/** Epochs kept. Beyond it those that were silent longest are forgotten: a capture of theirs that comes again counts again. */
const MAX_EPOCHS = 2_000_000
/** Epochs in memory between transactions. */
const CACHED = 5000
/** Epochs of which one transaction counts the holes: some 20 ms. */
const CONFIRM_SLICE = 1000
const DAY_S = 86_400

interface Epoch {
  node: number
  numbers: Numbers
  lastDay: number
  stored: boolean
}
export interface NodeCount {
  node: string
  count: number
}

/**
 * The numbers of each epoch that are settled (numbers.ts, design law 4). Runs inside the caller's transactions: `flush` at
 * their end writes what has changed, `reload` forgets what a transaction that was given up had changed.
 */
export function makeEpochs(database: DatabaseSync) {
  const select = database.prepare('SELECT node, highest, closed_below, holes, last_day FROM epochs WHERE epoch = ?')
  const insert = database.prepare('INSERT INTO epochs VALUES (?, ?, ?, ?, ?, ?, ?)')
  const update = database.prepare(
    'UPDATE epochs SET node = ?2, highest = ?3, closed_below = ?4, holes = ?5, due_at = ?6, last_day = ?7 WHERE epoch = ?1',
  )
  const due = database.prepare(`SELECT epoch FROM epochs WHERE due_at <= ? ORDER BY due_at LIMIT ${CONFIRM_SLICE}`)
  const forgetOld = database.prepare(
    'DELETE FROM epochs WHERE epoch IN (SELECT epoch FROM epochs WHERE last_day < ? LIMIT 10000)',
  )
  const countAll = database.prepare('SELECT count(*) AS count FROM epochs')
  const forgetSilent = database.prepare(
    'DELETE FROM epochs WHERE epoch IN (SELECT epoch FROM epochs ORDER BY last_day LIMIT ?)',
  )
  const nodeOf = database.prepare('SELECT id FROM nodes WHERE name = ?')
  const addNode = database.prepare('INSERT INTO nodes (name) VALUES (?)')
  const nameOf = database.prepare('SELECT name FROM nodes WHERE id = ?')

  const cache = new Map<string, Epoch>()
  const dirty = new Set<string>()
  const nodes = new Map<string, number>()
  const names = new Map<number, string>()
  let count = (countAll.get() as { count: number }).count

  function open(key: string): Epoch {
    const known = cache.get(key)
    if (known !== undefined) return known
    const row = select.get(Buffer.from(key, 'latin1')) as Row | undefined
    const epoch: Epoch =
      row === undefined
        ? { node: 0, numbers: newNumbers(), lastDay: 0, stored: false }
        : {
            node: row.node,
            numbers: { highest: row.highest, closedBelow: row.closed_below, holes: decodeHoles(row.holes) },
            lastDay: row.last_day,
            stored: true,
          }
    cache.set(key, epoch)
    return epoch
  }
  function nodeId(name: string): number {
    let id = nodes.get(name)
    if (id !== undefined) return id
    const row = nodeOf.get(name) as { id: number } | undefined
    id = row?.id ?? Number(addNode.run(name).lastInsertRowid)
    nodes.set(name, id)
    return id
  }
  function nodeName(id: number): string {
    if (id === 0) return ''
    let name = names.get(id)
    if (name === undefined) {
      name = (nameOf.get(id) as { name: string } | undefined)?.name ?? ''
      names.set(id, name)
    }
    return name
  }
  function touch(key: string, epoch: Epoch, node: string | undefined, nowSeconds: number): void {
    if (node !== undefined && node !== '') epoch.node = nodeId(node)
    epoch.lastDay = Math.floor(nowSeconds / DAY_S)
    dirty.add(key)
  }

  return {
    /** Whether such a capture needs no look. */
    isSettled: (epoch: string, sequence: number): boolean => isSettled(open(keyOf(epoch)).numbers, sequence),
    /** Whether the number may have been stored and the ranges cannot tell. */
    isClosed(epoch: string, sequence: number): boolean {
      const { numbers } = open(keyOf(epoch))
      return sequence <= numbers.closedBelow && sequence <= numbers.highest
    },
    /** Settles numbers; `node` as Kong names it, where it is known. */
    cover(epoch: string, first: number, last: number, node: string | undefined, nowSeconds: number): Covered {
      const key = keyOf(epoch)
      const known = open(key)
      touch(key, known, node, nowSeconds)
      return cover(known.numbers, first, last, nowSeconds)
    },
    /** The tap has given out numbers up to `total`. */
    extend(epoch: string, total: number, node: string | undefined, nowSeconds: number): void {
      const key = keyOf(epoch)
      const known = open(key)
      touch(key, known, node, nowSeconds)
      extend(known.numbers, total, nowSeconds)
    },
    nodeOf: (epoch: string): string => nodeName(open(keyOf(epoch)).node),
    /** Counts holes that were noticed at or before `until` as lost, by node: those of a slice of epochs. */
    confirm(until: number): { lost: NodeCount[]; more: boolean } {
      const lost = new Map<string, number>()
      const slice = due.all(until) as { epoch: Uint8Array }[]
      for (const { epoch } of slice) {
        const key = Buffer.from(epoch).toString('latin1')
        const known = open(key)
        const count = confirm(known.numbers, until)
        dirty.add(key)
        if (count > 0) add(lost, nodeName(known.node), count)
      }
      return {
        lost: [...lost].map(([node, count]) => ({ node, count })),
        more: slice.length === CONFIRM_SLICE,
      }
    },
    /** Writes what has changed. Returns what was lost where holes had to be closed for want of room, by node. */
    flush(): NodeCount[] {
      const lost = new Map<string, number>()
      for (const key of dirty) {
        const epoch = cache.get(key)!
        const { numbers } = epoch
        const closed = closeOldest(numbers, MAX_HOLES)
        if (closed > 0) add(lost, nodeName(epoch.node), closed)
        const values = [
          Buffer.from(key, 'latin1'),
          epoch.node,
          numbers.highest,
          numbers.closedBelow,
          encodeHoles(numbers.holes),
          oldestHole(numbers) ?? null,
          epoch.lastDay,
        ] as const
        if (epoch.stored) update.run(...values)
        else {
          insert.run(...values)
          epoch.stored = true
          count++
        }
      }
      dirty.clear()
      for (const oldest of cache.keys()) {
        if (cache.size <= CACHED) break
        cache.delete(oldest)
      }
      return [...lost].map(([node, count]) => ({ node, count }))
    },
    /** A slice of what was silent for too long. True where more waits. */
    trim(nowSeconds: number): boolean {
      let gone = Number(forgetOld.run(Math.floor(nowSeconds / DAY_S) - EPOCH_LIFE_DAYS).changes)
      if (count - gone > MAX_EPOCHS)
        gone += Number(forgetSilent.run(Math.min(10_000, count - gone - MAX_EPOCHS)).changes)
      if (gone > 0) {
        cache.clear()
        count -= gone
      }
      return gone >= 10_000
    },
    reload(): void {
      cache.clear()
      dirty.clear()
      nodes.clear()
      names.clear()
      count = (countAll.get() as { count: number }).count
    },
  }
}
export type Epochs = ReturnType<typeof makeEpochs>

interface Row {
  node: number
  highest: number
  closed_below: number
  holes: Uint8Array | null
  last_day: number
}

/** The key's bytes as text, so that it can be the key of a map. */
function keyOf(epoch: string): string {
  return Buffer.from(epochKey(epoch)).toString('latin1')
}

function add(counts: Map<string, number>, name: string, count: number): void {
  counts.set(name, (counts.get(name) ?? 0) + count)
}
