import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Provider, startProvider } from './provider.ts'
import { call, eventsOf } from './testing-client.ts'

let provider: Provider
let url: string
beforeAll(async () => {
  provider = await startProvider()
  url = `${provider.url}/v1/messages`
})
afterAll(() => provider.close())

// biome-ignore lint/suspicious/noExplicitAny: documents of a wire format, looked into by the tests
const loose = (value: unknown): any => value
const VERSION = { 'anthropic-version': '2023-06-01' }
const ask = (body: unknown, headers: Record<string, string> = {}) => call(url, body, { ...VERSION, ...headers })
const request = (more: object = {}) => ({
  model: 'claude-sonnet-4-5',
  max_tokens: 1024,
  messages: [{ role: 'user', content: 'Tell me about the gateway. '.repeat(60) }],
  ...more,
})
const cachedSystem = (ttl: string | undefined, n: number) => [
  {
    type: 'text',
    text: `You are helpful (${n}). `.repeat(200),
    cache_control: { type: 'ephemeral', ...(ttl && { ttl }) },
  },
]
const sum = (...numbers: unknown[]) => numbers.reduce<number>((total, number) => total + Number(number ?? 0), 0)

describe('a whole answer', () => {
  test('has the dated model, usage and headers', async () => {
    const { status, headers, json, usage } = await ask(request())
    expect(status).toBe(200)
    expect(json).toMatchObject({
      type: 'message',
      role: 'assistant',
      model: 'claude-sonnet-4-5-20250929',
      stop_reason: 'end_turn',
      stop_sequence: null,
    })
    const reported = loose(json).usage
    expect(reported.output_tokens).toBe(usage.output)
    expect(reported.input_tokens).toBe(usage.input)
    expect(reported.service_tier).toBe('standard')
    expect(loose(json).content[0].text.length / reported.output_tokens).toBeCloseTo(4, 0)
    expect(headers['request-id']).toMatch(/^req_/)
    expect(headers['anthropic-ratelimit-tokens-remaining']).toBeDefined()
  })

  test.each([
    [undefined, 'cache_write_5m', 'ephemeral_5m_input_tokens'],
    ['1h', 'cache_write_1h', 'ephemeral_1h_input_tokens'],
  ])('prompt caching with time to live %s: written or read, never within input_tokens', async (ttl, unit, field) => {
    const answers = await Promise.all(
      Array.from({ length: 16 }, (_, n) => ask(request({ system: cachedSystem(ttl, n) }))),
    )
    expect(answers.some(({ usage }) => usage[unit] !== undefined)).toBe(true)
    expect(answers.some(({ usage }) => usage.cache_read !== undefined)).toBe(true)
    for (const { json, usage } of answers) {
      const reported = loose(json).usage
      expect(reported.input_tokens).toBe(usage.input)
      expect(reported.cache_read_input_tokens).toBe(usage.cache_read ?? 0)
      expect(reported.cache_creation_input_tokens).toBe(usage[unit] ?? 0)
      expect(reported.cache_creation[field]).toBe(usage[unit] ?? 0)
      expect(sum(usage.input, usage.cache_read, usage[unit])).toBeGreaterThan(1000)
    }
  })

  test('thinking is part of the output tokens and has a block of its own', async () => {
    const { json, usage } = await ask(request({ thinking: { type: 'enabled', budget_tokens: 1024 } }), {
      'x-mock-output-tokens': '200',
    })
    expect(loose(json).content.map((block: { type: string }) => block.type)).toEqual(['thinking', 'text'])
    expect(loose(json).usage.output_tokens_details.thinking_tokens).toBe(usage.output_reasoning)
    expect(sum(usage.output, usage.output_reasoning)).toBe(200)
  })

  test('a tool is used', async () => {
    const input_schema = { type: 'object', properties: { city: { type: 'string' } } }
    const { json } = await ask(request({ tools: [{ name: 'weather', input_schema }] }))
    expect(json.stop_reason).toBe('tool_use')
    expect(loose(json).content.at(-1)).toMatchObject({
      type: 'tool_use',
      name: 'weather',
      input: { city: expect.any(String) },
    })
  })

  test.each([
    ['refusal', {}, 'refusal', null],
    ['pause_turn', {}, 'pause_turn', null],
    ['length', {}, 'max_tokens', null],
    ['stop_sequence', { stop_sequences: ['###'] }, 'stop_sequence', '###'],
  ])('stop reason: %s', async (finish, more, stop_reason, stop_sequence) => {
    const { json } = await ask(request(more), { 'x-mock-finish': finish })
    expect(json).toMatchObject({ stop_reason, stop_sequence })
  })

  test('max_tokens cuts it', async () => {
    const { json } = await ask(request({ max_tokens: 7 }), { 'x-mock-output-tokens': '70' })
    expect(json).toMatchObject({ stop_reason: 'max_tokens', usage: { output_tokens: 7 } })
  })
})

