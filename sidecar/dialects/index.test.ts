import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { makeExchange, makeStream } from '../testing/make-exchange.ts'
import type { Exchange } from './dialect.ts'
import { defaultProviderOf, read } from './index.ts'
import { providerOfHost } from './provider-of-host.ts'

const chat = {
  object: 'chat.completion',
  id: 'c',
  model: 'm',
  choices: [],
  usage: { prompt_tokens: 2, completion_tokens: 1 },
}
const message = {
  type: 'message',
  role: 'assistant',
  model: 'm',
  content: [],
  usage: { input_tokens: 2, output_tokens: 1 },
}

describe('the dialect', () => {
  it.each([
    ['/v1/chat/completions', 'openai-chat'],
    ['/openai/deployments/gpt/chat/completions', 'openai-chat'],
    ['/v1/messages', 'anthropic-messages'],
    ['/anthropic/v1/messages', 'anthropic-messages'],
    ['/v1/messages/count_tokens', 'unknown'],
    ['/v1/messages/batches', 'unknown'],
    ['/v1/projects/p/locations/l/publishers/google/models/gemini-2.5-pro:computeTokens', 'unknown'],
    ['/v1/detokenize', 'unknown'],
    ['/v1/predictions/p1/cancel', 'unknown'],
    ['/v1/threads/t/messages', 'unknown'],
    ['/v1/responses', 'openai-responses'],
    ['/openai/v1/responses/resp_1/cancel', 'openai-responses'],
    ['/v1/responses/input_tokens', 'unknown'],
    ['/v1/chat/completions/chatcmpl-1', 'openai-chat'],
    ['/v1/fim/completions', 'openai-chat'],
    ['/v1/completions', 'openai-completions'],
    ['/openai/deployments/ada/embeddings', 'openai-embeddings'],
    ['/v1/images/edits', 'openai-images'],
    ['/openai/v1/audio/translations', 'openai-transcription'],
    ['/v1/audio/speech', 'openai-speech'],
    ['/v1/moderations', 'openai-moderations'],
    ['/v1/threads/t/runs/r/submit_tool_outputs', 'openai-threads'],
  ])('of %s is %s', (path, dialect) => {
    expect(read(makeExchange({}, {}, { path })).dialect).toBe(dialect)
  })

  it('is told by the response where the path does not', () => {
    const hidden = (response: unknown) => read(makeExchange({}, response, { path: '/llm' }))
    const used = { usage: { input: 2, output: 1 }, usageSource: 'provider' }
    expect(hidden(chat)).toMatchObject({ dialect: 'openai-chat', ...used })
    expect(hidden(message)).toMatchObject({ dialect: 'anthropic-messages', ...used })
    expect(
      hidden(makeStream([{ object: 'chat.completion.chunk', choices: [], usage: chat.usage }, '[DONE]'])),
    ).toMatchObject({
      dialect: 'openai-chat',
      ...used,
    })
    expect(hidden(makeStream([{ type: 'message_start', message }], true)).dialect).toBe('anthropic-messages')
    const response = { object: 'response', usage: { input_tokens: 2, output_tokens: 1 } }
    expect(hidden(response)).toMatchObject({ dialect: 'openai-responses', ...used })
    // Somebody else's object that holds such an answer is not one.
    expect(hidden({ results: [chat] }).dialect).toBe('unknown')
    expect(hidden({ role: 'assistant', inner: { ...message, role: 'assistant' } }).dialect).toBe('unknown')
  })

  it('unknown shows models and never guesses usage; a usage object in a known vocabulary is read', () => {
    const answer = { object: 'answer', id: 'resp_1', model: 'gpt-5', consumption: { input_tokens: 5 } }
    expect(read(makeExchange({ model: 'gpt-5-mini' }, answer, { path: '/v9/answers' }))).toEqual({
      dialect: 'unknown',
      operation: 'unknown',
      stream: false,
      requestModel: 'gpt-5-mini',
      responseModel: 'gpt-5',
      responseId: 'resp_1',
      counts: {},
      usage: {},
      usageSource: 'unknown',
      usageReason: 'unknown_format',
      guardrails: [],
      billable: true,
    })
    const told = { result: { response: 'x', usage: { prompt_tokens: 5, completion_tokens: 2 } } }
    expect(read(makeExchange({}, told, { path: '/v9/answers' }))).toMatchObject({
      usage: { input: 5, output: 2 },
      usageSource: 'provider',
    })
    const counted = read(makeExchange({}, { input_tokens: 9 }, { path: '/v1/messages/count_tokens' }))
    expect(counted).toMatchObject({ billable: false, usage: {}, usageSource: 'none' })
    expect(read(makeExchange(undefined, {}, { path: '/v1/models', method: 'GET' })).billable).toBe(false)
  })

  it('has a default provider', () => {
    expect(defaultProviderOf('openai-chat')).toBe('openai')
    expect(defaultProviderOf('anthropic-messages')).toBe('anthropic')
    expect(defaultProviderOf('unknown')).toBeUndefined()
  })
})

