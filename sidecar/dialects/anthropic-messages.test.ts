import { describe, expect, it } from 'vitest'
import { makeExchange, makeStream } from '../testing/make-exchange.ts'
import type { Exchange } from './dialect.ts'
import { read } from './index.ts'

const place = { host: 'api.anthropic.com', path: '/v1/messages' }
const request = {
  model: 'claude-sonnet-4-5',
  max_tokens: 100,
  system: [{ type: 'text', text: 'Be terse' }],
  messages: [
    { role: 'user', content: 'Look' },
    {
      role: 'assistant',
      content: [
        { type: 'thinking', thinking: 'Hm', signature: 'x' },
        { type: 'tool_use', id: 't1', name: 'look', input: { a: 1 } },
      ],
    },
    {
      role: 'user',
      content: [
        { type: 'tool_result', tool_use_id: 't1', content: [{ type: 'text', text: 'a cat' }] },
        { type: 'image' },
      ],
    },
  ],
  tools: [{ name: 'look' }],
  stop_sequences: ['END'],
  top_k: 5,
}
const usage = {
  input_tokens: 10,
  cache_creation_input_tokens: 30,
  cache_read_input_tokens: 40,
  cache_creation: { ephemeral_5m_input_tokens: 20, ephemeral_1h_input_tokens: 10 },
  output_tokens: 9,
  output_tokens_details: { thinking_tokens: 4 },
  server_tool_use: { web_search_requests: 2 },
  service_tier: 'standard',
}
const units = {
  input: 10,
  cache_read: 40,
  cache_write_5m: 20,
  cache_write_1h: 10,
  output: 5,
  output_reasoning: 4,
  web_searches: 2,
}
const answer = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'claude-sonnet-4-5-20250929',
  content: [{ type: 'text', text: 'A cat' }],
  stop_reason: 'end_turn',
  usage,
}
const whole = (changes: object = {}, overrides: Partial<Exchange> = {}) =>
  read(makeExchange(request, { ...answer, ...changes }, { ...place, ...overrides }))
const withUsage = (raw: object) => whole({ usage: raw })

const messageStart = {
  type: 'message_start',
  message: {
    ...answer,
    content: [],
    stop_reason: null,
    usage: { ...usage, output_tokens: 1, output_tokens_details: null },
  },
}
const block = (index: number, content_block: object, deltas: object[]) => [
  { type: 'content_block_start', index, content_block },
  ...deltas.map((delta) => ({ type: 'content_block_delta', index, delta })),
  { type: 'content_block_stop', index },
]
const text = block(0, { type: 'text', text: '' }, [
  { type: 'text_delta', text: 'A ' },
  { type: 'text_delta', text: 'cat' },
])
const messageDelta = { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 9 } }
const stop = { type: 'message_stop' }
const overloaded = { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }
const streamed = (events: readonly object[], overrides: Partial<Exchange> = {}) =>
  read(makeExchange({ ...request, stream: true }, makeStream(events, true), { ...place, ...overrides }))

