import { describe, expect, it } from 'vitest'
import { makeExchange, makeStream } from '../testing/make-exchange.ts'
import type { Exchange } from './dialect.ts'
import { read } from './index.ts'

/** What is billed besides the plain usage of one pass, and where it stands. */
const responses = (parts: object, request: object = {}) =>
  read(
    makeExchange(
      { model: 'gpt-5.5', input: 'x', ...request },
      {
        id: 'resp_1',
        object: 'response',
        status: 'completed',
        model: 'gpt-5.5',
        service_tier: 'default',
        output: [],
        usage: { input_tokens: 100, output_tokens: 10, total_tokens: 110 },
        ...parts,
      },
      { path: '/v1/responses' },
    ),
  )

describe('tools that the provider runs', () => {
  it.each([
    [{ type: 'web_search_call', action: { type: 'search' } }, { webSearches: 1 }],
    [{ type: 'web_search_call', action: { type: 'open_page' } }, {}],
    [{ type: 'file_search_call' }, { fileSearches: 1 }],
    [{ type: 'code_interpreter_call' }, { toolCalls: 1 }],
    [{ type: 'shell_call', environment: { type: 'container_reference' } }, { toolCalls: 1 }],
    [{ type: 'shell_call', environment: { type: 'local' } }, {}],
    [{ type: 'computer_call' }, {}],
    [{ type: 'mcp_call' }, {}],
    [{ type: 'function_call' }, {}],
    // One that nobody knows is taken for a billed one.
    [{ type: 'hologram_call' }, { toolCalls: 1 }],
  ])('%j', (item, counts) => {
    const { webSearches, fileSearches, toolCalls } = responses({ output: [{ id: 'i', ...item }] }).counts
    expect(JSON.parse(JSON.stringify({ webSearches, fileSearches, toolCalls }))).toEqual(counts)
  })

  it('OpenAI’s own count stands over what the items show, and has the image tool’s tokens', () => {
    const reading = responses(
      {
        tool_usage: {
          web_search: { num_requests: 3 },
          image_gen: { input_tokens: 50, output_tokens: 7024, output_tokens_details: { image_tokens: 7024 } },
        },
      },
      { tools: [{ type: 'image_generation', model: 'gpt-image-2' }] },
    )
    expect(reading.counts.webSearches).toBe(3)
    expect(reading.usageReason).toBe('other_passes')
    expect(reading.billedLines?.at(-1)).toEqual({
      kind: 'image_generation',
      model: 'gpt-image-2',
      counts: { input: 50, output: 7024, outputImage: 7024 },
    })
  })

  it('a picture of which nobody says the tokens marks the call', () => {
    const { reasons } = responses({ output: [{ type: 'image_generation_call', id: 'i' }] })
    expect(reasons).toEqual(['tool_fee_unknown'])
  })
})

