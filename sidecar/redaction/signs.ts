import { isDigit } from './hits.ts'

/** What stands at one place of a text: conditions that are looked at before a finder is asked. */

/** `dot` or `DOT`; `start` is where a word of three begins. */
export function isDot(text: string, start: number): boolean {
  const code = text.charCodeAt(start)
  return code === 100 ? text.startsWith('dot', start) : code === 68 && text.startsWith('DOT', start)
}

/** A sign before which a key may stand that is shorter than FORM_LENGTH: `12345678:…`, `12345678|…`. */
export function isDivider(code: number): boolean {
  return code === 58 || code === 124
}

/** Between the letters and the digits of a code: blank, tab, - . */
export function isJoint(code: number): boolean {
  return code === 32 || code === 9 || code === 45 || code === 46
}

/** Blanks, quotes, < > = : and whatever else is a blank of Unicode. */
export function isBeforeValue(code: number): boolean {
  if (code > 127) return /\s/.test(String.fromCharCode(code))
  return (
    code === 32 ||
    (code >= 9 && code <= 13) ||
    code === 34 ||
    code === 39 ||
    code === 96 ||
    code === 58 ||
    (code >= 60 && code <= 62)
  )
}

/** Digits go on behind one separator. */
export function isGrouped(text: string, end: number): boolean {
  const code = text.charCodeAt(end)
  return (code === 32 || code === 45 || code === 46) && isDigit(text.charCodeAt(end + 1))
}

/** `fe80:` or `:0db8`: hexadecimal digits on a side, two colons within nine characters. */
export function isHexGroup(text: string, at: number): boolean {
  const next = text.charCodeAt(at + 1)
  const previous = text.charCodeAt(at - 1)
  if (!isHex(next) || !isHex(previous)) return false
  for (let ahead = at + 2; ahead <= at + 5; ahead++) {
    const code = text.charCodeAt(ahead)
    if (code === 58) return true
    if (!isHex(code)) return false
  }
  return false
}

function isHex(code: number): boolean {
  const lower = code | 32
  return (code >= 48 && code <= 57) || (lower >= 97 && lower <= 102)
}

/** `[at`, `( at`, `{ät`, `[@`: the next letters may be a word for @. */
export function mayBeAt(text: string, at: number): boolean {
  let next = at + 1
  while (next - at < 3 && text.charCodeAt(next) === 32) next++
  const code = text.charCodeAt(next)
  if (code === 64 || code > 127) return true
  const second = text.charCodeAt(next + 1)
  if (second > 127) return true
  const follows = second | 32
  switch (code | 32) {
    case 97: // at, arroba, aapstaart
      return follows === 116 || follows === 114 || follows === 97
    case 99: // chez, chiocciola
      return follows === 104
    case 107: // kropka
      return follows === 114
    case 109: // małpa
      return follows === 97
    case 115: // snabel-a
      return follows === 110
    case 101: // et
      return follows === 116
    default:
      return false
  }
}
