import type { Acknowledged } from '../sidecar/capture-batch.ts'
import { makeNumberRanges, type NumberRanges } from './number-ranges.ts'

/** Epochs that are remembered: those used last. */
const MAX_EPOCHS = 2000
/** As the wire contract bounds them. */
const MAX_ACKNOWLEDGED_RANGES = 50

/** Numbers that a sidecar has acknowledged, stored or told lost: by them it notices that its store went back. */
export interface AcknowledgedNumbers {
  add(epoch: string, first: number, last?: number): void
  /** Of each of these epochs what is known, newest ranges only. */
  of(epochs: Iterable<string>): Acknowledged[]
  moveTo(other: AcknowledgedNumbers): void
}

export function makeAcknowledgedNumbers(maxEpochs = MAX_EPOCHS): AcknowledgedNumbers {
  /** Least recently used first. */
  const epochs = new Map<string, NumberRanges>()

  return {
    add(epoch, first, last) {
      const known = epochs.get(epoch)
      const ranges = known ?? makeNumberRanges()
      ranges.add(first, last)
      if (ranges.ranges > MAX_ACKNOWLEDGED_RANGES) ranges.takeLowest()
      if (known !== undefined) epochs.delete(epoch)
      else if (epochs.size >= maxEpochs) epochs.delete(epochs.keys().next().value!)
      epochs.set(epoch, ranges)
    },
    of(wanted) {
      const known: Acknowledged[] = []
      for (const epoch of new Set(wanted)) {
        const ranges = epochs.get(epoch)
        if (ranges !== undefined) known.push([epoch, ranges.highest(MAX_ACKNOWLEDGED_RANGES)])
      }
      return known
    },
    moveTo(other) {
      for (const [epoch, ranges] of epochs)
        for (const [first, last] of ranges.highest(MAX_ACKNOWLEDGED_RANGES)) other.add(epoch, first, last)
      epochs.clear()
    },
  }
}
