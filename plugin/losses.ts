import type { LossReason } from '../sidecar/capture.ts'
import { makeNumberRanges, type NumberRanges } from './number-ranges.ts'
import type { Numbered } from './queue.ts'

/** Captures of one epoch that will never come: `count` consecutive numbers from `sequence` on. */
export interface Loss {
  reason: LossReason
  epoch: string
  sequence: number
  count: number
  node: string | undefined
}

/** Ranges that are kept, some 100 bytes each. */
const MAX_RANGES = 20_000

/**
 * Losses that no sidecar has acknowledged yet, consecutive numbers of an epoch and a reason as one. What is taken is
 * given back, or has been acknowledged.
 */
export interface Losses {
  /** False where there is no room for one more range: then the sidecar sees the number as a gap, and nothing else tells it. */
  add(reason: LossReason, number: Numbered, node?: string, count?: number): boolean
  take(max: number): Loss[]
  giveBack(losses: readonly Loss[]): void
  /** Ranges, not numbers. */
  readonly waiting: number
}

export function makeLosses(maxRanges = MAX_RANGES): Losses {
  const epochs = new Map<string, { node: string | undefined; byReason: Map<LossReason, NumberRanges> }>()
  let waiting = 0

  function put(reason: LossReason, epoch: string, sequence: number, count: number, node: string | undefined): void {
    let of = epochs.get(epoch)
    if (of === undefined) {
      of = { node, byReason: new Map() }
      epochs.set(epoch, of)
    }
    of.node ??= node
    let ranges = of.byReason.get(reason)
    if (ranges === undefined) {
      ranges = makeNumberRanges()
      of.byReason.set(reason, ranges)
    }
    waiting -= ranges.ranges
    ranges.add(sequence, sequence + count - 1)
    waiting += ranges.ranges
  }

  return {
    add(reason, [epoch, sequence], node, count = 1) {
      const apart = epochs.get(epoch)?.byReason.get(reason)?.isApart(sequence) ?? true
      if (apart && waiting >= maxRanges) return false
      put(reason, epoch, sequence, count, node)
      return true
    },
    take(max) {
      const taken: Loss[] = []
      for (const [epoch, { node, byReason }] of epochs) {
        for (const [reason, ranges] of byReason) {
          while (taken.length < max) {
            const range = ranges.takeLowest()
            if (range === undefined) break
            waiting--
            taken.push({ reason, epoch, sequence: range[0], count: range[1] - range[0] + 1, node })
          }
          if (ranges.ranges === 0) byReason.delete(reason)
        }
        if (byReason.size === 0) epochs.delete(epoch)
        if (taken.length >= max) break
      }
      return taken
    },
    giveBack(losses) {
      for (const { reason, epoch, sequence, count, node } of losses) put(reason, epoch, sequence, count, node)
    },
    get waiting() {
      return waiting
    },
  }
}