describe('a stream', () => {
  test('start, ping, blocks, cumulative delta, stop', async () => {
    const body = request({ stream: true, system: cachedSystem('1h', 3), thinking: { type: 'enabled' } })
    const { text, usage } = await ask(body)
    const events = eventsOf(text).map(({ event, data }) => ({ event, data: loose(JSON.parse(data)) }))
    for (const { event, data } of events) expect(data.type).toBe(event)
    expect(events.map(({ event }) => event).filter((event) => event !== 'content_block_delta')).toEqual([
      'message_start',
      'content_block_start',
      'ping',
      'content_block_stop',
      'content_block_start',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ])
    const start = events[0]!.data.message
    expect(start).toMatchObject({ stop_reason: null, content: [], model: 'claude-sonnet-4-5-20250929' })
    const delta = events.at(-2)!.data
    expect(delta.delta.stop_reason).toBe('end_turn')
    expect(start.usage.input_tokens).toBe(usage.input)
    expect(start.usage.cache_creation.ephemeral_1h_input_tokens).toBe(usage.cache_write_1h ?? 0)
    expect(start.usage.output_tokens).toBeLessThanOrEqual(delta.usage.output_tokens)
    expect(delta.usage.output_tokens).toBe(sum(usage.output, usage.output_reasoning))
    expect(delta.usage.output_tokens_details.thinking_tokens).toBe(usage.output_reasoning)
    expect(delta.usage.input_tokens).toBe(usage.input)
    const kinds = new Set(events.flatMap(({ data }) => data.delta?.type ?? []))
    expect(kinds).toEqual(new Set(['thinking_delta', 'signature_delta', 'text_delta']))
  })

  test('a tool input comes in pieces that make JSON', async () => {
    const { text } = await ask(request({ stream: true, tools: [{ name: 'weather' }] }), { 'x-mock-chunks': '4' })
    const pieces = eventsOf(text).flatMap(({ data }) => loose(JSON.parse(data)).delta?.partial_json ?? [])
    expect(pieces[0]).toBe('')
    expect(JSON.parse(pieces.join(''))).toMatchObject({ query: expect.any(String) })
  })

  test('overloaded in the middle: an error event, nothing billed', async () => {
    const { status, text, usage } = await ask(request({ stream: true }), { 'x-mock-fail': 'error-event' })
    expect(status).toBe(200)
    const last = eventsOf(text).at(-1)!
    expect(last.event).toBe('error')
    expect(JSON.parse(last.data)).toMatchObject({
      type: 'error',
      error: { type: 'overloaded_error', message: 'Overloaded' },
    })
    expect(text).not.toContain('message_stop')
    expect(usage).toEqual({})
  })
})

describe('errors', () => {
  test.each([
    ['no version', request(), { 'anthropic-version': '' }, 400, 'invalid_request_error'],
    ['an unknown model', { ...request(), model: 'claude-none' }, {}, 404, 'not_found_error'],
    ['no model', { max_tokens: 1, messages: [] }, {}, 400, 'invalid_request_error'],
    ['no max_tokens', { model: 'claude-haiku-4-5', messages: [] }, {}, 400, 'invalid_request_error'],
    ['no messages', { model: 'claude-haiku-4-5', max_tokens: 1 }, {}, 400, 'invalid_request_error'],
    ['invalid JSON', '{', {}, 400, 'invalid_request_error'],
    ['another content type', 'x', { 'content-type': 'text/plain' }, 400, 'invalid_request_error'],
    ['the key invalid', request(), { 'x-api-key': 'invalid' }, 401, 'authentication_error'],
    ['402', request(), { 'x-mock-status': '402' }, 402, 'billing_error'],
    ['403', request(), { 'x-mock-status': '403' }, 403, 'permission_error'],
    ['413', request(), { 'x-mock-status': '413' }, 413, 'request_too_large'],
    ['429', request(), { 'x-mock-status': '429' }, 429, 'rate_limit_error'],
    ['500', request(), { 'x-mock-status': '500' }, 500, 'api_error'],
    ['504', request(), { 'x-mock-status': '504' }, 504, 'timeout_error'],
    ['529', request(), { 'x-mock-status': '529' }, 529, 'overloaded_error'],
  ])('%s', async (_, body, headers, status, type) => {
    const answer = await ask(body, headers)
    expect(answer.status).toBe(status)
    expect(answer.json).toEqual({
      type: 'error',
      error: { type, message: expect.any(String) },
      request_id: answer.headers['request-id'],
    })
    expect(answer.usage).toEqual({})
    if (status === 429) expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
  })
})