describe('usage in other places', () => {
  const chunk = (delta: object, more: object = {}) => ({
    id: 'c',
    object: 'chat.completion.chunk',
    model: 'kimi-k2.5',
    choices: [{ index: 0, delta, finish_reason: null, ...more }],
  })
  const stream = (events: object[], place: Partial<Exchange> = {}) =>
    read(makeExchange({ model: 'm', stream: true }, makeStream(events), { path: '/v1/chat/completions', ...place }))

  it('in the last choice of a stream', () => {
    const usage = { prompt_tokens: 20, completion_tokens: 5, total_tokens: 25, cached_tokens: 15 }
    const reading = stream([chunk({ content: 'Hi' }), chunk({}, { finish_reason: 'stop', usage })])
    expect(reading).toMatchObject({ usageSource: 'provider', usage: { input: 5, cache_read: 15, output: 5 } })
  })

  it('two tool calls of which none has an index stay two; pieces of one stay one', () => {
    const call = (id: string | undefined, name: string | undefined, text: string) => ({
      tool_calls: [{ ...(id && { id }), function: { ...(name && { name }), arguments: text } }],
    })
    const { content } = stream([
      chunk(call('a', 'get_weather', '{"city":')),
      chunk(call(undefined, undefined, '"Paris"}')),
      chunk(call('b', 'get_time', '{}')),
      chunk({}, { finish_reason: 'tool_calls' }),
    ])
    expect(content?.output?.[0]?.parts).toEqual([
      { type: 'tool_call', id: 'a', name: 'get_weather', arguments: '{"city":"Paris"}' },
      { type: 'tool_call', id: 'b', name: 'get_time', arguments: '{}' },
    ])
  })

  it('in Code Assist’s wrapper, and a plan pays for it', () => {
    const response = {
      candidates: [{ content: { parts: [{ text: 'a' }] }, finishReason: 'STOP' }],
      usageMetadata: { promptTokenCount: 10, candidatesTokenCount: 20, totalTokenCount: 30 },
    }
    const place = { host: 'cloudcode-pa.googleapis.com', path: '/v1internal:streamGenerateContent' }
    expect(stream([{ response }], place)).toMatchObject({
      usage: { input: 10, output: 20 },
      priceAttributes: { plan: 'gemini-code-assist' },
    })
  })

  it('searches of Gemini: each text once, over all chunks, none that is empty', () => {
    const part = (queries: string[], more: object = {}) => ({
      candidates: [{ content: { parts: [{ text: 'a' }] }, groundingMetadata: { webSearchQueries: queries }, ...more }],
      usageMetadata: { promptTokenCount: 10, candidatesTokenCount: 20, totalTokenCount: 30 },
      modelVersion: 'gemini-3-flash-preview',
    })
    const place = {
      host: 'generativelanguage.googleapis.com',
      path: '/v1beta/models/gemini-3-flash-preview:streamGenerateContent',
    }
    const { counts } = stream([part(['q1', '']), part(['q1', 'q2', 'q3'], { finishReason: 'STOP' })], place)
    expect(counts.webSearches).toBe(3)
  })
})

describe('several passes, cumulative counts', () => {
  const messages = (usage: object) =>
    read(
      makeExchange(
        { model: 'claude-haiku-5-5', messages: [] },
        {
          type: 'message',
          role: 'assistant',
          id: 'm',
          model: 'claude-haiku-5-5',
          content: [],
          stop_reason: 'end_turn',
          usage,
        },
        { host: 'api.anthropic.com', path: '/v1/messages' },
      ),
    )
  const pass = (input_tokens: number) => ({ type: 'message', input_tokens, output_tokens: 10 })

  it('plain passes are priced each at the size of its own prompt, if they are all there is', () => {
    const whole = { input_tokens: 160, output_tokens: 20, iterations: [pass(80), pass(80)] }
    expect(messages(whole).billedLines?.map(({ counts }) => counts.input)).toEqual([80, 80])
    expect(messages(whole)).not.toHaveProperty('usageReason')
    expect(messages({ ...whole, input_tokens: 500 })).not.toHaveProperty('billedLines')
  })

  const streamed = (start: object, end: object) =>
    read(
      makeExchange(
        { model: 'm', stream: true },
        makeStream(
          [
            {
              type: 'message_start',
              message: { id: 'm', type: 'message', role: 'assistant', model: 'm', usage: start },
            },
            { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: end },
            { type: 'message_stop' },
          ],
          true,
        ),
        { host: 'api.minimax.io', path: '/anthropic/v1/messages' },
      ),
    ).counts

  it('a cumulative count never falls; a prompt that moves into the cache is the same prompt', () => {
    const start = { input_tokens: 12_000, cache_read_input_tokens: 8000, output_tokens: 1 }
    const zeros = { input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 400 }
    expect(streamed(start, zeros)).toMatchObject({ input: 20_000, cacheRead: 8000, output: 400 })
    const moved = { input_tokens: 0, cache_read_input_tokens: 20_000, output_tokens: 70 }
    expect(streamed({ input_tokens: 20_000, output_tokens: 0 }, moved)).toMatchObject({
      input: 20_000,
      cacheRead: 20_000,
    })
  })
})

