/**
 * A list price in dollars per million tokens, as integer pico-USD per token (1 $/Mtok = 1,000,000 pico-USD a token),
 * through the number's shortest decimal text: no float arithmetic. Below a pico-dollar it is rounded, half up, here and
 * nowhere else.
 */
export function picoUsdPerToken(dollarsPerMillion: number): bigint {
  return scale(dollarsPerMillion, 6)
}

function scale(value: number, places: number): bigint {
  if (!Number.isFinite(value) || value < 0) throw new RangeError(`${value} is no price`)
  const [digits, exponent = '0'] = value.toString().split('e') as [string, string?]
  const [whole = '0', fraction = ''] = digits.split('.')
  const shift = places + Number(exponent) - fraction.length
  const integer = BigInt(whole + fraction)
  if (shift >= 0) return integer * 10n ** BigInt(shift)
  const divisor = 10n ** BigInt(-shift)
  return (integer + divisor / 2n) / divisor
}
