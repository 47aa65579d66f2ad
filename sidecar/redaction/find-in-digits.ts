import { passesLuhn } from './checksums.ts'
import { before, type Hit, isDigit, isLetter, type Scan } from './hits.ts'
import { isInternational, isNational, isTrunkNumber } from './phone-numbers.ts'
import type { NumberRule } from './rule.ts'
import { CARD_SCHEMES } from './rules/financial.ts'
import { EUROPEAN_NUMBERS } from './rules/national-ids-europe.ts'
import { WORLD_NUMBERS } from './rules/national-ids-world.ts'
import { BIRTH_WORDS, CARD_WORDS, OTHER_NUMBER_WORDS, PHONE_WORDS, VERSION_WORDS } from './words.ts'

export const NUMBER_RULES: readonly NumberRule[] = [...EUROPEAN_NUMBERS, ...WORLD_NUMBERS]

interface CompiledRule {
  rule: NumberRule
  near: RegExp
}
const BY_LENGTH: CompiledRule[][] = Array.from({ length: 20 }, () => [])
for (const rule of NUMBER_RULES) BY_LENGTH[rule.length]!.push({ rule, near: new RegExp(`(?:${rule.near})`, 'iu') })

const NO_WORDS = { phone: -1, other: -1 }
const MAX_DIGITS = 19
/** Of how many groups a number consists in a longer row of groups. One that stands alone may be written digit by digit. */
const MAX_GROUPS = 7
/** How far before a number words are looked for. */
const NEAR = 64
const AFTER = 24

/** Digits between which stand at most three separators. */
interface Group {
  start: number
  end: number
  /** A letter touches it there: nothing may begin or end here. */
  touchedBefore: boolean
  touchedAfter: boolean
}

function isSeparator(code: number): boolean {
  // Space, tab, ( ) - . / _
  return code === 32 || code === 9 || (code >= 45 && code <= 47) || code === 40 || code === 41 || code === 95
}

/** All groups of one cluster, from its first digit on. */
function clusterAt(text: string, start: number): Group[] {
  const groups: Group[] = []
  let at = start
  for (;;) {
    let end = at
    while (end < text.length && isDigit(text.charCodeAt(end))) end++
    groups.push({
      start: at,
      end,
      touchedBefore: at > 0 && isLetter(text.charCodeAt(at - 1)),
      touchedAfter: end < text.length && isLetter(text.charCodeAt(end)),
    })
    let next = end
    while (next < text.length && next - end < 3 && isSeparator(text.charCodeAt(next))) next++
    if (next === end || next >= text.length || !isDigit(text.charCodeAt(next))) return groups
    at = next
  }
}

/** Where a number ends that is too short for anything and no year, and after which no digits follow; 0 for any other. */
function shortNumber(text: string, start: number): number {
  let end = start + 1
  while (end < text.length && end - start < 7 && isDigit(text.charCodeAt(end))) end++
  const length = end - start
  if (length >= 7) return 0
  if (length === 4) {
    const first = text.charCodeAt(start)
    const second = text.charCodeAt(start + 1)
    if ((first === 49 && (second === 56 || second === 57)) || (first === 50 && second === 48)) return 0
  }
  for (let next = end; next < end + 4 && next < text.length; next++) {
    const code = text.charCodeAt(next)
    if (isDigit(code)) return 0
    if (!isSeparator(code)) break
  }
  return end
}

/** Whatever begins with a digit at `start`: cards, identity numbers, phones, dates of birth, IPv4. Returns where the cluster ends. */
export function findInDigits(scan: Scan, at: number): number {
  const { text } = scan
  // `%2012345678`: the first two belong to the percent sign.
  const start = text.charCodeAt(at - 1) === 37 && isDigit(text.charCodeAt(at + 1)) ? at + 2 : at
  if (!isDigit(text.charCodeAt(start))) return Math.max(start, at + 1)
  const alone = shortNumber(text, start)
  if (alone > 0) return alone
  const groups = clusterAt(text, start)
  const last = groups[groups.length - 1]!
  let digits = 0
  for (const group of groups) {
    digits += group.end - group.start
    if (digits >= 7) break
  }
  let words: string | undefined
  const wordsBefore = (): string => {
    words ??= before(text, start, NEAR)
    return words
  }
  if (!scan.label) findBirthDate(scan, groups, wordsBefore)
  if (groups.length >= 4) findIpv4(scan, groups)
  if (digits < 7) return last.end
  if (isDecimal(text, groups)) return last.end
  findNumbers(scan, groups)
  findPhones(scan, groups, wordsBefore)
  return last.end
}

