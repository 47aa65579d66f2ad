import { describe, expect, it } from 'vitest'
import { contradictionsOfCuts, failuresOfGarbage, garbled } from '../testing/damage.ts'
import { makeExchange, makeStream } from '../testing/make-exchange.ts'
import type { Exchange } from './dialect.ts'
import { read } from './index.ts'

const place = { host: 'us-south.ml.cloud.ibm.com', path: '/ml/v1/text/generation' }
const request = {
  model_id: 'ibm/granite-13b',
  input: 'Weather?',
  parameters: { max_new_tokens: 50, temperature: 0.5, top_p: 0.9, top_k: 5, random_seed: 7 },
}
const result = { generated_text: 'Sunny', generated_token_count: 5, input_token_count: 8, stop_reason: 'eos_token' }
const answer = { model_id: 'ibm/granite-13b', created_at: '2026-03-10T14:39:21Z', results: [result] }
const whole = (changes: object = {}, overrides: Partial<Exchange> = {}) =>
  read(makeExchange(request, { ...answer, results: [{ ...result, ...changes }] }, { ...place, ...overrides }))

const event = (changes: object) => ({ ...answer, results: [{ ...result, ...changes }] })
const going = (generated_text: string, generated_token_count: number, input_token_count = 0) =>
  event({ generated_text, generated_token_count, input_token_count, stop_reason: 'not_finished' })
const events = [going('', 0, 8), going('Sun', 3), going('ny', 4), event({ generated_text: '', input_token_count: 0 })]
const exchangeOf = (items: readonly unknown[], overrides: Partial<Exchange> = {}) =>
  makeExchange(request, `id: 1\nevent: message\n${makeStream(items)}`, {
    ...place,
    path: '/ml/v1/text/generation_stream',
    ...overrides,
  })

describe('generation', () => {
  it('whole is read in full', () => {
    expect(whole()).toMatchObject({
      dialect: 'watsonx',
      operation: 'text_completion',
      stream: false,
      requestModel: 'ibm/granite-13b',
      responseModel: 'ibm/granite-13b',
      finishReasons: ['eos_token'],
      parameters: { maxTokens: 50, temperature: 0.5, topP: 0.9, topK: 5, seed: 7 },
      counts: { input: 8, output: 5 },
      usageSource: 'provider',
      guardrails: [],
      content: { input: [{ parts: [{ content: 'Weather?' }] }], output: [{ parts: [{ content: 'Sunny' }] }] },
    })
  })

  it.each(['/ml/v1-beta/generation/text', '/ml/v1/deployments/d-1/text/generation', '/ml/v1/text/generation'])(
    'is known at %s, streamed too',
    (path) => {
      expect(whole({}, { path })).toMatchObject({ dialect: 'watsonx', usageSource: 'provider' })
      expect(read(exchangeOf(events, { path: `${path}_stream` }))).toMatchObject({ counts: { input: 8, output: 5 } })
    },
  )

  it('streamed says the same: the prompt in the first event, the output so far in each', () => {
    const { counts, usageSource, finishReasons, content } = whole()
    expect(read(exchangeOf(events))).toMatchObject({ stream: true, counts, usageSource, finishReasons, content })
  })

  it('cut anywhere claims no other numbers', () => {
    expect(contradictionsOfCuts(makeExchange(request, answer, place))).toEqual([])
    expect(contradictionsOfCuts(exchangeOf(events))).toEqual([])
    for (const stop_reason of ['not_finished', 'NOT_FINISHED']) {
      const cut = [...events.slice(0, 2), event({ stop_reason, generated_token_count: 4, input_token_count: 0 })]
      expect(read(exchangeOf(cut, { responseComplete: false }))).toMatchObject({
        counts: { input: 8, output: 4 },
        usageSource: 'partial',
        usageReason: 'stream_cut',
      })
    }
  })

  it('without its middle reads the end, and marks the gap', () => {
    const [text, end] = [makeStream(events.slice(0, 2)), makeStream(events.slice(1))]
    const cut = { responseBody: Buffer.from(text), responseTail: Buffer.from(end) }
    const reading = read(exchangeOf([], cut))
    expect(reading).toMatchObject({ counts: { input: 8, output: 5 }, usageSource: 'provider' })
    expect(reading.content?.output?.[0]?.parts).toEqual([{ type: 'text', content: 'Sun[…]ny' }])
    const startless = { responseBody: Buffer.from(': ping\n\n'), responseTail: Buffer.from(`\n\n${end}`) }
    expect(read(exchangeOf([], startless))).toMatchObject({ usage: { output: 5 }, usageSource: 'partial' })
  })

  it('refused, failed in a stream, or without counts', () => {
    const errors = { errors: [{ code: 'model_not_supported', message: 'no such model' }], trace: 't' }
    const error = { type: 'model_not_supported', message: 'no such model' }
    expect(read(makeExchange(request, errors, { ...place, status: 404 }))).toMatchObject({ usageSource: 'none', error })
    expect(read(exchangeOf([errors]))).toMatchObject({ usage: {}, usageSource: 'none', error })
    expect(read(exchangeOf([...events.slice(0, 2), errors]))).toMatchObject({ usageReason: 'stream_error', error })
    expect(whole({ generated_token_count: null, input_token_count: null })).toMatchObject({
      usage: {},
      usageSource: 'unknown',
      usageReason: 'body_without_usage',
    })
  })

  it('says what its detectors found', () => {
    const found = { score: 0.9, position: { start: 0, end: 4 }, entity: 'has_HAP' }
    expect(whole({ moderations: { hap: [{ ...found, input: true }, found], pii: [] } }).guardrails).toEqual([
      { guardrail: 'watsonx.hap', stage: 'input', action: 'flagged' },
      { guardrail: 'watsonx.hap', stage: 'output', action: 'flagged' },
    ])
  })

  it('with values of any type never throws', () => {
    expect(failuresOfGarbage(garbled(answer).map((body) => makeExchange(request, body, place)))).toEqual([])
    expect(failuresOfGarbage(garbled(request).map((body) => makeExchange(body, answer, place)))).toEqual([])
    const streams = garbled(events[1]).map((other) => exchangeOf([events[0], other, events[3]]))
    expect(failuresOfGarbage(streams)).toEqual([])
    const moderated = garbled({ results: [{ moderations: { hap: [{ input: true }] } }] })
    expect(failuresOfGarbage(moderated.map((body) => makeExchange(request, body, place)))).toEqual([])
  })
})

