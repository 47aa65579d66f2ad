import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { inFengari, type Sums, sumsOfLines, usageLinesProgram } from '../../dev/gateway/testing/usage-lines.ts'

const read = (text: string, cuts: readonly number[] = []): Sums =>
  inFengari(usageLinesProgram(Buffer.from(text), [cuts]))[0]!
const file = (lines: readonly unknown[]) => lines.map((line) => JSON.stringify(line)).join('\n')

const message = (model: string, usage: object, more: object = {}) => ({
  custom_id: 'r',
  result: { type: 'succeeded', message: { id: 'm', model, content: [], ...more, usage } },
})
const body = (model: string, usage: object) => ({
  id: 'b',
  custom_id: 'r',
  response: { status_code: 200, body: { object: 'chat.completion', model, choices: [], usage } },
  error: null,
})
const gemini = (modelVersion: string, usageMetadata: object) => ({
  key: 'r',
  response: { candidates: [], modelVersion, usageMetadata },
})

/** Each form, and texts that look like usage where none is. */
const FORMS = [
  message('claude-sonnet-4-20250514', {
    input_tokens: 1000,
    cache_creation_input_tokens: 7,
    cache_creation: { ephemeral_5m_input_tokens: 7, ephemeral_1h_input_tokens: 0 },
    output_tokens: 200,
    service_tier: 'batch',
    inference_geo: 'not_available',
    iterations: [],
  }),
  message(
    'claude-sonnet-4-20250514',
    { input_tokens: 250_000, cache_read_input_tokens: 30_000, output_tokens: 5, server_tool_use: null },
    {
      content: [
        { type: 'text', text: '{"usage":{"input_tokens":99}} \\ " \n {[ "usage": é ' },
        { type: 'tool_use', input: { usage: { input_tokens: 77 }, model: 'none' } },
      ],
    },
  ),
  { custom_id: 'r', result: { type: 'errored', error: { type: 'error', error: { type: 'api_error' } } } },
  body('gpt-4o', {
    prompt_tokens: 9,
    completion_tokens: 2,
    prompt_tokens_details: { cached_tokens: 3, audio_tokens: 0 },
  }),
  { custom_id: 'r', response: { status_code: 400, body: { error: { message: 'no "usage": here' } } }, error: null },
  gemini('gemini-2.5-flash', {
    promptTokenCount: 40_000,
    candidatesTokenCount: 6,
    promptTokensDetails: [
      { modality: 'TEXT', tokenCount: 30_000 },
      { modality: 'AUDIO', tokenCount: 10_000 },
    ],
  }),
]

describe('the sums of a result file', () => {
  it('are those of its lines, wherever it is cut', () => {
    const text = Buffer.from(`${file(FORMS)}\n`)
    const expected = sumsOfLines(FORMS)
    expect(Object.keys(expected.groups)).toHaveLength(4)
    const all = inFengari(usageLinesProgram(text, 'every'))
    expect(all).toHaveLength(text.length - 1)
    for (const sums of all) expect(sums).toEqual(expected)
  })

  it('are the same for any lines and any chunks, with a last line that has no end and with CRLF', () => {
    const count = fc.integer({ min: 0, max: 300_000 })
    const line = fc.oneof(
      fc
        .tuple(fc.constantFrom('a', 'b'), count, count, fc.string({ unit: 'binary' }))
        .map(([model, input, output, text]) =>
          message(model, { input_tokens: input, output_tokens: output }, { content: [{ type: 'text', text }] }),
        ),
      fc.tuple(count, fc.json()).map(([prompt, json]) => ({
        ...body('gpt', { prompt_tokens: prompt, completion_tokens: 1, details: { x: 2 } }),
        metadata: JSON.parse(json),
      })),
      fc.constantFrom(...FORMS),
    )
    const cuts = fc.array(fc.nat(20_000), { maxLength: 30 })
    const ends = fc.constantFrom('\n', '\r\n', '\n\n')
    fc.assert(
      fc.property(fc.array(line, { minLength: 1, maxLength: 12 }), cuts, ends, (lines, places, end) => {
        const text = Buffer.from(lines.map((item) => JSON.stringify(item)).join(end))
        const within = [...new Set(places.map((at) => at % text.length))].toSorted((a, b) => a - b)
        expect(inFengari(usageLinesProgram(text, [within, []]))).toEqual([sumsOfLines(lines), sumsOfLines(lines)])
      }),
      { numRuns: 60 },
    )
  })

  it('never raise, and never count what is no JSON object, whatever bytes come', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: fc.constantFrom(...'{}[]":,\\ 1au\n') })), fc.nat(50), (pieces, cut) => {
        const text = `{"custom_id":1}\n${pieces.join('"usage":{')}`
        const sums = read(text, [Math.min(cut, text.length - 1)])
        expect(sums.off).toBe(false)
        const bad = text.split('\n').filter((line) => {
          try {
            return line.trim() !== '' && object(JSON.parse(line)) === undefined
          } catch {
            return false
          }
        })
        expect(sums.skipped).toBeGreaterThanOrEqual(bad.length)
      }),
      { numRuns: 100 },
    )
  })
})