/** `0.0123456789`, `1234.5678901`: two groups with a point between are one number. */
function isDecimal(text: string, groups: readonly Group[]): boolean {
  const [whole, part] = groups
  return (
    groups.length === 2 &&
    text[whole!.start - 1] !== '+' &&
    text[whole!.end] === '.' &&
    part!.start === whole!.end + 1 &&
    whole!.end - whole!.start <= 6
  )
}

function findNumbers(scan: Scan, groups: readonly Group[]): void {
  const { text, hits } = scan
  const most = mostGroups(groups)
  for (let first = 0; first < groups.length; first++) {
    const dateLength = dateGroups(text, groups, first)
    if (dateLength > 0) {
      first += dateLength - 1
      continue
    }
    const from = groups[first]!
    if (from.touchedBefore) continue
    let digits = ''
    let found: { hit: Hit; last: number } | undefined
    for (let lastIndex = first; lastIndex < groups.length && lastIndex - first < most; lastIndex++) {
      const to = groups[lastIndex]!
      if (digits.length + (to.end - to.start) > MAX_DIGITS) break
      digits += text.slice(to.start, to.end)
      if (to.touchedAfter || digits.length < 8) continue
      const id = numberRule(scan, groups, first, lastIndex, digits)
      if (id !== undefined)
        found = { hit: { start: from.start, end: to.end, kind: id.kind, rule: id.id }, last: lastIndex }
    }
    if (found === undefined) continue
    // `512.34.567-8 (0)`: a bracket that opened before is no part of it.
    hits.push(found.hit)
    first = found.last
  }
}

function mostGroups(groups: readonly Group[]): number {
  if (groups.length > MAX_DIGITS + 1) return MAX_GROUPS
  let digits = 0
  for (const { start, end } of groups) digits += end - start
  return digits <= MAX_DIGITS ? MAX_DIGITS : MAX_GROUPS
}

function numberRule(
  scan: Scan,
  groups: readonly Group[],
  first: number,
  last: number,
  digits: string,
): { kind: Hit['kind']; id: string } | undefined {
  const { text } = scan
  const start = groups[first]!.start
  const end = groups[last]!.end
  if (digits.length >= 13 && passesLuhn(digits)) {
    const scheme = CARD_SCHEMES.find(({ begins, lengths }) => lengths.includes(digits.length) && begins.test(digits))
    if (scheme !== undefined && isCard(scan, groups, first, last, scheme.needsWord === true))
      return { kind: 'credit_card', id: scheme.id }
  }
  const rules = BY_LENGTH[digits.length]!
  if (rules.length === 0 || isJoined(text, start, end) || isColumn(text, groups, first, last)) return undefined
  let written: string | undefined
  let around: string | undefined
  for (const { rule, near } of rules) {
    if (!rule.check(digits)) continue
    if (rule.strong === true) return { kind: rule.kind, id: rule.id }
    written ??= text.slice(start, end)
    if (rule.format?.test(written)) return { kind: rule.kind, id: rule.id }
    around ??= `${before(text, start, NEAR)} \u0000 ${text.slice(end, end + AFTER)}`
    if (near.test(around)) return { kind: rule.kind, id: rule.id }
  }
  return undefined
}

/** Points and blanks between the groups: numbers with decimals, side by side. An underscore joins parts of a name. */
function isColumn(text: string, groups: readonly Group[], first: number, last: number): boolean {
  let hasPoint = false
  let hasBlank = false
  for (let at = first; at < last; at++) {
    const code = text.charCodeAt(groups[at]!.end)
    if (code === 95) return true
    if (code === 46) hasPoint = true
    else if (code === 32 || code === 9) hasBlank = true
  }
  return hasPoint && hasBlank
}

/** A part of something longer: `…a456-426614174000`, `1.2.3.4`. */
function isJoined(text: string, start: number, end: number): boolean {
  const joint = (code: number) => code === 45 || code === 46 || code === 95 || code === 58
  // `Chrome/111.0.1071.49`
  if (start >= 2 && text.charCodeAt(start - 1) === 47 && isLetter(text.charCodeAt(start - 2))) return true
  if (start >= 2 && joint(text.charCodeAt(start - 1)) && isDigit(text.charCodeAt(start - 2))) return true
  return end + 1 < text.length && joint(text.charCodeAt(end)) && isDigit(text.charCodeAt(end + 1))
}

