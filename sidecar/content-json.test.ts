import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Content } from './call.ts'
import { contentJson, textJson } from './content-json.ts'
import { GOLDEN_CALLS } from './testing/golden-calls.ts'

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom('a', '"', '\\', '\n', '\u0000', '\ud800', '😀') }),
)
const optional = { requiredKeys: [] }
const part = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant('text'), content: text }) },
  // As nobody makes them here, but JSON carries them.
  fc.record({ content: text, type: fc.constant('text') }),
  fc.record({ type: fc.constant('text'), content: text, more: fc.jsonValue() }),
  fc.record({ type: fc.constant('reasoning'), content: text }),
  fc.record({ type: fc.constant('tool_call'), name: text, arguments: text }),
)
const message = fc.oneof(
  fc.record({
    role: text,
    parts: fc.array(part, { minLength: 1, maxLength: 1 }),
    finishReason: fc.option(text, { nil: undefined }),
  }),
  fc.record({ role: text, parts: fc.array(part, { minLength: 1, maxLength: 1 }) }),
  fc.record({ parts: fc.array(part, { maxLength: 2 }), role: text }),
)
const messages = fc.oneof({ weight: 5, arbitrary: fc.array(message, { maxLength: 3 }) }, fc.constant(undefined))
const content = fc
  .oneof(
    fc.record({ system: text, input: messages, output: messages, tools: text, truncated: fc.boolean() }, optional),
    fc.record({ truncated: fc.constant(true), output: messages, input: messages }, optional),
  )
  .map((value) => value as unknown as Content)

describe('the JSON of content', () => {
  it('is that of JSON.stringify, for any', () => {
    let plain = 0
    fc.assert(
      fc.property(content, (given) => {
        expect(contentJson(given)).toBe(JSON.stringify(given))
        if (given.input?.length && given.input.every(({ parts }) => parts[0]?.type === 'text')) plain++
      }),
      { numRuns: 2000 },
    )
    expect(plain).toBeGreaterThan(50)
  })

  it.each(Object.entries(GOLDEN_CALLS).filter(([, call]) => call.content !== undefined))('is that, of %s', (_, call) =>
    expect(contentJson(call.content!)).toBe(JSON.stringify(call.content)),
  )

  it('gives a text again as it was', () => {
    const owner = { content: 'say "hello"\n' }
    expect(textJson(owner)).toBe('"say \\"hello\\"\\n"')
    expect(textJson(owner)).toBe(textJson(owner))
  })
})
