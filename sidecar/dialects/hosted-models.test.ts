import { describe, expect, it } from 'vitest'
import { contradictionsOfCuts, failuresOfGarbage, garbled } from '../testing/damage.ts'
import { makeExchange, makeStream } from '../testing/make-exchange.ts'
import type { Exchange } from './dialect.ts'
import { read } from './index.ts'

const text = (content: string) => [{ parts: [{ type: 'text', content }] }]

describe('text generation inference', () => {
  const place = { host: 'tgi.internal', path: '/generate' }
  const request = { inputs: 'Weather?', parameters: { details: true } }
  const details = { finish_reason: 'eos_token', generated_tokens: 3, input_length: 4, seed: 42 }
  const answer = { generated_text: 'Sunny', details }
  const token = (piece: string, special = false) => ({
    index: 1,
    token: { id: 1, text: piece, logprob: -1, special },
    generated_text: null,
    details: null,
  })
  const events = [token('Sun'), token('ny'), { ...token('</s>', true), ...answer }]
  const streamOf = (items: readonly unknown[], overrides: Partial<Exchange> = {}) =>
    makeExchange(request, makeStream(items), { ...place, path: '/generate_stream', ...overrides })

  it('says its numbers where details were asked for', () => {
    const want = {
      dialect: 'huggingface-generate',
      operation: 'text_completion',
      finishReasons: ['eos_token'],
      counts: { input: 4, output: 3 },
      usageSource: 'provider',
      rawUsage: details,
      content: { input: text('Weather?'), output: text('Sunny') },
    }
    expect(read(makeExchange(request, answer, place))).toMatchObject({ ...want, stream: false })
    expect(read(streamOf(events))).toMatchObject({ ...want, stream: true })
    const hub = { host: 'api-inference.huggingface.co', path: '/models/google/gemma' }
    expect(read(makeExchange(request, [answer], hub))).toMatchObject({ ...want, requestModel: 'google/gemma' })
    const older = { ...details, input_length: undefined, prefill: [{ id: 1 }, { id: 2 }] }
    expect(read(makeExchange(request, { ...answer, details: older }, place)).counts).toEqual({ input: 2, output: 3 })
  })

  it('without details has none', () => {
    const none = { usage: {}, usageSource: 'unknown' }
    for (const body of [{ generated_text: 'Sunny' }, [{ generated_text: 'Sunny' }], [[0.1, 0.2]]])
      expect(read(makeExchange(request, body, place))).toMatchObject({ ...none, usageReason: 'body_without_usage' })
    expect(read(streamOf([...events.slice(0, 2), { ...token(''), generated_text: 'Sunny' }]))).toMatchObject({
      ...none,
      usageReason: 'stream_without_usage',
    })
  })

  it('cut anywhere claims no other numbers; what was said until then is kept, the gap marked', () => {
    for (const exchange of [
      makeExchange(request, answer, place),
      makeExchange(request, [answer], place),
      streamOf(events),
    ])
      expect(contradictionsOfCuts(exchange)).toEqual([])
    expect(read(streamOf(events.slice(0, 2), { responseComplete: false }))).toMatchObject({
      usageReason: 'stream_cut',
      content: { output: text('Sunny') },
    })
    const cut = {
      responseBody: Buffer.from(makeStream(events.slice(0, 1))),
      responseTail: Buffer.from(makeStream(events.slice(0, 2))),
    }
    expect(read(streamOf([], cut)).content?.output).toMatchObject(text('Sun[…]ny'))
    const body = JSON.stringify({ ...answer, generated_text: 'x'.repeat(400) })
    const kept = { responseBody: Buffer.from(body.slice(0, 60)), responseTail: Buffer.from(body.slice(-150)) }
    expect(read(makeExchange(request, undefined, { ...place, ...kept }))).toMatchObject({
      counts: { input: 4, output: 3 },
      usageSource: 'provider',
    })
  })

  it('tells an error, refused or in a stream', () => {
    const error = { error: 'Request failed during generation', error_type: 'generation' }
    const failed = { usage: {}, error: { type: 'generation', message: error.error } }
    expect(read(makeExchange(request, error, { ...place, status: 424 }))).toMatchObject({
      ...failed,
      usageSource: 'none',
    })
    expect(read(streamOf([error]))).toMatchObject({ ...failed, usageSource: 'none' })
    expect(read(streamOf([...events.slice(0, 2), error]))).toMatchObject({ ...failed, usageReason: 'stream_error' })
  })

  it('with values of any type never throws', () => {
    expect(failuresOfGarbage(garbled(answer).map((body) => makeExchange(request, body, place)))).toEqual([])
    expect(failuresOfGarbage(garbled(request).map((body) => makeExchange(body, answer, place)))).toEqual([])
    expect(failuresOfGarbage(garbled(events[0]).map((other) => streamOf([other, events[2]])))).toEqual([])
  })
})

