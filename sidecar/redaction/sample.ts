/**
 * Expands a template of a rule: `{d3}` digits, `{h32}` lower hexadecimal, `{w36}` letters and digits, `{k20}` these with _ and -,
 * `{s9}` lower letters and digits, `{a34}` letters, `{b52}` base32 in lower case, `{U6}` capitals, `{V16}` capitals and digits,
 * `{uuid}`, `{yyyy}`, `{yy}`, `{mm}`, `{dd}`; `{?2}` two check digits, `{?L}` a check letter, `{?H}`, `{?K}`, `{?X}` as the country has it.
 */
export function sample(
  template: string,
  random: () => number,
  accepts: (text: string) => boolean = () => true,
): string {
  for (let attempt = 0; attempt < 400; attempt++) {
    let hole: { at: number; kind: string } | undefined
    let text = ''
    let from = 0
    for (const match of template.matchAll(/\{(\?|[a-zA-Z])([a-zA-Z]*|\d*)\}/g)) {
      text += template.slice(from, match.index)
      from = match.index + match[0].length
      if (match[1] === '?') hole = { at: text.length, kind: match[2]! }
      else text += piece(match[1]! + match[2]!, random)
    }
    text += template.slice(from)
    for (const filling of hole === undefined ? [''] : fillings(hole.kind)) {
      const whole = hole === undefined ? text : text.slice(0, hole.at) + filling + text.slice(hole.at)
      if (accepts(whole)) return whole
    }
  }
  throw new Error(`no sample of ${template} passes its check`)
}

const LOWER = 'abcdefghijklmnopqrstuvwxyz'
const DIGITS = '0123456789'
const ALPHABETS: Readonly<Record<string, string>> = {
  d: DIGITS,
  h: '0123456789abcdef',
  w: DIGITS + LOWER + LOWER.toUpperCase(),
  k: `${DIGITS}${LOWER}${LOWER.toUpperCase()}_-`,
  s: DIGITS + LOWER,
  a: LOWER + LOWER.toUpperCase(),
  b: `${LOWER}234567`,
  U: LOWER.toUpperCase(),
  V: DIGITS + LOWER.toUpperCase(),
}

function piece(code: string, random: () => number): string {
  const number = (from: number, to: number) => String(from + Math.floor(random() * (to - from + 1))).padStart(2, '0')
  switch (code) {
    case 'uuid':
      return [8, 4, 4, 4, 12].map((length) => letters('h', length, random)).join('-')
    case 'yyyy':
      return number(1950, 2005)
    case 'yy':
      return number(50, 99)
    case 'mm':
      return number(1, 12)
    case 'dd':
      return number(1, 28)
    default:
      return letters(code[0]!, Number(code.slice(1)), random)
  }
}

function letters(alphabet: string, length: number, random: () => number): string {
  const from = ALPHABETS[alphabet]!
  let text = ''
  for (let at = 0; at < length; at++) {
    const letter = from[Math.floor(random() * from.length)]!
    // A machine's key neither begins nor ends with a hyphen or an underscore often enough to matter.
    text += (at === 0 || at === length - 1) && (letter === '-' || letter === '_') ? 'Z' : letter
  }
  return text
}

function fillings(kind: string): string[] {
  if (kind === 'L') return [...LOWER.toUpperCase()]
  if (kind === 'H') return [...'0123456789ABCDEFHJKLMNPRSTUVWXY']
  if (kind === 'K') return [...DIGITS, 'K']
  if (kind === 'X') return [...DIGITS, 'X']
  const length = Number(kind)
  return Array.from({ length: 10 ** length }, (_, value) => String(value).padStart(length, '0'))
}

/** Mulberry32: the same numbers for the same seed. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
