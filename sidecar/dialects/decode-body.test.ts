import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeBody } from './decode-body.ts'

// Pseudo-random, so that it packs badly and a cut falls after several blocks.
const text = Buffer.from(
  Array.from({ length: 40_000 }, (_, n) => ((n * 2654435761) % 4294967291).toString(36)).join(' '),
)

describe('decodeBody', () => {
  const encodings = [
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['deflate', deflateRawSync],
    ['br', brotliCompressSync],
    ['zstd', zstdCompressSync],
  ] as const

  it.each(encodings)('%s: whole, cut, too large', (name, encode) => {
    const encoded = encode(text)
    expect(decodeBody(encoded, name)).toEqual({ bytes: text, truncated: false })
    const cut = decodeBody(encoded.subarray(0, Math.floor(encoded.length * 0.7)), name)
    expect(cut.truncated).toBe(true)
    expect(cut.bytes?.length).toBeGreaterThan(0)
    expect(text.subarray(0, cut.bytes?.length).equals(cut.bytes as Uint8Array)).toBe(true)
    expect(decodeBody(encoded, name, 1000)).toEqual({ bytes: undefined, truncated: false, reason: 'too_large' })
  })

  it('undoes several encodings in reverse order, in any case', () => {
    expect(decodeBody(brotliCompressSync(gzipSync(text)), 'GZIP, br').bytes).toEqual(text)
  })

  it('leaves identity alone and names what it cannot read', () => {
    expect(decodeBody(text, undefined)).toEqual({ bytes: text, truncated: false })
    expect(decodeBody(text, 'identity').bytes).toBe(text)
    expect(decodeBody(text, 'compress').reason).toBe('unknown_encoding')
    expect(decodeBody(text, '__proto__').reason).toBe('unknown_encoding')
    expect(decodeBody(text, 'gzip').reason).toBe('corrupt')
  })

  it('never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.constantFrom('gzip', 'deflate', 'br', 'zstd', 'gzip, br', 'x'), (bytes, name) => {
        decodeBody(bytes, name)
      }),
    )
  })
})
