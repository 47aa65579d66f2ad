/**
 * A set of sequence numbers as sorted ranges: an outage drops long runs, and they must not cost memory by the number.
 */
export interface SequenceSet {
  add(sequence: number): void
  /** Removes and returns the smallest ones, at most `count`. */
  take(count: number): number[]
  readonly size: number
  readonly ranges: number
}

export function makeSequenceSet(): SequenceSet {
  /** Starts and ends (inclusive), ascending, never touching. */
  const starts: number[] = []
  const ends: number[] = []
  let size = 0

  /** Index of the first range that ends at or after `sequence`. */
  function find(sequence: number): number {
    let low = 0
    let high = ends.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (ends[middle]! < sequence) low = middle + 1
      else high = middle
    }
    return low
  }

  return {
    add(sequence) {
      const index = find(sequence)
      if (index < starts.length && starts[index]! <= sequence) return
      size++
      const extendsLeft = index > 0 && ends[index - 1] === sequence - 1
      const extendsRight = index < starts.length && starts[index] === sequence + 1
      if (extendsLeft && extendsRight) {
        ends[index - 1] = ends[index]!
        starts.splice(index, 1)
        ends.splice(index, 1)
      } else if (extendsLeft) ends[index - 1] = sequence
      else if (extendsRight) starts[index] = sequence
      else {
        starts.splice(index, 0, sequence)
        ends.splice(index, 0, sequence)
      }
    },
    take(count) {
      const taken: number[] = []
      let emptied = 0
      while (taken.length < count && emptied < starts.length) {
        taken.push(starts[emptied]!)
        if (starts[emptied] === ends[emptied]) emptied++
        else starts[emptied]!++
      }
      starts.splice(0, emptied)
      ends.splice(0, emptied)
      size -= taken.length
      return taken
    },
    get size() {
      return size
    },
    get ranges() {
      return starts.length
    },
  }
}
