import { describe, expect, it } from 'vitest'
import { makeExchange, makeStream } from '../testing/make-exchange.ts'
import { read } from './index.ts'

const request = {
  model: 'gpt-4o',
  messages: [
    { role: 'system', content: 'Be terse' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'What is this?' },
        { type: 'image_url', image_url: { url: 'data:x' } },
      ],
    },
    {
      role: 'assistant',
      tool_calls: [{ id: 'c1', type: 'function', function: { name: 'look', arguments: '{"a":1}' } }],
    },
    { role: 'tool', tool_call_id: 'c1', content: 'a cat' },
  ],
  tools: [{ type: 'function', function: { name: 'look' } }],
  max_completion_tokens: 100,
  temperature: 0.5,
  stop: 'END',
  response_format: { type: 'json_schema' },
}
const usage = {
  prompt_tokens: 25,
  completion_tokens: 9,
  total_tokens: 34,
  prompt_tokens_details: { cached_tokens: 10, audio_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 2 },
}
const units = { input: 15, cache_read: 10, output: 7, output_reasoning: 2 }
const answer = {
  id: 'chatcmpl-1',
  object: 'chat.completion',
  model: 'gpt-4o-2024-08-06',
  service_tier: 'default',
  system_fingerprint: 'fp_1',
  choices: [{ index: 0, message: { role: 'assistant', content: 'A cat', refusal: null }, finish_reason: 'stop' }],
  usage,
}
const chunk = (delta: object | undefined, more: object = {}) => ({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  model: 'gpt-4o-2024-08-06',
  choices: delta === undefined ? [] : [{ index: 0, delta, finish_reason: null, ...more }],
})
const start = [chunk({ role: 'assistant', content: '' }), chunk({ content: 'A ' }), chunk({ content: 'cat\u2028!' })]
const end = chunk({}, { finish_reason: 'stop' })
const lastChunk = { ...chunk(undefined), usage }
const readStream = (events: readonly unknown[], overrides = {}) =>
  read(makeExchange({ ...request, stream: true }, makeStream(events), overrides))
const answerWith = (raw: object) => read(makeExchange(request, { ...answer, usage: raw }))