describe('a whole answer', () => {
  it('is read in full', () => {
    expect(whole()).toEqual({
      dialect: 'anthropic-messages',
      operation: 'chat',
      stream: false,
      requestModel: 'claude-sonnet-4-5',
      responseModel: 'claude-sonnet-4-5-20250929',
      responseId: 'msg_1',
      serviceTier: 'standard',
      parameters: { maxTokens: 100, topK: 5, stopSequences: ['END'] },
      finishReasons: ['end_turn'],
      counts: {
        input: 80,
        output: 9,
        cacheRead: 40,
        cacheWrite: 30,
        cacheWrite5m: 20,
        cacheWrite1h: 10,
        reasoning: 4,
        webSearches: 2,
      },
      usage: units,
      usageSource: 'provider',
      rawUsage: usage,
      guardrails: [],
      billable: true,
      content: {
        system: 'Be terse',
        input: [
          { role: 'user', parts: [{ type: 'text', content: 'Look' }] },
          {
            role: 'assistant',
            parts: [
              { type: 'reasoning', content: 'Hm' },
              { type: 'tool_call', id: 't1', name: 'look', arguments: '{"a":1}' },
            ],
          },
          {
            role: 'user',
            parts: [
              { type: 'tool_call_response', id: 't1', response: 'a cat' },
              { type: 'other', kind: 'image' },
            ],
          },
        ],
        output: [{ role: 'assistant', parts: [{ type: 'text', content: 'A cat' }], finishReason: 'end_turn' }],
        tools: '[{"name":"look"}]',
      },
    })
  })

  it('takes cache writes without a split, and the rest of a split that is too small', () => {
    const plain = { input_tokens: 1, output_tokens: 2, cache_creation_input_tokens: 30 }
    expect(withUsage(plain).usage).toEqual({ input: 1, output: 2, cache_write: 30 })
    const split = { ...plain, cache_creation: { ephemeral_5m_input_tokens: 10, ephemeral_1h_input_tokens: 5 } }
    expect(withUsage(split).usage).toEqual({
      input: 1,
      output: 2,
      cache_write: 15,
      cache_write_5m: 10,
      cache_write_1h: 5,
    })
  })

  it('marks what contradicts itself', () => {
    const raw = { input_tokens: 1, output_tokens: 2, output_tokens_details: { thinking_tokens: 5 } }
    expect(withUsage(raw)).toMatchObject({
      usage: { input: 1, output: 0, output_reasoning: 2 },
      usageReason: 'inconsistent',
    })
  })

  it('does not add plain iterations twice; bills each pass where the totals leave some out', () => {
    const message = { type: 'message', input_tokens: 10, output_tokens: 9 }
    const advisor = { type: 'advisor_message', model: 'claude-opus-4-8', input_tokens: 50, output_tokens: 3 }
    const compaction = { type: 'compaction', input_tokens: 99_000, output_tokens: 500 }
    const plain = withUsage({ input_tokens: 10, output_tokens: 9, iterations: [message, message] })
    expect(plain.usage).toEqual({ input: 10, output: 9 })
    expect(plain).not.toHaveProperty('billedLines')
    const totals = { input_tokens: 10, output_tokens: 9, server_tool_use: { web_search_requests: 2 } }
    expect(withUsage({ ...totals, iterations: [compaction, message, advisor] })).toMatchObject({
      usage: { input: 10, output: 9 },
      usageReason: 'other_passes',
      billedLines: [
        { kind: 'compaction', counts: { input: 99_000, output: 500 } },
        { kind: 'message', counts: { input: 10, output: 9 } },
        { kind: 'advisor_message', model: 'claude-opus-4-8', counts: { input: 50, output: 3 } },
        { kind: 'server_tools', counts: { webSearches: 2 } },
      ],
    })
    const declined = { type: 'message', model: 'claude-fable-5', input_tokens: 8, output_tokens: 0 }
    const fallback = { type: 'fallback_message', model: 'claude-opus-4-8', input_tokens: 12, output_tokens: 4 }
    expect(withUsage({ input_tokens: 12, output_tokens: 4, iterations: [declined, fallback] })).toMatchObject({
      usageReason: 'fallback_billing_unclear',
      billedLines: [{ model: 'claude-fable-5' }, { model: 'claude-opus-4-8' }],
    })
  })

  it('names where the answer was computed, and at which speed', () => {
    const geo = (inference_geo: unknown) => withUsage({ ...usage, inference_geo }).priceAttributes
    expect(geo('us')).toEqual({ geo: 'us' })
    for (const none of ['not_available', '', null, 7]) expect(geo(none)).toBeUndefined()
    expect(withUsage({ ...usage, speed: 'fast' }).priceAttributes).toEqual({ speed: 'fast' })
  })

  it('reads a refusal, an error, and a body that is none', () => {
    expect(whole({ stop_reason: 'refusal' }).guardrails).toEqual([
      { guardrail: 'anthropic.refusal', stage: 'output', action: 'blocked' },
    ])
    expect(read(makeExchange(request, overloaded, { ...place, status: 529 }))).toMatchObject({
      usage: {},
      usageSource: 'none',
      error: { type: 'overloaded_error', message: 'Overloaded' },
    })
    expect(read(makeExchange(request, undefined, place)).usageReason).toBe('no_body')
    expect(read(makeExchange(request, 'oops', { ...place, responseHeaders: {} })).usageReason).toBe('unreadable_body')
  })
})

