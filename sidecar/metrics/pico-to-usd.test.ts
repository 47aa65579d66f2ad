import fc from 'fast-check'
import { expect, it } from 'vitest'
import { picoToUsd } from './pico-to-usd.ts'

it('is the float nearest to the exact decimal', () => {
  expect(picoToUsd(0n)).toBe(0)
  expect(picoToUsd(1n)).toBe(1e-12)
  expect(picoToUsd(300_000_000_000n)).toBe(0.3)
  expect(picoToUsd(-2_500_000_000_000n)).toBe(-2.5)
  // Two steps of rounding (to a float of pico-dollars, and then dividing) would miss these.
  expect(picoToUsd(9_007_199_254_740_993n)).toBe(Number('9007.199254740993'))
  expect(picoToUsd(123_456_789_012_345_678_901_234n)).toBe(Number('123456789012.345678901234'))
})

it('never falls when the amount does not', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 10n ** 30n }), fc.bigInt({ min: 0n, max: 10n ** 30n }), (amount, more) => {
      expect(picoToUsd(amount + more)).toBeGreaterThanOrEqual(picoToUsd(amount))
    }),
  )
})
