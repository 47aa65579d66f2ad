import { describe, expect, it } from 'vitest'
import { makeRedactor, redactionConfigSchema } from '../../sidecar/redaction/redact.ts'
import { makeSet } from './make-set.ts'
import { PLACES } from './places.ts'
import { precisionOf, type Score, scoreOf } from './score.ts'

const SEED = 20261128
const redactor = makeRedactor(redactionConfigSchema.parse({}), { key: 'of the labelled set' })
const set = makeSet(SEED)
const score = scoreOf(set, (text) => redactor.text(text))
const told = (list: Score['missed']) =>
  list.slice(0, 12).map(({ labelled, masked }) => `${labelled.rule} in ${labelled.place.name}: ${masked}`)

describe(`the labelled set (seed ${SEED})`, () => {
  it('has at least 4,000 texts with a secret, as many without, twelve languages, every place', () => {
    expect(score.planted).toBeGreaterThanOrEqual(4000)
    expect(score.harmless).toBeGreaterThanOrEqual(score.planted)
    expect(new Set(set.map(({ language }) => language)).size).toBe(12)
    expect(new Set(set.map(({ place }) => place.name)).size).toBe(PLACES.length)
  })
  it('is the same for the same seed', () => {
    const texts = (seed: number) => makeSet(seed).map(({ text }) => text)
    expect(texts(5)).toEqual(texts(5))
    expect(texts(5)).not.toEqual(texts(6))
  })
  it('everything with check digits, and every key with a beginning of its own, is found', () => {
    expect(told(score.missed.filter(({ labelled }) => labelled.secret?.promise === 'all'))).toEqual([])
  })
  it('of the other keys, phones, addresses and passwords at least 99 % are found', () => {
    const { planted, found } = score.byPromise.most
    expect(found / planted, told(score.missed).join('\n')).toBeGreaterThanOrEqual(0.99)
  })
  it('of what is masked at least 98 % was to be', () => {
    expect(precisionOf(score), told(score.wrong).join('\n')).toBeGreaterThanOrEqual(0.98)
  })
  it('masking twice changes nothing more', () => {
    for (const { text } of set.filter((_, index) => index % 7 === 0)) {
      const once = redactor.text(text)
      expect(redactor.text(once)).toBe(once)
    }
  })
  it('JSON stays JSON', () => {
    for (const { text, place } of set)
      if (/^JSON/.test(place.name) || place.name === 'base64 in JSON')
        expect(() => JSON.parse(redactor.text(text)), redactor.text(text)).not.toThrow()
  })
})
