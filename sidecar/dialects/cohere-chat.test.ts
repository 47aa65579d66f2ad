import { describe, expect, it } from 'vitest'
import { contradictionsOfCuts, failuresOfGarbage, garbled } from '../testing/damage.ts'
import { makeExchange, makeStream } from '../testing/make-exchange.ts'
import type { Exchange } from './dialect.ts'
import { read } from './index.ts'

const place = { host: 'api.cohere.com', path: '/v2/chat' }
const request = {
  model: 'command-a-03-2025',
  messages: [
    { role: 'system', content: 'Be terse' },
    { role: 'user', content: [{ type: 'text', text: 'Weather?' }, { type: 'image_url' }] },
  ],
  max_tokens: 100,
  p: 0.9,
  k: 5,
  stop_sequences: ['END'],
  response_format: { type: 'json_object' },
}
const usage = {
  billed_units: { input_tokens: 12, output_tokens: 57 },
  tokens: { input_tokens: 212, output_tokens: 60, reasoning_tokens: 20 },
  cached_tokens: 208,
}
const answer = {
  id: 'c-1',
  message: {
    role: 'assistant',
    tool_plan: 'I will look.',
    content: [
      { type: 'thinking', thinking: 'Hm' },
      { type: 'text', text: 'Sunny' },
    ],
    tool_calls: [{ id: 't1', type: 'function', function: { name: 'look', arguments: '{"a":1}' } }],
  },
  finish_reason: 'COMPLETE',
  usage,
}
const whole = (changes: object = {}, overrides: Partial<Exchange> = {}) =>
  read(makeExchange(request, { ...answer, ...changes }, { ...place, ...overrides }))

const delta = (type: string, message: object, index = 0) => ({ type, index, delta: { message } })
const events = [
  { id: 'c-1', type: 'message-start', delta: { message: { role: 'assistant', content: [], tool_plan: '' } } },
  delta('tool-plan-delta', { tool_plan: 'I will ' }),
  delta('tool-plan-delta', { tool_plan: 'look.' }),
  delta('tool-call-start', { tool_calls: { id: 't1', type: 'function', function: { name: 'look', arguments: '' } } }),
  delta('tool-call-delta', { tool_calls: { function: { arguments: '{"a":' } } }),
  delta('tool-call-delta', { tool_calls: { function: { arguments: '1}' } } }),
  { type: 'tool-call-end', index: 0 },
  delta('content-start', { content: { type: 'text', text: '' } }),
  delta('content-delta', { content: { thinking: 'Hm' } }),
  delta('content-delta', { content: { text: 'Sun' } }),
  delta('content-delta', { content: { text: 'ny' } }),
  { type: 'content-end', index: 0 },
]
const end = { type: 'message-end', delta: { finish_reason: 'COMPLETE', usage } }
const exchangeOf = (items: readonly unknown[], overrides: Partial<Exchange> = {}) =>
  makeExchange({ ...request, stream: true }, makeStream(items, true), { ...place, ...overrides })
const streamed = (items: readonly unknown[], overrides: Partial<Exchange> = {}) => read(exchangeOf(items, overrides))

const output = [
  {
    role: 'assistant',
    parts: [
      { type: 'reasoning', content: 'I will look.Hm' },
      { type: 'text', content: 'Sunny' },
      { type: 'tool_call', id: 't1', name: 'look', arguments: '{"a":1}' },
    ],
    finishReason: 'COMPLETE',
  },
]

