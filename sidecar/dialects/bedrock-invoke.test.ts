import { describe, expect, it } from 'vitest'
import { at, MODEL, readBinary } from '../testing/make-bedrock-exchange.ts'
import { makeAwsMessage, makeChunkStream } from '../testing/make-event-stream.ts'
import { makeExchange } from '../testing/make-exchange.ts'
import type { Exchange } from './dialect.ts'
import { read } from './index.ts'

describe('invoke', () => {
  const headers = (input: number, output: number, read_ = 0, write = 0) => ({
    responseHeaders: {
      'content-type': 'application/json',
      'x-amzn-bedrock-input-token-count': String(input),
      'x-amzn-bedrock-output-token-count': String(output),
      'x-amzn-bedrock-cache-read-input-token-count': String(read_),
      'x-amzn-bedrock-cache-write-input-token-count': String(write),
    },
  })
  const metrics = (inputTokenCount: number, outputTokenCount: number, more: object = {}) => ({
    'amazon-bedrock-invocationMetrics': { inputTokenCount, outputTokenCount, invocationLatency: 1, ...more },
  })

  it.each([
    [
      'Mistral, by headers alone',
      { outputs: [{ text: 'x', stop_reason: 'length' }] },
      headers(6, 10),
      { input: 6, output: 10 },
    ],
    [
      'Claude, whose headers leave the cache out',
      { outputs: [] },
      headers(3, 9, 90, 10),
      { input: 103, output: 9, cacheRead: 90, cacheWrite: 10 },
    ],
    [
      'Nova',
      { output: { message: { content: [{ text: 'x' }] } }, usage: { inputTokens: 7, outputTokens: 5 } },
      {},
      { input: 7, output: 5 },
    ],
    [
      'Titan',
      { inputTextTokenCount: 7, results: [{ tokenCount: 9, outputText: 'x', completionReason: 'FINISH' }] },
      {},
      { input: 7, output: 9 },
    ],
    [
      'Llama',
      { generation: 'x', prompt_token_count: 4, generation_token_count: 6, stop_reason: 'stop' },
      {},
      { input: 4, output: 6 },
    ],
    ['Titan embeddings', { embedding: [0.1], inputTextTokenCount: 3 }, {}, { input: 3 }],
    [
      'gpt-oss',
      { choices: [{ message: { content: 'x' } }], usage: { prompt_tokens: 2, completion_tokens: 1 } },
      {},
      { input: 2, output: 1 },
    ],
  ])('%s', (_name, body, more, counts) => {
    expect(read(makeExchange({}, body, { ...at('invoke', 'm'), ...more }))).toMatchObject({
      counts,
      usageSource: 'provider',
    })
  })

  it('Claude’s own body says how long a cache write lives', () => {
    const body = {
      type: 'message',
      role: 'assistant',
      id: 'msg_1',
      content: [{ type: 'text', text: 'Hi' }],
      stop_reason: 'end_turn',
      usage: {
        input_tokens: 3,
        output_tokens: 4,
        cache_creation_input_tokens: 5,
        cache_creation: { ephemeral_1h_input_tokens: 5 },
      },
    }
    expect(read(makeExchange({}, body, { ...at('invoke'), ...headers(3, 4, 0, 5) }))).toMatchObject({
      counts: { input: 8, cacheWrite1h: 5 },
      responseId: 'msg_1',
      finishReasons: ['end_turn'],
      requestModel: MODEL,
    })
  })

  const claude = makeChunkStream([
    {
      type: 'message_start',
      message: { type: 'message', role: 'assistant', usage: { input_tokens: 10, output_tokens: 1 } },
    },
    { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hi' } },
    { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 7 } },
    { type: 'message_stop', ...metrics(10, 7) },
  ])
  it('streams of Claude, Titan, Llama, Cohere, Nova', () => {
    const of = (chunks: object[]) => readBinary(makeChunkStream(chunks), at('invoke-with-response-stream', 'm'))
    expect(readBinary(claude, at('invoke-with-response-stream'))).toMatchObject({
      counts: { input: 10, output: 7 },
      usageSource: 'provider',
      content: { output: [{ parts: [{ content: 'Hi' }] }] },
    })
    expect(
      of([
        { outputText: 'a', inputTextTokenCount: 8 },
        { outputText: 'b', completionReason: 'FINISH', ...metrics(8, 17) },
      ]),
    ).toMatchObject({
      counts: { input: 8, output: 17 },
      finishReasons: ['FINISH'],
      usageSource: 'provider',
    })
    expect(
      of([
        { generation: 'a', prompt_token_count: 5, generation_token_count: 1 },
        { generation: 'b', generation_token_count: 2 },
      ]),
    ).toMatchObject({
      counts: { input: 5, output: 2 },
      usageSource: 'partial',
    })
    expect(of([{ is_finished: true, finish_reason: 'MAX_TOKENS', ...metrics(40, 20) }]).counts).toEqual({
      input: 40,
      output: 20,
    })
    expect(
      of([
        {
          metadata: { usage: { inputTokens: 5, outputTokens: 10 } },
          ...metrics(5, 10, { cacheReadInputTokenCount: 3 }),
        },
      ]).counts,
    ).toMatchObject({ output: 10, input: 8 })
  })

  it('where Bedrock’s metrics and the model’s own count differ, the model’s stands and is marked', () => {
    const chunks = makeChunkStream([
      {
        type: 'message_start',
        message: { type: 'message', role: 'assistant', usage: { input_tokens: 10, output_tokens: 1 } },
      },
      { type: 'message_delta', delta: { stop_reason: 'tool_use' }, usage: { output_tokens: 130 } },
      { type: 'message_stop', ...metrics(10, 98) },
    ])
    expect(readBinary(chunks, at('invoke-with-response-stream'))).toMatchObject({
      counts: { output: 130 },
      usageReason: 'metrics_differ',
    })
  })

  it('cut at any byte never claims more than was said', () => {
    for (let cut = 0; cut <= claude.length; cut++) {
      const { counts, usageSource } = readBinary(claude.subarray(0, cut), at('invoke-with-response-stream'))
      if (usageSource === 'provider') expect(counts).toMatchObject({ input: 10, output: 7 })
      expect([undefined, 10]).toContain(counts.input)
    }
  })

  it('a guardrail that stepped in: its text is not the model’s', () => {
    const chunk = {
      outputText: 'Input blocked',
      inputTextTokenCount: 6,
      totalOutputTextTokenCount: 3,
      'amazon-bedrock-guardrailAction': 'INTERVENED',
    }
    expect(readBinary(makeChunkStream([chunk]), at('invoke-with-response-stream', 'm'))).toMatchObject({
      counts: {},
      guardrails: [{ guardrail: 'aws.bedrock.guardrail', stage: 'input', action: 'blocked' }],
    })
  })

  it('pictures are counted', () => {
    expect(read(makeExchange({}, { images: ['x', 'y'] }, at('invoke', 'amazon.nova-canvas-v1:0')))).toMatchObject({
      operation: 'image_generation',
      usage: { images: 2 },
      usageSource: 'counted',
    })
  })

  it('garbage of any type is unknown, not a number', () => {
    for (const body of [{ usage: 'x' }, { usage: { inputTokens: -1 } }, { results: 7 }, { choices: 'x' }])
      expect(read(makeExchange({}, body, { ...at('invoke', 'm') })).usage).toEqual({})
    expect(
      read(
        makeExchange(
          {},
          { a: 1 },
          { ...at('invoke', 'm'), responseHeaders: { 'x-amzn-bedrock-input-token-count': 'many' } },
        ),
      ).usage,
    ).toEqual({})
  })

  const chunks = (parts: readonly object[], name = 'm') =>
    readBinary(makeChunkStream(parts), at('invoke-with-response-stream', name))
  const whole = (body: object, more: Partial<Exchange> = {}, name = 'm', request: object = {}) =>
    read(makeExchange(request, body, { ...at('invoke', name), ...more }))

  it('choices that say no usage are counted by Bedrock', () => {
    const mistral = { choices: [{ index: 0, message: { role: 'assistant', content: 'Hi' }, stop_reason: 'stop' }] }
    expect(whole(mistral, headers(12, 3))).toMatchObject({
      counts: { input: 12, output: 3 },
      usageSource: 'provider',
      finishReasons: ['stop'],
      content: { output: [{ parts: [{ content: 'Hi' }] }] },
    })
    expect(whole(mistral)).toMatchObject({ usage: {}, usageSource: 'unknown', usageReason: 'body_without_usage' })
    const jamba = [
      { id: 'c1', choices: [{ index: 0, delta: { role: 'assistant', content: 'A ' } }] },
      { id: 'c1', choices: [{ index: 0, delta: { content: 'cat' }, finish_reason: 'stop' }] },
    ]
    expect(chunks([...jamba, { ...metrics(5, 2) }])).toMatchObject({
      counts: { input: 5, output: 2 },
      usageSource: 'provider',
      responseId: 'c1',
      content: { output: [{ parts: [{ content: 'A cat' }] }] },
    })
    const usage = { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 }
    expect(chunks([...jamba, { choices: [], usage }])).toMatchObject({
      counts: { input: 5, output: 2 },
      usageSource: 'provider',
    })
    expect(chunks(jamba)).toMatchObject({ usage: {}, usageSource: 'unknown' })
  })

  it('Claude’s stream without its beginning: Bedrock says the input, the model its last word', () => {
    const parts = [
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hi' } },
      { type: 'message_delta', delta: { stop_reason: 'tool_use' }, usage: { output_tokens: 130 } },
    ]
    expect(chunks([...parts, { type: 'message_stop', ...metrics(10, 98) }])).toMatchObject({
      counts: { input: 10, output: 130 },
      usageSource: 'provider',
      usageReason: 'metrics_differ',
    })
    // How long its cache write lives was said in the beginning.
    expect(
      chunks([...parts, { type: 'message_stop', ...metrics(10, 130, { cacheWriteInputTokenCount: 7 }) }]),
    ).toMatchObject({ counts: { input: 17, cacheWrite: 7 }, usageSource: 'partial' })
    expect(chunks(parts)).toMatchObject({ usage: { output: 130 }, usageSource: 'partial' })
    expect(chunks([{ type: 'message_stop', ...metrics(10, 98) }])).toMatchObject({
      counts: { input: 10, output: 98 },
      usageSource: 'partial',
    })
  })

  it('an exception, or Claude’s own error, in the middle of a stream', () => {
    const start = {
      type: 'message_start',
      message: { role: 'assistant', usage: { input_tokens: 10, output_tokens: 1 } },
    }
    const overloaded = { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }
    expect(chunks([start, overloaded])).toMatchObject({
      usage: { input: 10, output: 1 },
      usageSource: 'partial',
      usageReason: 'stream_error',
      error: { type: 'overloaded_error' },
    })
    expect(chunks([overloaded])).toMatchObject({ usage: {}, usageSource: 'none', error: { type: 'overloaded_error' } })
    const exception = makeAwsMessage(
      { ':message-type': 'exception', ':exception-type': 'throttlingException' },
      { message: 'slow' },
    )
    const broken = Buffer.concat([makeChunkStream([{ outputText: 'a' }]), exception])
    const place = at('invoke-with-response-stream', 'm')
    expect(readBinary(broken, place)).toMatchObject({
      usageSource: 'unknown',
      usageReason: 'stream_error',
      error: { type: 'throttlingException', message: 'slow' },
    })
    expect(readBinary(exception, place)).toMatchObject({ usageSource: 'none', error: { type: 'throttlingException' } })
  })

  it('a body cut in any place: headers count as before, numbers of the body only where they are whole', () => {
    const titan = {
      inputTextTokenCount: 7,
      results: [{ tokenCount: 9, outputText: 'x', completionReason: 'FINISH' }],
    }
    const llama = { generation: 'x', prompt_token_count: 4, generation_token_count: 6, stop_reason: 'stop' }
    const nova = { output: { message: { content: [{ text: 'x' }] } }, usage: { inputTokens: 7, outputTokens: 5 } }
    for (const body of [titan, llama, nova]) {
      const all = whole(body).counts
      const bytes = Buffer.from(JSON.stringify(body))
      for (let cut = 0; cut < bytes.length; cut++)
        for (const responseComplete of [true, false]) {
          const some = { responseBody: bytes.subarray(0, cut), responseComplete }
          const reading = whole({}, some)
          expect(reading.usageReason).not.toBe('reader_failed')
          if (reading.usageSource === 'provider') expect(reading.counts).toEqual(all)
          if (cut > 0)
            expect(whole({}, { ...some, ...headers(7, 9) })).toMatchObject({
              counts: { input: 7, output: 9 },
              usageSource: 'provider',
            })
        }
    }
    // How long a cache write lives stands in the part that is missing.
    expect(whole({}, { responseBody: Buffer.from('{"id":"m'), ...headers(3, 4, 0, 5) })).toMatchObject({
      counts: { input: 8, cacheWrite: 5 },
      usageSource: 'partial',
    })
  })

  it('Claude’s body of which head and tail are known', () => {
    const usage = { input_tokens: 3, output_tokens: 4, cache_creation: { ephemeral_1h_input_tokens: 5 } }
    const bytes = Buffer.from(
      JSON.stringify({ model: 'c', id: 'msg_1', content: [{ type: 'text', text: 'meow '.repeat(50) }], usage }),
    )
    const ends = { responseBody: bytes.subarray(0, 40), responseTail: bytes.subarray(-130) }
    expect(whole({}, { ...at('invoke'), ...ends }, MODEL)).toMatchObject({
      counts: { input: 8, output: 4, cacheWrite1h: 5 },
      usageSource: 'provider',
      content: { truncated: true },
    })
  })

  it('trap 13: the tier and speed that served, as headers name them', () => {
    const served = {
      responseHeaders: {
        ...headers(1, 1).responseHeaders,
        'x-amzn-bedrock-service-tier': 'flex',
        'x-amzn-bedrock-performanceconfig-latency': 'optimized',
      },
    }
    const asked = { service_tier: 'priority' }
    expect(whole({ generation: 'x' }, served, 'm', asked)).toMatchObject({
      serviceTier: 'flex',
      priceAttributes: { region: 'eu-central-1', speed: 'optimized' },
    })
    expect(whole({ generation: 'x' }, headers(1, 1), 'm', asked)).not.toHaveProperty('serviceTier')
  })

  it('a guardrail: a prompt that was blocked never reached the model, an answer that was masked did', () => {
    const trace = (guardrail: object) => ({
      'amazon-bedrock-guardrailAction': 'INTERVENED',
      'amazon-bedrock-trace': { guardrail },
    })
    const usage = {
      topicPolicyUnits: 1,
      contentPolicyUnits: 2,
      wordPolicyUnits: 9,
      sensitiveInformationPolicyFreeUnits: 9,
    }
    const blocked = { topicPolicy: { topics: [{ name: 'sport', action: 'BLOCKED' }] } }
    const say = { outputText: 'Blocked', inputTextTokenCount: 6, totalOutputTextTokenCount: 3 }
    expect(chunks([{ ...say, ...trace({ input: { g1: blocked } }) }])).toMatchObject({
      usage: {},
      usageSource: 'none',
      usageReason: 'blocked_prompt',
      guardrails: [{ stage: 'input', action: 'blocked', reason: 'topicPolicy' }],
    })
    expect(
      chunks([{ ...say, ...trace({ input: { g1: { ...blocked, invocationMetrics: { usage } } } }) }]),
    ).toMatchObject({
      usage: { guardrail_units: 3 },
      usageSource: 'counted',
    })
    const masked = { sensitiveInformationPolicy: { regexes: [{ match: '123', action: 'ANONYMIZED' }] } }
    expect(
      whole({ ...say, ...trace({ input: { g1: {} }, outputs: [{ g1: masked }] }) }, headers(28, 197)),
    ).toMatchObject({
      counts: { input: 28, output: 197 },
      usageSource: 'provider',
      guardrails: [{ stage: 'output', action: 'masked', reason: 'sensitiveInformationPolicy' }],
    })
  })
})
