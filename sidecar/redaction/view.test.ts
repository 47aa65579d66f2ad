import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { asciiAlike, decodedView, plainView } from './view.ts'

const decoded = (text: string) => decodedView(plainView(text))

describe('a decoded view', () => {
  it.each([
    ['a\\nb', 'a\nb'],
    ['\\u0041\\x42', 'AB'],
    ['anna%40example.org', 'anna@example.org'],
    ['%C3%A9', 'é'],
    ['a&#64;b&amp;c', 'a@b&c'],
    ['a\u200bb\u00adc', 'abc'],
    ['x=3Dy', 'x=y'],
  ])('%j', (text, expected) => expect(decoded(text)?.text).toBe(expected))
  it('there is none of plain text', () => expect(decoded('50 % of {all}, C:\\dir')).toBeUndefined())
  it('each stretch comes from where the same is written', () => {
    const piece = fc.constantFrom('a', 'b1', ' ', '\\n', '\\u0041', '%41', '&lt;', '\u200b', '中', '\\\\')
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), fc.nat(), fc.nat(), (pieces, from, length) => {
        const text = pieces.join('')
        const view = decoded(text)
        if (view === undefined || view.text === '') return
        const start = from % view.text.length
        const end = Math.min(view.text.length, start + 1 + (length % 5))
        const original = text.slice(view.originalStart(start), view.originalEnd(end))
        const again = decoded(original)?.text ?? original
        expect(again).toContain(view.text.slice(start, end))
      }),
    )
  })
})

it('look-alike signs become ASCII, one for one', () => {
  expect(asciiAlike('４１１１\u00a0٤٥–६')).toBe('4111 45-6')
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => asciiAlike(text).length === text.length))
})
