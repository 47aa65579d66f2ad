/** A text read in another way (escapes decoded, look-alike characters mapped), each place of which knows where it came from. */
export interface View {
  text: string
  /** Start of a stretch of this view → where it begins in the original. */
  originalStart(at: number): number
  /** End of a stretch of this view → where it ends in the original. */
  originalEnd(at: number): number
}

export function plainView(text: string): View {
  return { text, originalStart: (at) => at, originalEnd: (at) => at }
}

/** Characters that look or count like an ASCII one: digits of other scripts, full width, spaces and dashes of all kinds. One for one. */
const ALIKE =
  /[\u00a0\u00b7\u0660-\u0669\u06f0-\u06f9\u0966-\u096f\u09e6-\u09ef\u0e50-\u0e59\u1680\u2000-\u200a\u2010-\u2015\u2022\u2024\u202f\u205f\u2212\ufe58\ufe63\uff08\uff09\uff0b\uff0d-\uff1a\uff1d\uff20-\uff3a\uff41-\uff5a]/g
const ZEROS = [0x660, 0x6f0, 0x966, 0x9e6, 0xe50]

/** What a text has beyond ASCII: bits of LOOKS_ASCII and INVISIBLE. */
export function beyondAscii(text: string): number {
  let found = 0
  for (let at = 0; at < text.length; at++) found |= BEYOND[text.charCodeAt(at)]!
  return found
}

/** The text with characters that look like ASCII ones as these, of the same length. */
export function asciiAlike(text: string): string {
  let alike = ''
  let done = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code < 128 || BEYOND[code] !== LOOKS_ASCII) continue
    alike += text.slice(done, at) + toAscii(text[at]!)
    done = at + 1
  }
  return alike + text.slice(done)
}

function toAscii(character: string): string {
  const code = character.charCodeAt(0)
  if (code >= 0xff01 && code <= 0xff5e) return String.fromCharCode(code - 0xfee0)
  for (const zero of ZEROS) if (code >= zero && code <= zero + 9) return String.fromCharCode(48 + code - zero)
  if ((code >= 0x2010 && code <= 0x2015) || code === 0x2212 || code === 0xfe58 || code === 0xfe63) return '-'
  if (code === 0xb7 || code === 0x2022 || code === 0x2024) return '.'
  return ' '
}

/** Escapes of JSON and of program text, percent-encoding, character references of HTML, and characters that nobody sees. */
const ENCODED =
  /\\(?:["'\\/bfnrt]|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|\r?\n)|(?:%[0-9a-fA-F]{2})+|&(?:amp|lt|gt|quot|apos|nbsp|commat|period|colon|equals|#\d{2,5}|#[xX][0-9a-fA-F]{2,4});|=3D|[\u00ad\u200b-\u200f\u2060\ufeff]+/g
const ENCODED_HERE = new RegExp(ENCODED.source, 'y')
/** Every UTF-16 unit by what is done with it: one look instead of a pattern with many ranges. */
const BEYOND = new Uint8Array(0x10000)
export const LOOKS_ASCII = 1
const INVISIBLE = 2
{
  const units = Array.from({ length: 0x100 }, (_, high) =>
    String.fromCharCode(...Array.from({ length: 0x100 }, (_, low) => (high << 8) | low)),
  ).join('')
  for (const { index } of units.matchAll(ALIKE)) BEYOND[index] = LOOKS_ASCII
  for (const { index } of units.matchAll(/[\u00ad\u200b-\u200f\u2060\ufeff]/g)) BEYOND[index] = INVISIBLE
}
const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }
const REFERENCES: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: ' ',
  commat: '@',
  period: '.',
  colon: ':',
  equals: '=',
}

/** Is there anything that decodedView would decode? Looks only where an escape may begin. */
export function isEncoded(text: string, beyond: number): boolean {
  return (
    (beyond & INVISIBLE) !== 0 ||
    text.includes('=3D') ||
    hasEncodedAt(text, '\\') ||
    hasEncodedAt(text, '%') ||
    hasEncodedAt(text, '&')
  )
}

function hasEncodedAt(text: string, sign: string): boolean {
  for (let at = text.indexOf(sign); at !== -1; at = text.indexOf(sign, at + 1)) {
    ENCODED_HERE.lastIndex = at
    if (ENCODED_HERE.test(text)) return true
  }
  return false
}

/** JSON, or a piece of it: then an escape is an escape, and reading it as letters finds only what is not there. */
export function looksLikeJson(text: string): boolean {
  return /^\s*[[{"]/.test(text) || text.includes('\\"')
}

/** One level of encoding taken off; undefined where there is none. Linear. */
export function decodedView(view: View): View | undefined {
  const source = view.text
  // Stretches: where each begins here and there, and (for what was decoded) where it ends there.
  const starts: number[] = []
  const sourceStarts: number[] = []
  const sourceEnds: number[] = []
  let text = ''
  let done = 0
  const literal = (end: number): void => {
    if (end === done) return
    starts.push(text.length)
    sourceStarts.push(done)
    sourceEnds.push(-1)
    text += source.slice(done, end)
  }
  for (const match of source.matchAll(ENCODED)) {
    const whole = match[0]
    literal(match.index)
    done = match.index + whole.length
    const decoded = decode(whole)
    if (decoded === '') continue
    starts.push(text.length)
    sourceStarts.push(match.index)
    sourceEnds.push(done)
    text += decoded
  }
  if (done === 0) return undefined
  literal(source.length)
  const pieceOf = (at: number): number => {
    let low = 0
    let high = starts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (starts[middle]! <= at) low = middle
      else high = middle - 1
    }
    return low
  }
  return {
    text,
    originalStart(at) {
      const piece = pieceOf(at)
      const inside = sourceEnds[piece] === -1 ? at - starts[piece]! : 0
      return view.originalStart(sourceStarts[piece]! + inside)
    },
    originalEnd(at) {
      const piece = pieceOf(at - 1)
      const end = sourceEnds[piece]!
      return view.originalEnd(end === -1 ? sourceStarts[piece]! + (at - starts[piece]!) : end)
    },
  }
}

function decode(whole: string): string {
  const first = whole[0]
  if (first === '\\') {
    const kind = whole[1]!
    if (kind === 'u' || kind === 'x') return String.fromCharCode(Number.parseInt(whole.slice(2), 16))
    if (kind === '\r' || kind === '\n') return ''
    return ESCAPES[kind] ?? kind
  }
  if (first === '%') {
    const bytes = Buffer.from(whole.replaceAll('%', ''), 'hex')
    return bytes.toString('utf8')
  }
  if (first === '&') {
    const name = whole.slice(1, -1)
    if (name[0] !== '#') return REFERENCES[name] ?? whole
    const code = name[1] === 'x' || name[1] === 'X' ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1))
    return code > 0 && code < 0xffff ? String.fromCharCode(code) : whole
  }
  if (first === '=') return '='
  return ''
}
