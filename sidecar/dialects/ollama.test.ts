import { describe, expect, it } from 'vitest'
import { contradictionsOfCuts, failuresOfGarbage, garbled } from '../testing/damage.ts'
import { makeExchange } from '../testing/make-exchange.ts'
import type { Exchange } from './dialect.ts'
import { read } from './index.ts'

const place = { host: '127.0.0.1', path: '/api/chat' }
const request = {
  model: 'qwen3',
  messages: [
    { role: 'system', content: 'Be terse' },
    { role: 'user', content: 'Weather?' },
  ],
  options: { num_predict: 50, temperature: 0.5, top_p: 0.9, top_k: 5, seed: 7 },
}
const numbers = {
  total_duration: 4_353_619_900,
  load_duration: 63_915_300,
  prompt_eval_count: 21,
  prompt_eval_cached_count: 16,
  prompt_eval_duration: 246_847_000,
  eval_count: 17,
  eval_duration: 4_032_296_000,
}
const calls = [{ function: { name: 'look', arguments: { a: 1 } } }]
const answer = {
  model: 'qwen3:latest',
  created_at: '2026-05-24T21:02:00.7Z',
  message: { role: 'assistant', content: 'Sunny', thinking: 'Hm', tool_calls: calls },
  done: true,
  done_reason: 'stop',
  ...numbers,
}
const whole = (changes: object = {}, overrides: Partial<Exchange> = {}) =>
  read(makeExchange(request, { ...answer, ...changes }, { ...place, ...overrides }))

const piece = (message: object) => ({ model: 'qwen3:latest', message: { role: 'assistant', ...message }, done: false })
const lines = [
  piece({ content: '', thinking: 'H' }),
  piece({ content: '', thinking: 'm' }),
  piece({ content: 'Sun' }),
  piece({ content: '', tool_calls: calls }),
  piece({ content: 'ny' }),
  { ...answer, message: { role: 'assistant', content: '' } },
]
const asLines = (items: readonly unknown[]) => items.map((item) => `${JSON.stringify(item)}\n`).join('')
const exchangeOf = (items: readonly unknown[], overrides: Partial<Exchange> = {}) =>
  makeExchange(request, asLines(items), {
    ...place,
    responseHeaders: { 'content-type': 'application/x-ndjson' },
    ...overrides,
  })
const parts = [
  { type: 'reasoning', content: 'Hm' },
  { type: 'text', content: 'Sunny' },
  { type: 'tool_call', name: 'look', arguments: '{"a":1}' },
]

describe('chat', () => {
  it('whole is read in full, with the prompt that its cache had', () => {
    expect(whole()).toMatchObject({
      dialect: 'ollama',
      operation: 'chat',
      stream: false,
      requestModel: 'qwen3',
      responseModel: 'qwen3:latest',
      finishReasons: ['stop'],
      parameters: { maxTokens: 50, temperature: 0.5, topP: 0.9, topK: 5, seed: 7 },
      counts: { input: 21, output: 17, cacheRead: 16 },
      usage: { input: 5, cache_read: 16, output: 17 },
      usageSource: 'provider',
      rawUsage: numbers,
      content: { system: 'Be terse', input: [{ role: 'user' }], output: [{ parts, finishReason: 'stop' }] },
    })
  })

  it('streamed says the same, also where one line is all', () => {
    const { counts, usageSource, finishReasons, responseModel } = whole()
    const reading = read(exchangeOf(lines))
    expect(reading).toMatchObject({ stream: true, counts, usageSource, finishReasons, responseModel })
    expect(reading.content?.output?.[0]?.parts).toEqual(parts)
    expect(read(exchangeOf(lines.slice(-1)))).toMatchObject({ stream: true, counts, usageSource })
  })

  it('cut anywhere claims no other numbers', () => {
    expect(contradictionsOfCuts(makeExchange(request, answer, place))).toEqual([])
    expect(contradictionsOfCuts(exchangeOf(lines))).toEqual([])
    expect(read(exchangeOf(lines.slice(0, 3), { responseComplete: false }))).toMatchObject({
      usage: {},
      usageSource: 'unknown',
      usageReason: 'stream_cut',
    })
  })

  it('without its middle reads the end, and marks the gap', () => {
    const text = asLines(lines)
    const tailAt = text.indexOf('"ny"') - 90
    const cut = { responseBody: Buffer.from(text.slice(0, 320)), responseTail: Buffer.from(text.slice(tailAt)) }
    const reading = read(exchangeOf([], cut))
    expect(reading).toMatchObject({ counts: { input: 21, output: 17 }, usageSource: 'provider' })
    expect(JSON.stringify(reading.content?.output)).toContain('[…]')
    const body = JSON.stringify({ ...answer, message: { content: 'says "done": true. '.repeat(40) } })
    const kept = { responseBody: Buffer.from(body.slice(0, 120)), responseTail: Buffer.from(body.slice(-400)) }
    expect(whole({}, kept)).toMatchObject({
      counts: { input: 21, output: 17 },
      usageSource: 'provider',
      finishReasons: ['stop'],
    })
  })

  it('of older versions leaves the prompt out where their cache had it', () => {
    expect(whole({ prompt_eval_count: undefined, prompt_eval_cached_count: undefined })).toMatchObject({
      usage: { output: 17 },
      usageSource: 'provider',
      usageReason: 'prompt_not_counted',
    })
  })

  it('that fails tells the error, before the first word and after', () => {
    const error = { error: 'the model failed to generate a response' }
    const failed = { usage: {}, error: { message: error.error } }
    expect(read(makeExchange(request, error, { ...place, status: 404 }))).toMatchObject({
      ...failed,
      usageSource: 'none',
    })
    expect(read(exchangeOf([...lines.slice(0, 3), error]))).toMatchObject({
      ...failed,
      usageSource: 'unknown',
      usageReason: 'stream_error',
    })
    expect(read(exchangeOf([error]))).toMatchObject({ ...failed, usageSource: 'none' })
    expect(read(makeExchange(request, undefined, place)).usageReason).toBe('no_body')
  })

  it('that only loads a model or unloads it uses nothing', () => {
    for (const done_reason of ['load', 'unload']) {
      const loaded = { model: 'qwen3', message: { role: 'assistant', content: '' }, done: true, done_reason }
      expect(read(makeExchange({ model: 'qwen3' }, loaded, place))).toMatchObject({ usage: {}, usageSource: 'none' })
    }
    expect(whole({ eval_count: undefined, prompt_eval_count: undefined })).toMatchObject({
      usage: {},
      usageSource: 'unknown',
      usageReason: 'body_without_usage',
    })
  })
})