it('chat speaks OpenAI’s format', () => {
  const chat = { model_id: 'ibm/granite-3', messages: [{ role: 'user', content: 'Weather?' }] }
  const usage = { prompt_tokens: 9, completion_tokens: 4, total_tokens: 13 }
  const said = { choices: [{ index: 0, message: { content: 'Sunny' }, finish_reason: 'stop' }], usage }
  expect(read(makeExchange(chat, said, { ...place, path: '/ml/v1/text/chat' }))).toMatchObject({
    dialect: 'watsonx',
    operation: 'chat',
    requestModel: 'ibm/granite-3',
    counts: { input: 9, output: 4 },
    usageSource: 'provider',
  })
  const chunks = [
    { choices: [{ index: 0, delta: { content: 'Sunny' }, finish_reason: 'stop' }] },
    { choices: [], usage },
  ]
  const streamed = makeExchange(chat, makeStream(chunks), { ...place, path: '/ml/v1/text/chat_stream' })
  expect(read(streamed)).toMatchObject({ stream: true, counts: { input: 9, output: 4 }, usageSource: 'provider' })
  expect(contradictionsOfCuts(streamed)).toEqual([])
})

describe('what counts its input alone', () => {
  const vectors = {
    model_id: 'e',
    results: [{ embedding: Array.from({ length: 40 }, () => 0.5) }],
    input_token_count: 10,
  }
  const embeddings = makeExchange({ model_id: 'e', inputs: ['a', 'b'] }, vectors, {
    ...place,
    path: '/ml/v1/text/embeddings',
  })
  it('is embeddings and reranking', () => {
    expect(read(embeddings)).toMatchObject({
      dialect: 'watsonx',
      operation: 'embeddings',
      usage: { input: 10 },
      usageSource: 'provider',
      content: { input: [{ parts: [{ content: 'a' }] }, { parts: [{ content: 'b' }] }] },
    })
    const ranked = { model_id: 'cross-encoder', results: [{ index: 0, score: 2.9 }], input_token_count: 20 }
    const rerank = makeExchange({ query: 'q', inputs: [{ text: 'a' }] }, ranked, {
      ...place,
      path: '/ml/v1/text/rerank',
    })
    expect(read(rerank)).toMatchObject({
      dialect: 'watsonx',
      operation: 'rerank',
      usage: { input: 20 },
      usageSource: 'provider',
    })
  })
  it('cut anywhere claims no other numbers; its end is enough', () => {
    expect(contradictionsOfCuts(embeddings)).toEqual([])
    const text = JSON.stringify(vectors)
    const cut = { responseBody: Buffer.from(text.slice(0, 60)), responseTail: Buffer.from(text.slice(-60)) }
    expect(read({ ...embeddings, ...cut })).toMatchObject({ usage: { input: 10 }, usageSource: 'provider' })
  })
  it('is free where it only counts', () => {
    const tokenization = { model_id: 'e', result: { token_count: 11 } }
    expect(read(makeExchange(request, tokenization, { ...place, path: '/ml/v1/text/tokenization' }))).toMatchObject({
      operation: 'count_tokens',
      billable: false,
      usage: {},
      usageSource: 'none',
    })
  })
})
