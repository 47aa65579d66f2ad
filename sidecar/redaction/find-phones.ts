import { AFTER, dateGroups, type Group, isColumn, isJoined, mayHaveWords, mostGroups, NEAR } from './digit-groups.ts'
import { before, isDigit, type Scan } from './hits.ts'
import { isInternational, isNational, isTrunkNumber } from './phone-numbers.ts'
import { ORDER_NUMBER, OTHER_NUMBER_WORDS, PHONE_WORDS } from './words.ts'

const NO_WORDS = { phone: -1, other: -1 }

/** Where the last word for a phone and the last one for another number stand before a cluster; -1: nowhere. */
interface Words {
  phone: number
  other: number
}

export function findPhones(scan: Scan, groups: readonly Group[], wordsBefore: () => string): void {
  const { text, hits } = scan
  let known: Words | undefined
  const wordsOf = (at: number): Words => {
    if (at - groups[0]!.start > NEAR) return NO_WORDS
    // `Bestellnummer`: the word for a number there is no word for a phone.
    if (known === undefined && ORDER_NUMBER.test(wordsBefore())) known = { phone: -1, other: 0 }
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
    if (at > first && !isPhoneSeparator(text, groups[at - 1]!.end, group.start)) break
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
    if (at > first && !isPhoneSeparator(text, groups[at - 1]!.end, groups[at]!.start)) break
    digits += groups[at]!.end - groups[at]!.start
    if (digits > 13) break
    last = at
  }
  return last
}

/** At most three signs, no underscore, no two beside each other but blanks and brackets. */
function isPhoneSeparator(text: string, start: number, end: number): boolean {
  if (end - start > 3) return false
  let wasSign = false
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at)
    if (code === 95) return false
    const isSign = code !== 32 && code !== 40 && code !== 41
    if (isSign && wasSign) return false
    wasSign = isSign
  }
  return true
}

/** No digits belong before it: it is the first of the cluster, or a stroke or a date stands before it. */
function beginsNumber(text: string, groups: readonly Group[], first: number): boolean {
  if (first === 0) return true
  const separator = text.slice(groups[first - 1]!.end, groups[first]!.start)
  return /[/(]|^ {2}|^ - $/.test(separator) || (first >= 3 && dateGroups(text, groups, first - 3) > 0)
}

/** `07380025-8533-4612-af9d-`: its head. */
const UUID = /^\d{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-/i
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
  if (from.end - from.start === 8 && UUID.test(text.slice(from.start, from.start + 24))) return undefined
  let digits = ''
  let longest: number | undefined
  let valid: number | undefined
  const most = mostGroups(groups)
  // Amid a long row of groups no word can come near, and where no number begins none is looked for.
  const furthest = groups[Math.min(first + most, groups.length) - 1]!.end
  if (!mayHaveWords(groups, from.start, furthest) && !beginsNumber(text, groups, first)) return undefined
  for (let at = first; at < groups.length && at - first < most; at++) {
    const group = groups[at]!
    if (group.touchedAfter) break
    if (at > first && !isPhoneSeparator(text, groups[at - 1]!.end, group.start)) break
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
  if (phoneWord < 0 && !PHONE_WORDS.test(text.slice(groups[longest]!.end, groups[longest]!.end + AFTER)))
    return undefined
  if (isColumn(text, groups, first, longest) && !text.startsWith('00', from.start)) return undefined
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
  if (digits.length === 10 && digits[0] !== '0' && US.test(written)) {
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
