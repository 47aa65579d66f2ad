import { detect } from './detect.ts'
import type { Hit } from './hits.ts'
import { type Kind, SECRET_KINDS } from './rule.ts'

export interface MaskOptions {
  kinds: ReadonlySet<string>
  /** A pseudonym in the place of a personal value; undefined: its mask. Never asked for a secret. */
  pseudonym?: (kind: Kind, value: string) => string
  label?: boolean
  /** Further findings: the operator's patterns, a plugin's detector. */
  more?: readonly ((text: string) => readonly ForeignHit[])[]
}
/** What somebody else's detector found. The name stands in the mask. */
export interface ForeignHit {
  start: number
  end: number
  name: string
}

/** Masks all that is found; the same text where nothing is. Masking twice changes nothing more. */
export function maskText(text: string, options: MaskOptions, depth = 0): string {
  if (text === '') return text
  const hits = detect(text, {
    depth,
    label: options.label === true,
    maskInside: (decoded, level) => {
      const masked = maskText(decoded, options, level)
      return masked === decoded ? undefined : masked
    },
  }).filter((hit) => hit.instead !== undefined || options.kinds.has(hit.kind))
  const foreign = options.more?.flatMap((find) => find(text)) ?? []
  if (hits.length === 0 && foreign.length === 0) return text
  return replace(text, hits, foreign, options)
}

interface Stretch {
  start: number
  end: number
  instead: string
}

function replace(text: string, hits: readonly Hit[], foreign: readonly ForeignHit[], options: MaskOptions): string {
  const stretches: Stretch[] = [
    ...hits.map((hit) => ({ start: hit.start, end: hit.end, instead: insteadOf(text, hit, options) })),
    ...foreign.map(({ start, end, name }) => ({ start, end, instead: `[${name}]` })),
  ].filter(({ start, end }) => end > start)
  for (const stretch of stretches) toWholeEscapes(text, stretch)
  // The longer of two that begin alike comes first and names the whole.
  stretches.sort((a, b) => a.start - b.start || b.end - a.end)
  let masked = ''
  let done = 0
  const strings = /^\s*[[{]/.test(text) ? new Strings(text) : undefined
  for (let at = 0; at < stretches.length; at++) {
    const first = stretches[at]!
    let { end, instead } = first
    let longest = first.end - first.start
    while (at + 1 < stretches.length && stretches[at + 1]!.start < end) {
      const next = stretches[++at]!
      if (next.end - next.start > longest) {
        longest = next.end - next.start
        instead = next.instead
      }
      end = Math.max(end, next.end)
    }
    const quote = strings?.isOutside(first.start) === true && isBareNumber(text, first.start, end) ? '"' : ''
    masked += text.slice(done, first.start) + quote + instead + quote
    done = end
  }
  return masked + text.slice(done)
}

export function maskOf(kind: Kind): string {
  return `[${kind.toUpperCase()}]`
}

function insteadOf(text: string, hit: Hit, { pseudonym }: MaskOptions): string {
  if (hit.instead !== undefined) return hit.instead
  if (pseudonym === undefined || SECRET_KINDS.has(hit.kind)) return maskOf(hit.kind)
  return pseudonym(hit.kind, hit.value ?? text.slice(hit.start, hit.end))
}

/** A backslash and what it escapes stay together, so that JSON stays JSON. */
function toWholeEscapes(text: string, stretch: Stretch): void {
  if (backslashesBefore(text, stretch.start) % 2 === 1) stretch.start--
  if (backslashesBefore(text, stretch.end) % 2 === 1 && stretch.end < text.length)
    stretch.end += text[stretch.end] === 'u' ? Math.min(5, text.length - stretch.end) : 1
}

function backslashesBefore(text: string, at: number): number {
  let count = 0
  while (count < 64 && text.charCodeAt(at - 1 - count) === 92) count++
  return count
}

/** Which places of a JSON text stand within a string. Asked from the beginning to the end: one pass. */
class Strings {
  readonly #text: string
  #at = 0
  #inside = false

  constructor(text: string) {
    this.#text = text
  }

  isOutside(place: number): boolean {
    for (; this.#at < place; this.#at++) {
      const code = this.#text.charCodeAt(this.#at)
      if (code === 34) this.#inside = !this.#inside
      else if (code === 92 && this.#inside) this.#at++
    }
    return !this.#inside
  }
}

/** A number that stands in JSON without quotes: its mask needs them. */
function isBareNumber(text: string, start: number, end: number): boolean {
  let left = start
  while (left > 0 && start - left < 8 && /\s/.test(text[left - 1]!)) left--
  let right = end
  while (right < text.length && right - end < 8 && /\s/.test(text[right]!)) right++
  return (
    /[:[,]/.test(text[left - 1] ?? '') &&
    /[,}\]]/.test(text[right] ?? '') &&
    /^-?\d+(?:\.\d+)?$/.test(text.slice(start, end))
  )
}