it.each([
  ['api.openai.com', 'openai'],
  ['Acme.OpenAI.Azure.com', 'azure.ai.openai'],
  ['bedrock-runtime.us-east-1.amazonaws.com', 'aws.bedrock'],
  ['us-central1-aiplatform.googleapis.com', 'gcp.vertex_ai'],
  ['generativelanguage.googleapis.com', 'gcp.gemini'],
  ['api.x.ai', 'x_ai'],
  ['constructor', undefined],
  ['api.openai.com.evil.example', undefined],
  ['aiplatform.eu.rep.googleapis.com', 'gcp.vertex_ai'],
  ['us-east-1.api.x.ai', 'x_ai'],
  ['bedrock-agent-runtime.eu-west-1.amazonaws.com', 'aws.bedrock'],
  ['vpce-0a1b-c2.bedrock-runtime.us-east-1.vpce.amazonaws.com', 'aws.bedrock'],
])('the provider of %s is %s', (host, provider) => expect(providerOfHost(host)).toBe(provider))

describe('whatever comes', () => {
  const paths = [
    '/v1/chat/completions',
    '/v1/messages',
    '/v1/responses',
    '/v1/completions',
    '/v1/embeddings',
    '/v1/images/generations',
    '/v1/audio/transcriptions',
    '/v1/audio/speech',
    '/v1/moderations',
    '/v1/threads/runs',
    '/v1beta/models/gemini:streamGenerateContent',
    '/v1beta/models/gemini:batchEmbedContents',
    '/v1beta/interactions',
    '/model/m/converse',
    '/model/m/converse-stream',
    '/model/m/invoke',
    '/model/m/invoke-with-response-stream',
    '/v2/chat',
    '/v1/rerank',
    '/api/chat',
    '/ml/v1/text/generation_stream',
    '/v1/complete',
    '/x',
  ]
  const sound = (exchange: Exchange) => {
    const reading = read(exchange)
    expect(reading.usageReason).not.toBe('reader_failed')
    for (const count of Object.values(reading.usage)) expect(Number.isSafeInteger(count) && count >= 0).toBe(true)
    return reading
  }

  it('bytes never throw', () => {
    const bytes = fc.uint8Array({ maxLength: 200 })
    fc.assert(
      fc.property(fc.constantFrom(...paths), bytes, bytes, fc.option(bytes), (path, request, response, tail) => {
        sound({
          ...makeExchange(undefined, undefined, { path }),
          requestBody: request,
          responseBody: response,
          responseTail: tail ?? undefined,
        })
      }),
    )
  })

  it('JSON of any shape under the names we read never throws', () => {
    const keys = [
      'usage',
      'choices',
      'message',
      'delta',
      'content',
      'error',
      'type',
      'tool_calls',
      'index',
      'messages',
      'tools',
    ]
    const counts = ['prompt_tokens', 'completion_tokens', 'total_tokens', 'input_tokens', 'output_tokens', 'iterations']
    const key = fc.constantFrom(...keys, ...counts, 'prompt_tokens_details', 'cached_tokens', '__proto__')
    const types = fc.constantFrom(
      'message_start',
      'message_delta',
      'content_block_delta',
      'text_delta',
      'text',
      'tool_use',
    )
    const value = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom(null, true, 'x', 3, -1, 1e300),
        types,
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(key, tie('value'), { maxKeys: 5 }),
      ),
    })).value
    fc.assert(
      fc.property(fc.constantFrom(...paths), value, fc.array(value, { maxLength: 4 }), (path, body, events) => {
        sound(makeExchange(body, body ?? {}, { path }))
        sound(makeExchange(body, makeStream(events.map((event) => JSON.stringify(event) ?? 'null')), { path }))
      }),
      { numRuns: 300 },
    )
  })

  it('nested beyond any stack does not throw', () => {
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`
    for (const path of paths) {
      sound(
        makeExchange(`{"messages":${deep},"tools":[${deep}]}`, `{"content":${deep},"usage":{"a":${deep}}}`, { path }),
      )
      sound(makeExchange({}, `data: {"type":"message_delta","usage":{"input_tokens":1,"b":${deep}}}\n\n`, { path }))
    }
  })
})

describe('a stream cut at any byte', () => {
  const usage = { prompt_tokens: 1234, completion_tokens: 567, total_tokens: 1801 }
  const openai = makeStream([
    { object: 'chat.completion.chunk', choices: [{ index: 0, delta: { content: 'é\u2028' } }] },
    { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
    { choices: [], usage },
    '[DONE]',
  ])
  const anthropic = makeStream(
    [
      { type: 'message_start', message: { ...message, usage: { input_tokens: 1234, output_tokens: 1 } } },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'é' } },
      { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 567 } },
      { type: 'message_stop' },
    ],
    true,
  )

  it.each([
    ['/v1/chat/completions', openai, [{}, { input: 1234, output: 567 }]],
    ['/v1/messages', anthropic, [{}, { input: 1234, output: 1 }, { input: 1234, output: 567 }]],
  ])('%s never invents usage', (path, text, allowed) => {
    const bytes = Buffer.from(text)
    let stage = 0
    for (let cut = 0; cut <= bytes.length; cut++) {
      const exchange = makeExchange({}, undefined, {
        path,
        responseBody: bytes.subarray(0, cut),
        responseComplete: false,
        responseHeaders: { 'content-type': 'text/event-stream' },
      })
      const reading = read(exchange)
      const found = allowed.findIndex((one) => JSON.stringify(one) === JSON.stringify(reading.usage))
      expect(found, `${cut}: ${JSON.stringify(reading.usage)}`).toBeGreaterThanOrEqual(stage)
      stage = found
      expect(reading.usageSource === 'provider').toBe(found === allowed.length - 1)
    }
    expect(stage).toBe(allowed.length - 1)
  })

  it.each([
    ['/v1/chat/completions', openai],
    ['/v1/messages', anthropic],
  ])('%s with any head and any tail gives usage of the stream or none', (path, text) => {
    const bytes = Buffer.from(text)
    fc.assert(
      fc.property(fc.nat(bytes.length), fc.nat(bytes.length), (one, other) => {
        const [head, tail] = one < other ? [one, other] : [other, one]
        const { usage } = read(
          makeExchange({}, undefined, {
            path,
            responseBody: bytes.subarray(0, head),
            responseTail: bytes.subarray(tail),
            responseHeaders: { 'content-type': 'text/event-stream' },
          }),
        )
        expect([undefined, 1234]).toContain(usage.input)
        expect([undefined, 1, 567]).toContain(usage.output)
      }),
    )
  })
})
