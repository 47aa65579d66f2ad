import { describe, expect, it } from 'vitest'
import { makeExchange } from '../testing/make-exchange.ts'
import type { Exchange } from './dialect.ts'
import { read } from './index.ts'

const place = { host: 'generativelanguage.googleapis.com', path: '/v1beta/interactions' }
const poll = { ...place, method: 'GET', path: '/v1beta/interactions/i1' }
const request = {
  model: 'gemini-2.5-flash',
  system_instruction: 'Be terse',
  input: [
    { type: 'text', text: 'Look' },
    { type: 'image', data: 'AAAA', mime_type: 'image/png' },
  ],
  generation_config: { temperature: 0.7, max_output_tokens: 50 },
  tools: [{ type: 'google_search' }],
}
const usage = {
  total_tokens: 134,
  total_input_tokens: 100,
  input_tokens_by_modality: [
    { modality: 'text', tokens: 70 },
    { modality: 'audio', tokens: 30 },
  ],
  total_cached_tokens: 40,
  cached_tokens_by_modality: [{ modality: 'audio', tokens: 12 }],
  total_output_tokens: 9,
  output_tokens_by_modality: [{ modality: 'IMAGE', tokens: 4 }],
  total_tool_use_tokens: 20,
  total_thought_tokens: 5,
  grounding_tool_count: [{ type: 'google_search', count: 2 }],
}
const counts = {
  input: 120,
  output: 14,
  cacheRead: 40,
  toolPrompt: 20,
  reasoning: 5,
  inputAudio: 30,
  cacheReadAudio: 12,
  outputImage: 4,
  webSearches: 1,
  total: 134,
}
const interaction = {
  id: 'i1',
  object: 'interaction',
  model: 'gemini-2.5-flash',
  status: 'completed',
  usage,
  service_tier: 'standard',
  steps: [
    { type: 'thought', signature: 'zz', summary: [{ type: 'text', text: 'Hm' }] },
    { type: 'function_call', id: 'c1', name: 'look', arguments: { a: 1 } },
    { type: 'model_output', content: [{ type: 'text', text: 'A cat é' }] },
  ],
}
const output = [
  {
    role: 'assistant',
    parts: [
      { type: 'reasoning', content: 'Hm' },
      { type: 'tool_call', id: 'c1', name: 'look', arguments: '{"a":1}' },
      { type: 'text', content: 'A cat é' },
    ],
  },
]
const whole = (changes: object = {}, overrides: Partial<Exchange> = {}) =>
  read(makeExchange(request, { ...interaction, ...changes }, { ...place, ...overrides }))

const { steps: _, ...completed } = interaction
const running = { total_input_tokens: 100, total_output_tokens: 1, total_tokens: 101 }
const events = [
  {
    event_type: 'interaction.created',
    interaction: { id: 'i1', status: 'in_progress', model: 'gemini-2.5-flash' },
    metadata: { usage: running },
  },
  { event_type: 'interaction.status_update', interaction_id: 'i1', status: 'in_progress' },
  { event_type: 'step.start', index: 0, step: { type: 'thought' } },
  { event_type: 'step.delta', index: 0, delta: { type: 'thought_summary', content: { type: 'text', text: 'Hm' } } },
  { event_type: 'step.delta', index: 0, delta: { type: 'thought_signature', signature: 'zz' } },
  { event_type: 'step.stop', index: 0 },
  { event_type: 'step.start', index: 1, step: { type: 'function_call', id: 'c1', name: 'look' } },
  { event_type: 'step.delta', index: 1, delta: { type: 'arguments_delta', arguments: '{"a":' } },
  { event_type: 'step.delta', index: 1, delta: { type: 'arguments_delta', arguments: '1}' } },
  { event_type: 'step.start', index: 2, step: { type: 'model_output' } },
  { event_type: 'step.delta', index: 2, delta: { type: 'text', text: 'A ' } },
  { event_type: 'step.delta', index: 2, delta: { type: 'text', text: 'cat é' } },
  { interaction: completed, event_type: 'interaction.completed' },
]
const asStream = (items: readonly object[], last = 'event: done\ndata: [DONE]\n\n') =>
  items
    .map((item) => `event: ${(item as { event_type: string }).event_type}\ndata: ${JSON.stringify(item)}\n\n`)
    .join('') + last
const streamed = (items: readonly object[], overrides: Partial<Exchange> = {}) =>
  read(makeExchange({ ...request, stream: true }, asStream(items), { ...place, ...overrides }))

