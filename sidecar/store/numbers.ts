/**
 * Which numbers of one epoch are settled: stored, or told to be lost. Everything up to `highest` is settled but the holes.
 *
 *   1 ──────────── closedBelow ──────────────────────── highest
 *     settled, or       │   settled, and every hole is known
 *     given up          │
 */
export interface Numbers {
  highest: number
  /** Ascending, apart from one another, all at or below `highest`. */
  holes: Hole[]
  /**
   * Holes up to here were closed for want of room: whether such a number was stored, only its call's line can tell.
   */
  closedBelow: number
}

export interface Hole {
  first: number
  last: number
  /** Epoch seconds at which it was noticed; 0: it was counted as a loss, and a capture that comes for it is late. */
  since: number
}

export interface Covered {
  /** Numbers that were not settled before, and not counted as lost. */
  fresh: number
  /** Numbers that were counted as lost before. */
  late: number
}

export const newNumbers = (): Numbers => ({ highest: 0, holes: [], closedBelow: 0 })

/** Whether a capture with this number needs no look: it is settled for certain. */
export function isSettled(numbers: Numbers, sequence: number): boolean {
  return sequence <= numbers.highest && sequence > numbers.closedBelow && holeAt(numbers.holes, sequence) === undefined
}

/** Settles `first` … `last`. Numbers that they leave out below become holes. */
export function cover(numbers: Numbers, first: number, last: number, nowSeconds: number): Covered {
  const covered: Covered = { fresh: 0, late: 0 }
  if (last > numbers.highest) {
    const from = Math.max(first, numbers.highest + 1)
    covered.fresh += last - from + 1
    if (from > numbers.highest + 1)
      numbers.holes.push({ first: numbers.highest + 1, last: from - 1, since: nowSeconds })
    numbers.highest = last
    // What of the range was below is filled next; the hole just made lies in front of it only where `first` is above.
  }
  if (numbers.holes.length > 0) fill(numbers, first, last, covered)
  return covered
}

function fill(numbers: Numbers, first: number, last: number, covered: Covered): void {
  const { holes } = numbers
  let index = lowerBound(holes, first)
  for (let hole = holes[index]; hole !== undefined && hole.first <= last; hole = holes[index]) {
    const from = Math.max(hole.first, first)
    const to = Math.min(hole.last, last)
    if (hole.since === 0) covered.late += to - from + 1
    else covered.fresh += to - from + 1
    const rest: Hole[] = []
    if (hole.first < from) rest.push({ ...hole, last: from - 1 })
    if (hole.last > to) rest.push({ ...hole, first: to + 1 })
    holes.splice(index, 1, ...rest)
    index += rest.length
    if (hole.last > to) break
  }
}

/** Numbers up to `total` exist: those that have not come become a hole. */
export function extend(numbers: Numbers, total: number, nowSeconds: number): void {
  if (total <= numbers.highest) return
  numbers.holes.push({ first: numbers.highest + 1, last: total, since: nowSeconds })
  numbers.highest = total
}

/** Counts holes that were noticed at or before `until` as lost; each once. */
export function confirm(numbers: Numbers, until: number): number {
  let lost = 0
  for (const hole of numbers.holes) {
    if (hole.since === 0 || hole.since > until) continue
    lost += hole.last - hole.first + 1
    hole.since = 0
  }
  return lost
}

/** Closes the oldest holes until `most` are left. Returns how many of their numbers had not been counted as lost. */
export function closeOldest(numbers: Numbers, most: number): number {
  let lost = 0
  while (numbers.holes.length > most) {
    const hole = numbers.holes.shift()!
    if (hole.since !== 0) lost += hole.last - hole.first + 1
    numbers.closedBelow = Math.max(numbers.closedBelow, hole.last)
  }
  return lost
}

/** When the first hole that is not counted was noticed; undefined where all are. */
export function oldestHole(numbers: Numbers): number | undefined {
  let oldest: number | undefined
  for (const { since } of numbers.holes) if (since !== 0 && (oldest === undefined || since < oldest)) oldest = since
  return oldest
}

function holeAt(holes: readonly Hole[], sequence: number): Hole | undefined {
  const hole = holes[lowerBound(holes, sequence)]
  return hole !== undefined && hole.first <= sequence ? hole : undefined
}

/** Index of the first hole that ends at or after `sequence`. */
function lowerBound(holes: readonly Hole[], sequence: number): number {
  let low = 0
  let high = holes.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (holes[middle]!.last < sequence) low = middle + 1
    else high = middle
  }
  return low
}

/**
 * Holes as bytes: for each the distance from the end of the one before, its length less one, and `since`, as
 * variable-length integers of 7 bits a byte (low ones first, as in protobuf). Null where there are none.
 */
export function encodeHoles(holes: readonly Hole[]): Uint8Array | null {
  if (holes.length === 0) return null
  const bytes: number[] = []
  let end = 0
  for (const { first, last, since } of holes) {
    writeInteger(bytes, first - end)
    writeInteger(bytes, last - first)
    writeInteger(bytes, since)
    end = last
  }
  return Uint8Array.from(bytes)
}

/** Throws RangeError where the bytes are not what `encodeHoles` writes. */
export function decodeHoles(bytes: Uint8Array | null): Hole[] {
  const holes: Hole[] = []
  if (bytes === null) return holes
  const place = { at: 0 }
  let end = 0
  while (place.at < bytes.length) {
    const first = end + readInteger(bytes, place)
    const last = first + readInteger(bytes, place)
    holes.push({ first, last, since: readInteger(bytes, place) })
    end = last
  }
  return holes
}

function writeInteger(bytes: number[], value: number): void {
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  bytes.push(rest)
}

function readInteger(bytes: Uint8Array, place: { at: number }): number {
  let value = 0
  let factor = 1
  for (;;) {
    const byte = bytes[place.at++]
    if (byte === undefined || factor > 2 ** 49) throw new RangeError('the holes of an epoch cannot be read')
    value += (byte & 0x7f) * factor
    if (byte < 0x80) return value
    factor *= 0x80
  }
}