describe('what is free, is so by a list', () => {
  it.each([
    ['OPTIONS', '/v1/chat/completions', false],
    ['HEAD', '/v1/chat/completions', false],
    ['DELETE', '/v1/responses/resp_1', false],
    ['GET', '/v1/models', false],
    ['GET', '/v1/videos/video_1', false],
    ['POST', '/v1/realtime/client_secrets', false],
    ['POST', '/v1/models/veo-3.1-generate-001:fetchPredictOperation', false],
    ['POST', '/v1/something/new', true],
    ['POST', '/v1/realtime/calls', true],
  ])('%s %s', (method, path, billable) => {
    const reading = read(makeExchange({}, { ok: true }, { method, path }))
    expect(reading.billable).toBe(billable)
    if (billable) expect(reading.usageSource).toBe('unknown')
  })

  it('a look at a format that nobody reads is not free where it tells of usage', () => {
    const answer = { usage: { input_tokens: 5, output_tokens: 1 } }
    const reading = read(makeExchange(undefined, answer, { method: 'GET', path: '/v9/tasks/t1' }))
    expect(reading).toMatchObject({ billable: true, usage: { input: 5, output: 1 }, answer: { retrieval: true } })
  })

  it('managed agents tell their model calls in events', () => {
    const span = { type: 'span.model_request_end', id: 'e1', model_usage: { input_tokens: 1000, output_tokens: 100 } }
    const place = { method: 'GET', host: 'api.anthropic.com', path: '/v1/sessions/s1/events/stream' }
    expect(read(makeExchange(undefined, makeStream([span], true), place))).toMatchObject({
      usage: { input: 1000, output: 100 },
      usageSource: 'provider',
      growing: true,
      answer: { key: 'api.anthropic.com/session/s1/e1', retrieval: true },
    })
  })

  it('the sum of a managed agent’s session is billed nobody, and says so', () => {
    const session = { id: 's1', type: 'session', status: 'idle', usage: { input_tokens: 5000, output_tokens: 3200 } }
    const place = { method: 'GET', host: 'api.anthropic.com', path: '/v1/sessions/s1' }
    expect(read(makeExchange(undefined, session, place))).toMatchObject({
      billable: false,
      reasons: ['session_sum_not_billed'],
    })
    const list = { ...place, path: '/v1/sessions' }
    expect(read(makeExchange(undefined, { data: [session] }, list)).reasons).toEqual(['session_sum_not_billed'])
    const fresh = { ...session, usage: { input_tokens: 0, output_tokens: 0 } }
    expect(read(makeExchange(undefined, fresh, place)).reasons).toBeUndefined()
  })

  it('videos are billed when they are asked for, by the second', () => {
    const made = { id: 'video_1', object: 'video', model: 'sora-2', status: 'queued', seconds: '8', size: '1280x720' }
    expect(read(makeExchange({ model: 'sora-2', seconds: '8' }, made, { path: '/v1/videos' }))).toMatchObject({
      operation: 'video_generation',
      usage: { video_milliseconds: 8000 },
      usageSource: 'counted',
      priceAttributes: { image_size: '1280x720' },
    })
  })

  it('speech of other services by their own count', () => {
    const place = {
      host: 'api.elevenlabs.io',
      path: '/v1/text-to-speech/voice',
      responseHeaders: { 'content-type': 'audio/mpeg', 'character-cost': '22' },
    }
    const spoken = read(makeExchange({ text: 'hello world', model_id: 'eleven_multilingual_v2' }, 'x', place))
    expect(spoken).toMatchObject({
      operation: 'speech',
      usage: { characters: 22 },
      requestModel: 'eleven_multilingual_v2',
    })
  })
})
