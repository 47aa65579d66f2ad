import { isDigit, isLetter } from './hits.ts'

/** More digits no number has that is looked for. */
export const MAX_DIGITS = 19
/** Of how many groups a number consists in a longer row of groups. One that stands alone may be written digit by digit. */
const MAX_GROUPS = 7
/** How far before a number words are looked for, and how far behind it. */
export const NEAR = 64
export const AFTER = 24

/** Digits between which stand at most three separators. */
export interface Group {
  start: number
  end: number
  /** A letter touches it there: nothing may begin or end here. */
  touchedBefore: boolean
  touchedAfter: boolean
}

export function isSeparator(code: number): boolean {
  // Space, tab, ( ) - . / _
  return code === 32 || code === 9 || (code >= 45 && code <= 47) || code === 40 || code === 41 || code === 95
}

/** All groups of one cluster, from its first digit on. */
export function clusterAt(text: string, start: number): Group[] {
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

/** `0.0123456789`, `1234.5678901`: two groups with a point between are one number. */
export function isDecimal(text: string, groups: readonly Group[]): boolean {
  const [whole, part] = groups
  return (
    groups.length === 2 &&
    text[whole!.start - 1] !== '+' &&
    text[whole!.end] === '.' &&
    part!.start === whole!.end + 1 &&
    whole!.end - whole!.start <= 6
  )
}

export function mostGroups(groups: readonly Group[]): number {
  if (groups.length > MAX_DIGITS + 1) return MAX_GROUPS
  let digits = 0
  for (const { start, end } of groups) digits += end - start
  return digits <= MAX_DIGITS ? MAX_DIGITS : MAX_GROUPS
}

/** Points and blanks between the groups: numbers with decimals, side by side. An underscore joins parts of a name. */
export function isColumn(text: string, groups: readonly Group[], first: number, last: number): boolean {
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
export function isJoined(text: string, start: number, end: number): boolean {
  const joint = (code: number) => code === 45 || code === 46 || code === 95 || code === 58
  // `Chrome/111.0.1071.49`
  if (start >= 2 && text.charCodeAt(start - 1) === 47 && isLetter(text.charCodeAt(start - 2))) return true
  if (start >= 2 && joint(text.charCodeAt(start - 1)) && isDigit(text.charCodeAt(start - 2))) return true
  return end + 1 < text.length && joint(text.charCodeAt(end)) && isDigit(text.charCodeAt(end + 1))
}

/** Of how many groups a calendar date consists that begins here; 0 where none does. */
export function dateGroups(text: string, groups: readonly Group[], first: number): number {
  if (first + 2 >= groups.length) return 0
  const a = groups[first]!
  const b = groups[first + 1]!
  const c = groups[first + 2]!
  const yearFirst = a.end - a.start === 4 && c.end - c.start <= 2
  if (!yearFirst && (c.end - c.start !== 4 || a.end - a.start > 2)) return 0
  if (b.end - b.start > 2 || b.start - a.end > 2 || c.start - b.end > 2) return 0
  if (text.charCodeAt(a.end) !== text.charCodeAt(b.end)) return 0
  const middle = numberOf(text, b)
  const year = numberOf(text, yearFirst ? a : c)
  const day = numberOf(text, yearFirst ? c : a)
  return middle >= 1 && middle <= 31 && year >= 1850 && year <= 2150 && day >= 1 && day <= 31 ? 3 : 0
}

function numberOf(text: string, { start, end }: Group): number {
  let value = 0
  for (let at = start; at < end; at++) value = value * 10 + text.charCodeAt(at) - 48
  return value
}

/** May a word stand in the window before `start` or in the one behind `end`? Within a cluster there are none. */
export function mayHaveWords(groups: readonly Group[], start: number, end: number): boolean {
  return start - groups[0]!.start <= NEAR || groups[groups.length - 1]!.end - end < AFTER
}

/**
 * The groups are those of one number: `gpt-5.5-2026-04-23` mixes separators around single digits, a list of numbers has
 * many short groups between blanks.
 */
export function isOneNumber(
  text: string,
  groups: readonly Group[],
  first: number,
  last: number,
  digits: number,
): boolean {
  let separator = ''
  let isMixed = false
  let hasSingle = false
  for (let at = first; at < last; at++) {
    const { start, end } = groups[at]!
    if (separator !== '' && text[end] !== separator) isMixed = true
    separator = text[end]!
    if (end - start === 1) hasSingle = true
  }
  if (isMixed && hasSingle) return false
  if (separator === ' ' && isThousands(groups, first, last)) return false
  return separator !== ' ' || last - first < 4 || (digits >= 13 && !isCounting(text, groups, first))
}

/** `9 10 11 12`: a list that counts. */
function isCounting(text: string, groups: readonly Group[], first: number): boolean {
  const value = (at: number) => Number(text.slice(groups[at]!.start, groups[at]!.end))
  const from = value(first)
  return [1, 2, 3].every((step) => value(first + step) === from + step)
}

/** `1 837 050 127`: an amount. */
function isThousands(groups: readonly Group[], first: number, last: number): boolean {
  for (let at = first; at <= last; at++)
    if (groups[at]!.end - groups[at]!.start !== (at === first ? 1 : 3)) return false
  return last > first
}
