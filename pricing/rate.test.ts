import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { costAt, rateOf, times } from './rate.ts'

const MILLION = 1_000_000

describe('a rate', () => {
  it.each([
    ['2.5', MILLION, 1, 2_500_000n],
    ['0.075', MILLION, 3, 225_000n],
    ['0', MILLION, 9, 0n],
    ['0.04', 1, 2, 80_000_000_000n],
    ['0.36', 3_600_000, 7000, 700_000_000n],
    ['10', 1000, 3, 30_000_000_000n],
    // Finer than a pico-dollar a token: rounded half up, once, on the product.
    ['0.0000005', MILLION, 1, 1n],
    ['0.0000004', MILLION, 1, 0n],
    ['0.0000004', MILLION, 10, 4n],
    ['1', 3, 1, 333_333_333_333n],
    ['1', 3, 2, 666_666_666_667n],
  ])('%s dollars for %i, %i of them', (dollars, per, units, picoUsd) =>
    expect(costAt(rateOf(dollars, per), units)).toBe(picoUsd),
  )

  it('times a factor is exact', () => {
    expect(costAt(times(rateOf('3', MILLION), '1.1'), 1)).toBe(3_300_000n)
    expect(costAt(times(times(rateOf('0.1', MILLION), '0.3'), '3'), 7)).toBe(630_000n)
  })

  it('is off by less than half a pico-dollar, whatever the amount', () => {
    fc.assert(
      fc.property(
        fc.nat(1e9),
        fc.nat(9),
        fc.integer({ min: 1, max: 5_000_000 }),
        fc.nat(2 ** 40),
        (digits, places, per, units) => {
          const text =
            places === 0
              ? `${digits}`
              : `${digits}`.padStart(places + 1, '0').replace(new RegExp(`(.{${places}})$`), '.$1')
          const got = costAt(rateOf(text, per), units)
          // |got − exact| ≤ ½, over one denominator.
          const denominator = 10n ** BigInt(places) * BigInt(per)
          const exact = BigInt(digits) * 10n ** 12n * BigInt(units)
          const twice = 2n * (got * denominator - exact)
          expect(twice <= denominator && twice > -denominator).toBe(true)
        },
      ),
    )
  })

  it.each(['', '-1', '1e3', 'NaN', '1.', '.5', '1,5'])('%j is none', (text) =>
    expect(() => rateOf(text, 1)).toThrow(RangeError),
  )
})
