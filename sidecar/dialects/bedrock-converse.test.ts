import { describe, expect, it } from 'vitest'
import { at, HOST, MODEL, readBinary } from '../testing/make-bedrock-exchange.ts'
import { makeAwsMessage, makeEventStream } from '../testing/make-event-stream.ts'
import { makeExchange } from '../testing/make-exchange.ts'
import { read } from './index.ts'

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
      requestModel: MODEL,
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
    expect(readBinary(stream, at('converse-stream'))).toMatchObject({
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
      const reading = readBinary(stream.subarray(0, cut), at('converse-stream'))
      expect(reading.usage).toEqual({})
      expect(reading.usageSource).toBe('unknown')
    }
    const parts = { responseTail: stream.subarray(stream.length - 330) }
    expect(readBinary(stream.subarray(0, 50), at('converse-stream'), parts)).toMatchObject({
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
    expect(readBinary(exception, at('converse-stream'))).toMatchObject({ error, usageSource: 'none' })
    expect(readBinary(Buffer.concat([stream.subarray(0, 400), exception]), at('converse-stream'))).toMatchObject({
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

  it('one guardrail event for each side, by the strongest action; what was matched is never named', () => {
    const finding = (action: string, more: object = {}) => ({
      action,
      match: 'jane@example.com',
      type: 'EMAIL',
      ...more,
    })
    const guarded = (trace: object, stopReason = 'guardrail_intervened', raw: object = usage) =>
      read(makeExchange(request, { ...answer, stopReason, usage: raw, trace: { guardrail: trace } }, at('converse')))
        .guardrails
    const masked = { sensitiveInformationPolicy: { piiEntities: [finding('ANONYMIZED')], regexes: [finding('NONE')] } }
    const blocked = { topicPolicy: { topics: [finding('BLOCKED')] }, ...masked }
    const seen = {
      contentPolicy: { filters: [finding('NONE', { detected: true }), finding('NONE', { detected: false })] },
    }
    const event = (stage: string, action: string, reason: string) => ({
      guardrail: 'aws.bedrock.guardrail',
      stage,
      action,
      reason,
    })
    expect(guarded({ outputAssessments: { g1: [masked] } })).toEqual([
      event('output', 'masked', 'sensitiveInformationPolicy'),
    ])
    expect(guarded({ inputAssessment: { g1: blocked }, outputAssessments: { g1: [seen] } })).toEqual([
      event('input', 'blocked', 'topicPolicy'),
      event('output', 'flagged', 'contentPolicy'),
    ])
    expect(guarded({ inputAssessment: { g1: seen } }, 'end_turn')).toEqual([event('input', 'flagged', 'contentPolicy')])
    expect(guarded({ inputAssessment: [7, null, { g1: 'x' }], outputAssessments: 'x' }, 'end_turn')).toEqual([])
    // Without a trace: a model that said nothing was never asked.
    expect(guarded({})).toMatchObject([{ stage: 'output', action: 'blocked' }])
    expect(guarded({}, 'guardrail_intervened', { inputTokens: 0, outputTokens: 0, totalTokens: 0 })).toMatchObject([
      { stage: 'input', action: 'blocked' },
    ])
    expect(JSON.stringify(guarded({ inputAssessment: { g1: blocked } }))).not.toContain('jane')
  })

  it('ids of models: prefixes, profiles and ARNs, encoded or not, as they were asked for', () => {
    for (const name of [
      'us.amazon.nova-lite-v1:0',
      'global.anthropic.claude-sonnet-4-5-20250929-v1:0',
      'arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0',
      'arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc123',
      'arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:provisioned-model/xyz',
    ]) {
      expect(read(makeExchange(request, answer, at('converse', name)))).toMatchObject({ requestModel: name })
      const plain = { host: HOST, path: `/model/${name}/converse` }
      expect(read(makeExchange(request, answer, plain))).toMatchObject({
        dialect: 'bedrock-converse',
        requestModel: name,
      })
    }
    expect(read(makeExchange(request, answer, { host: HOST, path: '/model/%E0%A4%A/converse' })).requestModel).toBe(
      '%E0%A4%A',
    )
  })

  it('names the model that a prompt router chose, and an answer at a price for low latency', () => {
    const invokedModelId = 'arn:aws:bedrock:us-east-1::foundation-model/meta.llama3-1-8b-instruct-v1:0'
    const routed = {
      ...answer,
      trace: { promptRouter: { invokedModelId } },
      performanceConfig: { latency: 'optimized' },
    }
    expect(read(makeExchange(request, routed, at('converse')))).toMatchObject({
      responseModel: invokedModelId,
      priceAttributes: { region: 'eu-central-1', speed: 'optimized' },
    })
    const metadata = makeEventStream([
      ['metadata', { usage, serviceTier: { type: 'priority' }, ...{ trace: routed.trace } }],
    ])
    expect(readBinary(metadata, at('converse-stream'))).toMatchObject({
      responseModel: invokedModelId,
      serviceTier: 'priority',
    })
  })

  it.each([
    ['bedrock-runtime.us-west-2.amazonaws.com', 'us-west-2'],
    ['bedrock-runtime-fips.us-gov-west-1.amazonaws.com', 'us-gov-west-1'],
    ['bedrock-runtime.eu-west-3.api.aws', 'eu-west-3'],
    ['bedrock-runtime.cn-north-1.amazonaws.com.cn', 'cn-north-1'],
    ['vpce-0a1b-x9.bedrock-runtime.us-east-1.vpce.amazonaws.com', 'us-east-1'],
    ['proxy.example.com', undefined],
  ])('region of %s', (name, region) => {
    const reading = read(makeExchange(request, answer, { ...at('converse'), host: name }))
    expect(reading.priceAttributes?.region).toBe(region)
    expect(reading.usageSource).toBe('provider')
  })

  it('trap 9, trap 10: cached tokens are added to the input once, whatever is missing beside them', () => {
    const counted = (raw: object) => {
      const reading = read(makeExchange(request, { ...answer, usage: raw }, at('converse')))
      return [reading.usage, reading.usageReason]
    }
    const plain = { inputTokens: 12, outputTokens: 5, totalTokens: 1045 }
    const unit = { input: 12, cache_read: 1028, output: 5 }
    // Old and new spelling side by side are one number.
    expect(counted({ ...plain, cacheReadInputTokens: 1028, cacheReadInputTokenCount: 1028 })).toEqual([unit, undefined])
    expect(counted({ ...plain, cacheReadInputTokenCount: 1028, cacheDetails: null })).toEqual([unit, undefined])
    expect(counted({ inputTokens: 12, outputTokens: 5, cacheReadInputTokens: null })).toEqual([
      { input: 12, output: 5 },
      undefined,
    ])
    expect(
      counted({ inputTokens: 12, cacheWriteInputTokens: 9, cacheDetails: [{ ttl: '2h', inputTokens: 9 }, 7] }),
    ).toEqual([{ input: 12, cache_write: 9 }, undefined])
    expect(counted({ ...plain, totalTokens: 99 })).toEqual([{ input: 12, output: 5 }, 'inconsistent'])
    for (const garbage of [{}, { inputTokens: '12' }, { inputTokens: -1, outputTokens: 1.5 }, { outputTokens: null }])
      expect(counted(garbage)).toEqual([{}, 'body_without_usage'])
    expect(read(makeExchange(request, { ...answer, usage: [1] }, at('converse'))).usageSource).toBe('unknown')
  })

  it('a whole answer cut at any byte never throws and never claims other numbers', () => {
    const bytes = Buffer.from(JSON.stringify(answer))
    for (let cut = 0; cut < bytes.length; cut++)
      for (const responseComplete of [true, false]) {
        const place = { ...at('converse'), responseBody: bytes.subarray(0, cut), responseComplete }
        const reading = read(makeExchange(request, undefined, place))
        expect(reading.usageReason).not.toBe('reader_failed')
        if (reading.usageSource === 'provider') expect(reading.usage).toEqual(units)
        else expect(reading.usage).toEqual({})
      }
    const ends = { responseBody: bytes.subarray(0, 20), responseTail: bytes.subarray(-260) }
    expect(read(makeExchange(request, undefined, { ...at('converse'), ...ends }))).toMatchObject({
      usage: units,
      usageSource: 'provider',
      content: { truncated: true },
    })
  })

  it('trap 16: the client hung up: what was said stands, cut and marked, and no usage is claimed', () => {
    const reading = readBinary(stream.subarray(0, 620), at('converse-stream'), { status: 499, responseComplete: false })
    expect(reading).toMatchObject({ usage: {}, usageSource: 'unknown', usageReason: 'stream_cut' })
    expect(reading.content).toMatchObject({ truncated: true, output: [{ parts: [{ type: 'reasoning' }, {}] }] })
  })

  it('the text of a stream whose middle is missing says so', () => {
    const deltas = makeEventStream(
      Array.from({ length: 20 }, () => ['contentBlockDelta', { contentBlockIndex: 0, delta: { text: 'meow ' } }]),
    )
    const tail = deltas.subarray(700)
    expect(
      readBinary(deltas.subarray(0, 400), at('converse-stream'), { responseTail: tail }).content?.output?.[0]?.parts[0],
    ).toMatchObject({ type: 'text', content: expect.stringMatching(/^(?:meow )+\[…\](?:meow )+/) })
  })

  it('an error in plain JSON, or in headers alone, where a stream was asked for', () => {
    const place = at('converse-stream')
    const refused = { status: 429, responseHeaders: { 'x-amzn-errortype': 'ThrottlingException' } }
    expect(read(makeExchange(request, { message: 'Too many' }, { ...place, ...refused }))).toMatchObject({
      stream: true,
      usageSource: 'none',
      error: { type: 'ThrottlingException', message: 'Too many' },
    })
    const typed = { __type: 'com.amazon.coral.service#UnrecognizedClientException', Message: 'bad token' }
    expect(read(makeExchange(request, typed, { ...place, status: 403 })).error).toEqual({
      type: 'UnrecognizedClientException',
      message: 'bad token',
    })
    const broke = { ':message-type': 'error', ':error-code': 'InternalFailure', ':error-message': 'gone' }
    expect(readBinary(makeAwsMessage(broke, Buffer.alloc(0)), place)).toMatchObject({
      usageSource: 'none',
      error: { type: 'InternalFailure', message: 'gone' },
    })
    // A gateway may answer whole where a stream was asked for.
    expect(read(makeExchange(request, answer, place))).toMatchObject({ counts, usageSource: 'provider' })
  })

  it('content of other kinds: guarded text, citations, results of tools, pictures by their kind alone', () => {
    const content = [
      { guardContent: { text: { text: 'guard me' } } },
      { citationsContent: { content: [{ text: 'cited' }], citations: [{}] } },
      { toolResult: { toolUseId: 't9', content: [{ json: { a: 1 } }, { image: { source: { bytes: 'QUJD' } } }] } },
      { document: { name: 'd', source: { bytes: 'QUJD' } } },
      7,
      null,
    ]
    const reading = read(makeExchange({ messages: [{ content }, 'x'] }, answer, at('converse')))
    expect(reading.content?.input).toEqual([
      {
        role: 'user',
        parts: [
          { type: 'text', content: 'guard me' },
          { type: 'text', content: 'cited' },
          { type: 'tool_call_response', id: 't9', response: '{"a":1}\n[image]' },
          { type: 'other', kind: 'document' },
        ],
      },
    ])
    expect(JSON.stringify(reading.content)).not.toContain('QUJD')
  })
})
