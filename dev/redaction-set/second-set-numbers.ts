/** Random bodies and check digits of the second set, apart from the redactor's own code. */

/** A random source: `int(n)` is in [0, n). */
export interface Source {
  int(n: number): number
}
export function seeded(seed: number): Source {
  let state = seed >>> 0
  return {
    int(n) {
      // Mulberry32.
      state = (state + 0x6d2b79f5) >>> 0
      let mixed = Math.imul(state ^ (state >>> 15), state | 1)
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
      return ((mixed ^ (mixed >>> 14)) >>> 0) % n
    },
  }
}
export const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'
export function body(source: Source, alphabet: string, length: number): string {
  return Array.from({ length }, () => alphabet[source.int(alphabet.length)]).join('')
}
export const digits = (source: Source, length: number) => body(source, '0123456789', length)
export const lead = (source: Source, length: number) => String(1 + source.int(9)) + digits(source, length - 1)
export const two = (n: number) => String(n).padStart(2, '0')
export const date = (source: Source) => ({
  y: two(50 + source.int(48)),
  m: two(1 + source.int(12)),
  d: two(1 + source.int(28)),
})
export const sum = (text: string, weights: readonly number[]) =>
  weights.reduce((all, weight, at) => all + weight * Number(text[at]), 0)
export const down = (from: number, to: number) => Array.from({ length: from - to + 1 }, (_, at) => from - at)
export function luhn(text: string): string {
  let all = 0
  for (let at = text.length - 1, double = true; at >= 0; at--, double = !double) {
    const digit = Number(text[at]) * (double ? 2 : 1)
    all += digit > 9 ? digit - 9 : digit
  }
  return String((10 - (all % 10)) % 10)
}
/** Draws until the check digit exists. */
export function until(make: () => string | undefined): string {
  for (;;) {
    const made = make()
    if (made !== undefined) return made
  }
}
export function iso7064(text: string): string {
  let product = 10
  for (const digit of text) {
    const step = (Number(digit) + product) % 10 || 10
    product = (step * 2) % 11
  }
  return String((11 - product) % 10)
}
export const VERHOEFF_D = [
  '0123456789',
  '1234067895',
  '2340178956',
  '3401289567',
  '4012395678',
  '5987604321',
  '6598710432',
  '7659821043',
  '8765932104',
  '9876543210',
]
export const VERHOEFF_P = [
  '0123456789',
  '1576283094',
  '5803796142',
  '8916043527',
  '9453126870',
  '4286573901',
  '2793806415',
  '7046913258',
]
export function verhoeff(text: string): string {
  for (let check = 0; check < 10; check++) {
    let c = 0
    const all = [...text, String(check)].reverse()
    all.forEach((digit, at) => {
      c = Number(VERHOEFF_D[c]?.[Number(VERHOEFF_P[at % 8]?.[Number(digit)])])
    })
    if (c === 0) return String(check)
  }
  throw new Error('no Verhoeff digit')
}
