/** A price as an exact fraction: pico-USD (10^-12 dollars) for one unit. */
export interface Rate {
  numerator: bigint
  denominator: bigint
}

const PICO_PLACES = 12
const DECIMAL = /^(\d{1,15})(?:\.(\d{1,30}))?$/

/** Decimal dollars for `per` units, as `2.5` for a million tokens. Throws RangeError for what is no price. */
export function rateOf(dollars: string, per: number): Rate {
  const { digits, places } = decimalOf(dollars)
  return reduced(digits * 10n ** BigInt(PICO_PLACES), 10n ** BigInt(places) * BigInt(per))
}

/** The same times a decimal factor, as `0.5`. */
export function times(rate: Rate, factor: string): Rate {
  const { digits, places } = decimalOf(factor)
  return reduced(rate.numerator * digits, rate.denominator * 10n ** BigInt(places))
}

/**
 * What so many units cost, in integer pico-USD. This is the one place where money is rounded: half up, once for each unit
 * and call.
 */
export function costAt({ numerator, denominator }: Rate, units: number): bigint {
  const exact = numerator * BigInt(units)
  return denominator === 1n ? exact : (2n * exact + denominator) / (2n * denominator)
}

function decimalOf(text: string): { digits: bigint; places: number } {
  const found = DECIMAL.exec(text)
  if (found === null) throw new RangeError(`${text} is no decimal amount`)
  const [, whole = '0', fraction = ''] = found
  return { digits: BigInt(whole + fraction), places: fraction.length }
}

function reduced(numerator: bigint, denominator: bigint): Rate {
  let [a, b] = [numerator, denominator]
  while (b !== 0n) [a, b] = [b, a % b]
  return a === 0n ? { numerator: 0n, denominator: 1n } : { numerator: numerator / a, denominator: denominator / a }
}