describe('v2', () => {
  it('whole bills its billed units, not its tokens', () => {
    const reading = whole()
    expect(reading).toMatchObject({
      dialect: 'cohere-chat',
      operation: 'chat',
      stream: false,
      requestModel: 'command-a-03-2025',
      responseId: 'c-1',
      finishReasons: ['COMPLETE'],
      parameters: { maxTokens: 100, topP: 0.9, topK: 5, stopSequences: ['END'], outputType: 'json' },
      usage: { input: 12, output: 37, output_reasoning: 20 },
      usageSource: 'provider',
      rawUsage: usage,
      guardrails: [],
      billable: true,
      content: {
        system: 'Be terse',
        input: [{ role: 'user', parts: [{ content: 'Weather?' }, { type: 'other', kind: 'image' }] }],
      },
    })
    expect(reading.counts.cacheRead).toBeUndefined()
    const parts = reading.content?.output?.[0]?.parts
    expect(parts?.map(({ type }) => type)).toEqual(['reasoning', 'reasoning', 'text', 'tool_call'])
  })

  it('streamed says the same', () => {
    const reading = streamed([...events, end, '[DONE]'])
    const { counts, usageSource, responseId, finishReasons } = whole()
    expect(reading).toMatchObject({ stream: true, counts, usageSource, responseId, finishReasons })
    expect(reading.content?.output).toEqual(output)
  })

  it('cut anywhere claims no other numbers', () => {
    expect(contradictionsOfCuts(makeExchange(request, answer, place))).toEqual([])
    expect(contradictionsOfCuts(exchangeOf([...events, end]))).toEqual([])
  })

  it('without its middle reads the end, and marks the gap', () => {
    const text = JSON.stringify({ ...answer, message: { ...answer.message, content: 'x'.repeat(900) } })
    const cut = { responseBody: Buffer.from(text.slice(0, 90)), responseTail: Buffer.from(text.slice(-400)) }
    expect(whole({}, cut)).toMatchObject({
      counts: { input: 12, output: 57 },
      usageSource: 'provider',
      finishReasons: ['COMPLETE'],
    })
    const stream = makeStream([...events, end], true)
    const at = stream.indexOf('ny"')
    const gap = {
      responseBody: Buffer.from(stream.slice(0, at - 140)),
      responseTail: Buffer.from(stream.slice(at - 60)),
    }
    const reading = streamed([], gap)
    expect(reading).toMatchObject({ counts: { input: 12, output: 57 }, usageSource: 'provider' })
    expect(JSON.stringify(reading.content?.output)).toContain('[…]')
    expect(reading.content?.truncated).toBe(true)
  })

  it('that was hung up on is a cut stream; one that never says its usage is none', () => {
    expect(streamed(events, { responseComplete: false })).toMatchObject({
      usage: {},
      usageSource: 'unknown',
      usageReason: 'stream_cut',
    })
    const silent = { type: 'message-end', delta: { finish_reason: 'COMPLETE' } }
    expect(streamed([...events, silent])).toMatchObject({ usage: {}, usageReason: 'stream_without_usage' })
    for (const none of [{ usage: {} }, { usage: null }, { usage: { tokens: { input_tokens: 9, output_tokens: 9 } } }])
      expect(whole(none)).toMatchObject({ usage: {}, usageSource: 'unknown', usageReason: 'body_without_usage' })
  })

  it('of a failed generation tells the error, and that something was generated', () => {
    const failed = {
      type: 'message-end',
      delta: {
        finish_reason: 'ERROR',
        usage: {},
        error: 'invalid tool generation',
        error_type: 'INVALID_TOOL_GENERATION',
      },
    }
    expect(streamed([...events.slice(0, 3), failed])).toMatchObject({
      usage: {},
      usageSource: 'unknown',
      usageReason: 'stream_error',
      finishReasons: ['ERROR'],
      error: { type: 'INVALID_TOOL_GENERATION', message: 'invalid tool generation' },
    })
    expect(streamed([failed])).toMatchObject({ usage: {}, usageSource: 'none' })
  })

  it('refused is free', () => {
    const refusal = { id: 'e-1', error_type: 'TOO_MANY_TOKENS', message: 'too many tokens' }
    expect(read(makeExchange(request, refusal, { ...place, status: 400 }))).toMatchObject({
      usage: {},
      usageSource: 'none',
      error: { type: 'TOO_MANY_TOKENS', message: 'too many tokens' },
    })
    expect(read(makeExchange(request, { message: 'no key' }, { ...place, status: 401 })).error).toEqual({
      type: '401',
      message: 'no key',
    })
    expect(read(makeExchange(request, undefined, place)).usageReason).toBe('no_body')
  })

  it('of tokens of images bills them as images', () => {
    const billed = { input_tokens: 8, image_tokens: 259, output_tokens: 52 }
    expect(whole({ usage: { billed_units: billed } }).usage).toEqual({ input: 8, input_image: 259, output: 52 })
  })

  it('with values of any type never throws', () => {
    expect(failuresOfGarbage(garbled(answer).map((body) => makeExchange(request, body, place)))).toEqual([])
    expect(failuresOfGarbage(garbled(request).map((body) => makeExchange(body, answer, place)))).toEqual([])
    const streams = [...events, end].flatMap((event, at) =>
      garbled(event).map((other) => makeExchange(request, makeStream([...events.slice(0, at), other, end]), place)),
    )
    expect(failuresOfGarbage(streams)).toEqual([])
  })
})

