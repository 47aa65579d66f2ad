import { describe, expect, it } from 'vitest'
import { maskEdges } from './edges.ts'

describe('what touches an edge goes', () => {
  it.each([
    ['my key is abcd', true, 'my key is […]'],
    ['card 4111 1111 1', true, 'card […]'],
    ['to DE89 3704 0044 05', true, 'to […]'],
    ['tel +49 30 9018', true, 'tel […]'],
    ['a abcdefgh[…]ijklmnopq b', false, 'a […] b'],
    ['card 4111 11[…]11 1111 1111 and on', false, 'card […] and on'],
    ['x[…]QUJD\nREVG\n-----END PRIVATE KEY----- after', false, '[…] after'],
    ['all is well', false, 'all is well'],
  ])('%j', (text, cut, expected) => expect(maskEdges(text, cut)).toBe(expected))
})