describe('a stream', () => {
  it('is put together, with counts overwritten and never added', () => {
    const running = { type: 'message_delta', delta: {}, usage: { output_tokens: 5, input_tokens: null } }
    const grown = {
      ...messageDelta,
      usage: {
        input_tokens: 12,
        output_tokens: 9,
        cache_creation: { ephemeral_1h_input_tokens: 11 },
        cache_creation_input_tokens: 31,
        output_tokens_details: { thinking_tokens: 4 },
        cache_read_input_tokens: null,
      },
    }
    const reading = streamed([messageStart, { type: 'ping' }, ...text, running, grown, stop])
    expect(reading).toMatchObject({
      stream: true,
      usageSource: 'provider',
      responseId: 'msg_1',
      serviceTier: 'standard',
      finishReasons: ['end_turn'],
      content: { output: [{ parts: [{ type: 'text', content: 'A cat' }], finishReason: 'end_turn' }] },
    })
    expect(reading.usage).toEqual({ ...units, input: 12, cache_write_1h: 11 })
    expect(reading.usageReason).toBeUndefined()
  })

  it('assembles thinking, tool calls and server tools', () => {
    const events = [
      messageStart,
      ...block(0, { type: 'thinking', thinking: '' }, [
        { type: 'thinking_delta', thinking: 'Let me see' },
        { type: 'signature_delta', signature: 'zzz' },
      ]),
      ...block(1, { type: 'tool_use', id: 't1', name: 'look', input: {} }, [
        { type: 'input_json_delta', partial_json: '{"a":' },
        { type: 'input_json_delta', partial_json: '1}' },
      ]),
      ...block(2, { type: 'server_tool_use', id: 's1', name: 'web_search', input: {} }, []),
      ...block(3, { type: 'web_search_tool_result', content: [] }, []),
      messageDelta,
      stop,
    ]
    expect(streamed(events).content?.output?.[0]?.parts).toEqual([
      { type: 'reasoning', content: 'Let me see' },
      { type: 'tool_call', id: 't1', name: 'look', arguments: '{"a":1}' },
      { type: 'tool_call', id: 's1', name: 'web_search', arguments: '{}' },
      { type: 'other', kind: 'web_search_tool_result' },
    ])
  })

  it('is partial with the numbers of its start when the client hangs up', () => {
    const reading = streamed([messageStart, ...text.slice(0, 2)], { responseComplete: false })
    expect(reading).toMatchObject({ usageSource: 'partial', usageReason: 'stream_cut' })
    expect(reading.usage).toEqual({
      input: 10,
      cache_read: 40,
      cache_write_5m: 20,
      cache_write_1h: 10,
      output: 1,
      web_searches: 2,
    })
    expect(reading.content).toMatchObject({ truncated: true, output: [{ parts: [{ content: 'A ' }] }] })
  })

  it('reads overloaded_error in mid stream and before the start', () => {
    expect(streamed([messageStart, ...text, overloaded])).toMatchObject({
      usageSource: 'partial',
      usageReason: 'stream_error',
      error: { type: 'overloaded_error', message: 'Overloaded' },
    })
    expect(streamed([overloaded])).toMatchObject({
      usage: {},
      usageSource: 'none',
      error: { type: 'overloaded_error' },
    })
  })

  it('reads head and tail where the middle was cut out', () => {
    const more = Array.from({ length: 60 }, () => ({
      type: 'content_block_delta',
      index: 0,
      delta: { type: 'text_delta', text: ' meow' },
    }))
    const all = makeStream([messageStart, ...text.slice(0, 3), ...more, messageDelta, stop], true)
    const head = makeStream([messageStart, ...text.slice(0, 3)], true)
    const exchange = makeExchange(request, head, { ...place, responseTail: Buffer.from(all).subarray(-600) })
    const reading = read(exchange)
    expect(reading).toMatchObject({
      usageSource: 'provider',
      content: { truncated: true },
      finishReasons: ['end_turn'],
    })
    expect(reading.usage.output).toBe(9)
    const part = reading.content?.output?.[0]?.parts[0]
    expect(part?.type === 'text' && part.content).toMatch(/^A cat\[…\]( meow)+$/)
    // Without the start the input is not known: that is no whole usage.
    const startless = read({ ...exchange, responseBody: Buffer.from(': ping\n\n') })
    expect(startless).toMatchObject({ usage: { output: 9 }, usageSource: 'partial' })
  })
})
