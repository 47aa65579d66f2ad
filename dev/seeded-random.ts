/** Numbers in [0, 1), the same sequence for the same seed, so that a run can be repeated. */
export type Random = () => number

/** A 32-bit mixing generator (splitmix): small and quick, good enough for test data, for nothing else. */
export function seededRandom(seed: number): Random {
  let state = seed | 0
  return () => {
    state = (state + 0x9e3779b9) | 0
    let mixed = state ^ (state >>> 16)
    mixed = Math.imul(mixed, 0x21f0aaad)
    mixed ^= mixed >>> 15
    mixed = Math.imul(mixed, 0x735a2d97)
    mixed ^= mixed >>> 15
    return (mixed >>> 0) / 2 ** 32
  }
}

/** An integer from min to max, both included. */
export function between(random: Random, [min, max]: readonly [number, number]): number {
  return min + Math.floor(random() * (max - min + 1))
}

export function pick<T>(random: Random, list: readonly T[]): T {
  if (list.length === 0) throw new RangeError('pick from an empty list')
  return list[Math.floor(random() * list.length)]!
}

/** Letters and digits, as ids are made of. */
export function randomId(random: Random, length: number): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
  let id = ''
  for (let i = 0; i < length; i++) id += alphabet[Math.floor(random() * alphabet.length)]
  return id
}
