import type { Kind } from './rule.ts'

/** A stretch of a text that is to be masked. */
export interface Hit {
  start: number
  end: number
  kind: Kind
  /** The id of the row that found it. */
  rule: string
  /** What stands in its place, where that is not the kind's mask: a base64 text with its inside masked. */
  instead?: string
  /** What was found, where the text holds it encoded. */
  value?: string
}

/** One text under way. */
export interface Scan {
  text: string
  /** Of this scan alone, never 0. */
  serial: number
  hits: Hit[]
  /** A label, an id, a name: only what is certain without a sentence around it. */
  label: boolean
}

export function isAlnum(code: number): boolean {
  return (code >= 48 && code <= 57) || (code >= 97 && code <= 122) || (code >= 65 && code <= 90)
}
export function isDigit(code: number): boolean {
  return code >= 48 && code <= 57
}
export function isLetter(code: number): boolean {
  const lower = code | 32
  return lower >= 97 && lower <= 122
}

/** The text before a place, for words that tell what stands there. */
export function before(text: string, at: number, length: number): string {
  return text.slice(Math.max(0, at - length), at)
}
