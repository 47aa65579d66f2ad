import { ibanRemainder } from './checksums.ts'
import { before, isAlnum, isDigit, isLetter, type Scan } from './hits.ts'
import type { CodeRule } from './rule.ts'
import { IBAN_LENGTHS } from './rules/financial.ts'
import { EUROPEAN_CODES } from './rules/national-ids-europe.ts'
import { isMrzLine, WORLD_CODES } from './rules/national-ids-world.ts'

export const CODE_RULES: readonly CodeRule[] = [...EUROPEAN_CODES, ...WORLD_CODES]
interface Compiled {
  rule: CodeRule
  pattern: RegExp
  near: RegExp | undefined
}
/** By what the word begins with: a letter or a digit. */
const BY_LETTER: Compiled[] = []
const BY_DIGIT: Compiled[] = []
const anyOf = (list: readonly Compiled[]) => new RegExp(list.map(({ rule }) => rule.pattern).join('|'), 'iuy')
for (const rule of CODE_RULES) {
  const compiled = {
    rule,
    pattern: new RegExp(rule.pattern, 'iuy'),
    near: rule.near === undefined ? undefined : new RegExp(rule.near, 'iu'),
  }
  if (!/^(?:\\d|\[1)/.test(rule.pattern)) BY_LETTER.push(compiled)
  if (/^(?:\\d|\[1)|A-Z\]\{0|0-9\]/.test(rule.pattern)) BY_DIGIT.push(compiled)
}

/** One look for all rows: most words are refused by it. */
const ANY_BY_LETTER = anyOf(BY_LETTER)
const ANY_BY_DIGIT = anyOf(BY_DIGIT)
const KNOWN_COUNTRY = new Uint8Array(32 * 32)
for (const country of Object.keys(IBAN_LENGTHS))
  KNOWN_COUNTRY[((country.charCodeAt(0) & 31) << 5) | (country.charCodeAt(1) & 31)] = 1

/** A word of letters and digits, or one of digits alone that letters may follow. Returns where the code ends, or `at`. */
export function findCode(scan: Scan, at: number): number {
  const { text, hits } = scan
  const byDigit = isDigit(text.charCodeAt(at))
  const any = byDigit ? ANY_BY_DIGIT : ANY_BY_LETTER
  any.lastIndex = at
  if (!any.test(text)) return at
  for (const { rule, pattern, near } of byDigit ? BY_DIGIT : BY_LETTER) {
    if (scan.label && rule.check === undefined) continue
    pattern.lastIndex = at
    const match = pattern.exec(text)
    if (match === null) continue
    const end = at + match[0].length
    if (/^[-._]\w/.test(text.slice(end, end + 2)) || isJoinedBefore(text, at)) continue
    if (rule.check !== undefined && !rule.check(match[0])) continue
    if (near !== undefined && !near.test(`${before(text, at, 64)} \u0000 ${text.slice(end, end + 24)}`)) continue
    hits.push({ start: at, end, kind: rule.kind, rule: rule.id })
    return end
  }
  return at
}

/** `a456-12345678Z`: the last part of something longer. */
function isJoinedBefore(text: string, at: number): boolean {
  return at >= 2 && /[-._]/.test(text[at - 1]!) && isDigit(text.charCodeAt(at - 2))
}

/** Two letters, two digits, and as many more as the country's IBAN has, in any grouping. Returns where it ends, or `at`. */
export function findIban(scan: Scan, at: number): number {
  const { text, hits } = scan
  const first = text.charCodeAt(at)
  if (!isLetter(first) || at + 15 > text.length) return at
  const second = text.charCodeAt(at + 1)
  // Letters may be apart (`D E 8 9`); beside each other they must be a country's.
  if (isAlnum(second) && (!isLetter(second) || KNOWN_COUNTRY[((first & 31) << 5) | (second & 31)] === 0)) return at
  let compact = ''
  let wanted = 34
  let end = at
  for (let next = at; next < text.length && compact.length < wanted; next++) {
    const code = text.charCodeAt(next)
    if (isAlnum(code)) {
      if (compact.length < 2 ? !isLetter(code) : compact.length < 4 && !isDigit(code)) return at
      compact += text[next]
      end = next + 1
      if (compact.length === 2) {
        const length = IBAN_LENGTHS[compact.toUpperCase()]
        if (length === undefined) return at
        wanted = length
      }
    } else if (next - end >= 3 || !/[ \t\-._/:]/.test(text[next]!)) return at
  }
  if (compact.length !== wanted || isAlnum(text.charCodeAt(end)) || ibanRemainder(compact) !== 1) return at
  hits.push({ start: at, end, kind: 'iban', rule: `iban-${compact.slice(0, 2).toLowerCase()}` })
  return end
}

const MAC =
  /[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}(?:(?::[0-9A-Fa-f]{2}){2})?(?!:?[0-9A-Fa-f])|[0-9A-Fa-f]{2}-[0-9A-Fa-f]{2}-[0-9A-Fa-f]{2}-[0-9A-Fa-f]{2}-[0-9A-Fa-f]{2}-[0-9A-Fa-f]{2}(?!-?[0-9A-Za-z])|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}(?!\.?[0-9A-Za-z])/y

