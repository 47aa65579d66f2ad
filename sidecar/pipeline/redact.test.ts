import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Content } from '../call.ts'
import { makeRedactor, redactionConfigSchema } from './redact.ts'

const redactor = makeRedactor(redactionConfigSchema.parse({}))
// Assembled here, so that no scanner of repositories takes an example for a credential.
const key = (prefix: string, rest: string) => prefix + rest
const LONG = 'a1B2c3D4e5F6g7H8i9J0k1L2'

describe('what is masked', () => {
  it.each([
    ['write to anna.b+x@mail.example.org, please', 'write to [EMAIL], please'],
    ['<josé@exämple.de>', '<[EMAIL]>'],
    [`${'a'.repeat(80)}@example.com`, '[EMAIL]'],
    ['mail a@b.co.uk.', 'mail [EMAIL].'],
    ['4111 1111 1111 1111', '[CREDIT_CARD]'],
    ['4111 1111 1111 1111 12/27', '[CREDIT_CARD] 12/27'],
    ['4111111111111111 123', '[CREDIT_CARD] 123'],
    ['card-4111111111111111-x', 'card-[CREDIT_CARD]-x'],
    ['5500-0000-0000-0004', '[CREDIT_CARD]'],
    [`key ${key('sk-', LONG)}`, 'key [API_KEY]'],
    [`KEY_${key('sk-', LONG.repeat(20))}!`, 'KEY_[API_KEY]!'],
    [key('AKIA', 'ABCDEFGHIJKLMNOP'), '[API_KEY]'],
    [key('ASIA', 'ABCDEFGHIJKLMNOP'), '[API_KEY]'],
    [key('github_pat_', LONG), '[API_KEY]'],
    [key('ghp_', LONG), '[API_KEY]'],
    [`Authorization: bearer  ${LONG}`, 'Authorization: Bearer [TOKEN]'],
    [`Bearer ${LONG}==`, 'Bearer [TOKEN]'],
    [key('eyJ', 'hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl'), '[JWT]'],
    ['DE89 3704 0044 0532 0130 00 is it', '[IBAN] is it'],
    ['NO93 8601 1117 947', '[IBAN]'],
    ['GB82WEST12345698765432', '[IBAN]'],
    ['ssn 123-45-6789', 'ssn [SSN]'],
    ['call +49 30 901820 00 now', 'call [PHONE] now'],
    ['call (415) 555-0132 now', 'call [PHONE] now'],
    ['415-555-0132', '[PHONE]'],
  ])('%s', (text, masked) => expect(redactor.text(text)).toBe(masked))
})

describe('what is left alone', () => {
  it.each([
    'order 4111 1111 1111 1112',
    'at 2026-11-23 10:15:00.123456',
    'a uuid 123e4567-e89b-12d3-a456-426614174000',
    'DE89 3704 0044 0532 0130 03',
    'twitter @name, a @ b, x@y',
    'version 1.2.3.4, ids 12345 67890',
    'sk-short',
    'the task-force of disk-io',
    'The bearer of this letter',
  ])('%s', (text) => expect(redactor.text(text)).toBe(text))
})

describe('edges', () => {
  it('what touches the end of a cut text goes with it', () => {
    expect(redactor.text(`my key is ${key('sk-', 'ab')}`, true)).toBe('my key is […]')
    expect(redactor.text('card 4111 1111 1', true)).toBe('card […]')
    expect(redactor.text('tel +49 30 9018 and call', true)).toBe('tel [PHONE] and […]')
    expect(redactor.text('mail anna@exam', true)).toBe('mail […]')
  })
  it('both sides of a gap', () => {
    expect(redactor.text(`a ${key('sk-', 'abcdefgh')}[…]ijklmnopq b`)).toBe('a […] b')
  })
  it('without a cut the last word stays', () => expect(redactor.text('all is well')).toBe('all is well'))
})

it('masks every text of a content', () => {
  const secret = 'x@example.com'
  const content: Content = {
    system: secret,
    tools: JSON.stringify([{ name: secret }]),
    input: [
      {
        role: 'user',
        parts: [
          { type: 'text', content: secret },
          { type: 'tool_call_response', response: secret },
          { type: 'other', kind: 'image' },
        ],
      },
    ],
    output: [
      {
        role: 'assistant',
        parts: [
          { type: 'reasoning', content: secret },
          { type: 'tool_call', name: secret, arguments: secret },
        ],
      },
    ],
  }
  const masked = JSON.stringify(redactor.content(content))
  expect(masked).not.toContain(secret)
  expect(masked.match(/\[EMAIL\]/g)).toHaveLength(7)
})

describe('configuration', () => {
  const messages = (config: unknown) =>
    redactionConfigSchema
      .safeParse(config)
      .error?.issues.map(({ message }) => message)
      .join(' ') ?? ''
  it('the operator’s own pattern masks', () => {
    const own = makeRedactor(redactionConfigSchema.parse({ custom: [{ name: 'CUSTOMER', pattern: 'CU-\\d{6}' }] }))
    expect(own.text('of CU-123456')).toBe('of [CUSTOMER]')
  })
  it.each([
    ['(a+)+$', 'exponential'],
    ['(?:x+x+)+y', 'exponential'],
    ['(a|a)*b', 'exponential'],
    ['(a', 'not a regular expression'],
    ['a*', 'matches the empty text'],
  ])('refuses %s', (pattern, reason) => expect(messages({ custom: [{ name: 'X', pattern }] })).toContain(reason))
  it('refuses an unknown built-in', () => expect(messages({ patterns: ['emails'] })).toContain('Invalid option'))
  it('off leaves all as it is', () => {
    const off = makeRedactor(redactionConfigSchema.parse({ enabled: false }))
    expect(off.text('a@example.com', true)).toBe('a@example.com')
  })
})

describe('cost and safety', () => {
  // A pattern whose cost is more than linear runs into the limit that ends tests that hang.
  it.each([
    ['a', 'aaaa'],
    ['digits', '4111 '],
    ['joined digits', '1'],
    ['@', 'a@'],
    ['JWT beginnings', 'eyJ-'],
    ['bearers', 'bearer '],
    ['IBAN beginnings', 'DE89 '],
    ['phones', '+49 30 '],
    ['keys', 'sk-'],
    ['gaps', 'a[…]'],
  ])('256 KB of %s', (_name, unit) => {
    const text = unit.repeat(Math.ceil(262_144 / unit.length))
    for (const cut of [false, true]) expect(redactor.text(text, cut).length).toBeGreaterThan(0)
  })
  it('never throws, and masking twice changes nothing more', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        const once = redactor.text(text)
        expect(redactor.text(once)).toBe(once)
      }),
    )
  })
  it('finds an address in any surroundings that are not part of it', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 40 }), fc.string({ maxLength: 40 }), (before, after) => {
        expect(redactor.text(`${before} anna@example.org ${after}`)).not.toContain('anna@example.org')
      }),
    )
  })
})