describe('Replicate', () => {
  const place = { host: 'api.replicate.com', path: '/v1/models/meta/llama-3/predictions' }
  const poll = { ...place, method: 'GET', path: '/v1/predictions/p1' }
  const request = { input: { prompt: 'Weather?' } }
  const answer = {
    id: 'p1',
    model: 'meta/llama-3',
    version: 'hidden',
    output: ['Sun', 'ny'],
    error: null,
    status: 'succeeded',
    metrics: { input_token_count: 9, output_token_count: 2, predict_time: 1.5 },
    urls: { get: 'https://api.replicate.com/v1/predictions/p1' },
  }

  it('says its tokens when it has succeeded, at once or polled', () => {
    const want = {
      dialect: 'replicate',
      responseModel: 'meta/llama-3',
      responseId: 'p1',
      counts: { input: 9, output: 2 },
      usageSource: 'provider',
      billable: true,
      content: { output: text('Sunny') },
    }
    expect(read(makeExchange(request, answer, { ...place, status: 201 }))).toMatchObject({
      ...want,
      requestModel: 'meta/llama-3',
      content: { input: text('Weather?') },
    })
    expect(read(makeExchange(undefined, answer, poll))).toMatchObject(want)
    expect(read(makeExchange(request, { ...answer, output: 'Sunny' }, place))).toMatchObject(want)
    const metrics = { token_input_count: 9, token_output_count: 2 }
    expect(read(makeExchange(request, { ...answer, metrics }, place)).counts).toEqual({ input: 9, output: 2 })
  })

  it('says its images, and the characters that were spoken', () => {
    const drawn = {
      ...answer,
      output: 'https://replicate.delivery/x.webp',
      metrics: { image_count: 1, image_output_count: 2 },
    }
    expect(read(makeExchange(request, drawn, place))).toMatchObject({
      operation: 'image_generation',
      usage: { images: 2 },
      usageSource: 'provider',
    })
    const spoken = { ...answer, metrics: { character_input_count: 80 } }
    expect(read(makeExchange(request, spoken, place)).usage).toEqual({ characters: 80 })
  })

  it('is pending while it works', () => {
    for (const status of ['starting', 'processing']) {
      const working = { ...answer, status, output: null, metrics: undefined }
      expect(read(makeExchange(request, working, { ...place, status: 201 }))).toMatchObject({
        usage: {},
        usageSource: 'none',
        usageReason: 'pending',
        billable: true,
      })
      expect(read(makeExchange(undefined, working, poll)).billable).toBe(false)
      const counting = { ...answer, status }
      expect(read(makeExchange(undefined, counting, poll))).toMatchObject({ usageSource: 'partial' })
    }
  })

  it('that failed or was refused has none', () => {
    const failed = {
      ...answer,
      output: null,
      status: 'failed',
      error: 'CUDA out of memory',
      metrics: { predict_time: 1 },
    }
    expect(read(makeExchange(undefined, failed, poll))).toMatchObject({
      usage: {},
      usageSource: 'none',
      error: { message: 'CUDA out of memory' },
    })
    const canceled = { ...answer, output: null, status: 'canceled', metrics: {} }
    expect(read(makeExchange(request, canceled, place))).toMatchObject({ usageReason: 'body_without_usage' })
    const refusal = { title: 'Unauthenticated', detail: 'no token', status: 401 }
    expect(read(makeExchange(request, refusal, { ...place, status: 401 }))).toMatchObject({
      usageSource: 'none',
      error: { type: '401', message: 'no token' },
    })
  })

  it('cut anywhere claims no other numbers; its end is enough', () => {
    expect(contradictionsOfCuts(makeExchange(request, answer, place))).toEqual([])
    const body = JSON.stringify({ ...answer, output: Array.from({ length: 90 }, () => 'x') })
    const cut = { responseBody: Buffer.from(body.slice(0, 80)), responseTail: Buffer.from(body.slice(-220)) }
    expect(read(makeExchange(request, undefined, { ...place, ...cut }))).toMatchObject({
      counts: { input: 9, output: 2 },
      usageSource: 'provider',
    })
    expect(failuresOfGarbage(garbled(answer).map((other) => makeExchange(request, other, place)))).toEqual([])
  })
})

describe('Aleph Alpha', () => {
  const place = { host: 'api.aleph-alpha.com', path: '/complete' }
  const request = { model: 'luminous-base', prompt: [{ type: 'text', data: 'Weather?' }, { type: 'image' }] }
  const answer = {
    completions: [{ completion: 'Sunny', finish_reason: 'maximum_tokens' }],
    model_version: '2022-04',
    num_tokens_prompt_total: 9,
    num_tokens_generated: 2,
  }
  it('says both numbers', () => {
    expect(read(makeExchange(request, answer, place))).toMatchObject({
      dialect: 'aleph-alpha',
      requestModel: 'luminous-base',
      responseModel: '2022-04',
      finishReasons: ['maximum_tokens'],
      counts: { input: 9, output: 2 },
      usageSource: 'provider',
      content: { input: text('Weather?'), output: text('Sunny') },
    })
    const embedded = { model_version: '2022-04', embedding: [0.5], num_tokens_prompt_total: 4 }
    expect(read(makeExchange({ prompt: 'a' }, embedded, { ...place, path: '/semantic_embed' }))).toMatchObject({
      operation: 'embeddings',
      usage: { input: 4 },
      usageSource: 'provider',
    })
  })
  it('cut, refused, silent or garbled claims nothing else', () => {
    expect(contradictionsOfCuts(makeExchange(request, answer, place))).toEqual([])
    expect(read(makeExchange(request, { error: 'no', code: 'QUOTA' }, { ...place, status: 402 }))).toMatchObject({
      usageSource: 'none',
      error: { type: 'QUOTA', message: 'no' },
    })
    expect(read(makeExchange(request, { completions: [] }, place)).usageReason).toBe('body_without_usage')
    expect(failuresOfGarbage(garbled(answer).map((body) => makeExchange(request, body, place)))).toEqual([])
    expect(failuresOfGarbage(garbled(request).map((body) => makeExchange(body, answer, place)))).toEqual([])
  })
})