function isCard(scan: Scan, groups: readonly Group[], first: number, last: number, needsWord: boolean): boolean {
  const { text } = scan
  const start = groups[first]!.start
  const hasWord = () => CARD_WORDS.test(before(text, start, NEAR))
  if (needsWord) return hasWord()
  // A column of numbers is no card: one kind of separator, or the groups of a card.
  if (last === first) return true
  const separators = new Set<string>()
  for (let at = first; at < last; at++) separators.add(text.slice(groups[at]!.end, groups[at + 1]!.start))
  if (separators.size === 1) return true
  const lengths = groups.slice(first, last + 1).map((group) => group.end - group.start)
  return lengths.every((length) => length <= 6) && (lengths.filter((length) => length === 4).length >= 2 || hasWord())
}

/** Of how many groups a calendar date consists that begins here; 0 where none does. */
function dateGroups(text: string, groups: readonly Group[], first: number): number {
  const [a, b, c] = [groups[first], groups[first + 1], groups[first + 2]]
  if (a === undefined || b === undefined || c === undefined) return 0
  if (b.start - a.end > 2 || c.start - b.end > 2 || text[a.end] !== text[b.end]) return 0
  const lengths = [a.end - a.start, b.end - b.start, c.end - c.start]
  const one = Number(text.slice(a.start, a.end))
  const middle = Number(text.slice(b.start, b.end))
  const end = Number(text.slice(c.start, c.end))
  if (lengths[1]! > 2 || middle < 1 || middle > 31) return 0
  if (lengths[0] === 4 && lengths[2]! <= 2) return one >= 1850 && one <= 2150 && end >= 1 && end <= 31 ? 3 : 0
  if (lengths[2] === 4 && lengths[0]! <= 2) return end >= 1850 && end <= 2150 && one >= 1 && one <= 31 ? 3 : 0
  return 0
}

const WRITTEN_DATE =
  /\d{1,4}(?:st|nd|rd|th|er|º|ª|\.)?[ \t./-]{0,2}(?:de |of |den )?(?:\p{L}{3,14}\.?|\d{1,2})[ \t,./-]{1,3}(?:de |of )?\d{2,4}|\p{L}{3,14}\.?[ \t]\d{1,2}(?:st|nd|rd|th|\.)?,?[ \t]\d{4}|\d{4}[ \t]?[年년][ \t]?\d{1,2}[ \t]?[月월][ \t]?\d{1,2}[ \t]?[日일]?|(?:19|20)\d{6}(?!\d)/u

/** A date with a word for birth in the sentence before it, or right behind it. */
function findBirthDate(scan: Scan, groups: readonly Group[], wordsBefore: () => string): void {
  const { text, hits } = scan
  const start = groups[0]!.start
  const first = text.slice(start, groups[0]!.end)
  if (first.length > 8 || (groups.length < 3 && first.length !== 4 && first.length !== 8)) return
  const words = wordsBefore()
  const word = lastMatch(words, BIRTH_WORDS)
  if (word !== undefined) {
    // The date begins at a digit of this cluster, or with the month's name before it.
    const from = start - words.length + word
    const match = WRITTEN_DATE.exec(text.slice(from, groups[groups.length - 1]!.end + 40))
    if (match !== null && from + match.index <= groups[groups.length - 1]!.end)
      hits.push({
        start: from + match.index,
        end: from + match.index + match[0].length,
        kind: 'birth_date',
        rule: 'birth-date',
      })
    return
  }
  for (let at = 0; at < groups.length; at++) {
    if (dateGroups(text, groups, at) === 0) continue
    const end = groups[at + 2]!.end
    if (BIRTH_WORDS.test(text.slice(end, end + 16)))
      hits.push({ start: groups[at]!.start, end, kind: 'birth_date', rule: 'birth-date' })
    return
  }
}

/** Where the last match ends. */
function lastMatch(words: string, pattern: RegExp): number | undefined {
  let end: number | undefined
  for (let match = pattern.exec(words); match !== null; match = pattern.exec(words.slice(end)))
    end = (end ?? 0) + match.index + match[0].length
  return end
}

