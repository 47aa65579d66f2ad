import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Content, Message } from '../call.ts'
import { makeRedactor, redactionConfigSchema } from '../redaction/redact.ts'
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

describe('with a masker', () => {
  const redactor = makeRedactor(redactionConfigSchema.parse({}), { key: 'bound' })
  const secrets = [
    'anna.long-name@mail.example.org',
    '4111 1111 1111 1111',
    'DE89 3704 0044 0532 0130 00',
    `${'sk'}-proj-a1B2c3D4e5F6g7H8i9J0k1L2`,
    '+49 171 1234567',
  ]
  it.each(secrets)('no cut leaves half of %s', (secret) => {
    for (let limit = 60; limit < 140; limit++) {
      const text = `${'word '.repeat(16)}${secret} and ${'more '.repeat(30)}`
      const shown = JSON.stringify(boundContent({ output: [said('a', text)] }, limit, redactor))
      for (let length = 6; length <= secret.length; length++) expect(shown).not.toContain(secret.slice(0, length))
    }
  })
  it('a cut in one message takes no word of another', () => {
    const content: Content = {
      input: [said('user', 'z '.repeat(5000)), said('user', 'the last word is important')],
      output: [said('assistant', 'and this is whole')],
    }
    const text = JSON.stringify(boundContent(content, 1000, redactor))
    expect(text).toContain('the last word is important"')
    expect(text).toContain('and this is whole"')
  })
  it('where an answer broke off its last words go, and no others', () => {
    const content: Content = { input: [said('user', 'hello there')], output: [said('assistant', 'call +49 171 12')] }
    expect(boundContent(content, 1000, redactor, { outputBrokeOff: true })).toEqual({
      input: [said('user', 'hello there')],
      output: [said('assistant', 'call […]')],
    })
  })
  it('is never bigger than the limit, though a mask may be longer than what it hides', () => {
    const content: Content = { output: [said('a', 'a@b.co '.repeat(20))] }
    for (let limit = 100; limit < 200; limit += 7)
      expect(textBytes(boundContent(content, limit, redactor))).toBeLessThanOrEqual(limit)
  })
})
