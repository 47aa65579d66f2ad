import { passesLuhn } from './checksums.ts'
import {
  AFTER,
  clusterAt,
  dateGroups,
  type Group,
  isColumn,
  isDecimal,
  isJoined,
  isOneNumber,
  isSeparator,
  MAX_DIGITS,
  mayHaveWords,
  mostGroups,
  NEAR,
} from './digit-groups.ts'
import { findPhones } from './find-phones.ts'
import { before, type Hit, isDigit, type Scan } from './hits.ts'
import type { NumberRule } from './rule.ts'
import { CARD_SCHEMES } from './rules/financial.ts'
import { EUROPEAN_NUMBERS } from './rules/national-ids-europe.ts'
import { WORLD_NUMBERS } from './rules/national-ids-world.ts'
import { BIRTH_WORDS, CARD_WORDS, ORDER_NUMBER, VERSION_WORDS } from './words.ts'

export const NUMBER_RULES: readonly NumberRule[] = [...EUROPEAN_NUMBERS, ...WORLD_NUMBERS]

interface CompiledRule {
  rule: NumberRule
  near: RegExp
}
const BY_LENGTH: CompiledRule[][] = Array.from({ length: 20 }, () => [])
for (const rule of NUMBER_RULES) BY_LENGTH[rule.length]!.push({ rule, near: new RegExp(`(?:${rule.near})`, 'iu') })

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
  const isWhole = text[start - 1] !== '#' && isOneNumber(text, groups, first, last, digits.length)
  const hasWords = mayHaveWords(groups, start, end)
  for (const { rule, near } of rules) {
    const isEnough = rule.strong === true && isWhole
    if (!hasWords && !isEnough && rule.format === undefined) continue
    if (!rule.check(digits)) continue
    if (
      isEnough &&
      // `arn:aws:iam::123456789012:role`: an account.
      !text.startsWith('::', start - 2) &&
      !ORDER_NUMBER.test(before(text, start, NEAR))
    )
      return { kind: rule.kind, id: rule.id }
    written ??= text.slice(start, end)
    if (rule.format?.test(written)) return { kind: rule.kind, id: rule.id }
    if (!hasWords) continue
    around ??= `${before(text, start, NEAR)} \u0000 ${text.slice(end, end + AFTER)}`
    if (near.test(around)) return { kind: rule.kind, id: rule.id }
  }
  return undefined
}

function isCard(scan: Scan, groups: readonly Group[], first: number, last: number, needsWord: boolean): boolean {
  const { text } = scan
  const start = groups[first]!.start
  const hasWord = () => CARD_WORDS.test(before(text, start, NEAR))
  // No article's number is written 4-4-4-1.
  if (needsWord)
    return (digits4441(groups, first, last) && separatorsOf(text, groups, first, last).size === 1) || hasWord()
  // A column of numbers is no card: one kind of separator, or the groups of a card.
  if (last === first) return true
  if (separatorsOf(text, groups, first, last).size === 1) return true
  const lengths = groups.slice(first, last + 1).map((group) => group.end - group.start)
  return lengths.every((length) => length <= 6) && (lengths.filter((length) => length === 4).length >= 2 || hasWord())
}

function separatorsOf(text: string, groups: readonly Group[], first: number, last: number): Set<string> {
  const separators = new Set<string>()
  for (let at = first; at < last; at++) separators.add(text.slice(groups[at]!.end, groups[at + 1]!.start))
  return separators
}

function digits4441(groups: readonly Group[], first: number, last: number): boolean {
  return last - first === 3 && [4, 4, 4, 1].every((length, at) => lengthOf(groups[first + at]!) === length)
}

function lengthOf({ start, end }: Group): number {
  return end - start
}

const WRITTEN_DATE =
  /\d{1,4}(?:st|nd|rd|th|er|º|ª|\.)?[ \t./-]{0,2}(?:de |of |den )?(?:\p{L}{3,14}\.?|\d{1,2})[ \t,./-]{1,3}(?:de |of )?\d{2,4}|\p{L}{3,14}\.?[ \t]\d{1,2}(?:st|nd|rd|th|\.)?,?[ \t]\d{4}|\d{4}[ \t]?[年년][ \t]?\d{1,2}[ \t]?[月월][ \t]?\d{1,2}[ \t]?[日일]?|(?:19|20)\d{6}(?!\d)/u

/** A date with a word for birth in the sentence before it, or right behind it. */
function findBirthDate(scan: Scan, groups: readonly Group[], wordsBefore: () => string): void {
  const { text, hits } = scan
  const start = groups[0]!.start
  const first = text.slice(start, groups[0]!.end)
  if (first.length > 8 || (groups.length < 3 && first.length !== 4 && first.length !== 8)) return
  const next = text.charCodeAt(groups[0]!.end)
  // 年, 년
  if (next === 0x5e74 || next === 0xb144) {
    const match = WRITTEN_DATE.exec(text.slice(start, start + 20))
    if (match?.index === 0 && BIRTH_WORDS.test(text.slice(start + match[0].length, start + match[0].length + 12))) {
      hits.push({ start, end: start + match[0].length, kind: 'birth_date', rule: 'birth-date' })
      return
    }
  }
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
    if (
      /[\p{Script=Latin}\p{Script=Cyrillic}\p{Script=Greek}\d_.]/u.test(previous) ||
      to.touchedAfter ||
      /^[.]\d/.test(text.slice(to.end, to.end + 2))
    ) {
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
