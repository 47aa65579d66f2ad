import { describe, expect, it } from 'vitest'
import { KnownTexts } from './known-texts.ts'
import { makeRedactor, redactionConfigSchema } from './redact.ts'

const LONG = 'a sentence about nothing in particular. '.repeat(10)
const textOf = (number: number) => `${number} ${LONG}`

function counting(change = (text: string) => text) {
  const seen: string[] = []
  return {
    seen,
    redact: (text: string) => {
      seen.push(text)
      return change(text)
    },
  }
}

describe('texts that come again', () => {
  it('are redacted once, changed or not', () => {
    for (const change of [(text: string) => text, (text: string) => `${text}!`]) {
      const known = new KnownTexts(64 * 1024)
      const { seen, redact } = counting(change)
      for (let time = 0; time < 3; time++) expect(known.through(LONG, redact, false)).toBe(change(LONG))
      expect(seen).toEqual([LONG])
    }
  })
  it('are redacted each time where the result is of one tenant', () => {
    const known = new KnownTexts(64 * 1024)
    const { seen, redact } = counting((text) => `${text}!`)
    for (let time = 0; time < 3; time++) known.through(LONG, redact, true)
    expect(seen.length).toBe(3)
    expect(known.bytes).toBe(0)
  })
  it('never take more than their bytes; the least recently used goes', () => {
    const limit = 32 * 1024
    const known = new KnownTexts(limit)
    const { seen, redact } = counting((text) => `${text}!`)
    for (let number = 0; number < 200; number++) {
      known.through(textOf(number), redact, false)
      known.through(textOf(0), redact, false)
      expect(known.bytes).toBeLessThanOrEqual(limit)
    }
    expect(seen.filter((text) => text === textOf(0)).length).toBe(1)
    expect(known.bytes).toBeGreaterThan(limit / 2)
    const before = seen.length
    known.through(textOf(1), redact, false)
    expect(seen.length).toBe(before + 1)
  })
  it('that are too long for the bound are not kept', () => {
    const known = new KnownTexts(8 * 1024)
    known.through(LONG.repeat(20), (text) => `${text}!`, false)
    expect(known.bytes).toBe(0)
  })
  it('with lone surrogates are told apart, though UTF-8 has one form for them', () => {
    const known = new KnownTexts(64 * 1024)
    const change = (text: string) => `${text}!`
    for (const character of ['\ufffd', '\ud800', '\udfff', '\ufffd'])
      expect(known.through(LONG + character, change, false)).toBe(`${LONG}${character}!`)
  })
})

describe('a redactor that remembers', () => {
  const config = redactionConfigSchema.parse({})
  it('says what one says that does not', () => {
    const plain = makeRedactor(config, { key: 'k' })
    const remembering = makeRedactor(config, { key: 'k', remember: 1024 * 1024 })
    for (const text of [LONG, `${LONG} anna@example.org`, `${LONG}4111 1111 1111 1111`])
      for (const cut of [false, true, false]) expect(remembering.text(text, { cut })).toBe(plain.text(text, { cut }))
  })
  it('keeps the pseudonyms of tenants apart', () => {
    const named = makeRedactor(redactionConfigSchema.parse({ replacement: 'pseudonym' }), {
      key: 'k',
      remember: 1024 * 1024,
    })
    const text = `${LONG} anna@example.org`
    const blue = named.text(text, { tenant: 'blue' })
    expect(named.text(text, { tenant: 'green' })).not.toBe(blue)
    expect(named.text(text, { tenant: 'blue' })).toBe(blue)
  })
  it('asks somebody else’s detector each time', () => {
    let asked = 0
    const plugged = makeRedactor(config, {
      remember: 1024 * 1024,
      detectors: [
        () => {
          asked++
          return []
        },
      ],
    })
    plugged.text(LONG)
    plugged.text(LONG)
    expect(asked).toBe(2)
  })
})
