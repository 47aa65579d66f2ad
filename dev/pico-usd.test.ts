import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatUsd, picoUsdOf } from './pico-usd.ts'

describe('picoUsdOf', () => {
  test.each([
    ['0', 0n],
    ['1', 1_000_000_000_000n],
    ['0.000000000001', 1n],
    ['1e-12', 1n],
    ['1.5e-7', 150_000n],
    ['.5', 500_000_000_000n],
    ['2.', 2_000_000_000_000n],
    ['-0.25', -250_000_000_000n],
    ['0.0000000000004', 0n],
    ['0.0000000000005', 1n],
    ['-0.0000000000005', -1n],
    ['123456789.000000000001', 123_456_789_000_000_000_001n],
    ['1.0e+3', 1_000_000_000_000_000n],
    ['0.30000000000000004', 300_000_000_000n],
  ])('%s', (text, picoUsd) => {
    expect(picoUsdOf(text)).toBe(picoUsd)
  })

  test.each(['', '.', 'NaN', '+Inf', '1,5', '0x1', '1e', ' 1', '1e9999'])('refuses "%s"', (text) => {
    expect(() => picoUsdOf(text)).toThrow('not a decimal number')
  })

  test('what formatUsd writes is read back exactly', () => {
    fc.assert(fc.property(fc.bigInt(), (picoUsd) => picoUsdOf(formatUsd(picoUsd)) === picoUsd))
  })

  test('the nearest float64 of an amount up to 8,192 USD still names its exact pico-USD', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 8_192_000_000_000_000n }),
        (picoUsd) => picoUsdOf(String(Number(formatUsd(picoUsd)))) === picoUsd,
      ),
    )
  })
})
