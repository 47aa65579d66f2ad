import { decode, encode } from '@msgpack/msgpack'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { FramingError, makeFramer } from './message-framing.ts'

const LIMIT = 1024 * 1024

/** Every kind of MessagePack value, with sizes on both sides of each header's limit. */
const value = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(
      null,
      true,
      false,
      0,
      127,
      128,
      255,
      256,
      65_535,
      65_536,
      2 ** 32,
      -1,
      -32,
      -33,
      -129,
      -32_769,
      -(2 ** 33),
      1.5,
    ),
    fc.double({ noNaN: true }),
    fc.string(),
    fc.constantFrom(31, 32, 255, 256, 65_535, 65_536).map((length) => 'x'.repeat(length)),
    fc.constantFrom(0, 255, 256, 65_536).map((length) => new Uint8Array(length)),
    fc.date({ noInvalidDate: true }),
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(
      fc.string().filter((key) => key !== '__proto__'),
      tie('value'),
      { maxKeys: 20 },
    ),
  ),
})).value

function frame(chunks: Iterable<Uint8Array>): Buffer[] {
  const framer = makeFramer(LIMIT)
  const messages: Buffer[] = []
  for (const chunk of chunks) framer.push(chunk, (message) => messages.push(message))
  return messages
}

function* cut(bytes: Buffer, sizes: readonly number[]): Generator<Uint8Array> {
  let at = 0
  for (let index = 0; at < bytes.length; index++) {
    const size = sizes[index % sizes.length]!
    yield bytes.subarray(at, at + size)
    at += size
  }
}

describe('message framing', () => {
  it('gives back the messages, whole and in order, however they are cut', () => {
    fc.assert(
      fc.property(
        fc.array(value, { maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 4000 }), { minLength: 1, maxLength: 20 }),
        (values, sizes) => {
          const encoded = values.map((item) => Buffer.from(encode(item)))
          const messages = frame(cut(Buffer.concat(encoded), sizes))
          expect(messages.map((message) => message.toString('hex'))).toEqual(
            encoded.map((message) => message.toString('hex')),
          )
        },
      ),
      { numRuns: 300 },
    )
  })

  it('works byte by byte', () => {
    fc.assert(
      fc.property(value, (item) => {
        const bytes = Buffer.from(encode(item))
        fc.pre(bytes.length < 20_000)
        const messages = frame(cut(bytes, [1]))
        expect(messages).toHaveLength(1)
        expect(decode(messages[0]!)).toEqual(decode(bytes))
      }),
    )
  })

  it('knows the headers that our encoder does not write: map 16 and 32, array 32, ext 8 to 32, fixext 16', () => {
    const rare = [
      [0xde, 0, 1, 0xa1, 0x61, 0x01],
      [0xdf, 0, 0, 0, 1, 0xa1, 0x61, 0x01],
      [0xdd, 0, 0, 0, 2, 0x01, 0x02],
      [0xc7, 2, 5, 1, 2],
      [0xc8, 0, 2, 5, 1, 2],
      [0xc9, 0, 0, 0, 2, 5, 1, 2],
      [0xd8, 5, ...Array.from({ length: 16 }, () => 0)],
      [0xca, 0, 0, 0, 0],
      [0x90],
      [0x80],
      [0xa0],
    ].map((bytes) => Buffer.from(bytes))
    for (const size of [1, 2, 3, 1000]) expect(frame(cut(Buffer.concat(rare), [size]))).toEqual(rare)
  })

  it('reads a large message in many small chunks in linear time', () => {
    const bytes = Buffer.from(encode(['x'.repeat(20 * LIMIT)]))
    const joined = vi.spyOn(Buffer, 'concat')
    const messages: Buffer[] = []
    try {
      const framer = makeFramer(64 * LIMIT)
      for (const chunk of cut(bytes, [1000])) framer.push(chunk, (message) => messages.push(message))
      expect(messages.map((message) => message.equals(bytes))).toEqual([true])
      // Each byte is copied once, at the end.
      expect(joined.mock.calls.map(([parts]) => parts.reduce((sum, part) => sum + part.length, 0))).toEqual([
        bytes.length,
      ])
    } finally {
      joined.mockRestore()
    }
  })

  it.each([
    ['a string', [0xdb, 0xff, 0xff, 0xff, 0xff]],
    ['an array', [0xdd, 0xff, 0xff, 0xff, 0xff]],
    ['a map', [0xdf, 0xff, 0xff, 0xff, 0xff]],
    ['an ext', [0xc9, 0xff, 0xff, 0xff, 0xff]],
  ])('refuses %s that claims to be too large, before its bytes come', (_what, bytes) => {
    expect(() => frame([Buffer.from(bytes)])).toThrow(FramingError)
  })

  it('refuses many small values that grow too large together', () => {
    const framer = makeFramer(1000)
    framer.push(Buffer.from([0xdc, 3, 0]), () => {})
    expect(() => framer.push(Buffer.concat([Buffer.from([0xc4, 255]), Buffer.alloc(255)]), () => {})).toThrow(
      FramingError,
    )
  })

  it('refuses the byte that MessagePack never uses', () => {
    expect(() => frame([Buffer.from([0xc1])])).toThrow('0xc1')
  })

  it('never throws anything else on random bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 })), (chunks) => {
        try {
          frame(chunks)
        } catch (error) {
          expect(error).toBeInstanceOf(FramingError)
        }
      }),
    )
  })
})
