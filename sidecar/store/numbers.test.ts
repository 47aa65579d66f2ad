import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { closeOldest, confirm, cover, decodeHoles, encodeHoles, extend, isSettled, newNumbers } from './numbers.ts'

const step = fc.oneof(
  fc.record({
    op: fc.constant('cover' as const),
    first: fc.integer({ min: 1, max: 60 }),
    count: fc.integer({ min: 1, max: 8 }),
  }),
  fc.record({ op: fc.constant('extend' as const), first: fc.integer({ min: 1, max: 60 }), count: fc.constant(0) }),
  fc.record({ op: fc.constant('confirm' as const), first: fc.integer({ min: 0, max: 100 }), count: fc.constant(0) }),
)

describe('numbers of an epoch', () => {
  it('say of each number the same as a model that keeps each by itself', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const numbers = newNumbers()
        // Of each number: absent: nothing is known; a time: it is missing since; 'lost'; 'settled'.
        const model = new Map<number, number | 'lost' | 'settled'>()
        const highest = () => Math.max(0, ...model.keys())
        const missing = (upTo: number, now: number) => {
          for (let n = highest() + 1; n <= upTo; n++) model.set(n, now)
        }
        steps.forEach(({ op, first, count }, index) => {
          const now = index + 1
          if (op === 'cover') {
            const expected = { fresh: 0, late: 0 }
            missing(first - 1, now)
            for (let n = first; n < first + count; n++) {
              const was = model.get(n)
              if (was === 'lost') expected.late++
              else if (was !== 'settled') expected.fresh++
              model.set(n, 'settled')
            }
            expect(cover(numbers, first, first + count - 1, now)).toEqual(expected)
          } else if (op === 'extend') {
            missing(first, now)
            extend(numbers, first, now)
          } else {
            let lost = 0
            for (const [n, was] of model)
              if (typeof was === 'number' && was <= first) {
                model.set(n, 'lost')
                lost++
              }
            expect(confirm(numbers, first)).toBe(lost)
          }
          expect(numbers.highest).toBe(highest())
          for (let n = 1; n <= highest() + 2; n++) expect(isSettled(numbers, n)).toBe(model.get(n) === 'settled')
          expect(decodeHoles(encodeHoles(numbers.holes))).toEqual(numbers.holes)
        })
      }),
    )
  })

  it('closes the oldest hole beyond a bound, and then cannot vouch for what lies below', () => {
    const numbers = newNumbers()
    for (const n of [2, 4, 6, 8]) cover(numbers, n, n, 7)
    confirm(numbers, 0)
    expect(closeOldest(numbers, 2)).toBe(2)
    expect(numbers.holes.map(({ first }) => first)).toEqual([5, 7])
    expect([1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => isSettled(numbers, n))).toEqual([
      false,
      false,
      false,
      true,
      false,
      true,
      false,
      true,
      false,
    ])
  })

  it('refuses bytes that are no holes', () => {
    expect(() => decodeHoles(Uint8Array.of(0x80))).toThrow(RangeError)
    expect(() => decodeHoles(Uint8Array.from(Array(12).fill(0xff)))).toThrow(RangeError)
  })
})