describe('an interaction', () => {
  it('is read in full', () => {
    expect(whole()).toEqual({
      dialect: 'gemini-interactions',
      operation: 'generate_content',
      stream: false,
      requestModel: 'gemini-2.5-flash',
      responseModel: 'gemini-2.5-flash',
      responseId: 'i1',
      answer: { key: 'generativelanguage.googleapis.com/interaction/i1', retrieval: false },
      serviceTier: 'standard',
      parameters: { maxTokens: 50, temperature: 0.7 },
      counts,
      usage: {
        input: 62,
        cache_read: 28,
        cache_read_audio: 12,
        input_audio: 18,
        output: 5,
        output_reasoning: 5,
        output_image: 4,
        web_searches: 1,
      },
      usageSource: 'provider',
      rawUsage: usage,
      guardrails: [],
      billable: true,
      content: {
        system: 'Be terse',
        input: [
          {
            role: 'user',
            parts: [
              { type: 'text', content: 'Look' },
              { type: 'other', kind: 'image' },
            ],
          },
        ],
        output,
        tools: '[{"type":"google_search"}]',
      },
    })
  })

  it('streamed has the same numbers and says the same', () => {
    expect(streamed(events)).toEqual({ ...whole(), stream: true })
  })

  it('streamed is not final with a count on the way', () => {
    const way = { event_type: 'interaction.in_progress', interaction: { status: 'in_progress', usage: running } }
    expect(streamed([way])).toMatchObject({ counts: { input: 100, output: 1 }, usageSource: 'partial' })
    expect(streamed([way, ...events])).toMatchObject({ counts, usageSource: 'provider' })
  })

  it('knows the older names of events, outputs and counts', () => {
    const older = [
      { event_type: 'interaction.start', interaction: { id: 'i1', status: 'in_progress' } },
      { event_type: 'content.start', index: 0, content: { type: 'text' } },
      { event_type: 'content.delta', index: 0, delta: { type: 'text', text: 'Hi' } },
      { event_type: 'interaction.complete', interaction: { id: 'i1', status: 'completed', usage } },
    ]
    expect(streamed(older)).toMatchObject({
      counts,
      usageSource: 'provider',
      content: { output: [{ parts: [{ type: 'text', content: 'Hi' }] }] },
    })
    const outputs = [
      { type: 'thought', signature: 'z' },
      { type: 'text', text: 'Hi' },
    ]
    expect(whole({ steps: undefined, outputs }).content?.output?.[0]?.parts).toEqual([{ type: 'text', content: 'Hi' }])
    expect(
      whole({ usage: { total_input_tokens: 3, total_output_tokens: 1, total_reasoning_tokens: 2 } }).usage,
    ).toEqual({
      input: 3,
      output: 1,
      output_reasoning: 2,
    })
  })

  it('takes texts, turns and steps as input', () => {
    const input = (given: unknown) => read(makeExchange({ input: given }, interaction, place)).content?.input
    const user = { role: 'user', parts: [{ type: 'text', content: 'Hi' }] }
    const model = { role: 'assistant', parts: [{ type: 'text', content: 'Yes?' }] }
    expect(input('Hi')).toEqual([user])
    expect(
      input([
        { role: 'user', content: 'Hi' },
        { role: 'model', content: [{ type: 'text', text: 'Yes?' }] },
      ]),
    ).toEqual([user, model])
    expect(
      input([
        { type: 'user_input', content: [{ type: 'text', text: 'Hi' }] },
        { type: 'model_output', content: [{ type: 'text', text: 'Yes?' }] },
        { type: 'function_result', call_id: 'c1', result: { b: 2 } },
      ]),
    ).toEqual([user, model, { role: 'user', parts: [{ type: 'tool_call_response', id: 'c1', response: '{"b":2}' }] }])
    for (const none of [undefined, null, 7, [], [null, 3, {}]]) expect(input(none)).toBeUndefined()
  })

  it('in the background is billed by the poll that sees its end, whatever was counted before', () => {
    for (const status of ['in_progress', 'queued'])
      for (const given of [usage, undefined]) {
        const pending = { counts: {}, usageSource: 'none', usageReason: 'pending', billable: true, responseId: 'i1' }
        expect(whole({ status, usage: given })).toMatchObject(pending)
        expect(whole({ status, usage: given }, poll)).toMatchObject({ ...pending, billable: false })
      }
    for (const status of ['completed', 'requires_action', 'incomplete', 'cancelled', 'budget_exceeded'])
      expect(whole({ status }, poll)).toMatchObject({ counts, usageSource: 'provider', responseId: 'i1' })
    const cancel = { ...poll, method: 'POST', path: '/v1beta/interactions/i1/cancel' }
    expect(whole({ status: 'cancelled', usage: undefined }, cancel)).toMatchObject({
      usageSource: 'none',
      billable: false,
    })
    // Without an id of its own it is known by the one that was asked for.
    expect(whole({ id: '' }, poll).responseId).toBe('i1')
    expect(whole({ id: '' })).not.toHaveProperty('responseId')
  })

  it('without usage, failed, refused', () => {
    expect(whole({ usage: null })).toMatchObject({ usageSource: 'unknown', usageReason: 'body_without_usage' })
    for (const none of [{}, [], 'x', { total_tokens: 9 }, { total_input_tokens: '9' }])
      expect(whole({ usage: none })).toMatchObject({ usage: {}, usageSource: 'unknown' })
    const failed = { status: 'failed', usage: undefined, steps: [] }
    expect(whole(failed)).toMatchObject({ usageSource: 'none', error: { type: 'failed' } })
    const error = { error: { code: 'invalid_request', message: 'No such model' } }
    expect(read(makeExchange(request, error, { ...place, status: 400 }))).toMatchObject({
      usage: {},
      usageSource: 'none',
      error: { type: 'invalid_request', message: 'No such model' },
    })
    expect(streamed([...events.slice(0, 4), { event_type: 'error', ...error }])).toMatchObject({
      usageSource: 'partial',
      usageReason: 'stream_error',
      counts: { input: 100, output: 1 },
      error: { type: 'invalid_request' },
    })
  })

  it('is no other path', () => {
    const dialect = (path: string, method: string) => read(makeExchange({}, {}, { ...place, path, method })).dialect
    expect(dialect('/v1beta1/projects/p/locations/us/interactions', 'POST')).toBe('gemini-interactions')
    for (const [path, method] of [
      ['/v1beta/interactions', 'GET'],
      ['/v1beta/interactions/i1', 'DELETE'],
      ['/interactions', 'POST'],
      ['/v1beta/interactions/i1/other', 'POST'],
    ] as const)
      expect(dialect(path, method)).toBe('unknown')
  })
})

