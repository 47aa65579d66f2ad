import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Content, Message } from '../call.ts'
import { boundContent } from './bound-content.ts'

const said = (role: string, content: string): Message => ({ role, parts: [{ type: 'text', content }] })

it('leaves what fits as it is', () => {
  const content: Content = { input: [said('user', 'Grüße 👋')], output: [said('assistant', 'ja')] }
  expect(boundContent(content, 1000)).toBe(content)
})

it('keeps the answer and the newest messages, and says that it cut', () => {
  const content: Content = {
    system: 'be brief',
    tools: '[{}]',
    input: [said('user', 'a'.repeat(500)), said('user', 'the question')],
    output: [said('assistant', 'the answer')],
  }
  expect(boundContent(content, 160)).toEqual({
    truncated: true,
    system: 'be brief',
    input: [said('user', expect.stringMatching(/^a{1,60}$/) as unknown as string), said('user', 'the question')],
    output: [said('assistant', 'the answer')],
  })
})

it('never splits a character', () => {
  for (let limit = 40; limit < 80; limit++) {
    const [message] = boundContent({ output: [said('a', '👋é€'.repeat(50))] }, limit).output!
    const [part] = message!.parts
    if (part?.type === 'text') expect(part.content.isWellFormed()).toBe(true)
  }
})

it('is never bigger than the limit in bytes, however many messages there are', () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 300 })
  const message = fc.record({
    role: text,
    parts: fc.array(
      fc.oneof(
        fc.record({ type: fc.constant('text' as const), content: text }),
        fc.record({ type: fc.constant('tool_call' as const), id: text, name: text, arguments: text }),
        fc.record({ type: fc.constant('tool_call_response' as const), response: text }),
        fc.record({ type: fc.constant('other' as const), kind: text }),
      ),
      { maxLength: 5 },
    ),
  })
  const content = fc.record(
    { system: text, tools: text, input: fc.array(message), output: fc.array(message) },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(content, fc.integer({ min: 1, max: 2000 }), (given, limit) => {
      const bounded = boundContent(given, limit)
      if (bounded === given) return
      expect(bounded.truncated).toBe(true)
      expect(textBytes(bounded)).toBeLessThanOrEqual(limit)
    }),
  )
  const many = boundContent({ input: Array.from({ length: 100_000 }, () => said('', '')) }, 4096)
  expect(many.input!.length).toBeLessThan(300)
})

function textBytes(value: unknown, key = ''): number {
  if (typeof value === 'string') return key === 'type' ? 0 : Buffer.byteLength(value)
  if (value === null || typeof value !== 'object') return 0
  return Object.entries(value).reduce((sum, [name, member]) => sum + textBytes(member, name), 0)
}