describe('a whole answer', () => {
  it('is read in full', () => {
    expect(read(makeExchange(request, answer))).toEqual({
      dialect: 'openai-chat',
      operation: 'chat',
      stream: false,
      requestModel: 'gpt-4o',
      responseModel: 'gpt-4o-2024-08-06',
      responseId: 'chatcmpl-1',
      serviceTier: 'default',
      systemFingerprint: 'fp_1',
      parameters: { maxTokens: 100, temperature: 0.5, stopSequences: ['END'], outputType: 'json' },
      finishReasons: ['stop'],
      counts: {
        input: 25,
        output: 9,
        cacheRead: 10,
        inputAudio: 0,
        reasoning: 2,
        total: 34,
      },
      usage: units,
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
              { type: 'text', content: 'What is this?' },
              { type: 'other', kind: 'image' },
            ],
          },
          { role: 'assistant', parts: [{ type: 'tool_call', id: 'c1', name: 'look', arguments: '{"a":1}' }] },
          { role: 'tool', parts: [{ type: 'tool_call_response', id: 'c1', response: 'a cat' }] },
        ],
        output: [{ role: 'assistant', parts: [{ type: 'text', content: 'A cat' }], finishReason: 'stop' }],
        tools: JSON.stringify(request.tools),
      },
    })
  })

  it('splits every part once', () => {
    const details = {
      cached_tokens: 30,
      cache_write_tokens: 20,
      audio_tokens: 40,
      cached_tokens_details: { audio_tokens: 10 },
    }
    const raw = {
      prompt_tokens: 100,
      completion_tokens: 50,
      prompt_tokens_details: details,
      completion_tokens_details: { reasoning_tokens: 20, audio_tokens: 25 },
    }
    expect(answerWith(raw).usage).toEqual({
      input: 20,
      input_audio: 30,
      cache_read: 20,
      cache_read_audio: 10,
      cache_write: 20,
      output: 5,
      output_reasoning: 20,
      output_audio: 25,
    })
  })

  it('clamps parts larger than their whole, and says so', () => {
    const raw = { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8, prompt_tokens_details: { cached_tokens: 9 } }
    expect(answerWith(raw)).toMatchObject({
      usage: { input: 0, cache_read: 5, output: 3 },
      usageSource: 'provider',
      usageReason: 'inconsistent',
      rawUsage: raw,
    })
  })

  it('knows by the total what stands beside the counts', () => {
    const beside = {
      prompt_tokens: 10,
      completion_tokens: 5,
      total_tokens: 22,
      completion_tokens_details: { reasoning_tokens: 7 },
    }
    expect(answerWith(beside).usage).toEqual({ input: 10, output: 5, output_reasoning: 7 })
    const audio = {
      prompt_tokens: 9,
      completion_tokens: 4,
      total_tokens: 33,
      prompt_tokens_details: { audio_tokens: 20 },
    }
    expect(answerWith(audio).usage).toEqual({ input: 9, input_audio: 20, output: 4 })
    expect(answerWith({ prompt_tokens: 10, completion_tokens: 5, total_tokens: 99 }).usageReason).toBe('inconsistent')
  })

  it.each([{ prompt_tokens: -5 }, { prompt_tokens: '25' }, { prompt_tokens: 1.5 }, {}, null, [], 'x'])(
    'does not take %j for usage',
    (raw) => {
      expect(read(makeExchange(request, { ...answer, usage: raw }))).toMatchObject({
        usage: {},
        usageSource: 'unknown',
        usageReason: 'body_without_usage',
      })
    },
  )

  it('bounds the raw usage', () => {
    const { rawUsage } = answerWith({ ...usage, note: 'x'.repeat(5000) })
    expect(rawUsage).toEqual({ prompt_tokens: 25, completion_tokens: 9, total_tokens: 34 })
  })

  it('reads refusals and content filters as guardrail events', () => {
    const refused = {
      ...answer,
      choices: [{ index: 0, message: { content: null, refusal: 'No.' }, finish_reason: 'stop' }],
    }
    expect(read(makeExchange(request, refused)).guardrails).toEqual([
      { guardrail: 'openai.refusal', stage: 'output', action: 'blocked' },
    ])
    const blocked = {
      error: {
        code: 'content_filter',
        message: 'filtered',
        innererror: { content_filter_result: { violence: { filtered: true }, hate: { filtered: false } } },
      },
    }
    expect(read(makeExchange(request, blocked, { status: 400, host: 'x.openai.azure.com' }))).toMatchObject({
      usage: {},
      usageSource: 'none',
      error: { type: 'content_filter', message: 'filtered' },
      guardrails: [
        { guardrail: 'azure.ai.openai.content_filter', stage: 'input', action: 'blocked', reason: 'violence' },
      ],
    })
  })

  it('says why there is no usage', () => {
    const outcome = (response: unknown, overrides = {}) => {
      const { usage, usageSource, usageReason } = read(makeExchange(request, response, overrides))
      expect(usage).toEqual({})
      return [usageSource, usageReason]
    }
    expect(outcome(undefined)).toEqual(['unknown', 'no_body'])
    expect(outcome('<html>', { responseHeaders: {} })).toEqual(['unknown', 'unreadable_body'])
    expect(outcome('{"id":"x","usa', { responseComplete: false })).toEqual(['unknown', 'body_cut'])
    expect(outcome({ error: { message: 'busy', code: 429 } }, { status: 429 })).toEqual(['none', undefined])
    expect(outcome({ error: { message: 'busy', code: 502 } })).toEqual(['none', undefined])
    expect(outcome(undefined, { status: 500 })).toEqual(['none', undefined])
  })

  it('finds the usage in the tail of a long body', () => {
    const fake = 'He said "usage":{"prompt_tokens":1} '
    const text = JSON.stringify({ ...answer, choices: [{ index: 0, message: { content: fake.repeat(200) } }], usage })
    const reading = read(makeExchange(request, text.slice(0, 400), { responseTail: Buffer.from(text.slice(-300)) }))
    expect(reading).toMatchObject({ responseModel: 'gpt-4o-2024-08-06', usage: units, usageSource: 'provider' })
    expect(reading.content?.truncated).toBe(true)
    const lost = read(makeExchange(request, text.slice(0, 400), { responseComplete: false }))
    expect(lost).toMatchObject({ usage: {}, usageReason: 'body_cut' })
  })

  it('takes what a cut request still says', () => {
    const text = JSON.stringify(request).slice(0, 200)
    const reading = read({ ...makeExchange(text, answer), requestTruncated: true })
    expect(reading).toMatchObject({ requestModel: 'gpt-4o', content: { truncated: true } })
  })

  it('knows a stored completion that is read again by its id, and does not bill a list of them', () => {
    const again = { method: 'GET', path: '/v1/chat/completions/chatcmpl-1' }
    expect(read(makeExchange(undefined, answer, again))).toMatchObject({ billable: true, responseId: 'chatcmpl-1' })
    const list = { object: 'list', data: [answer] }
    const listed = { method: 'GET', path: '/v1/chat/completions' }
    expect(read(makeExchange(undefined, list, listed))).toMatchObject({ billable: false, usage: {} })
  })

  it('keeps more cached than prompt tokens as reported (Azure’s grok), and clamps the units', () => {
    const raw = {
      prompt_tokens: 23,
      completion_tokens: 5,
      total_tokens: 28,
      prompt_tokens_details: { cached_tokens: 158 },
    }
    expect(answerWith(raw)).toMatchObject({
      counts: { input: 23, output: 5, cacheRead: 158, total: 28 },
      usage: { input: 0, cache_read: 23, output: 5 },
      usageReason: 'inconsistent',
    })
  })

  it('keeps what the provider says that it costs', () => {
    const cost = (raw: object) => answerWith({ ...usage, ...raw }).reportedPicoUsd
    expect(cost({ cost_in_usd_ticks: 1_330_500 })).toBe(133_050_000)
    expect(cost({ cost: 0.00013305 })).toBe(133_050_000)
    expect(cost({ cost: 0, is_byok: true, cost_details: { upstream_inference_cost: 0.5 } })).toBe(5e11)
    expect(cost({ cost: { input_tokens_cost: 0.1, total_cost: 0.25 } })).toBe(25e10)
    for (const none of [{}, { cost: -1 }, { cost: 'x' }, { cost_in_usd_ticks: 0 }, { cost: 1e300 }])
      expect(cost(none)).toBeUndefined()
  })
})

