import type { CaptureBatch, PluginDropReason } from '../sidecar/capture.ts'
import type { Numbered } from './queue.ts'
import { makeSequenceSet, type SequenceSet } from './sequence-set.ts'

export type DropReport = CaptureBatch['dropped']

/** Names of dropped captures that one batch carries at most; the wire contract allows 10,000 a reason. */
const MAX_SEQUENCES_A_BATCH = 5000
/** Beyond this many ranges further ones are not named: the sidecar then reports them as a gap as well. */
const MAX_RANGES = 50_000

/**
 * What this shipper dropped: running totals by reason, and the numbers of dropped captures that no sidecar has
 * acknowledged yet. Every report ends in `acknowledged` or in `returned`.
 */
export interface Drops {
  count(reason: PluginDropReason, numbered: Numbered | undefined): void
  /** Something that no acknowledged report has told. */
  readonly untold: boolean
  report(): DropReport
  acknowledged(report: DropReport): void
  returned(report: DropReport): void
  /** Hands what is untold to another shipper's drops; this one has nothing left to tell. */
  moveTo(other: Drops): void
  /** Like `count`, for many that are not numbered. */
  countMany(reason: PluginDropReason, count: number): void
  readonly totals: ReadonlyMap<PluginDropReason, number>
}

interface Tally {
  total: number
  acknowledged: number
  sequences: Map<string, SequenceSet>
}

export function makeDrops(): Drops {
  const tallies = new Map<PluginDropReason, Tally>()
  const totals = new Map<PluginDropReason, number>()

  function tallyOf(reason: PluginDropReason): Tally {
    let tally = tallies.get(reason)
    if (tally === undefined) {
      tally = { total: 0, acknowledged: 0, sequences: new Map() }
      tallies.set(reason, tally)
    }
    return tally
  }
  function name(tally: Tally, [epoch, sequence]: Numbered): void {
    let set = tally.sequences.get(epoch)
    if (set === undefined) {
      set = makeSequenceSet()
      tally.sequences.set(epoch, set)
    }
    if (set.ranges < MAX_RANGES) set.add(sequence)
  }
  function takeSequences(tally: Tally, count: number): [string, number][] {
    const taken: [string, number][] = []
    for (const [epoch, set] of tally.sequences) {
      if (taken.length >= count) break
      for (const sequence of set.take(count - taken.length)) taken.push([epoch, sequence])
      if (set.size === 0) tally.sequences.delete(epoch)
    }
    return taken
  }

  function countMany(reason: PluginDropReason, count: number): Tally {
    const tally = tallyOf(reason)
    tally.total += count
    totals.set(reason, tally.total)
    return tally
  }

  return {
    totals,
    countMany,
    count(reason, numbered) {
      const tally = countMany(reason, 1)
      if (numbered !== undefined) name(tally, numbered)
    },
    get untold() {
      for (const tally of tallies.values())
        if (tally.total > tally.acknowledged || tally.sequences.size > 0) return true
      return false
    },
    report() {
      let room = MAX_SEQUENCES_A_BATCH
      return [...tallies].map(([reason, tally]) => {
        const sequences = takeSequences(tally, room)
        room -= sequences.length
        return sequences.length > 0 ? { reason, total: tally.total, sequences } : { reason, total: tally.total }
      })
    },
    acknowledged(report) {
      for (const { reason, total } of report) {
        const tally = tallyOf(reason)
        tally.acknowledged = Math.max(tally.acknowledged, total)
      }
    },
    returned(report) {
      for (const { reason, sequences } of report)
        for (const numbered of sequences ?? []) name(tallyOf(reason), numbered)
    },
    moveTo(other) {
      for (const [reason, tally] of tallies) {
        other.countMany(reason, tally.total - tally.acknowledged)
        tally.acknowledged = tally.total
        const sequences = takeSequences(tally, Number.POSITIVE_INFINITY)
        other.returned([{ reason, total: 0, sequences }])
      }
    },
  }
}