describe('v1', () => {
  const v1 = { ...place, path: '/v1/chat' }
  const old = {
    model: 'command-r',
    preamble: 'Be terse',
    chat_history: [{ role: 'CHATBOT', message: 'Hello' }],
    message: 'Weather?',
  }
  const meta = { api_version: { version: '1' }, billed_units: { input_tokens: 7, output_tokens: 15 } }
  const body = {
    response_id: 'r-1',
    generation_id: 'g-1',
    text: 'Sunny',
    tool_calls: [{ name: 'look', parameters: { a: 1 } }],
    finish_reason: 'COMPLETE',
    meta,
  }
  const lines = [
    { is_finished: false, event_type: 'stream-start', generation_id: 'g-1' },
    { is_finished: false, event_type: 'tool-calls-chunk', text: 'I will look.' },
    { is_finished: false, event_type: 'tool-calls-generation', tool_calls: body.tool_calls },
    { is_finished: false, event_type: 'text-generation', text: 'Sun' },
    { is_finished: false, event_type: 'text-generation', text: 'ny' },
    { is_finished: true, event_type: 'stream-end', response: body, finish_reason: 'COMPLETE' },
  ]
  const asLines = (items: readonly unknown[]) => items.map((item) => `${JSON.stringify(item)}\n`).join('')
  const lined = (items: readonly unknown[]) =>
    makeExchange({ ...old, stream: true }, asLines(items), {
      ...v1,
      responseHeaders: { 'content-type': 'application/stream+json' },
    })

  it('whole, in lines and in events says the same', () => {
    const want = {
      dialect: 'cohere-chat',
      responseId: 'r-1',
      usage: { input: 7, output: 15 },
      usageSource: 'provider',
      finishReasons: ['COMPLETE'],
      content: { system: 'Be terse', input: [{ role: 'chatbot' }, { role: 'user', parts: [{ content: 'Weather?' }] }] },
    }
    const inLines = read(lined(lines))
    expect(read(makeExchange(old, body, v1))).toMatchObject({ ...want, stream: false })
    expect(inLines).toMatchObject({ ...want, stream: true })
    expect(read(makeExchange(old, makeStream(lines), v1))).toMatchObject({ ...want, stream: true })
    expect(inLines.content?.output?.[0]?.parts).toEqual([
      { type: 'reasoning', content: 'I will look.' },
      { type: 'text', content: 'Sunny' },
      { type: 'tool_call', name: 'look', arguments: '{"a":1}' },
    ])
  })

  it('cut anywhere claims no other numbers; its end is enough', () => {
    expect(contradictionsOfCuts(makeExchange(old, body, v1))).toEqual([])
    expect(contradictionsOfCuts(lined(lines))).toEqual([])
    const text = JSON.stringify(body)
    const cut = { responseBody: Buffer.from(text.slice(0, 30)), responseTail: Buffer.from(text.slice(-150)) }
    expect(read(makeExchange(old, undefined, { ...v1, ...cut }))).toMatchObject({
      usage: { input: 7, output: 15 },
      usageSource: 'provider',
    })
  })

  it('stopped for toxicity is a guardrail event', () => {
    const guardrails = [{ guardrail: 'cohere.toxic', stage: 'output', action: 'blocked', reason: 'ERROR_TOXIC' }]
    expect(read(makeExchange(old, { ...body, finish_reason: 'ERROR_TOXIC' }, v1)).guardrails).toEqual(guardrails)
    const generate = { id: 'g', generations: [{ id: 'x', text: 'hi', finish_reason: 'ERROR_TOXIC' }], meta }
    expect(read(makeExchange({ prompt: 'x' }, generate, { ...place, path: '/v1/generate' }))).toMatchObject({
      operation: 'text_completion',
      usage: { input: 7, output: 15 },
      guardrails,
    })
  })

  it('generate streams without event types, also at its oldest path', () => {
    const pieces = [
      { text: 'Sun', is_finished: false },
      { text: 'ny', is_finished: false },
      { is_finished: true, finish_reason: 'COMPLETE', response: { id: 'g', meta } },
    ]
    const exchange = { ...lined(pieces), path: '/generate' }
    expect(read(exchange)).toMatchObject({
      dialect: 'cohere-chat',
      usage: { input: 7, output: 15 },
      content: { output: [{ parts: [{ type: 'text', content: 'Sunny' }] }] },
    })
    expect(contradictionsOfCuts(exchange)).toEqual([])
  })

  it('before billed units were said has none', () => {
    const silent = { ...body, meta: { api_version: { version: '1' } }, token_count: { billed_tokens: 9 } }
    expect(read(makeExchange(old, silent, v1))).toMatchObject({ usage: {}, usageReason: 'body_without_usage' })
    expect(failuresOfGarbage(garbled(body).map((other) => makeExchange(old, other, v1)))).toEqual([])
    expect(failuresOfGarbage(garbled(lines[5]).map((other) => lined([...lines.slice(0, 5), other])))).toEqual([])
  })
})