describe('a stream', () => {
  it('is put together', () => {
    expect(readStream([...start, end, lastChunk, '[DONE]'])).toMatchObject({
      stream: true,
      usage: units,
      usageSource: 'provider',
      responseId: 'chatcmpl-1',
      finishReasons: ['stop'],
      content: {
        output: [{ role: 'assistant', parts: [{ type: 'text', content: 'A cat\u2028!' }], finishReason: 'stop' }],
      },
    })
  })

  it('assembles tool calls and reasoning', () => {
    const call = (id: string | undefined, name: string | undefined, text: string, index = 0) =>
      chunk({ tool_calls: [{ index, id, function: { name, arguments: text } }] })
    const events = [
      chunk({ reasoning_content: 'Let me ' }),
      chunk({ reasoning_content: 'see' }),
      call('c1', 'look', ''),
      call(undefined, undefined, '{"a":'),
      call('c2', 'find', '{}', 1),
      call(undefined, undefined, '1}'),
      chunk({}, { finish_reason: 'tool_calls' }),
      '[DONE]',
    ]
    expect(readStream(events).content?.output).toEqual([
      {
        role: 'assistant',
        finishReason: 'tool_calls',
        parts: [
          { type: 'reasoning', content: 'Let me see' },
          { type: 'tool_call', id: 'c1', name: 'look', arguments: '{"a":1}' },
          { type: 'tool_call', id: 'c2', name: 'find', arguments: '{}' },
        ],
      },
    ])
  })

  it('takes the last usage seen, also beside choices or from x_groq', () => {
    const running = { ...chunk({ content: 'A' }), usage: { prompt_tokens: 25, completion_tokens: 1 } }
    const last = { ...end, usage }
    expect(readStream([running, last])).toMatchObject({ usage: units, usageSource: 'provider' })
    expect(readStream([running], { responseComplete: false })).toMatchObject({
      usage: { input: 25, output: 1 },
      usageSource: 'partial',
      usageReason: 'stream_cut',
    })
    expect(readStream([...start, { ...end, x_groq: { usage } }])).toMatchObject({
      usage: units,
      usageSource: 'provider',
    })
  })

  it('says why there is no usage', () => {
    const outcome = (events: readonly unknown[], overrides = {}) => {
      const { usage, usageSource, usageReason } = readStream(events, overrides)
      expect(usage).toEqual({})
      return [usageSource, usageReason]
    }
    expect(outcome([...start, end, '[DONE]'])).toEqual(['unknown', 'stream_without_usage'])
    expect(outcome([...start, end])).toEqual(['unknown', 'stream_without_usage'])
    expect(outcome(start)).toEqual(['unknown', 'stream_cut'])
    expect(outcome([...start, end], { responseComplete: false })).toEqual(['unknown', 'stream_cut'])
    expect(outcome(start, { responseComplete: false, status: 499 })).toEqual(['unknown', 'stream_cut'])
  })

  it('keeps the usage of a client that hung up after the last word', () => {
    expect(readStream([...start, end, lastChunk], { responseComplete: false }).usageSource).toBe('provider')
  })

  it('reads an error inside a 200', () => {
    const error = { error: { message: 'The server had an error', type: 'server_error', code: null } }
    expect(readStream([error])).toMatchObject({ usage: {}, usageSource: 'none', error: { type: 'server_error' } })
    expect(readStream([...start, error])).toMatchObject({
      usageSource: 'unknown',
      usageReason: 'stream_error',
      error: { type: 'server_error', message: 'The server had an error' },
    })
  })

  it('reads a content filter in mid stream', () => {
    expect(readStream([...start, chunk({}, { finish_reason: 'content_filter' }), '[DONE]'])).toMatchObject({
      finishReasons: ['content_filter'],
      guardrails: [{ guardrail: 'openai.content_filter', stage: 'output', action: 'blocked' }],
    })
  })

  it('reads head and tail where the middle was cut out', () => {
    const text = makeStream([
      ...start,
      ...Array.from({ length: 50 }, () => chunk({ content: ' meow' })),
      end,
      lastChunk,
      '[DONE]',
    ])
    const headEnd = makeStream(start).length + 30
    const reading = read(
      makeExchange(request, text.slice(0, headEnd), { responseTail: Buffer.from(text).subarray(-900) }),
    )
    expect(reading).toMatchObject({ usage: units, usageSource: 'provider', content: { truncated: true } })
    const part = reading.content?.output?.[0]?.parts[0]
    expect(part?.type === 'text' && part.content).toMatch(/^A cat\u2028!\[…\]( meow)+$/)
  })
})
