import { decode, encode } from '@msgpack/msgpack'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Packable, pack, unpack } from './message-pack.ts'
import { recordedMessages, recordingsPresent } from './testing/recorded-session.ts'

const hex = (value: Packable) => pack(value).toString('hex')

describe('pack, in the byte forms of lua-MessagePack', () => {
  it.each<[string, Packable, string]>([
    ['nil', null, 'c0'],
    ['a short string', 'abc', 'a3616263'],
    ['a string of 31 bytes', 'x'.repeat(31), `bf${'78'.repeat(31)}`],
    ['a string of 32 bytes: never str 8', 'x'.repeat(32), `da0020${'78'.repeat(32)}`],
    ['bytes are a string', Buffer.from([0x1f, 0x8b, 0xff, 0]), 'a41f8bff00'],
    ['an empty table is a list', {}, '90'],
    ['an empty map that is meant', new Map(), '80'],
    ['a number without fraction is an integer', 3, '03'],
    ['a fraction is a double', 1.5, 'cb3ff8000000000000'],
    ['a number of 33 bits', 0x1_0000_0000, 'cf0000000100000000'],
    ['a negative one', -33, 'd0df'],
    ['what is undefined is absent', { a: undefined, b: true }, '81a162c3'],
    ['a map with numbers as keys', new Map([[2, false]]), '8102c2'],
  ])('%s', (_name, value, bytes) => expect(hex(value)).toBe(bytes))

  it('lengths beyond 16 bits', () => {
    expect(pack('x'.repeat(65_536)).subarray(0, 5).toString('hex')).toBe('db00010000')
    expect(pack(Array(70_000).fill(0)).subarray(0, 5).toString('hex')).toBe('dd00011170')
  })
})

const packable = fc.letrec<{ value: Packable }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true }),
    fc.string({ maxLength: 300, unit: 'grapheme' }),
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(fc.string({ maxLength: 5 }), tie('value'), { minKeys: 1, maxKeys: 20, noNullPrototype: true }),
  ),
})).value

describe('with another implementation on the other side', () => {
  it('reads what is packed here', () => {
    fc.assert(
      fc.property(packable, (value) => {
        const own = (text: unknown) => JSON.parse(JSON.stringify(text))
        expect(own(decode(pack(value)))).toEqual(own(value))
      }),
    )
  })

  it('is read here, and only when it has arrived whole', () => {
    fc.assert(
      fc.property(packable, fc.nat(), (value, cut) => {
        const bytes = Buffer.from(encode(value))
        const read = unpack(Buffer.concat([bytes, Buffer.from([0xc1])]))
        expect(read?.end).toBe(bytes.length)
        expect(JSON.stringify(plain(read?.value))).toBe(JSON.stringify(value))
        expect(unpack(bytes.subarray(0, cut % bytes.length))).toBeUndefined()
      }),
    )
  })

  it('refuses what is no MessagePack', () => expect(() => unpack(Buffer.from([0xc1]))).toThrow(/0xc1/))
})

describe.skipIf(!recordingsPresent)('what real Kong sent', () => {
  it('packs to the same bytes again, each message', () => {
    const messages = recordedMessages(true).filter(({ from }) => from === 'kong')
    expect(messages.length).toBe(100)
    for (const { bytes, message } of messages)
      expect(pack(message as Packable).toString('hex')).toBe(bytes.toString('hex'))
  })
})

function plain(value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [key, plain(item)]))
  return Array.isArray(value) ? value.map(plain) : value
}
