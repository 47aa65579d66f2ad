import { afterEach, describe, expect, it, vi } from 'vitest'
import { makeRedactor, redactionConfigSchema } from './redact.ts'

const redactor = makeRedactor(redactionConfigSchema.parse({}), { key: 'work' })
const KB = 1024
const times = (unit: string, length: number) => unit.repeat(Math.ceil(length / unit.length)).slice(0, length)

afterEach(() => vi.restoreAllMocks())

/** How many regular expressions are run over a text or a piece of it. */
function patternsRun(text: string): number {
  // Numbering plans are compiled at the first number.
  redactor.text('tel 030 1234567')
  const exec = vi.spyOn(RegExp.prototype, 'exec')
  redactor.text(text)
  const { length } = exec.mock.calls
  exec.mockRestore()
  return length
}

const SENTENCE = 'The quick brown fox jumps over the lazy dog while the gateway counts every token of it. '
const ENGLISH =
  'We would like to know how the new policy changes the work of the team, and whether the numbers of last year still hold: about a third of all requests came from two regions, most of them in the morning. '
const NUMBERS =
  'In 2024 about 35 % of 1,200 requests took 3.5 s or more; by May 3 it was 12, and the rest (some 780) came back within 250 ms. Version 2.4 shipped on 2024-05-03 at 10:15, order 4711 followed. '

describe('patterns run for 4 KB of harmless text', () => {
  it.each([
    [SENTENCE, 0],
    [ENGLISH, 60],
    [NUMBERS, 900],
  ])('%s: at most %d', (unit, most) => expect(patternsRun(times(unit, 4 * KB))).toBeLessThanOrEqual(most))
})

describe('patterns run for a KB of a hostile text', () => {
  it.each([
    ['06 ', 3000],
    ['1 2 3 4 ', 2000],
    ['4111 ', 1200],
    ['a1 ', 600],
    ['+49 30 ', 300],
    ['&', 1100],
    ['% ', 600],
  ])('%j: at most %d, however long it is', (unit, most) => {
    const small = patternsRun(times(unit, 4 * KB))
    expect(small / 4).toBeLessThanOrEqual(most)
    expect(patternsRun(times(unit, 32 * KB))).toBeLessThanOrEqual(small * 8 + 100)
  })
})
