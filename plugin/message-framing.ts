/**
 * Finds where MessagePack messages end in a stream of bytes, whatever way it is cut into chunks. Every byte is looked
 * at once; a message that came in one chunk is not copied. Values are not decoded: only lengths are read.
 */
export interface Framer {
  /** Gives each message that this chunk completes, in order. Throws FramingError, after which the stream is lost. */
  push(chunk: Uint8Array, onMessage: (message: Buffer) => void): void
}

export class FramingError extends Error {}

/** Bytes of length that follow the first byte, and what that length counts. Anything else is decided by ranges. */
type Lengths = Readonly<
  Record<number, readonly [lengthBytes: number, counts: 'bytes' | 'values', factor: number, extra: number]>
>
const LENGTHS: Lengths = {
  196: [1, 'bytes', 1, 0], // bin 8, 16, 32
  197: [2, 'bytes', 1, 0],
  198: [4, 'bytes', 1, 0],
  199: [1, 'bytes', 1, 1], // ext 8, 16, 32: one byte of type
  200: [2, 'bytes', 1, 1],
  201: [4, 'bytes', 1, 1],
  217: [1, 'bytes', 1, 0], // str 8, 16, 32
  218: [2, 'bytes', 1, 0],
  219: [4, 'bytes', 1, 0],
  220: [2, 'values', 1, 0], // array 16, 32
  221: [4, 'values', 1, 0],
  222: [2, 'values', 2, 0], // map 16, 32: keys and values
  223: [4, 'values', 2, 0],
}
/** float 32, 64; uint 8–64; int 8–64; fixext 1–16 (with its type). */
const FIXED: Readonly<Record<number, number>> = {
  202: 4,
  203: 8,
  204: 1,
  205: 2,
  206: 4,
  207: 8,
  208: 1,
  209: 2,
  210: 4,
  211: 8,
  212: 2,
  213: 3,
  214: 5,
  215: 9,
  216: 17,
}

export function makeFramer(maxMessageBytes: number): Framer {
  /** Chunks of the message that is not complete yet. */
  let parts: Uint8Array[] = []
  let partBytes = 0
  /** Values that the message still needs. */
  let values = 1
  /** Bytes to pass over: the body of a string, a number … */
  let skip = 0
  /** The length field being read: which one, how many of its bytes are missing, and what they say so far. */
  let header = 0
  let lengthMissing = 0
  let length = 0

  function begin(byte: number): void {
    values--
    if (byte <= 0x7f || byte >= 0xe0 || byte === 0xc0 || byte === 0xc2 || byte === 0xc3) return
    if (byte <= 0x8f) values += (byte & 0x0f) * 2
    else if (byte <= 0x9f) values += byte & 0x0f
    else if (byte <= 0xbf) skip = byte & 0x1f
    else if (FIXED[byte] !== undefined) skip = FIXED[byte]
    else if (LENGTHS[byte] !== undefined) {
      header = byte
      lengthMissing = LENGTHS[byte][0]
      length = 0
    } else throw new FramingError('not MessagePack: byte 0xc1')
  }
  function endLength(): void {
    const [, counts, factor, extra] = LENGTHS[header]!
    if (counts === 'bytes') skip = length + extra
    else values += length * factor
  }

  return {
    push(chunk, onMessage) {
      let start = 0
      let at = 0
      while (at < chunk.length) {
        if (skip > 0) {
          const step = Math.min(skip, chunk.length - at)
          skip -= step
          at += step
        } else {
          const byte = chunk[at++]!
          if (lengthMissing > 0) {
            length = length * 256 + byte
            if (--lengthMissing === 0) endLength()
          } else begin(byte)
        }
        // A value yet to come takes a byte at least, so a message that claims too much is refused before it is held.
        if (partBytes + (at - start) + skip + values > maxMessageBytes)
          throw new FramingError(`a message is larger than ${maxMessageBytes} bytes`)
        if (values === 0 && skip === 0 && lengthMissing === 0) {
          const last = chunk.subarray(start, at)
          const message = parts.length === 0 ? asBuffer(last) : Buffer.concat([...parts, last])
          parts = []
          partBytes = 0
          values = 1
          start = at
          onMessage(message)
        }
      }
      if (start < at) {
        parts.push(chunk.subarray(start))
        partBytes += at - start
      }
    },
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
