import { describe, expect, it } from 'vitest'
import { makeExchange, makeStream } from '../testing/make-exchange.ts'
import type { Exchange } from './dialect.ts'
import { read } from './index.ts'

const place = { path: '/v1/responses' }
const request = {
  model: 'gpt-5.6',
  instructions: 'Be terse',
  input: [
    {
      role: 'user',
      content: [
        { type: 'input_text', text: 'Look' },
        { type: 'input_image', image_url: 'data:x' },
      ],
    },
    { type: 'function_call', call_id: 'c1', name: 'look', arguments: '{"a":1}' },
    { type: 'function_call_output', call_id: 'c1', output: 'a cat' },
  ],
  tools: [{ type: 'web_search', search_context_size: 'low' }],
  max_output_tokens: 90,
  temperature: 0.5,
  text: { format: { type: 'json_schema' } },
}
const usage = {
  input_tokens: 100,
  input_tokens_details: { cached_tokens: 40, cache_write_tokens: 10 },
  output_tokens: 30,
  output_tokens_details: { reasoning_tokens: 20 },
  total_tokens: 130,
}
const units = { input: 50, cache_read: 40, cache_write: 10, output: 10, output_reasoning: 20, web_searches: 1 }
const message = { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'A cat' }] }
const answer = {
  id: 'resp_1',
  object: 'response',
  status: 'completed',
  model: 'gpt-5.6-sol',
  service_tier: 'default',
  error: null,
  incomplete_details: null,
  output: [
    { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: 'Hm' }] },
    { type: 'web_search_call', id: 'ws_1', status: 'completed', action: { type: 'search' } },
    { type: 'web_search_call', id: 'ws_2', status: 'completed', action: { type: 'open_page' } },
    message,
  ],
  usage,
}
const whole = (changes: object = {}, overrides: Partial<Exchange> = {}) =>
  read(makeExchange(request, { ...answer, ...changes }, { ...place, ...overrides }))
const events = [
  {
    type: 'response.created',
    response: { ...answer, status: 'in_progress', output: [], usage: null, service_tier: 'auto' },
  },
  { type: 'response.output_text.delta', delta: 'A ' },
  { type: 'response.output_text.delta', delta: 'cat' },
]
const completed = { type: 'response.completed', response: answer }
const stream = (list: readonly unknown[], overrides: Partial<Exchange> = {}) =>
  read(makeExchange({ ...request, stream: true }, makeStream(list, true), { ...place, ...overrides }))

describe('Responses, whole', () => {
  it('are read in full', () => {
    expect(whole()).toMatchObject({
      dialect: 'openai-responses',
      operation: 'chat',
      stream: false,
      requestModel: 'gpt-5.6',
      responseModel: 'gpt-5.6-sol',
      responseId: 'resp_1',
      serviceTier: 'default',
      parameters: { maxTokens: 90, temperature: 0.5, outputType: 'json' },
      finishReasons: ['completed'],
      counts: { input: 100, output: 30, cacheRead: 40, cacheWrite: 10, reasoning: 20, total: 130, webSearches: 1 },
      usage: units,
      usageSource: 'provider',
      priceAttributes: { search_context_size: 'low' },
      billable: true,
      content: {
        system: 'Be terse',
        input: [
          {
            role: 'user',
            parts: [
              { type: 'text', content: 'Look' },
              { type: 'other', kind: 'input_image' },
            ],
          },
          { role: 'assistant', parts: [{ type: 'tool_call', id: 'c1', name: 'look', arguments: '{"a":1}' }] },
          { role: 'tool', parts: [{ type: 'tool_call_response', id: 'c1', response: 'a cat' }] },
        ],
        output: [
          {
            role: 'assistant',
            parts: [
              { type: 'reasoning', content: 'Hm' },
              { type: 'other', kind: 'web_search_call' },
              { type: 'other', kind: 'web_search_call' },
            ],
          },
          { role: 'assistant', parts: [{ type: 'text', content: 'A cat' }], finishReason: 'completed' },
        ],
      },
    })
  })

  it('a text as input; compaction; the model of the answer is enough', () => {
    const compaction = { id: 'resp_2', object: 'response.compaction', output: [], usage }
    expect(
      read(makeExchange({ model: 'm', input: 'Hi' }, compaction, { path: '/v1/responses/compact' })),
    ).toMatchObject({
      requestModel: 'm',
      usageSource: 'provider',
      counts: { input: 100 },
      content: { input: [{ role: 'user', parts: [{ type: 'text', content: 'Hi' }] }] },
    })
  })

  it('what is cut short says why, and is billed', () => {
    const changes = { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } }
    expect(whole(changes)).toMatchObject({
      finishReasons: ['incomplete', 'max_output_tokens'],
      usageSource: 'provider',
    })
  })

  it('filters and refusals are guardrail events', () => {
    const refusal = [{ type: 'message', content: [{ type: 'refusal', refusal: 'no' }] }]
    expect(whole({ output: refusal }).guardrails).toEqual([
      { guardrail: 'openai.refusal', stage: 'output', action: 'blocked' },
    ])
    const filtered = { status: 'incomplete', incomplete_details: { reason: 'content_filter' } }
    expect(whole(filtered).guardrails).toMatchObject([{ guardrail: 'openai.content_filter', action: 'blocked' }])
    const azure = {
      content_filters: [
        { source_type: 'prompt', content_filter_results: { jailbreak: { detected: true, filtered: false } } },
      ],
    }
    expect(whole(azure, { host: 'acme.openai.azure.com' }).guardrails).toEqual([
      {
        guardrail: 'azure.ai.openai.content_filter',
        stage: 'input',
        action: 'flagged',
        reason: 'jailbreak',
        categories: { jailbreak: 'detected' },
      },
    ])
  })

  it('a drawn picture is said to be missing in the tokens', () => {
    expect(whole({ output: [{ type: 'image_generation_call' }] }).usageReason).toBe('image_tool_not_reported')
  })

  it('xAI counts its own searches and says what it takes', () => {
    const own = { ...usage, server_side_tool_usage_details: { web_search_calls: 3 }, cost_in_usd_ticks: 5 }
    expect(whole({ usage: own }, { host: 'api.x.ai' })).toMatchObject({
      counts: { webSearches: 3 },
      reportedPicoUsd: 500,
    })
  })
})