const object = (value: unknown) =>
  value !== null && typeof value === 'object' && !Array.isArray(value) ? value : undefined
const GOOD = message('m', { input_tokens: 1, output_tokens: 1 })

describe('what is not the whole is told', () => {
  it.each([
    ['a broken line', '{"custom_id":"r","result":{"message":{"usage":{"input_tokens":5}'],
    ['a line that is no object', '"usage"'],
    ['a line over 256 KB', JSON.stringify(message('m', { input_tokens: 5 }, { content: 'x'.repeat(262_144) }))],
    ['a model of 257 bytes', JSON.stringify(message('m'.repeat(257), { input_tokens: 5 }))],
  ])('%s is skipped', (_name, bad) => {
    const sums = read(
      `${file([GOOD])}\n${bad}\n${file([GOOD])}\n`,
      [700, 1400, 5000, 200_000].filter((at) => at < bad.length),
    )
    expect(sums).toMatchObject({ lines: 2, skipped: 1, groups: { 'm 0': { lines: 2, sums: { input_tokens: 2 } } } })
  })

  it.each([
    ['a negative count', { input_tokens: 5, output_tokens: -1 }],
    ['a dearer place', { input_tokens: 5, inference_geo: 'us' }],
    ['a dearer speed', { input_tokens: 5, speed: 'fast' }],
    ['several passes', { input_tokens: 5, iterations: [{ type: 'message' }, { type: 'message' }] }],
    ['a pass of another model', { input_tokens: 5, iterations: [{ type: 'advisor_message', input_tokens: 3 }] }],
    [
      'more keys than there is room for',
      Object.fromEntries(['input_tokens', ...'x'.repeat(40)].map((k, n) => [n === 0 ? k : `k${n}`, 5])),
    ],
  ])('%s: the line is summed as far as it goes, and counted as not read', (_name, usage) => {
    expect(read(file([GOOD, message('m', usage)]))).toMatchObject({
      lines: 2,
      skipped: 1,
      groups: { 'm 0': { lines: 2, sums: { input_tokens: 6 } } },
    })
  })

  it('models beyond 64 groups', () => {
    const lines = Array.from({ length: 70 }, (_, n) => message(`m${n}`, { input_tokens: 1 }))
    const sums = read(file(lines))
    expect(sums).toMatchObject({ lines: 64, skipped: 6 })
    expect(Object.keys(sums.groups)).toHaveLength(64)
  })
})

it.each([
  ['one document over many lines', JSON.stringify(GOOD, null, 2)],
  ['a list', '[\n{"usage":{}}\n]'],
  ['text', 'usage\n{}\n'],
])('%s is no result file', (_name, text) => expect(read(text)).toMatchObject({ off: true, lines: 0 }))