describe('cut at any byte', () => {
  const bytes = Buffer.from(asStream(events))
  const at = (responseBody: Buffer, more: Partial<Exchange> = {}) =>
    read(makeExchange(request, undefined, { ...place, responseHeaders: {}, responseBody, ...more }))

  it('a stream claims no more than the bytes hold', () => {
    let stage = 0
    for (let cut = 0; cut <= bytes.length; cut++) {
      const reading = at(bytes.subarray(0, cut))
      const found = [undefined, 101, 134].indexOf(reading.counts.total)
      expect(found, `${cut}`).toBeGreaterThanOrEqual(stage)
      stage = found
      expect(reading.usageSource === 'provider', `${cut}`).toBe(found === 2)
    }
    expect(stage).toBe(2)
  })

  it('a stream without its middle is read by its last event, also where that was cut', () => {
    for (let from = bytes.indexOf('"step.start"'); from < bytes.length; from++) {
      const reading = at(bytes.subarray(0, 80), { responseTail: bytes.subarray(from) })
      if (reading.usageSource === 'provider') expect(reading.counts).toEqual(counts)
      else expect(reading.counts.total).not.toBe(134)
    }
    const tail = bytes.subarray(bytes.indexOf('"total_tokens":134') - 20)
    expect(at(bytes.subarray(0, 80), { responseTail: tail })).toMatchObject({ counts, usageSource: 'provider' })
  })

  it('a body gives what stands whole in it', () => {
    const body = Buffer.from(JSON.stringify(interaction, null, 1))
    for (let cut = 0; cut <= body.length; cut++) {
      const reading = at(body.subarray(0, cut), { responseComplete: false })
      if (reading.usageSource === 'provider') expect(reading.counts).toEqual(counts)
      expect([undefined, 134]).toContain(reading.counts.total)
    }
    const { usage: _usage, ...first } = interaction
    const late = Buffer.from(JSON.stringify({ ...first, usage }))
    expect(at(late.subarray(0, 90), { responseTail: late.subarray(120) })).toMatchObject({ counts })
  })
})
