import { checkSync } from 'recheck'
import { describe, expect, it } from 'vitest'
import { CODE_RULES } from './find-codes.ts'
import { NUMBER_RULES } from './find-in-digits.ts'
import { TOKEN_RULES } from './find-tokens.ts'
import { makeRedactor, redactionConfigSchema } from './redact.ts'
import { CARD_SCHEMES } from './rules/financial.ts'

const rows = [...TOKEN_RULES, ...CODE_RULES, ...NUMBER_RULES]
const patterns = [...TOKEN_RULES, ...CODE_RULES]
const redactor = makeRedactor(redactionConfigSchema.parse({}), { key: 'rules' })

describe('the rows', () => {
  it('have an id of their own, a source and a day', () => {
    const ids = [...rows, ...CARD_SCHEMES].map(({ id }) => id)
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([])
    for (const { id, source, added } of [...rows, ...CARD_SCHEMES]) {
      expect(source, id).not.toBe('')
      expect(added, id).toMatch(/^20\d\d-\d\d-\d\d$/)
    }
  })
  it('have examples', () => {
    for (const { id, examples } of rows) expect(examples.length, id).toBeGreaterThan(0)
  })
  it('find nothing in their counter-examples', () => {
    for (const { id, counterExamples = [] } of rows)
      for (const text of counterExamples) expect(redactor.text(text), id).toBe(text)
  })
  it('cover the identity numbers of at least 30 countries', () => {
    const countries = new Set([...NUMBER_RULES, ...CODE_RULES].flatMap(({ country }) => country.split(', ')))
    expect(countries.size).toBeGreaterThanOrEqual(30)
  })
})

/** Repetitions of a pattern: lowest and highest count, and how deep they stand in repeated groups. */
function repetitionsOf(pattern: string): { low: number; high: number; nested: boolean }[] {
  const found: { low: number; high: number; nested: boolean }[] = []
  const inside: number[] = []
  const text = pattern.replace(/\\./g, 'e').replace(/\[(?:[^\]])*\]/g, 'c')
  for (const match of text.matchAll(/\(\?<?[:=!]|\(|\)|[*+?]|\{(\d+)(,?)(\d*)\}/g)) {
    const token = match[0]
    if (token[0] === '(') inside.push(found.length)
    else if (token !== ')') {
      const low = token === '?' || token === '*' ? 0 : token === '+' ? 1 : Number(match[1])
      const high =
        token === '?'
          ? 1
          : token === '*' || token === '+'
            ? Number.POSITIVE_INFINITY
            : match[2] === ''
              ? low
              : Number(match[3] || 'Infinity')
      const previous = text[match.index - 1]
      const group = previous === ')' ? lastGroup : undefined
      found.push({
        low,
        high,
        nested: group !== undefined && high > 1 && found.slice(group).some((each) => each.low !== each.high),
      })
    }
    if (token === ')') lastGroup = inside.pop()!
  }
  return found
}
let lastGroup = 0

describe('the patterns are linear', () => {
  it('no repetition is without an end', () => {
    for (const { id, pattern } of patterns)
      for (const { high } of repetitionsOf(pattern)) expect(high, id).toBeLessThanOrEqual(65_536)
  })
  it('none goes back to what was matched before', () => {
    for (const { id, pattern } of patterns) expect(/\\[1-9]|\\k</.test(pattern), id).toBe(false)
  })
  // One repetition of one class, or none of variable length, cannot be matched in two ways. The others are proven.
  const doubtful = patterns.filter(({ pattern }) => {
    const variable = repetitionsOf(pattern).filter(({ low, high }) => low !== high && high > 8)
    return variable.length > 1 || repetitionsOf(pattern).some(({ nested }) => nested)
  })
  it('there are some to prove', () => expect(doubtful.length).toBeGreaterThan(10))
  it.each(doubtful.map(({ id, pattern }) => [id, pattern] as const))(
    '%s',
    (_id, pattern) => {
      const { status } = checkSync(pattern, 'y', { timeout: 60_000, checker: 'automaton' })
      expect(status).not.toBe('vulnerable')
    },
    120_000,
  )
})