function findIpv4(scan: Scan, groups: readonly Group[]): void {
  const { text, hits } = scan
  for (let first = 0; first + 3 < groups.length; first++) {
    const from = groups[first]!
    const to = groups[first + 3]!
    let dotted = true
    for (let at = first; at < first + 4 && dotted; at++) {
      const group = groups[at]!
      const length = group.end - group.start
      if (length > 3 || (length === 3 && Number(text.slice(group.start, group.end)) > 255)) dotted = false
      if (at < first + 3 && (text[group.end] !== '.' || groups[at + 1]!.start !== group.end + 1)) dotted = false
    }
    if (!dotted) continue
    const previous = text[from.start - 1] ?? ' '
    if (/[\p{L}\d_.]/u.test(previous) || to.touchedAfter || /^[.]\d/.test(text.slice(to.end, to.end + 2))) {
      first += 3
      continue
    }
    // `Chrome/120.0.0.0` is a product, `//10.1.2.3` a host.
    const isProduct = previous === '/' && /[\p{L}\d]/u.test(text[from.start - 2] ?? '')
    const address = text.slice(from.start, to.end)
    if (!isProduct && !isNobodys(address) && !VERSION_WORDS.test(before(text, from.start, 16)))
      hits.push({ start: from.start, end: to.end, kind: 'ip', rule: 'ipv4' })
    first += 3
  }
}

/** Loopback, unspecified, masks, broadcast: of no person. */
function isNobodys(address: string): boolean {
  return /^(?:127\.|0\.0\.0\.0$|255\.255\.|255\.0\.0\.0$|\d\.0\.0\.0$)/.test(address)
}

/** Where the last word for a phone and the last one for another number stand before a cluster; -1: nowhere. */
interface Words {
  phone: number
  other: number
}

function findPhones(scan: Scan, groups: readonly Group[], wordsBefore: () => string): void {
  const { text, hits } = scan
  let known: Words | undefined
  const wordsOf = (at: number): Words => {
    if (at - groups[0]!.start > NEAR) return NO_WORDS
    known ??= {
      phone: lastIndexOfMatch(wordsBefore(), PHONE_WORDS),
      other: OTHER_NUMBER_WORDS.exec(wordsBefore())?.index ?? -1,
    }
    return known
  }
  for (let first = 0; first < groups.length; first++) {
    const from = groups[first]!
    if (from.touchedBefore && !/\b(?:tel|fax|mob|ph|t|m)$/i.test(before(text, from.start, 8))) continue
    const plus = plusBefore(text, from.start)
    const found =
      plus !== undefined
        ? internationalPhone(text, groups, first)
        : scan.label
          ? undefined
          : nationalPhone(text, groups, first, wordsOf)
    if (found === undefined) continue
    let start = plus ?? from.start
    if (text[start - 1] === '(' && text.slice(from.start, groups[found]!.end).includes(')')) start--
    hits.push({
      start,
      end: groups[found]!.end,
      kind: 'phone',
      rule: plus === undefined ? 'phone-national' : 'phone-international',
    })
    first = found
  }
}

/** Where the `+` stands that belongs to digits at `at`: `+49`, `(+49`, `+ 49`. */
function plusBefore(text: string, at: number): number | undefined {
  if (text[at - 1] === '+') return at - 1
  return text[at - 1] === ' ' && text[at - 2] === '+' ? at - 2 : undefined
}

function internationalPhone(text: string, groups: readonly Group[], first: number): number | undefined {
  let digits = ''
  let found: number | undefined
  let possible: number | undefined
  for (let at = first; at < groups.length; at++) {
    const group = groups[at]!
    if (at > first && !isPhoneSeparator(text.slice(groups[at - 1]!.end, group.start))) break
    const piece = text.slice(group.start, group.end)
    // `(0)`: dialled at home only.
    if (piece === '0' && text[group.start - 1] === '(' && text[group.end] === ')') continue
    if (digits.length + piece.length > 15) break
    digits += piece
    if (digits.length < 7) continue
    if (isInternational(digits)) found = at
    else if (digits.length >= 8 && possible === undefined) possible = at
  }
  if (found !== undefined) return found
  // No such number today, but written as one: plans change.
  if (possible === undefined || digits[0] === '0') return undefined
  return groups.length - 1 > possible && digits.length <= 15 ? lastWithin(text, groups, first) : possible
}

function lastWithin(text: string, groups: readonly Group[], first: number): number {
  let digits = 0
  let last = first
  for (let at = first; at < groups.length; at++) {
    if (at > first && !isPhoneSeparator(text.slice(groups[at - 1]!.end, groups[at]!.start))) break
    digits += groups[at]!.end - groups[at]!.start
    if (digits > 13) break
    last = at
  }
  return last
}

function isPhoneSeparator(separator: string): boolean {
  return separator.length <= 3 && !separator.includes('_') && !/[^ ()][^ ()]/.test(separator)
}

