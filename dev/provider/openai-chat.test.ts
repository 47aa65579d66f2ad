import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Provider, startProvider } from './provider.ts'
import { call, eventsOf } from './testing-client.ts'

let provider: Provider
let chat: string
beforeAll(async () => {
  provider = await startProvider()
  chat = `${provider.url}/v1/chat/completions`
})
afterAll(() => provider.close())

const request = (more: object = {}) => ({
  model: 'gpt-4o',
  messages: [{ role: 'user', content: 'Tell me about the gateway. '.repeat(60) }],
  ...more,
})
// biome-ignore lint/suspicious/noExplicitAny: documents of a wire format, looked into by the tests
const chunksOf = (text: string): any[] =>
  eventsOf(text).flatMap(({ data }) => (data === '[DONE]' ? [] : JSON.parse(data)))
// biome-ignore lint/suspicious/noExplicitAny: as above
const loose = (value: unknown): any => value

describe('a whole answer', () => {
  test('has the dated model, a usage that adds up, and the headers', async () => {
    const { status, headers, json, usage } = await call(chat, request())
    expect(status).toBe(200)
    const body = loose(json)
    expect(body).toMatchObject({ object: 'chat.completion', model: 'gpt-4o-2024-08-06', service_tier: 'default' })
    expect(body.system_fingerprint).toMatch(/^fp_/)
    expect(body.usage.total_tokens).toBe(body.usage.prompt_tokens + body.usage.completion_tokens)
    expect(body.choices[0].finish_reason).toBe('stop')
    const text = body.choices[0].message.content
    expect(text.length / body.usage.completion_tokens).toBeCloseTo(4, 0)
    expect(sumOf(usage)).toBe(body.usage.total_tokens)
    expect(usage.model).toBe('gpt-4o-2024-08-06')
    expect(headers['content-type']).toBe('application/json')
    expect(headers['x-request-id']).toMatch(/^req_/)
    expect(Number(headers['openai-processing-ms'])).toBeGreaterThan(0)
    expect(headers['x-ratelimit-remaining-tokens']).toBeDefined()
  })

  test('the same body has the same numbers and text, but an id of its own', async () => {
    const [first, second] = [await call(chat, request()), await call(chat, request())]
    expect(loose(second.json).usage).toEqual(loose(first.json).usage)
    expect(loose(second.json).choices).toEqual(loose(first.json).choices)
    expect(second.json.id).not.toBe(first.json.id)
  })

  test('cached tokens are part of the prompt, and billed apart', async () => {
    const answers = await Promise.all(Array.from({ length: 24 }, (_, n) => call(chat, request({ user: `user-${n}` }))))
    const cached = answers.filter((answer) => answer.usage.cache_read !== undefined)
    expect(cached.length).toBeGreaterThan(0)
    for (const { json, usage } of cached) {
      const reported = loose(json).usage
      expect(usage.cache_read).toBe(reported.prompt_tokens_details.cached_tokens)
      expect(Number(usage.input) + Number(usage.cache_read)).toBe(reported.prompt_tokens)
    }
  })

  test('a reasoning model reports its reasoning within the completion tokens', async () => {
    const { json, usage } = await call(chat, request({ model: 'o4-mini', max_completion_tokens: 500 }))
    const reported = loose(json).usage
    expect(reported.completion_tokens_details.reasoning_tokens).toBeGreaterThan(0)
    expect(usage.output_reasoning).toBe(reported.completion_tokens_details.reasoning_tokens)
    expect(Number(usage.output) + Number(usage.output_reasoning)).toBe(reported.completion_tokens)
    expect(json.model).toBe('o4-mini-2025-04-16')
  })

  test('n choices share the completion tokens', async () => {
    const { json, usage } = await call(chat, request({ n: 3 }), { 'x-mock-output-tokens': '100' })
    expect(loose(json).choices.map((choice: { index: number }) => choice.index)).toEqual([0, 1, 2])
    expect(loose(json).usage.completion_tokens).toBe(100)
    expect(usage.output).toBe(100)
  })

  test('the limit cuts it: finish_reason length', async () => {
    const { json } = await call(chat, request({ max_tokens: 5 }), { 'x-mock-output-tokens': '50' })
    expect(loose(json).usage.completion_tokens).toBe(5)
    expect(loose(json).choices[0].finish_reason).toBe('length')
  })

  test('a tool is called with arguments that fit its schema', async () => {
    const parameters = { type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer' } } }
    const tools = [{ type: 'function', function: { name: 'weather', parameters } }]
    const { json } = await call(chat, request({ tools }))
    const [choice] = loose(json).choices
    expect(choice).toMatchObject({ finish_reason: 'tool_calls', message: { content: null } })
    expect(choice.message.tool_calls[0].function.name).toBe('weather')
    expect(JSON.parse(choice.message.tool_calls[0].function.arguments)).toMatchObject({
      city: expect.any(String),
      days: expect.any(Number),
    })
  })

  test('a content filter and a refusal', async () => {
    const filtered = await call(chat, request(), { 'x-mock-finish': 'content_filter' })
    expect(loose(filtered.json).choices[0].finish_reason).toBe('content_filter')
    const refused = await call(chat, request(), { 'x-mock-finish': 'refusal' })
    expect(loose(refused.json).choices[0].message).toMatchObject({ content: null, refusal: expect.any(String) })
  })

  test('the tier that served it is in the answer and on the bill', async () => {
    const { json, usage } = await call(chat, request({ service_tier: 'auto' }), { 'x-mock-service-tier': 'priority' })
    expect(json.service_tier).toBe('priority')
    expect(usage.service_tier).toBe('priority')
  })
})

describe('a stream', () => {
  test('role, deltas, finish, usage with empty choices, [DONE]; usage null before', async () => {
    const body = request({ stream: true, stream_options: { include_usage: true } })
    const { headers, text, usage, pieces } = await call(chat, body, { 'x-mock-chunks': '9' })
    expect(headers['content-type']).toBe('text/event-stream; charset=utf-8')
    expect(eventsOf(text).at(-1)!.data).toBe('[DONE]')
    expect(pieces).toBeGreaterThan(1)
    const chunks = chunksOf(text)
    expect(chunks[0].choices[0].delta).toMatchObject({ role: 'assistant', content: '' })
    expect(chunks.filter((chunk) => chunk.choices[0]?.delta.content)).toHaveLength(9)
    expect(chunks.at(-2).choices[0]).toMatchObject({ delta: {}, finish_reason: 'stop' })
    expect(chunks.at(-1).choices).toEqual([])
    for (const chunk of chunks.slice(0, -1)) expect(chunk.usage).toBeNull()
    expect(chunks.at(-1).usage.total_tokens).toBe(sumOf(usage))
    expect(new Set(chunks.map((chunk) => chunk.id)).size).toBe(1)
  })

  test('carries no usage without include_usage, but is billed', async () => {
    const { text, usage } = await call(chat, request({ stream: true }))
    expect(text).not.toContain('"usage"')
    expect(sumOf(usage)).toBeGreaterThan(0)
  })

  test('n choices each have a role, a text and a finish', async () => {
    const { text } = await call(chat, request({ stream: true, n: 2 }))
    for (const index of [0, 1]) {
      const own = chunksOf(text).filter((chunk) => chunk.choices[0].index === index)
      expect(own[0].choices[0].delta.role).toBe('assistant')
      expect(own.at(-1).choices[0].finish_reason).toBe('stop')
      expect(own.map((chunk) => chunk.choices[0].delta.content ?? '').join('')).not.toBe('')
    }
  })

  test('a tool call comes in pieces that make JSON', async () => {
    const tools = [{ type: 'function', function: { name: 'weather' } }]
    const { text } = await call(chat, request({ stream: true, tools }))
    const calls = chunksOf(text).flatMap((chunk) => chunk.choices[0].delta.tool_calls ?? [])
    expect(calls[0]).toMatchObject({ index: 0, id: expect.any(String), function: { name: 'weather', arguments: '' } })
    expect(() => JSON.parse(calls.map((item) => item.function.arguments).join(''))).not.toThrow()
  })

  test('an error event ends it without [DONE], and nothing is billed', async () => {
    const { status, text, usage, complete } = await call(chat, request({ stream: true }), {
      'x-mock-fail': 'error-event',
    })
    expect({ status, complete, usage }).toEqual({ status: 200, complete: true, usage: {} })
    expect(text).not.toContain('[DONE]')
    expect(chunksOf(text).at(-1).error.type).toBe('server_error')
  })

  test('a reset breaks the connection in the middle', async () => {
    const { text, usage, complete } = await call(chat, request({ stream: true }), { 'x-mock-fail': 'reset' })
    expect({ complete, usage }).toEqual({ complete: false, usage: {} })
    expect(text).toContain('"role":"assistant"')
    expect(text).not.toContain('[DONE]')
  })
})

describe('errors', () => {
  test.each([
    ['no model', { messages: [] }, {}, 400, 'invalid_request_error', null],
    ['an unknown model', { ...request(), model: 'gpt-99' }, {}, 404, 'invalid_request_error', 'model_not_found'],
    ['no messages', { model: 'gpt-4o' }, {}, 400, 'invalid_request_error', 'missing_required_parameter'],
    ['invalid JSON', '{"model": ', {}, 400, 'invalid_request_error', null],
    ['no object', '[]', {}, 400, 'invalid_request_error', null],
    [
      'max_tokens of a reasoning model',
      request({ model: 'o3', max_tokens: 9 }),
      {},
      400,
      'invalid_request_error',
      'unsupported_parameter',
    ],
    [
      'another content type',
      'model=gpt-4o',
      { 'content-type': 'application/x-www-form-urlencoded' },
      400,
      'invalid_request_error',
      'unsupported_content_type',
    ],
    [
      'the key invalid',
      request(),
      { authorization: 'Bearer invalid' },
      401,
      'invalid_request_error',
      'invalid_api_key',
    ],
    ['403', request(), { 'x-mock-status': '403' }, 403, 'invalid_request_error', null],
    ['429', request(), { 'x-mock-status': '429' }, 429, 'tokens', 'rate_limit_exceeded'],
    [
      '429 of quota',
      request(),
      { 'x-mock-status': '429 insufficient_quota' },
      429,
      'insufficient_quota',
      'insufficient_quota',
    ],
    ['500', request(), { 'x-mock-status': '500' }, 500, 'server_error', null],
    ['503', request(), { 'x-mock-status': '503' }, 503, 'server_error', null],
  ])('%s', async (_, body, headers, status, type, code) => {
    const answer = await call(chat, body, headers)
    expect(answer.status).toBe(status)
    expect(answer.json).toEqual({
      error: { message: expect.any(String), type, param: loose(answer.json).error.param, code },
    })
    expect(answer.headers['content-type']).toBe('application/json')
    expect(answer.usage).toEqual({})
    if (status === 429 && code === 'rate_limit_exceeded')
      expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
  })

  test('an unknown path, and another method', async () => {
    expect((await call(`${provider.url}/v1/nothing`, request())).json).toMatchObject({
      error: { message: 'Invalid URL (POST /v1/nothing)' },
    })
    expect((await call(chat, '', {}, 'GET')).status).toBe(405)
  })
})

function sumOf(usage: Record<string, unknown>): number {
  return Object.values(usage).reduce<number>((sum, value) => sum + (typeof value === 'number' ? value : 0), 0)
}
