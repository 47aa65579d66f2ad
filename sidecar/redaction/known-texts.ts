import { hash } from 'node:crypto'

/** Shorter texts are redacted about as fast as they are looked up. */
const SHORTEST = 256
/** What an entry takes besides its masked text: key, string headers, map. */
const OVERHEAD = 256
/** An entry may take this part of all. */
const LARGEST_SHARE = 8

/**
 * Results of texts that come again: system prompts, the turns before in a conversation. Held by SHA-256, so that no text
 * in clear is kept; the least recently used goes first. `bytes` bounds what all entries take. Only for a pure function of the text.
 */
export class KnownTexts {
  /** Masked text, or `true` where nothing was to be masked. */
  readonly #known = new Map<string, string | true>()
  readonly #limit: number
  #bytes = 0

  constructor(bytes: number) {
    this.#limit = bytes
  }

  get bytes(): number {
    return this.#bytes
  }

  /** `redact(text)`, or what it returned before. With `unchangedOnly`, a changed text is not remembered. */
  through(text: string, redact: (text: string) => string, unchangedOnly: boolean): string {
    if (text.length < SHORTEST || this.#limit <= 0) return redact(text)
    const key = hash('sha256', text, 'base64')
    const known = this.#known.get(key)
    // Two texts that are not well-formed may have one hash: UTF-8 has the same three bytes for every lone surrogate.
    if (known !== undefined && text.isWellFormed()) {
      this.#known.delete(key)
      this.#known.set(key, known)
      return known === true ? text : known
    }
    const masked = redact(text)
    if (known === undefined && (masked === text || !unchangedOnly) && text.isWellFormed())
      this.#remember(key, masked === text ? true : masked)
    return masked
  }

  #remember(key: string, masked: string | true): void {
    const size = sizeOf(masked)
    if (size > this.#limit / LARGEST_SHARE) return
    this.#known.set(key, masked)
    this.#bytes += size
    for (const [oldest, value] of this.#known) {
      if (this.#bytes <= this.#limit) return
      this.#known.delete(oldest)
      this.#bytes -= sizeOf(value)
    }
  }
}

function sizeOf(masked: string | true): number {
  return OVERHEAD + (masked === true ? 0 : masked.length * 2)
}
