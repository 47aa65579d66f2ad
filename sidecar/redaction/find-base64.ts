import { isUtf8 } from 'node:buffer'
import { type Hit, isAlnum } from './hits.ts'

/** Shorter text in base64 holds nothing that is looked for. */
export const BASE64_LENGTH = 16
/** Masks a decoded text; undefined where there is nothing to mask. */
export type MaskInside = (decoded: string, depth: number) => string | undefined

const PRINTABLE = /^[\t\n\r\x20-\x7e\u00a0-\ud7ff\ue000-\uffef\ud800-\udfff]+$/

/** Base64 among the stretches of a text, decoded, masked, and encoded again where something was found in it. */
export function findBase64(
  text: string,
  stretches: readonly number[],
  depth: number,
  maskInside: MaskInside,
  hits: Hit[],
): void {
  for (let index = 0; index < stretches.length; index += 2) {
    const stop = stretches[index + 1]!
    let start = stretches[index]!
    while (start < stop) {
      while (start < stop && !isBase64(text.charCodeAt(start))) start++
      let end = start
      while (end < stop && isBase64(text.charCodeAt(end))) end++
      let padded = end
      while (padded - end < 2 && text.charCodeAt(padded) === 61) padded++
      // Six bytes of text first: most words are refused by them.
      const masked =
        end - start >= BASE64_LENGTH && headLooksLikeText(text, start)
          ? masksOf(text.slice(start, end), depth, maskInside)
          : undefined
      if (masked !== undefined) hits.push({ start, end: padded, kind: 'token', rule: 'base64', instead: masked })
      start = padded + 1
    }
  }
}

function isBase64(code: number): boolean {
  return isAlnum(code) || code === 43 || code === 47 || code === 45 || code === 95
}

function masksOf(encoded: string, depth: number, maskInside: MaskInside): string | undefined {
  const bytes = Buffer.from(encoded, 'base64')
  const isWide = bytes.length >= 8 && bytes[1] === 0 && bytes[3] === 0
  if (!isWide && !isUtf8(bytes)) return undefined
  const decoded = bytes.toString(isWide ? 'utf16le' : 'utf8')
  if (!PRINTABLE.test(decoded)) return undefined
  const masked = maskInside(decoded, depth + 1)
  if (masked === undefined) return undefined
  const url = /[-_]/.test(encoded)
  return Buffer.from(masked, isWide ? 'utf16le' : 'utf8').toString(url ? 'base64url' : 'base64')
}

/** The first eight signs from `start` on as six bytes: no control characters, and UTF-8 or (every other byte 0) UTF-16. */
function headLooksLikeText(text: string, start: number): boolean {
  let second = 1
  let follow = 0
  let isUtf8Head = true
  for (let group = 0; group < 8; group += 4) {
    const bits =
      (sextet(text, start + group) << 18) |
      (sextet(text, start + group + 1) << 12) |
      (sextet(text, start + group + 2) << 6) |
      sextet(text, start + group + 3)
    for (let index = 0; index < 3; index++) {
      const byte = (bits >> (16 - 8 * index)) & 255
      if (byte < 32 ? byte !== 9 && byte !== 10 && byte !== 13 && byte !== 0 : byte === 127) return false
      if (group + index === 1) second = byte
      if (follow > 0 ? byte >> 6 !== 2 : byte >> 6 === 2 || byte > 0xf4) isUtf8Head = false
      follow = follow > 0 ? follow - 1 : byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : byte >= 0xc0 ? 1 : 0
    }
  }
  return isUtf8Head || second === 0
}

function sextet(text: string, at: number): number {
  const code = text.charCodeAt(at)
  if (code >= 97) return code - 71
  if (code >= 65) return code === 95 ? 63 : code - 65
  if (code >= 48) return code + 4
  return code === 43 || code === 45 ? 62 : 63
}
