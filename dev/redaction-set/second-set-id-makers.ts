import { body, date, digits, down, LETTERS, type Source, sum, until } from './second-set-numbers.ts'

/** National ids that take more than one line. */
export interface NationalId {
  readonly name: string
  /** Words before the number, in the country's language. */
  readonly context: string
  /** The form is enough without words. */
  readonly distinct?: true
  make(source: Source): string
}
export const BALTIC_1 = [1, 2, 3, 4, 5, 6, 7, 8, 9, 1]
export const BALTIC_2 = [3, 4, 5, 6, 7, 8, 9, 1, 2, 3]
export function baltic(s: Source): string {
  const { y, m, d } = date(s)
  const text = `${3 + s.int(2)}${y}${m}${d}${digits(s, 3)}`
  const first = sum(text, BALTIC_1) % 11
  const second = sum(text, BALTIC_2) % 11
  return text + (first < 10 ? first : second % 10)
}
export function jmbg(s: Source, region: string): string {
  return until(() => {
    const { y, m, d } = date(s)
    const text = `${d}${m}9${y}${region}${digits(s, 3)}`
    const check = 11 - (sum(text, [7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11)
    return check === 10 ? undefined : text + (check === 11 ? 0 : check)
  })
}
export function czech(s: Source): string {
  return until(() => {
    const { y, m, d } = date(s)
    const start = `${y}${m}${d}`
    const tail = digits(s, 3)
    const rest = Number(start + tail) % 11
    return rest === 10 ? undefined : `${start}/${tail}${rest}`
  })
}
export function cpfDigits(text: string): string {
  const a = ((sum(text, down(10, 2)) * 10) % 11) % 10
  const b = ((sum(text + a, down(11, 2)) * 10) % 11) % 10
  return `${a}${b}`
}
export function codiceFiscale(s: Source): string {
  const odd: Record<string, number> = {}
  const values = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23]
  values.forEach((value, at) => {
    odd[LETTERS[at] as string] = value
    if (at < 10) odd[String(at)] = value
  })
  const { y, d } = date(s)
  const text = `${body(s, 'BCDFGLMNPRST', 6)}${y}${body(s, 'ABCDEHLMPRST', 1)}${d}${body(s, 'ABCDEFGHIL', 1)}${digits(s, 3)}`
  let all = 0
  ;[...text].forEach((c, at) => {
    all += at % 2 === 0 ? (odd[c] as number) : /\d/.test(c) ? Number(c) : LETTERS.indexOf(c)
  })
  return text + LETTERS[all % 26]
}
export function curp(s: Source): string {
  const { y, m, d } = date(s)
  const text = `${body(s, 'GHLMR', 1)}${body(s, 'AEIOU', 1)}${body(s, 'CDFGLMP', 2)}${y}${m}${d}${body(s, 'HM', 1)}DF${body(s, 'BCDFGLMNPRST', 3)}0`
  const order = '0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ'
  const all = [...text].reduce((sum, c, at) => sum + order.indexOf(c) * (18 - at), 0)
  return text + ((10 - (all % 10)) % 10)
}
export function taiwan(s: Source): string {
  const order = 'ABCDEFGHJKLMNPQRSTUVXYWZIO'
  const letter = LETTERS[s.int(26)] as string
  const value = order.indexOf(letter) + 10
  const text = `${1 + s.int(2)}${digits(s, 7)}`
  const all = Math.floor(value / 10) + (value % 10) * 9 + sum(text, down(8, 1))
  return `${letter}${text}${(10 - (all % 10)) % 10}`
}
export function nric(s: Source): string {
  const text = digits(s, 7)
  return `S${text}${'JZIHGFEDCBA'[sum(text, [2, 7, 6, 5, 4, 3, 2]) % 11]}`
}
export function hongKong(s: Source): string {
  const letter = body(s, LETTERS, 1)
  const text = digits(s, 6)
  const all = 36 * 9 + (LETTERS.indexOf(letter) + 10) * 8 + sum(text, down(7, 2))
  const check = (11 - (all % 11)) % 11
  return `${letter}${text}(${check === 10 ? 'A' : check})`
}
export const person = (s: Source) => {
  const { y, m, d } = date(s)
  return `${y}${m}${d}`
}
