/** Check digits of cards, accounts and identity numbers. All take plain digits (or letters where said) and never throw. */

const digit = (text: string, at: number): number => text.charCodeAt(at) - 48

/** Σ weight × digit over the weights. */
export function weightedSum(text: string, weights: readonly number[]): number {
  let sum = 0
  for (let at = 0; at < weights.length; at++) sum += weights[at]! * digit(text, at)
  return sum
}

/** ISO/IEC 7812-1 annex B. */
export function passesLuhn(digits: string): boolean {
  let sum = 0
  for (let at = digits.length - 1, even = false; at >= 0; at--, even = !even) {
    const value = digit(digits, at)
    sum += even ? (value < 5 ? value * 2 : value * 2 - 9) : value
  }
  return sum % 10 === 0
}

/** Weights 1 and 3 from the left, the whole ≡ 0 mod 10 (EAN-13 and 8 by parity of the length). */
export function passesEan(digits: string): boolean {
  let sum = 0
  for (let at = digits.length - 1, odd = true; at >= 0; at--, odd = !odd) sum += digit(digits, at) * (odd ? 1 : 3)
  return sum % 10 === 0
}

/** ISO 7064 mod 97-10 of letters and digits, as IBAN has it: the first four characters go to the end. */
export function ibanRemainder(compact: string): number {
  let remainder = 0
  for (let at = 0; at < compact.length; at++) {
    const code = compact.charCodeAt((at + 4) % compact.length)
    const value = code < 58 ? code - 48 : (code | 32) - 87
    remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97
  }
  return remainder
}

/** ISO 7064 mod 11-10 (Germany, Croatia). */
export function passesMod11_10(digits: string): boolean {
  let product = 10
  for (let at = 0; at < digits.length - 1; at++) {
    const sum = (digit(digits, at) + product) % 10 || 10
    product = (sum * 2) % 11
  }
  return (11 - product) % 10 === digit(digits, digits.length - 1)
}

/** ISO 7064 mod 11-2 (China): the last is a digit or X. */
export function passesMod11_2(code: string): boolean {
  let sum = 0
  for (let at = 0; at < code.length - 1; at++) sum = ((sum + digit(code, at)) * 2) % 11
  const last = code.at(-1)!
  return (sum + (last === 'X' || last === 'x' ? 10 : digit(code, code.length - 1))) % 11 === 1
}

const VERHOEFF_D = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
  [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
  [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
  [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
  [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
  [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
  [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
  [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
  [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
]
const VERHOEFF_P = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
  [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
  [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
  [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
  [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
  [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
  [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
]
/** India's Aadhaar. */
export function passesVerhoeff(digits: string): boolean {
  let c = 0
  for (let at = 0; at < digits.length; at++)
    c = VERHOEFF_D[c]![VERHOEFF_P[at % 8]![digit(digits, digits.length - 1 - at)]!]!
  return c === 0
}

/** The last digit is (Σ mod 11), where 10 counts as `ten` (a digit) or is no number at all (undefined). */
export function lastIsMod11(digits: string, weights: readonly number[], ten?: number): boolean {
  const rest = weightedSum(digits, weights) % 11
  const expected = rest === 10 ? ten : rest
  return expected === digit(digits, weights.length)
}

/** The last digit is 11 − (Σ mod 11); 11 counts as 0, 10 as `ten` or is no number. */
export function lastIs11Minus(digits: string, weights: readonly number[], ten?: number): boolean {
  const rest = 11 - (weightedSum(digits, weights) % 11)
  const expected = rest === 11 ? 0 : rest === 10 ? ten : rest
  return expected === digit(digits, weights.length)
}

/** The last digit is (10 − Σ mod 10) mod 10. */
export function lastIs10Minus(digits: string, weights: readonly number[]): boolean {
  return (10 - (weightedSum(digits, weights) % 10)) % 10 === digit(digits, weights.length)
}

const two = (text: string, at: number): number => digit(text, at) * 10 + digit(text, at + 1)
const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** Two digits each at these places: a month and a day that there are. Offsets are what a country adds to either. */
export function isDate(
  digits: string,
  monthAt: number,
  dayAt: number,
  monthOffsets: readonly number[] = [0],
  dayOffsets: readonly number[] = [0],
): boolean {
  const month = two(digits, monthAt)
  const day = two(digits, dayAt)
  return monthOffsets.some((offset) => {
    const days = DAYS[month - offset - 1]
    return days !== undefined && dayOffsets.some((other) => day - other >= 1 && day - other <= days)
  })
}

/** ICAO 9303 check digit: weights 7, 3, 1; letters from 10, `<` is 0. */
export function mrzCheck(field: string): number {
  let sum = 0
  for (let at = 0; at < field.length; at++) {
    const code = field.charCodeAt(at)
    const value = code === 60 ? 0 : code < 58 ? code - 48 : code - 55
    sum += value * [7, 3, 1][at % 3]!
  }
  return sum % 10
}

/** All digits alike: passes most checks, names nobody. */
export function isOneDigit(digits: string): boolean {
  for (let at = 1; at < digits.length; at++) if (digits[at] !== digits[0]) return false
  return true
}
