import { describe, expect, it } from 'vitest'
import { makeAwsMessage, makeChunkStream, makeEventStream } from '../testing/make-event-stream.ts'
import { makeExchange } from '../testing/make-exchange.ts'
import type { Exchange } from './dialect.ts'
import { read } from './index.ts'

const host = 'bedrock-runtime.eu-central-1.amazonaws.com'
const model = 'eu.anthropic.claude-haiku-4-5-20251001-v1:0'
const at = (action: string, name = model) => ({ host, path: `/model/${encodeURIComponent(name)}/${action}` })
const binary = (bytes: Uint8Array, place: object, more: Partial<Exchange> = {}) =>
  read(
    makeExchange({}, undefined, {
      ...place,
      responseBody: bytes,
      responseHeaders: { 'content-type': 'application/vnd.amazon.eventstream' },
      ...more,
    }),
  )

describe('converse', () => {
  const usage = {
    inputTokens: 10,
    outputTokens: 20,
    totalTokens: 330,
    cacheReadInputTokens: 100,
    cacheWriteInputTokens: 200,
    cacheDetails: [
      { ttl: '5m', inputTokens: 150 },
      { ttl: '1h', inputTokens: 50 },
    ],
  }
  const counts = {
    input: 310,
    output: 20,
    cacheRead: 100,
    cacheWrite: 200,
    cacheWrite5m: 150,
    cacheWrite1h: 50,
    total: 330,
  }
  const units = { input: 10, cache_read: 100, cache_write_5m: 150, cache_write_1h: 50, output: 20 }
  const request = {
    system: [{ text: 'Be terse' }],
    messages: [
      { role: 'user', content: [{ text: 'Hi' }, { image: { format: 'png' } }, { cachePoint: { type: 'default' } }] },
      { role: 'assistant', content: [{ toolUse: { toolUseId: 't1', name: 'look', input: { a: 1 } } }] },
      { role: 'user', content: [{ toolResult: { toolUseId: 't1', content: [{ text: 'a cat' }] } }] },
    ],
    inferenceConfig: { maxTokens: 50, temperature: 0, stopSequences: ['END'] },
    toolConfig: { tools: [{ toolSpec: { name: 'look' } }] },
  }
  const answer = {
    output: {
      message: {
        role: 'assistant',
        content: [{ reasoningContent: { reasoningText: { text: 'Hm' } } }, { text: 'A cat' }],
      },
    },
    stopReason: 'end_turn',
    usage,
    serviceTier: { type: 'flex' },
  }

  it('whole', () => {
    expect(read(makeExchange(request, answer, at('converse')))).toMatchObject({
      dialect: 'bedrock-converse',
      stream: false,
      requestModel: model,
      serviceTier: 'flex',
      counts,
      usage: units,
      usageSource: 'provider',
      finishReasons: ['end_turn'],
      priceAttributes: { region: 'eu-central-1' },
      parameters: { maxTokens: 50, temperature: 0, stopSequences: ['END'] },
      content: {
        system: 'Be terse',
        input: [
          {
            role: 'user',
            parts: [
              { type: 'text', content: 'Hi' },
              { type: 'other', kind: 'image' },
            ],
          },
          { role: 'assistant', parts: [{ type: 'tool_call', id: 't1', name: 'look', arguments: '{"a":1}' }] },
          { role: 'user', parts: [{ type: 'tool_call_response', id: 't1' }] },
        ],
        output: [
          {
            role: 'assistant',
            parts: [
              { type: 'reasoning', content: 'Hm' },
              { type: 'text', content: 'A cat' },
            ],
            finishReason: 'end_turn',
          },
        ],
      },
    })
  })

  const stream = makeEventStream([
    ['messageStart', { role: 'assistant', p: 'ab' }],
    ['contentBlockDelta', { contentBlockIndex: 0, delta: { reasoningContent: { text: 'Hm' } } }],
    ['contentBlockDelta', { contentBlockIndex: 1, delta: { text: 'A ' } }],
    ['contentBlockDelta', { contentBlockIndex: 1, delta: { text: 'cat' } }],
    ['contentBlockStart', { contentBlockIndex: 2, start: { toolUse: { toolUseId: 't2', name: 'look' } } }],
    ['contentBlockDelta', { contentBlockIndex: 2, delta: { toolUse: { input: '{}' } } }],
    ['contentBlockStop', { contentBlockIndex: 2 }],
    ['messageStop', { stopReason: 'tool_use' }],
    ['metadata', { usage, metrics: { latencyMs: 5 } }],
  ])
  it('streamed gives the same numbers', () => {
    expect(binary(stream, at('converse-stream'))).toMatchObject({
      stream: true,
      counts,
      usageSource: 'provider',
      finishReasons: ['tool_use'],
      content: {
        output: [
          {
            parts: [
              { type: 'reasoning', content: 'Hm' },
              { type: 'text', content: 'A cat' },
              { type: 'tool_call', id: 't2', name: 'look', arguments: '{}' },
            ],
          },
        ],
      },
    })
  })

  it('cut at any byte never claims more than was said; of head and tail the end is enough', () => {
    for (let cut = 0; cut < stream.length; cut++) {
      const reading = binary(stream.subarray(0, cut), at('converse-stream'))
      expect(reading.usage).toEqual({})
      expect(reading.usageSource).toBe('unknown')
    }
    const parts = { responseTail: stream.subarray(stream.length - 330) }
    expect(binary(stream.subarray(0, 50), at('converse-stream'), parts)).toMatchObject({
      usage: units,
      usageSource: 'provider',
    })
  })

  it('an exception in the stream is an error: free before the first word, unknown after it', () => {
    const exception = makeAwsMessage(
      { ':message-type': 'exception', ':exception-type': 'modelStreamErrorException' },
      { message: 'broke' },
    )
    const error = { type: 'modelStreamErrorException', message: 'broke' }
    expect(binary(exception, at('converse-stream'))).toMatchObject({ error, usageSource: 'none' })
    expect(binary(Buffer.concat([stream.subarray(0, 400), exception]), at('converse-stream'))).toMatchObject({
      error,
      usageSource: 'unknown',
      usageReason: 'stream_error',
    })
  })

  it('guardrails, filters and refusals of the request', () => {
    const guarded = {
      ...answer,
      stopReason: 'guardrail_intervened',
      trace: { guardrail: { outputAssessments: { g: [] }, actionReason: 'denied topic' } },
    }
    expect(read(makeExchange(request, guarded, at('converse'))).guardrails).toEqual([
      { guardrail: 'aws.bedrock.guardrail', stage: 'output', action: 'blocked', reason: 'denied topic' },
    ])
    const blocked = { ...answer, stopReason: 'content_filtered' }
    expect(read(makeExchange(request, blocked, at('converse'))).guardrails).toMatchObject([
      { guardrail: 'aws.bedrock.content_filter' },
    ])
    const refused = { status: 400, responseHeaders: { 'x-amzn-errortype': 'ValidationException:http://x/' } }
    expect(read(makeExchange(request, { message: 'no' }, { ...at('converse'), ...refused }))).toMatchObject({
      usageSource: 'none',
      error: { type: 'ValidationException', message: 'no' },
    })
  })
})

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
      requestModel: model,
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
    const of = (chunks: object[]) => binary(makeChunkStream(chunks), at('invoke-with-response-stream', 'm'))
    expect(binary(claude, at('invoke-with-response-stream'))).toMatchObject({
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
    expect(binary(chunks, at('invoke-with-response-stream'))).toMatchObject({
      counts: { output: 130 },
      usageReason: 'metrics_differ',
    })
  })

  it('cut at any byte never claims more than was said', () => {
    for (let cut = 0; cut <= claude.length; cut++) {
      const { counts, usageSource } = binary(claude.subarray(0, cut), at('invoke-with-response-stream'))
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
    expect(binary(makeChunkStream([chunk]), at('invoke-with-response-stream', 'm'))).toMatchObject({
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
})

describe('guardrails and counting', () => {
  it('ApplyGuardrail bills the units of its policies', () => {
    const answer = {
      action: 'GUARDRAIL_INTERVENED',
      actionReason: 'Guardrail blocked.',
      usage: {
        topicPolicyUnits: 1,
        contentPolicyUnits: 2,
        wordPolicyUnits: 3,
        sensitiveInformationPolicyFreeUnits: 4,
        automatedReasoningPolicies: 5,
      },
    }
    const place = { host, path: '/guardrail/g1/version/1/apply' }
    expect(read(makeExchange({ source: 'OUTPUT' }, answer, place))).toMatchObject({
      operation: 'guardrail',
      requestModel: 'g1',
      usage: { guardrail_units: 3 },
      usageSource: 'counted',
      guardrails: [
        { guardrail: 'aws.bedrock.guardrail', stage: 'output', action: 'blocked', reason: 'Guardrail blocked.' },
      ],
    })
    expect(read(makeExchange({}, { message: 'no' }, { ...place, status: 403 }))).toMatchObject({ usageSource: 'none' })
  })
  it('counting tokens is free', () => {
    expect(read(makeExchange({}, { inputTokens: 9 }, at('count-tokens')))).toMatchObject({ billable: false, usage: {} })
  })
})
