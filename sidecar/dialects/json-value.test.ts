import fc from 'fast-check'
import { expect, it } from 'vitest'
import { decodeText } from './json-value.ts'

it('decodes as TextDecoder does, byte order mark and broken bytes included', () => {
  const beginning = fc.constantFrom([], [0xef, 0xbb, 0xbf], [0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf], [0xef, 0xbb])
  fc.assert(
    fc.property(beginning, fc.uint8Array({ maxLength: 60 }), (mark, rest) => {
      const bytes = Uint8Array.from([...mark, ...rest])
      expect(decodeText(bytes)).toBe(new TextDecoder().decode(bytes))
      // A view into a larger buffer is read within its own bounds.
      expect(decodeText(bytes.subarray(1))).toBe(new TextDecoder().decode(bytes.subarray(1)))
    }),
  )
})
