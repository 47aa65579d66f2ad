/** Below this a loop in JavaScript is faster than a call into native code. */
const SHORT = 48

/** A buffer that grows, written from the front. Whoever writes asks for room first; `at` is where the next byte goes. */
export class ByteWriter {
  bytes: Buffer
  at = 0

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafeSlow(size)
  }

  /** So many bytes can be written after this. */
  room(count: number): void {
    const needed = this.at + count
    if (needed <= this.bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, needed))
    this.bytes.copy(larger, 0, 0, this.at)
    this.bytes = larger
  }

  /** Makes its own room. */
  copy(source: Uint8Array): void {
    const { length } = source
    this.room(length)
    if (length <= SHORT) for (let index = 0; index < length; index++) this.bytes[this.at + index] = source[index]!
    else this.bytes.set(source, this.at)
    this.at += length
  }

  /** What was written from `from` to `to`, once more, with room of its own. */
  again(from: number, to: number): void {
    this.room(to - from)
    this.bytes.copyWithin(this.at, from, to)
    this.at += to - from
  }

  /** UTF-8, with room of its own; a lone surrogate becomes U+FFFD. */
  utf8(text: string): void {
    this.room(text.length * 3)
    this.at += this.bytes.write(text, this.at, 'utf8')
  }

  /** Text that is known to be ASCII, with room of its own. */
  ascii(text: string): void {
    const { length } = text
    this.room(length)
    if (length <= SHORT) {
      for (let index = 0; index < length; index++) this.bytes[this.at + index] = text.charCodeAt(index)
      this.at += length
    } else this.at += this.bytes.write(text, this.at, 'latin1')
  }

  /** A short text of printable ASCII without quote and backslash. False where it is none: nothing is written then. */
  plain(text: string): boolean {
    const { length } = text
    if (length > SHORT) return false
    this.room(length)
    for (let index = 0; index < length; index++) {
      const code = text.charCodeAt(index)
      if (code < 0x20 || code > 0x7e || code === 0x22 || code === 0x5c) return false
      this.bytes[this.at + index] = code
    }
    this.at += length
    return true
  }

  /** What was written so far, as bytes of their own. */
  taken(): Buffer {
    return Buffer.from(this.bytes.subarray(0, this.at))
  }
}