it('generate is read with its prompt and its thoughts', () => {
  const generated = { model: 'llama3', response: 'Sunny', thinking: 'Hm', done: true, context: [1, 2, 3], ...numbers }
  const exchange = makeExchange({ model: 'llama3', prompt: 'Weather?' }, generated, { ...place, path: '/api/generate' })
  expect(read(exchange)).toMatchObject({
    operation: 'text_completion',
    counts: { input: 21, output: 17 },
    content: {
      input: [{ parts: [{ content: 'Weather?' }] }],
      output: [{ parts: [{ content: 'Hm' }, { content: 'Sunny' }] }],
    },
  })
  expect(contradictionsOfCuts(exchange)).toEqual([])
})

describe('embeddings', () => {
  const vectors = {
    model: 'e',
    embeddings: [Array.from({ length: 40 }, () => 0.5)],
    total_duration: 9,
    prompt_eval_count: 8,
  }
  const exchange = makeExchange({ model: 'e', input: ['a', 'b'] }, vectors, { ...place, path: '/api/embed' })
  it('have input alone; the old ones say nothing', () => {
    expect(read(exchange)).toMatchObject({
      operation: 'embeddings',
      usage: { input: 8 },
      usageSource: 'provider',
      content: { input: [{ parts: [{ content: 'a' }] }, { parts: [{ content: 'b' }] }] },
    })
    const old = makeExchange({ model: 'e', prompt: 'a' }, { embedding: [0.5] }, { ...place, path: '/api/embeddings' })
    expect(read(old)).toMatchObject({ usage: {}, usageReason: 'body_without_usage' })
  })
  it('cut anywhere claim no other numbers; their end is enough', () => {
    expect(contradictionsOfCuts(exchange)).toEqual([])
    const text = JSON.stringify(vectors)
    const cut = { responseBody: Buffer.from(text.slice(0, 60)), responseTail: Buffer.from(text.slice(-60)) }
    expect(read({ ...exchange, ...cut })).toMatchObject({ usage: { input: 8 }, usageSource: 'provider' })
  })
})

it('with values of any type never throws', () => {
  expect(failuresOfGarbage(garbled(answer).map((body) => makeExchange(request, body, place)))).toEqual([])
  expect(failuresOfGarbage(garbled(request).map((body) => makeExchange(body, answer, place)))).toEqual([])
  const streams = lines.flatMap((line, at) =>
    garbled(line).map((other) => exchangeOf([...lines.slice(0, at), other, answer])),
  )
  expect(failuresOfGarbage(streams)).toEqual([])
})
