/** A dialect marks a gap in an assembled text so. */
export const GAP = '[…]'
/** How far from an edge something is looked for. */
const WORD_LIMIT = 4096
const DIGITS_LIMIT = 48
const KEY_LIMIT = 16_384

/** Where a text was cut, what touches the edge goes: half a secret is masked by no pattern. */
export function maskEdges(original: string, cut: boolean): string {
  if (!cut && !original.includes(GAP)) return original
  const pieces = original.split(GAP)
  const masked = pieces.map((piece, index) => {
    const opened = index === 0 ? piece : withoutFirstWord(piece)
    return index === pieces.length - 1 && !cut ? opened : withoutLastWord(opened)
  })
  return masked.join(GAP) + (cut ? GAP : '')
}

function withoutFirstWord(text: string): string {
  // The rest of a private key, up to its foot.
  const foot = /^[A-Za-z0-9+/=\s\\]{0,16384}?-----END [A-Z ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----/.exec(
    text.slice(0, KEY_LIMIT),
  )
  if (foot !== null) return text.slice(foot[0].length)
  let end = 0
  while (end < text.length && end < WORD_LIMIT && !isSpace(text, end)) end++
  // Groups of digits after it: the rest of a card, a phone number, an account.
  const rest = /^(?:[ \t\u00a0\u202f.\-–/]{1,2}[\dA-Z]{0,4}\d[\dA-Z]{0,4}){1,10}/.exec(
    text.slice(end, end + DIGITS_LIMIT),
  )
  return text.slice(end + (rest?.[0].length ?? 0))
}

/** The word that touches the edge, and the groups of digits before it. */
function withoutLastWord(text: string): string {
  let start = text.length
  while (start > 0 && text.length - start < WORD_LIMIT && !isSpace(text, start - 1)) start--
  let digits = start
  for (let at = start; at > 0 && start - at < DIGITS_LIMIT; at--) {
    const character = text[at - 1]!
    if (/\d/.test(character)) digits = at - 1
    else if (!/[ \t\u00a0\u202f()\-–./+]/.test(character)) {
      // `DE89 3704 …`, `+49 (0)30 …`: letters that touch digits go with them.
      while (at > 0 && digits === at && /[A-Za-z+]/.test(text[at - 1]!)) digits = --at
      break
    }
  }
  if (text[digits - 1] === '+') digits--
  return text.slice(0, digits)
}

function isSpace(text: string, at: number): boolean {
  return /\s/.test(text[at]!)
}