/** Pairs of hexadecimal digits at the beginning of a word. */
export function findMac(scan: Scan, at: number): number {
  const third = scan.text.charCodeAt(at + 2)
  if (third !== 58 && third !== 45 && scan.text.charCodeAt(at + 4) !== 46) return at
  MAC.lastIndex = at
  const match = MAC.exec(scan.text)
  if (match === null || /^(?:00[:.-]?){6}$|^(?:ff[:.-]?){6}$/i.test(match[0])) return at
  // `1234.5678.9012`: digits alone are a number in groups.
  if (match[0][4] === '.' && !/[a-f]/i.test(match[0])) return at
  scan.hits.push({ start: at, end: at + match[0].length, kind: 'mac', rule: 'mac' })
  return at + match[0].length
}

const IPV6_CHARACTER = /[0-9A-Fa-f:.]/

/** Around a colon beside hexadecimal digits or another colon. Returns where it ends, or `at`. */
export function findIpv6(scan: Scan, at: number, done: number): number {
  const { text, hits } = scan
  let start = at
  while (start > done && at - start < 46 && IPV6_CHARACTER.test(text[start - 1]!)) start--
  let end = at
  while (end < text.length && end - start < 46 && IPV6_CHARACTER.test(text[end]!)) end++
  while (end > start && (text[end - 1] === '.' || (text[end - 1] === ':' && text[end - 2] !== ':'))) end--
  const candidate = text.slice(start, end)
  if (isAlnum(text.charCodeAt(start - 1)) || isAlnum(text.charCodeAt(end)) || !isIpv6(candidate)) return at
  hits.push({ start, end, kind: 'ip', rule: 'ipv6' })
  return end
}

function isIpv6(text: string): boolean {
  const halves = text.split('::')
  if (halves.length > 2 || text.length < 6) return false
  const groups = text.split(':').filter((group) => group !== '')
  const tail = groups.at(-1) ?? ''
  const isMixed = tail.includes('.')
  if (isMixed && !/^\d{1,3}(?:\.\d{1,3}){3}$/.test(tail)) return false
  const hex = isMixed ? groups.slice(0, -1) : groups
  if (!hex.every((group) => /^[0-9A-Fa-f]{1,4}$/.test(group))) return false
  const count = hex.length + (isMixed ? 2 : 0)
  // `::1` is this machine; `a::b` without a group of three or more is a name of a program.
  if (halves.length === 2)
    return count >= 2 && count <= 7 && (count > 2 || hex.some((group) => group.length >= 3)) && /\d/.test(text)
  return count === 8
}

/** Machine-readable lines of a passport or card: a run of A–Z, 0–9 and `<` around `at`. Returns where the last ends, or `at`. */
export function findMrz(scan: Scan, at: number): number {
  const { text, hits } = scan
  const isMrz = (index: number): boolean => {
    const code = text.charCodeAt(index)
    return code === 60 || isDigit(code) || (code >= 65 && code <= 90)
  }
  let start = at
  while (start > 0 && at - start < 44 && isMrz(start - 1)) start--
  let end = at
  while (end < text.length && end - start < 45 && isMrz(end)) end++
  if (!isMrzLine(text.slice(start, end))) return at
  hits.push({ start, end, kind: 'passport', rule: 'mrz' })
  // The lines below belong to it.
  for (let more = 0; more < 2; more++) {
    const gap = /^[ \t]*\r?\n[ \t]*|^ (?=[A-Z0-9<]{30})/.exec(text.slice(end, end + 16))
    if (gap === null) break
    const next = end + gap[0].length
    let stop = next
    while (stop < text.length && stop - next < 45 && isMrz(stop)) stop++
    if (stop - next < 30 || stop - next > 44) break
    hits.push({ start: next, end: stop, kind: 'passport', rule: 'mrz' })
    end = stop
  }
  return end
}
