import fc from 'fast-check'
import { encoding_for_model, get_encoding, type TiktokenModel } from 'tiktoken'
import { describe, expect, it } from 'vitest'
import { countTokens } from './encode.ts'
import { encodingOf } from './encoding-of-model.ts'
import { splitRuns } from './split-runs.ts'

describe('the encoding of a model', () => {
  // Every chat and embedding model that tiktoken itself knows by name.
  it.each<TiktokenModel>([
    'gpt-4o',
    'gpt-4o-mini-2024-07-18',
    'gpt-4.1-nano',
    'gpt-4.5-preview',
    'gpt-5-mini',
    'chatgpt-4o-latest',
    'o1-mini',
    'o3',
    'o4-mini-2025-04-16',
    'gpt-4',
    'gpt-4-turbo-2024-04-09',
    'gpt-4-32k-0613',
    'gpt-3.5-turbo-0125',
    'gpt-35-turbo',
    'gpt-3.5-turbo-instruct',
    'text-embedding-3-large',
    'text-embedding-ada-002',
    'davinci-002',
    'babbage-002',
    'text-davinci-003',
    'code-davinci-002',
    'text-ada-001',
    'davinci',
  ])('%s: what tiktoken says', (model) => {
    const own = encoding_for_model(model)
    expect(encodingOf(model)).toEqual({ encoding: own.name, standIn: false })
    own.free()
  })

  it.each([
    ['openai/gpt-4o', 'o200k_base'],
    ['ft:gpt-4o-mini-2024-07-18:acme::x', 'o200k_base'],
    ['ft:gpt-3.5-turbo-0125:acme::x', 'cl100k_base'],
    ['GPT-4O', 'o200k_base'],
    ['openai.gpt-oss-120b-1:0', 'o200k_base'],
    ['gpt-5.6-sol', 'o200k_base'],
    ['gpt-6', 'o200k_base'],
  ])('%s: as hosts write it', (model, encoding) => {
    expect(encodingOf(model)).toEqual({ encoding, standIn: false })
  })

  it.each(['claude-sonnet-4-5', 'llama-3.3-70b', 'mistral-large', 'o', 'adamant', 'olmo-2', '', undefined])(
    '%s: a stand-in, and said to be',
    (model) => {
      expect(encodingOf(model)).toEqual({ encoding: 'o200k_base', standIn: true })
    },
  )
})

describe('counting', () => {
  const o200k = get_encoding('o200k_base')

  it('ordinary text: exactly as tiktoken', () => {
    const text = 'The quick brown fox – naïve, 東京, 12345 – jumps.\n\n  const x = { a: 1 }\t// done 😀\n'.repeat(20)
    expect(countTokens(text, 'o200k_base')).toBe(o200k.encode_ordinary(text).length)
  })

  it('special tokens are text', () => {
    expect(countTokens('<|endoftext|>', 'o200k_base')).toBeGreaterThan(1)
  })

  it.each([
    ['one letter', 'a'],
    ['spaces', ' '],
    ['lines', '\n'],
    ['signs', '!?'],
    ['Chinese without a sign', '漢字仮名交文'],
    ['faces', '😀'],
    ['half a pair', '\ud83d'],
    ['letters and signs', 'a-'],
  ])('256 KiB of %s: in pieces that the tokenizer’s square work does not mind', (_name, unit) => {
    const text = unit.repeat((256 * 1024) / unit.length)
    expect(countTokens(text, 'o200k_base')).toBeGreaterThan(0)
    // Its work grows with the square of a stretch without a boundary: the sum of squares is what is bounded.
    const stretches = splitRuns(text).flatMap(
      (piece) => piece.match(/[\p{L}\p{N}\p{Cs}\p{So}]+|\s+|[\x21-\x2f\x3a-\x40]+/gu) ?? [],
    )
    expect(stretches.reduce((sum, stretch) => sum + stretch.length ** 2, 0)).toBeLessThan(300 * text.length)
  })

  it('a run that is split is off by two tokens a piece at most', () => {
    for (const unit of ['a', ' ', '!?', '漢字', '😀']) {
      const text = unit.repeat(4000 / unit.length)
      const truth = o200k.encode_ordinary(text).length
      expect(Math.abs(countTokens(text, 'o200k_base') - truth)).toBeLessThanOrEqual(2 * splitRuns(text).length)
    }
  })
})

describe('pieces', () => {
  const unit = fc.constantFrom('a', 'Z', '1', ' ', '\n', '-', '"', 'é', '漢', '😀', '\ud83d', '\u2028')
  const text = fc
    .array(fc.tuple(unit, fc.integer({ min: 1, max: 700 })), { maxLength: 12 })
    .map((runs) => runs.map(([of, times]) => of.repeat(times)).join(''))

  it('are the text, are not empty, split no character, and hold no long run', () => {
    fc.assert(
      fc.property(text, (given) => {
        const pieces = splitRuns(given)
        expect(pieces.join('')).toBe(given)
        if (given !== '') expect(pieces).not.toContain('')
        for (const piece of pieces) expect(piece).not.toMatch(/[A-Za-z0-9é漢]{300}|[ \n]{300}|[-"]{300}/)
        for (const piece of pieces.slice(1)) expect(/^[\udc00-\udfff]/.test(piece)).toBe(false)
      }),
      { numRuns: 300 },
    )
  })
})
