/** First and last number, both included. */
export type NumberRange = readonly [first: number, last: number]

/** A set of whole numbers as sorted ranges that never touch: an outage loses long runs, and they cost two numbers. */
export interface NumberRanges {
  /** Numbers that are in it already stay. */
  add(first: number, last?: number): void
  /** Removes and returns the lowest range. */
  takeLowest(): NumberRange | undefined
  /** The highest ranges, at most `count`, in ascending order. */
  highest(count: number): [number, number][]
  /** Whether adding this number would begin a range of its own. */
  isApart(number: number): boolean
  readonly ranges: number
}

export function makeNumberRanges(): NumberRanges {
  const firsts: number[] = []
  const lasts: number[] = []

  /** Index of the first range that ends at or after `number`. */
  function find(number: number): number {
    let low = 0
    let high = lasts.length
    // Numbers mostly come in order: the last range is looked at first.
    if (high > 0 && lasts[high - 1]! < number) return high
    while (low < high) {
      const middle = (low + high) >>> 1
      if (lasts[middle]! < number) low = middle + 1
      else high = middle
    }
    return low
  }

  return {
    add(first, last = first) {
      // Ranges from `from` on, before `to`, overlap the new one or touch it.
      const from = find(first - 1)
      let to = from
      while (to < firsts.length && firsts[to]! <= last + 1) to++
      if (to - from === 1) {
        firsts[from] = Math.min(firsts[from]!, first)
        lasts[from] = Math.max(lasts[from]!, last)
      } else if (to === from && from === firsts.length) {
        firsts.push(first)
        lasts.push(last)
      } else {
        const merged: [number, number] =
          to === from ? [first, last] : [Math.min(firsts[from]!, first), Math.max(lasts[to - 1]!, last)]
        firsts.splice(from, to - from, merged[0])
        lasts.splice(from, to - from, merged[1])
      }
    },
    takeLowest() {
      const first = firsts.shift()
      return first === undefined ? undefined : [first, lasts.shift()!]
    },
    highest(count) {
      const from = Math.max(0, firsts.length - count)
      return firsts.slice(from).map((first, index) => [first, lasts[from + index]!])
    },
    isApart(number) {
      const index = find(number - 1)
      return index === firsts.length || firsts[index]! > number + 1
    },
    get ranges() {
      return firsts.length
    },
  }
}
