/** 1 USD = 10^12 pico-USD: money is counted in these, as BigInt, and never passes through a float. */
const DECIMALS = 12

/**
 * Decimal text (`0.00123`, `1.5e-7`) to pico-USD, rounded to the nearest (halves away from zero) by string arithmetic.
 */
export function picoUsdOf(text: string): bigint {
  const match = /^([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d{1,3}))?$/.exec(text)
  if (match === null || (match[2] === '' && match[3] === '')) throw new Error(`"${text}" is not a decimal number`)
  const [, sign, whole, fraction, exponent] = match
  const digits = BigInt(`${whole}${fraction}`)
  const shift = DECIMALS - fraction!.length + Number(exponent ?? 0)
  let picoUsd: bigint
  if (shift >= 0) picoUsd = digits * 10n ** BigInt(shift)
  else {
    const divisor = 10n ** BigInt(-shift)
    picoUsd = (digits * 2n + divisor) / (divisor * 2n)
  }
  return sign === '-' ? -picoUsd : picoUsd
}

/** Exact, always with twelve decimals: `1.234567890123`. */
export function formatUsd(picoUsd: bigint): string {
  const digits = (picoUsd < 0n ? -picoUsd : picoUsd).toString().padStart(DECIMALS + 1, '0')
  return `${picoUsd < 0n ? '-' : ''}${digits.slice(0, -DECIMALS)}.${digits.slice(-DECIMALS)}`
}