/** No digits belong before it: it is the first of the cluster, or a stroke or a date stands before it. */
function beginsNumber(text: string, groups: readonly Group[], first: number): boolean {
  if (first === 0) return true
  const separator = text.slice(groups[first - 1]!.end, groups[first]!.start)
  return /[/(]|^ {2}|^ - $/.test(separator) || (first >= 3 && dateGroups(text, groups, first - 3) > 0)
}

const US = /^\(?\d{3}\)?[ .-]{1,2}\d{3}[ .-]\d{4}$/

function nationalPhone(
  text: string,
  groups: readonly Group[],
  first: number,
  wordsOf: (at: number) => Words,
): number | undefined {
  const from = groups[first]!
  const joint = text[from.start - 1] ?? ' '
  if (
    /[-._/:#$€£¥%]/.test(joint) &&
    !/(?:tel|phone|mobile|sms|fax|callto|whatsapp)[:"'= ]*$/i.test(before(text, from.start, 14)) &&
    (joint !== ':' || isDigit(text.charCodeAt(from.start - 2)))
  )
    return undefined
  if (dateGroups(text, groups, first) > 0) return undefined
  let digits = ''
  let longest: number | undefined
  let valid: number | undefined
  const most = mostGroups(groups)
  for (let at = first; at < groups.length && at - first < most; at++) {
    const group = groups[at]!
    if (group.touchedAfter) break
    if (at > first && !isPhoneSeparator(text.slice(groups[at - 1]!.end, group.start))) break
    if (at > first && dateGroups(text, groups, at) > 0) break
    if (digits.length + group.end - group.start > 15) break
    digits += text.slice(group.start, group.end)
    if (digits.length < 7) continue
    if (isJoined(text, from.start, group.end) && at === groups.length - 1) break
    longest = at
    if (isNationalForm(text, groups, first, at, digits)) valid = at
  }
  if (longest === undefined) return undefined
  const { phone: phoneWord, other: otherWord } = wordsOf(from.start)
  if (otherWord > phoneWord) return undefined
  if (valid !== undefined && (phoneWord >= 0 || beginsNumber(text, groups, first))) return valid
  if (phoneWord < 0) return undefined
  // Beside a word for a phone: whatever could be dialled somewhere.
  digits = ''
  let best: number | undefined
  for (let at = first; at <= longest; at++) {
    digits += text.slice(groups[at]!.start, groups[at]!.end)
    if (digits.length < 7 || digits.length > 15) continue
    if (isNational(digits) || isInternational(digits) || (digits.startsWith('00') && isInternational(digits.slice(2))))
      best = at
  }
  return best
}

function lastIndexOfMatch(words: string, pattern: RegExp): number {
  let from = 0
  let found = -1
  for (;;) {
    const index = words.slice(from).search(pattern)
    if (index < 0) return found
    found = from + index
    from = found + 1
  }
}

/** Written as phone numbers are at home, without a word beside it. */
function isNationalForm(text: string, groups: readonly Group[], first: number, last: number, digits: string): boolean {
  const from = groups[first]!
  const start = text[from.start - 1] === '(' ? from.start - 1 : from.start
  const written = text.slice(start, groups[last]!.end)
  const isBracketed = written[0] === '(' && written.includes(')')
  if (digits.startsWith('00') && digits.length >= 10)
    return digits[2] !== '0' && last > first && isInternational(digits.slice(2))
  if (digits.startsWith('011') && digits.length >= 11 && last > first && isInternational(digits.slice(3))) return true
  if (digits.length === 10 && US.test(written)) {
    // With dots or blanks only where area and exchange can be ones.
    return isBracketed || written.includes('-') || /^[2-9]\d\d[2-9]/.test(digits)
  }
  if (digits.length === 11 && digits[0] === '1' && last > first && !isBracketed)
    return US.test(written.slice(2)) && /[- (]/.test(written[1] ?? '')
  if (
    digits.length === 11 &&
    digits[0] === '8' &&
    last > first &&
    /^8[ -]\(?\d{3}\)?[ -]\d{3}[ -]\d{2}[ -]\d{2}$/.test(written)
  )
    return true
  // `(11) 91234-5678`, `(55) 1234 5678`
  if (isBracketed && digits.length >= 8 && digits.length <= 12 && last > first) return isNational(digits)
  if (digits[0] !== '0' || digits[1] === '0' || digits.length < 9 || digits.length > 12) return false
  if (last === first) return digits.length <= 11 && isTrunkNumber(digits)
  // `0.123 456`: a decimal number; `0-306-40615-2`: a book.
  if (from.end - from.start === 1 && /[.-]/.test(text[from.end]!)) return false
  return isTrunkNumber(digits)
}