describe('Responses in the background', () => {
  it('are billed by the poll that sees their usage, not before', () => {
    const queued = whole({ status: 'queued', usage: null, output: [] })
    expect(queued).toMatchObject({ usage: {}, usageSource: 'none', usageReason: 'pending', responseId: 'resp_1' })
    const poll = { method: 'GET', path: '/v1/responses/resp_1' }
    expect(read(makeExchange(undefined, answer, poll))).toMatchObject({
      usage: units,
      usageSource: 'provider',
      responseId: 'resp_1',
      billable: true,
    })
  })

  it('counting their tokens, listing their items and deleting them is free', () => {
    const free = (path: string, method = 'GET') =>
      read(makeExchange(undefined, { object: 'list', data: [] }, { path, method })).billable
    expect(free('/v1/responses/input_tokens', 'POST')).toBe(false)
    expect(free('/v1/responses/resp_1/input_items')).toBe(false)
    expect(free('/v1/responses', 'GET')).toBe(false)
  })
})

describe('Responses, streamed (trap 7: Kong#14768, Responses streams stay 0)', () => {
  it('give the same as whole', () => {
    const streamed = stream([...events, completed])
    const { stream: _, content: __, ...rest } = whole()
    expect(streamed).toMatchObject({ ...rest, stream: true })
    expect(streamed.content?.output).toEqual(whole().content?.output)
  })

  it('cut anywhere they never claim more than was said', () => {
    const bytes = Buffer.from(makeStream([...events, completed], true))
    let claimed = false
    for (let cut = 0; cut <= bytes.length; cut++)
      for (const responseComplete of [true, false]) {
        const reading = read(
          makeExchange(request, undefined, {
            ...place,
            responseBody: bytes.subarray(0, cut),
            responseComplete,
            responseHeaders: { 'content-type': 'text/event-stream' },
          }),
        )
        expect([{}, units]).toContainEqual(reading.usage)
        expect(reading.usageSource === 'provider').toBe(Object.keys(reading.usage).length > 0)
        claimed = reading.usageSource === 'provider'
      }
    expect(claimed).toBe(true)
    expect(stream(events).usageReason).toBe('stream_cut')
    expect(stream(events).content?.output).toMatchObject([{ parts: [{ content: 'A cat' }] }])
  })

  it('are read from their end where the middle is gone, also of the last event', () => {
    const bytes = Buffer.from(makeStream([...events, completed], true))
    const parts = (tail: number) =>
      read(
        makeExchange(request, undefined, {
          ...place,
          responseBody: bytes.subarray(0, 80),
          responseTail: bytes.subarray(bytes.length - tail),
          responseHeaders: { 'content-type': 'text/event-stream' },
        }),
      )
    expect(parts(300)).toMatchObject({ counts: { input: 100, output: 30 }, usageSource: 'provider' })
    expect(parts(20)).toMatchObject({ usage: {}, usageSource: 'unknown' })
  })

  it('a failure without a word is free, one after words is not known', () => {
    const error = {
      type: 'error',
      error: { type: 'insufficient_quota', code: 'insufficient_quota', message: 'no money' },
    }
    const failed = {
      type: 'response.failed',
      response: { ...answer, status: 'failed', output: [], usage: null, error: error.error },
    }
    expect(stream([events[0], error, failed])).toMatchObject({
      usage: {},
      usageSource: 'none',
      error: { type: 'insufficient_quota', message: 'no money' },
      finishReasons: ['failed'],
    })
    expect(stream([...events, error])).toMatchObject({ usageSource: 'unknown', usageReason: 'stream_error' })
    const old = { type: 'error', code: 'server_error', message: 'oops' }
    expect(stream([...events, old]).error).toEqual({ type: 'server_error', message: 'oops' })
  })
})

it('a body of an error is an error, garbage is unknown', () => {
  const refused = { error: { type: 'invalid_request_error', code: null, message: 'bad' } }
  expect(read(makeExchange(request, refused, { ...place, status: 400 }))).toMatchObject({
    usageSource: 'none',
    error: { type: 'invalid_request_error', message: 'bad' },
  })
  for (const garbage of [
    { output: 7, usage: 'x' },
    { usage: { input_tokens: -1 } },
    { usage: { input_tokens: 1e300 } },
  ])
    expect(read(makeExchange(request, garbage, place))).toMatchObject({ usage: {}, usageSource: 'unknown' })
})
