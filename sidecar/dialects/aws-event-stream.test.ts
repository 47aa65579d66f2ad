import * as zlib from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { makeAwsMessage, makeEventStream } from '../testing/make-event-stream.ts'
import { isAwsEventStream, parseAwsEventStream } from './aws-event-stream.ts'

/** Bytes that were summed: what a reader of hostile bytes works on. */
let summed = 0
vi.mock('node:zlib', async (original) => {
  const real = await original<typeof zlib>()
  const crc32: typeof zlib.crc32 = (data, value) => {
    summed += Buffer.byteLength(data)
    return real.crc32(data, value)
  }
  return { ...real, crc32 }
})

const header = fc
  .string({ minLength: 1, maxLength: 30 })
  .filter((name) => Buffer.byteLength(name) < 200 && name !== '__proto__')
const message = fc.record({
  headers: fc.dictionary(header, fc.string({ maxLength: 40 }), { maxKeys: 4 }),
  payload: fc.uint8Array({ maxLength: 200 }),
})
const bytesOf = (messages: readonly { headers: Record<string, string>; payload: Uint8Array }[]) =>
  messages.map(({ headers, payload }) => makeAwsMessage(headers, payload))
const seen = (bytes: Uint8Array) =>
  parseAwsEventStream(bytes).messages.map(({ headers, payload }) => ({ headers, payload: Buffer.from(payload) }))
const expected = (messages: readonly { headers: Record<string, string>; payload: Uint8Array }[]) =>
  messages.map(({ headers, payload }) => ({ headers: { ...headers }, payload: Buffer.from(payload) }))

describe('the binary event stream', () => {
  it('gives back what was written', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 4 }), (messages) => {
        const parsed = parseAwsEventStream(Buffer.concat(bytesOf(messages)))
        expect(seen(Buffer.concat(bytesOf(messages)))).toEqual(expected(messages))
        expect(parsed.leftOver).toBe(0)
      }),
    )
  })

  it('cut at any byte gives the messages that stand whole', () => {
    fc.assert(
      fc.property(
        fc.array(message, { minLength: 1, maxLength: 3 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (messages, share) => {
          const parts = bytesOf(messages)
          const bytes = Buffer.concat(parts)
          const cut = Math.floor(bytes.length * share)
          let whole = 0
          for (let at = 0; whole < parts.length && at + parts[whole]!.length <= cut; whole++) at += parts[whole]!.length
          expect(seen(bytes.subarray(0, cut))).toEqual(expected(messages.slice(0, whole)))
        },
      ),
      { numRuns: 50 },
    )
  })

  it('whose beginning is missing, or with rubbish in between, is found again by its checksums', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), message, message, (rubbish, first, second) => {
        const [a, b] = bytesOf([first, second]) as [Buffer, Buffer]
        expect(seen(Buffer.concat([rubbish, a, rubbish, b]))).toEqual(expected([first, second]))
        expect(seen(Buffer.concat([a.subarray(1), b])).at(-1)).toEqual(expected([second])[0])
      }),
      { numRuns: 50 },
    )
  })

  it('leaves out a message with a flipped bit, and says so', () => {
    const [a, b] = [makeEventStream([['one', { n: 1 }]]), makeEventStream([['two', { n: 2 }]])]
    for (let at = 0; at < a.length; at++) {
      const broken = Buffer.concat([a, b])
      broken[at]! ^= 0x10
      const { messages, leftOver } = parseAwsEventStream(broken)
      expect(messages.map(({ headers }) => headers[':event-type'])).toEqual(['two'])
      expect(leftOver).toBe(a.length)
    }
  })

  it('skips headers of other types', () => {
    const text = makeAwsMessage({ a: 'x' }, Buffer.from('p'))
    const parts = [
      Buffer.from([1, 0x62, 0]), // b: true
      Buffer.from([1, 0x63, 4, 0, 0, 0, 9]), // c: int 9
      Buffer.from([1, 0x64, 6, 0, 2, 7, 7]), // d: two bytes
      Buffer.from([1, 0x65, 9, ...Array(16).fill(1)]), // e: uuid
      Buffer.from([1, 0x61, 7, 0, 1, 0x78]), // a: 'x'
    ]
    expect(parseAwsEventStream(text).messages[0]?.headers).toEqual({ a: 'x' })
    const head = Buffer.concat(parts)
    const whole = withHeaders(head, Buffer.from('p'))
    expect(parseAwsEventStream(whole).messages[0]?.headers).toEqual({ a: 'x' })
  })

  it('does bounded work on bytes made to look like preludes', () => {
    const size = 300_000
    const bytes = Buffer.alloc(size)
    const sum = Buffer.alloc(4)
    // Each place claims all that follows: every claim is right but for the checksum of the message.
    for (let at = 0; at + 12 <= size; at += 12) {
      bytes.writeUInt32BE(size - at, at)
      sum.writeUInt32BE(zlib.crc32(bytes.subarray(at, at + 8)))
      sum.copy(bytes, at + 8)
    }
    summed = 0
    expect(parseAwsEventStream(bytes)).toEqual({ messages: [], leftOver: size })
    // 25,000 sums over half of it each would be 3,750,000,000 bytes.
    expect(summed).toBeLessThan(100 * size)
  })

  it('of any bytes never throws', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => void parseAwsEventStream(bytes)))
    expect(isAwsEventStream(Buffer.from('data: {}'))).toBe(false)
    expect(isAwsEventStream(makeEventStream([['x', {}]]))).toBe(true)
  })
})

function withHeaders(head: Buffer, payload: Buffer): Buffer {
  // Built by the encoder around an empty head, then the head put in with right lengths and sums.
  const crc = (bytes: Buffer) => {
    const sum = Buffer.alloc(4)
    let value = ~0
    for (const byte of bytes) {
      value ^= byte
      for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1
    }
    sum.writeUInt32BE(~value >>> 0)
    return sum
  }
  const prelude = Buffer.alloc(8)
  prelude.writeUInt32BE(16 + head.length + payload.length, 0)
  prelude.writeUInt32BE(head.length, 4)
  const start = Buffer.concat([prelude, crc(prelude), head, payload])
  return Buffer.concat([start, crc(start)])
}
