/** Longest stretch without a boundary that the tokenizer is given. */
const MAX_RUN = 256

const LETTER = 1
const SPACE = 2
const OTHER = 3
const CLASSES = Uint8Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code)
  return /[A-Za-z0-9]/.test(character) ? LETTER : /\s/.test(character) ? SPACE : OTHER
})

/**
 * The text in pieces in which no stretch of letters, of space or of signs is longer than MAX_RUN. The tokenizer's work
 * grows with the square of such a stretch (10,000 characters of Chinese without a sign: 200 ms; a megabyte of one
 * letter: minutes), and ordinary text has none. A cut costs a token or two.
 */
export function splitRuns(text: string): string[] {
  if (text.length <= MAX_RUN) return [text]
  const pieces: string[] = []
  let start = 0
  let runStart = 0
  let runClass = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    const own = code < 128 ? CLASSES[code]! : LETTER
    if (own !== runClass) {
      runClass = own
      runStart = at
    } else if (at - runStart >= MAX_RUN) {
      const isLowSurrogate = code >= 0xdc00 && code <= 0xdfff
      const end = isLowSurrogate ? at - 1 : at
      pieces.push(text.slice(start, end))
      start = end
      runStart = end
    }
  }
  pieces.push(text.slice(start))
  return pieces
}
