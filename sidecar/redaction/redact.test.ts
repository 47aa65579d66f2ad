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
    [`Authorization: bearer  ${LONG}`, 'Authorization: bearer  [TOKEN]'],
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

describe('the same text again', () => {
  // What was no key in a text before must not shield a key in the same text when it comes again.
  const dull = key('sk-', 'a'.repeat(36))
  it.each([
    [`use ${key('sk-', LONG)} or ${dull}`, `use [API_KEY] or ${dull}`],
    [
      `use ${key('sk_live_', LONG + LONG)} ${key('sk_live_', ' ').repeat(40)}`,
      `use [API_KEY] ${key('sk_live_', ' ').repeat(40)}`,
    ],
  ])('%s', (text, masked) => {
    for (let time = 0; time < 3; time++) expect(redactor.text(text)).toBe(masked)
  })
})

describe('JSON stays JSON', () => {
  it.each([
    ['{"card":4111111111111111,"n":1}', { card: '[CREDIT_CARD]', n: 1 }],
    ['{"t":"See [4111111111111111], then"}', { t: 'See [[CREDIT_CARD]], then' }],
    ['{"t":"a\\"b\\nanna@example.org"}', { t: 'a"b\n[EMAIL]' }],
    ['[4111111111111111]', ['[CREDIT_CARD]']],
  ])('%s', (text, value) => expect(JSON.parse(redactor.text(text))).toEqual(value))
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
    expect(redactor.text(`my key is ${key('sk-', 'ab')}`, { cut: true })).toBe('my key is […]')
    expect(redactor.text('card 4111 1111 1', { cut: true })).toBe('card […]')
    expect(redactor.text('tel +49 30 9018 and call', { cut: true })).toBe('tel [PHONE] and […]')
    expect(redactor.text('mail anna@exam', { cut: true })).toBe('mail […]')
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
    ['(a', 'not a regular expression of RE2'],
    ['(?<=x)y', 'not a regular expression of RE2'],
    ['(a)\\1', 'not a regular expression of RE2'],
    ['a*', 'matches the empty text'],
  ])('refuses %s', (pattern, reason) => expect(messages({ custom: [{ name: 'X', pattern }] })).toContain(reason))
  it('refuses an unknown built-in', () => expect(messages({ patterns: ['emails'] })).toContain('Invalid option'))
  it('off leaves all as it is', () => {
    const off = makeRedactor(redactionConfigSchema.parse({ enabled: false }))
    expect(off.text('a@example.com', { cut: true })).toBe('a@example.com')
  })
})

describe('safety', () => {
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

describe('labels, users and calls', () => {
  const keyed = makeRedactor(redactionConfigSchema.parse({}), { key: 'k' })
  it('an address in a name becomes a pseudonym of its tenant', () => {
    const label = keyed.label('anna@example.org', 'blue')
    expect(label).toMatch(/^email_[a-q]{20}$/)
    expect(keyed.label('Anna@Example.org ', 'blue').trim()).toBe(label)
    expect(keyed.label('anna@example.org', 'green')).not.toBe(label)
  })
  it.each([
    'gpt-4o-2024-08-06',
    'claude-3-5-sonnet-20241022',
    'chatcmpl-9xKpQ2',
    'anthropic.claude-v2:1',
    'team-7',
    '10.1.2.3:8000',
  ])('%s stays', (name) => expect(keyed.label(name)).toBe(name))
  it('a secret in a name is masked also where redaction is off', () => {
    const off = makeRedactor(redactionConfigSchema.parse({ enabled: false }), { key: 'k' })
    expect(off.label(key('sk-', LONG))).toBe('[API_KEY]')
    expect(off.label('anna@example.org')).toBe('anna@example.org')
  })
  it.each([
    ['anna@example.org', /^email_[a-q]{20}$/],
    ['+49 171 1234567', /^phone_[a-q]{20}$/],
    ['0171 1234567', /^phone_[a-q]{20}$/],
    ['user:anna@example.org', /^user:email_[a-q]{20}$/],
    ['u-8123', /^u-8123$/],
    [key('sk-', LONG), /^\[API_KEY\]$/],
  ])('user %s', (user, expected) => expect(keyed.person(user, 'blue', 'pseudonym')).toMatch(expected))
  it('plain keeps a user and masks a secret; all hides every user', () => {
    expect(keyed.person('anna@example.org', 'blue', 'plain')).toBe('anna@example.org')
    expect(keyed.person(key('sk-', LONG), 'blue', 'plain')).toBe('[API_KEY]')
    expect(keyed.person('u-8123', 'blue', 'all')).toMatch(/^user_[a-q]{20}$/)
    expect(keyed.person('u-8123', 'green', 'all')).not.toBe(keyed.person('u-8123', 'blue', 'all'))
  })
  it('pseudonyms in content where they are asked for; secrets stay masked', () => {
    const named = makeRedactor(redactionConfigSchema.parse({ replacement: 'pseudonym' }), { key: 'k' })
    const text = named.text(`anna@example.org and ANNA@example.org, ${key('sk-', LONG)}`, { tenant: 'blue' })
    expect(text).toMatch(/^(\[EMAIL:[a-q]{20}\]) and \1, \[API_KEY\]$/)
    expect(named.text(text, { tenant: 'blue' })).toBe(text)
  })
  it('a detector of somebody else masks by its own name', () => {
    const plugged = makeRedactor(redactionConfigSchema.parse({}), {
      detectors: [
        (text) =>
          [...text.matchAll(/Main Street \d+/g)].map((m) => ({
            start: m.index,
            end: m.index + m[0].length,
            name: 'ADDRESS',
          })),
      ],
    })
    expect(plugged.text('at Main Street 12, anna@example.org')).toBe('at [ADDRESS], [EMAIL]')
  })
  it('names of before are still read', () =>
    expect(redactionConfigSchema.parse({ patterns: ['bearer', 'email'] }).patterns).toEqual(['token', 'email']))
})
