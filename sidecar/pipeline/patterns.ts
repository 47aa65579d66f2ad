/** What is masked in a text: a stretch, and what stands in its place. */
export interface Rule {
  mask: string
  /** Linear in the text: one class for each repetition, and no repetition within another. */
  pattern: RegExp
  /** Every match holds one of these: without them the pattern is not tried. */
  hints?: readonly string[]
  /** Which parts of a match are masked, as [start, end); the whole match where it is not given. */
  within?: (match: string) => [start: number, end: number][]
}

const LEFT_OF_AT = /[^\s@<>()[\]{},;:"'`\\|=]/u
const RIGHT_OF_AT = /[\p{L}\p{N}.-]/u

/** Built in, in the order of trying: tokens first, so that digits inside of them are not taken for something else. */
export const BUILT_IN = {
  jwt: {
    mask: '[JWT]',
    hints: ['eyJ'],
    pattern: /(?<![\w-])eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){1,2}/g,
  },
  api_key: {
    mask: '[API_KEY]',
    hints: ['sk-', 'AKIA', 'ASIA', 'gh', 'github_pat_', 'xox', 'AIza'],
    pattern:
      /(?<![A-Za-z0-9])(?:sk-[A-Za-z0-9_-]{16,}|A[KS]IA[0-9A-Z]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|xox[abeprs]-[A-Za-z0-9-]{10,}|AIza[0-9A-Za-z_-]{30,})/g,
  },
  bearer: {
    mask: 'Bearer [TOKEN]',
    hints: ['earer', 'EARER'],
    pattern: /\bbearer[ \t]{1,4}[A-Za-z0-9._~+/-]{16,}=*/gi,
  },
  email: { mask: '[EMAIL]', hints: ['@'], pattern: /@/g },
  credit_card: { mask: '[CREDIT_CARD]', pattern: /\d(?:[ -]?\d){12,60}/g, within: cardsIn },
  iban: { mask: '[IBAN]', pattern: /(?<![A-Za-z0-9])[A-Z]{2}\d{2}[ A-Z0-9]{11,45}/g, within: ibanIn },
  ssn: { mask: '[SSN]', hints: ['-'], pattern: /(?<![\d-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])/g },
  phone: {
    mask: '[PHONE]',
    pattern:
      /(?<![\w+])\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{2,4}(?:[ .-]?\d{2,4}){2,4}(?!\d)|(?<![\d-])(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\d-])/g,
  },
} as const satisfies Record<string, Rule>

/** In what is no prose – a user's name, a model's – a credential is masked whatever the configuration says, and nothing else. */
export function maskCredentials(text: string): string {
  return maskBy(maskBy(maskBy(text, BUILT_IN.jwt), BUILT_IN.api_key), BUILT_IN.bearer)
}

/** Masks by one rule. */
export function maskBy(text: string, rule: Rule): string {
  if (rule.hints !== undefined && !rule.hints.some((hint) => text.includes(hint))) return text
  if (rule === BUILT_IN.email) return maskEmails(text, rule.mask)
  return text.replace(rule.pattern, (match: string) => {
    if (rule.within === undefined) return rule.mask
    let masked = ''
    let from = 0
    for (const [start, end] of rule.within(match)) {
      masked += match.slice(from, start) + rule.mask
      from = end
    }
    return masked + match.slice(from)
  })
}

/** From each @ outwards, so that the cost is that of the addresses. International letters are letters too. */
function maskEmails(text: string, mask: string): string {
  let masked = ''
  let done = 0
  for (let at = text.indexOf('@'); at !== -1; at = text.indexOf('@', at + 1)) {
    let start = at
    while (start > done && LEFT_OF_AT.test(text[start - 1]!)) start--
    let end = at + 1
    while (end < text.length && RIGHT_OF_AT.test(text[end]!)) end++
    while (end > at + 1 && (text[end - 1] === '.' || text[end - 1] === '-')) end--
    const domain = text.slice(at + 1, end)
    if (start === at || !/[^.]\.[^.]/.test(domain)) continue
    masked += text.slice(done, start) + mask
    done = end
  }
  return done === 0 ? text : masked + text.slice(done)
}

/** Runs of digit groups of 13 to 19 digits that pass Luhn: other digits may stand right beside a card number. */
function cardsIn(match: string): [number, number][] {
  const groups = [...match.matchAll(/\d+/g)].map((group) => ({ digits: group[0], start: group.index }))
  const found: [number, number][] = []
  for (let first = 0; first < groups.length; first++) {
    let digits = ''
    for (let last = first; last < groups.length && digits.length <= 19; last++) {
      digits += groups[last]!.digits
      if (digits.length < 13 || digits.length > 19 || !passesLuhn(digits)) continue
      found.push([groups[first]!.start, groups[last]!.start + groups[last]!.digits.length])
      first = last
      break
    }
  }
  return found
}

function passesLuhn(digits: string): boolean {
  let sum = 0
  for (let at = 0; at < digits.length; at++) {
    const digit = Number(digits[digits.length - 1 - at])
    sum += at % 2 === 0 ? digit : digit < 5 ? digit * 2 : digit * 2 - 9
  }
  return sum % 10 === 0
}

/** The longest beginning, ending at the end of a group, whose check digits are right. */
function ibanIn(match: string): [number, number][] {
  for (let end = match.length; end >= 15; end--) {
    if (match[end - 1] === ' ' || (end < match.length && match[end] !== ' ')) continue
    const compact = match.slice(0, end).replace(/ /g, '')
    if (compact.length >= 15 && compact.length <= 34 && ibanRemainder(compact) === 1) return [[0, end]]
  }
  return []
}

function ibanRemainder(compact: string): number {
  let remainder = 0
  for (const character of compact.slice(4) + compact.slice(0, 4)) {
    const value = Number.parseInt(character, 36)
    remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97
  }
  return remainder
}
