import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { makeExchange } from '../testing/make-exchange.ts'
import type { Exchange } from './dialect.ts'
import { read } from './index.ts'

const gemini = { host: 'generativelanguage.googleapis.com', path: '/v1beta/models/gemini-2.5-flash:generateContent' }
const vertex = {
  host: 'europe-west4-aiplatform.googleapis.com',
  path: '/v1/projects/p/locations/europe-west4/publishers/google/models/gemini-2.5-flash:generateContent',
}
const streaming = { ...gemini, path: gemini.path.replace(':generate', ':streamGenerate') }
const request = {
  systemInstruction: { parts: [{ text: 'Be terse' }] },
  contents: [
    { role: 'user', parts: [{ text: 'Look' }, { inlineData: { mimeType: 'image/png', data: 'AAAA' } }] },
    { role: 'model', parts: [{ functionCall: { name: 'look', args: { a: 1 } } }] },
    { role: 'user', parts: [{ functionResponse: { name: 'look', response: { b: 2 } } }] },
  ],
  tools: [{ functionDeclarations: [{ name: 'look' }] }],
  generationConfig: { maxOutputTokens: 100, temperature: 0.5, topK: 3, stopSequences: ['END'], seed: 7 },
}
const usage = {
  promptTokenCount: 100,
  toolUsePromptTokenCount: 20,
  cachedContentTokenCount: 40,
  candidatesTokenCount: 9,
  thoughtsTokenCount: 5,
  totalTokenCount: 134,
  promptTokensDetails: [
    { modality: 'TEXT', tokenCount: 60 },
    { modality: 'AUDIO', tokenCount: 30 },
    { modality: 'IMAGE', tokenCount: 10 },
  ],
  cacheTokensDetails: [{ modality: 'AUDIO', tokenCount: 12 }],
  candidatesTokensDetails: [
    { modality: 'TEXT', tokenCount: 5 },
    { modality: 'IMAGE', tokenCount: 4 },
  ],
  serviceTier: 'priority',
}
const counts = {
  input: 120,
  output: 14,
  cacheRead: 40,
  toolPrompt: 20,
  inputAudio: 30,
  inputImage: 10,
  cacheReadAudio: 12,
  reasoning: 5,
  outputImage: 4,
  total: 134,
}
const candidate = (parts: object[], finishReason?: unknown, more: object = {}) => ({
  content: { role: 'model', parts },
  ...(finishReason === undefined ? {} : { finishReason }),
  index: 0,
  ...more,
})
const answer = {
  candidates: [candidate([{ text: 'Hm', thought: true }, { text: 'A cat é' }], 'STOP')],
  usageMetadata: usage,
  modelVersion: 'gemini-2.5-flash-001',
  responseId: 'r1',
}
const whole = (changes: object = {}, overrides: Partial<Exchange> = {}) =>
  read(makeExchange(request, { ...answer, ...changes }, { ...gemini, ...overrides }))
const withUsage = (usageMetadata: unknown, overrides: Partial<Exchange> = {}) => whole({ usageMetadata }, overrides)

const running = (candidatesTokenCount: number) => ({
  promptTokenCount: 100,
  candidatesTokenCount,
  totalTokenCount: 100 + candidatesTokenCount,
})
const chunks = [
  {
    candidates: [candidate([{ text: 'Hm', thought: true }])],
    usageMetadata: running(1),
    modelVersion: 'gemini-2.5-flash-001',
    responseId: 'r1',
  },
  {
    candidates: [candidate([{ text: 'A ' }])],
    usageMetadata: running(3),
    modelVersion: 'gemini-2.5-flash-001',
    responseId: 'r1',
  },
  { ...answer, candidates: [candidate([{ text: 'cat é' }], 'STOP')] },
]
const asEvents = (items: readonly unknown[]) => items.map((item) => `data: ${JSON.stringify(item)}\r\n\r\n`).join('')
const asList = (items: readonly unknown[]) => `[${items.map((item) => JSON.stringify(item, null, 2)).join('\n,\r\n')}]`
const streamed = (items: readonly unknown[], overrides: Partial<Exchange> = {}) =>
  read(makeExchange(request, asEvents(items), { ...streaming, ...overrides }))
const listed = (text: string, overrides: Partial<Exchange> = {}) =>
  read(
    makeExchange(request, text, {
      ...streaming,
      responseHeaders: { 'content-type': 'application/json' },
      ...overrides,
    }),
  )

describe('a whole answer', () => {
  it('is read in full', () => {
    expect(whole()).toEqual({
      dialect: 'gemini-generate-content',
      operation: 'generate_content',
      stream: false,
      requestModel: 'gemini-2.5-flash',
      responseModel: 'gemini-2.5-flash-001',
      responseId: 'r1',
      serviceTier: 'priority',
      parameters: { maxTokens: 100, temperature: 0.5, topK: 3, seed: 7, stopSequences: ['END'] },
      finishReasons: ['STOP'],
      counts,
      usage: {
        input: 52,
        cache_read: 28,
        cache_read_audio: 12,
        input_audio: 18,
        input_image: 10,
        output: 5,
        output_reasoning: 5,
        output_image: 4,
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
          { role: 'model', parts: [{ type: 'tool_call', id: 'look', name: 'look', arguments: '{"a":1}' }] },
          { role: 'user', parts: [{ type: 'tool_call_response', id: 'look', response: '{"b":2}' }] },
        ],
        output: [
          {
            role: 'assistant',
            parts: [
              { type: 'reasoning', content: 'Hm' },
              { type: 'text', content: 'A cat é' },
            ],
            finishReason: 'STOP',
          },
        ],
        tools: '[{"functionDeclarations":[{"name":"look"}]}]',
      },
    })
  })

  it('counts only what is said (trap 12: the output is no difference of other numbers)', () => {
    expect(withUsage({ promptTokenCount: 7, totalTokenCount: 50 }).counts).toEqual({ input: 7, total: 50 })
    expect(withUsage({ candidatesTokenCount: 23, thoughtsTokenCount: 67 })).toMatchObject({
      counts: { output: 90, reasoning: 67 },
      usage: { output: 23, output_reasoning: 67 },
      usageSource: 'provider',
    })
    expect(withUsage({ promptTokenCount: 7, thoughtsTokenCount: 3, totalTokenCount: 10 }).usage).toEqual({
      input: 7,
      output: 0,
      output_reasoning: 3,
    })
    for (const none of [
      undefined,
      null,
      [],
      'x',
      {},
      { totalTokenCount: 9 },
      { promptTokenCount: '7' },
      { promptTokenCount: -1 },
    ])
      expect(withUsage(none)).toMatchObject({ usage: {}, usageSource: 'unknown', usageReason: 'body_without_usage' })
    expect(
      withUsage({ ...usage, promptTokensDetails: 'x', candidatesTokensDetails: [null, 3] }).counts.inputAudio,
    ).toBe(undefined)
  })

  it('knows the numbers of enums, which differ between Vertex and Google AI', () => {
    const raw = {
      promptTokenCount: 5,
      candidatesTokenCount: 2,
      trafficType: 1,
      promptTokensDetails: [{ modality: 4, tokenCount: 3 }],
      candidatesTokensDetails: [{ modality: 2, tokenCount: 2 }],
    }
    const numbered = (place: Partial<Exchange>, finishReason: number) =>
      whole({ usageMetadata: raw, candidates: [candidate([], finishReason)] }, place)
    expect(numbered(vertex, 1)).toMatchObject({
      finishReasons: ['STOP'],
      counts: { inputAudio: 3, outputImage: 2 },
      priceAttributes: { region: 'europe-west4', traffic: 'on_demand' },
    })
    expect(numbered(vertex, 7)).toMatchObject({
      finishReasons: ['PROHIBITED_CONTENT'],
      guardrails: [{ stage: 'output' }],
    })
    expect(numbered(gemini, 7).finishReasons).toEqual(['BLOCKLIST'])
    expect(numbered(vertex, 10).guardrails).toMatchObject([{ guardrail: 'gcp.model_armor', reason: 'MODEL_ARMOR' }])
    expect(numbered(gemini, 10)).toMatchObject({ finishReasons: ['MALFORMED_FUNCTION_CALL'], guardrails: [] })
    expect(numbered(vertex, 99).finishReasons).toEqual(['99'])
    expect(numbered(vertex, 0)).not.toHaveProperty('finishReasons')
  })

  it('takes place, traffic and the tier that served from what the answer says (trap 13)', () => {
    const at = (place: Partial<Exchange>, changes: object = {}) => whole(changes, place).priceAttributes
    expect(at(gemini)).toBeUndefined()
    expect(at(vertex)).toEqual({ region: 'europe-west4' })
    const global = '/v1beta1/projects/p/locations/global/publishers/google/models/gemini-3-pro:generateContent'
    expect(at({ host: 'aiplatform.googleapis.com', path: global })).toEqual({ region: 'global' })
    const express = '/v1/publishers/google/models/gemini-3-pro:generateContent'
    expect(at({ host: 'us-east1-aiplatform.googleapis.com', path: express })).toEqual({ region: 'us-east1' })
    const traffic = (trafficType: unknown) => at(vertex, { usageMetadata: { ...usage, trafficType } })?.traffic
    expect(traffic('PROVISIONED_THROUGHPUT')).toBe('provisioned_throughput')
    expect(traffic('ON_DEMAND_FLEX')).toBe('on_demand_flex')
    for (const none of ['TRAFFIC_TYPE_UNSPECIFIED', 0, 77, null, {}]) expect(traffic(none)).toBeUndefined()
    const asked = { ...request, serviceTier: 'priority' }
    const served = { 'content-type': 'application/json', 'x-gemini-service-tier': 'standard' }
    const plain = { ...answer, usageMetadata: running(9) }
    expect(read(makeExchange(asked, plain, { ...gemini, responseHeaders: served })).serviceTier).toBe('standard')
    expect(read(makeExchange(asked, plain, gemini)).serviceTier).toBeUndefined()
  })

  it('bills a grounded prompt of Gemini 2 once, of Gemini 3 each query', () => {
    const grounded = (modelVersion: string, groundingMetadata: unknown) =>
      whole({ modelVersion, candidates: [candidate([], 'STOP', { groundingMetadata })] }).counts.webSearches
    expect(grounded('gemini-2.5-pro', { webSearchQueries: ['a', 'b'] })).toBe(1)
    expect(grounded('gemini-3-pro-preview', { webSearchQueries: ['a', 'b'] })).toBe(2)
    for (const none of [undefined, null, {}, { webSearchQueries: [] }, { webSearchQueries: 'x' }])
      expect(grounded('gemini-3-pro-preview', none)).toBeUndefined()
  })

  it('names what a filter stopped, and blocked prompts', () => {
    const stopped = (finishReason: unknown) => whole({ candidates: [candidate([], finishReason)] }).guardrails
    for (const reason of ['SAFETY', 'PROHIBITED_CONTENT', 'BLOCKLIST', 'SPII', 'RECITATION', 'IMAGE_SAFETY'])
      expect(stopped(reason)).toEqual([{ guardrail: 'gcp.gemini.safety', stage: 'output', action: 'blocked', reason }])
    for (const reason of ['STOP', 'MAX_TOKENS', 'OTHER', 'MALFORMED_FUNCTION_CALL', null, {}])
      expect(stopped(reason)).toEqual([])
    const blocked = (promptFeedback: unknown, usageMetadata: object, place: Partial<Exchange> = gemini) =>
      read(makeExchange(request, { promptFeedback, usageMetadata }, place))
    expect(blocked({ blockReason: 'PROHIBITED_CONTENT' }, { promptTokenCount: 8, totalTokenCount: 8 })).toMatchObject({
      guardrails: [{ guardrail: 'gcp.gemini.safety', stage: 'input', reason: 'PROHIBITED_CONTENT' }],
      counts: { input: 8 },
      usageSource: 'provider',
    })
    const armor = blocked({ blockReason: 'MODEL_ARMOR' }, { trafficType: 'ON_DEMAND' }, vertex)
    expect(armor).toMatchObject({
      guardrails: [{ guardrail: 'gcp.model_armor', stage: 'input' }],
      counts: {},
      usageSource: 'unknown',
    })
    expect(blocked({ blockReason: 4 }, {}, vertex).guardrails).toMatchObject([{ reason: 'PROHIBITED_CONTENT' }])
    for (const none of [null, {}, { blockReason: null }, { blockReason: 0 }, { safetyRatings: [] }])
      expect(blocked(none, {}).guardrails).toEqual([])
  })

  it('reads errors, in a list too', () => {
    const error = { error: { code: 429, message: 'Quota exceeded', status: 'RESOURCE_EXHAUSTED' } }
    const expected = {
      usage: {},
      usageSource: 'none',
      error: { type: 'RESOURCE_EXHAUSTED', message: 'Quota exceeded' },
    }
    expect(read(makeExchange(request, error, { ...gemini, status: 429 }))).toMatchObject(expected)
    expect(listed(JSON.stringify([error]), { status: 429 })).toMatchObject(expected)
    expect(read(makeExchange(request, undefined, gemini)).usageReason).toBe('no_body')
    expect(read(makeExchange(request, 'oops', { ...gemini, responseHeaders: {} })).usageReason).toBe('unreadable_body')
  })

  it('is found under every path of it, and under no other verb', () => {
    const dialect = (path: string) => read(makeExchange({}, answer, { ...gemini, path, method: 'GET' })).dialect
    for (const path of [
      '/v1/models/gemini-2.5-pro:generateContent',
      '/v1alpha/tunedModels/mine-1:generateContent',
      '/google/v1beta/models/gemini-2.5-pro%3AstreamGenerateContent',
      '/v1/projects/p/locations/l/endpoints/123:streamGenerateContent',
    ])
      expect(dialect(path)).toBe('gemini-generate-content')
    for (const verb of ['generateAnswer', 'batchGenerateContent', 'countTokens', 'computeTokens', 'embedContent'])
      expect(dialect(`/v1beta/models/m:${verb}`)).not.toBe('gemini-generate-content')
    expect(dialect('/v1beta/models')).toBe('unknown')
    const counting = read(makeExchange({}, { totalTokens: 9 }, { ...gemini, path: '/v1beta/models/m:countTokens' }))
    expect(counting).toMatchObject({ billable: false, operation: 'count_tokens', usage: {} })
  })
})

describe('a stream', () => {
  it('of events or of one JSON array reads as the whole answer does', () => {
    for (const reading of [streamed(chunks), listed(asList(chunks)), listed(JSON.stringify(chunks))])
      expect(reading).toEqual({ ...whole(), stream: true })
  })

  it('of any chunking of its text reads the same', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 6 }), (texts) => {
        const last = texts.length - 1
        const items = texts.map((text, position) => ({
          candidates: [candidate([{ text }], position === last ? 'STOP' : undefined)],
          usageMetadata: position === last ? usage : running(position),
        }))
        const reading = streamed(items)
        expect(reading).toMatchObject({ counts, usageSource: 'provider' })
        expect(reading.content?.output?.[0]?.parts).toEqual([{ type: 'text', content: texts.join('') }])
      }),
    )
  })

  it('takes the last snapshot whole, not its parts with those of earlier ones', () => {
    const last = { promptTokenCount: 200, totalTokenCount: 200 }
    expect(streamed([chunks[0], { candidates: [candidate([], 'STOP')], usageMetadata: last }])).toMatchObject({
      counts: { input: 200, total: 200 },
      usageSource: 'provider',
    })
    // A last chunk that says only how it was served has no counts that could win.
    expect(streamed([...chunks, { usageMetadata: { trafficType: 'ON_DEMAND' } }]).counts).toEqual(counts)
  })

  it('is final only with the usage that its end or what follows it says', () => {
    const finish = { candidates: [candidate([], 'STOP')] }
    expect(streamed([chunks[0], finish])).toMatchObject({ usageSource: 'partial', counts: { output: 1 } })
    expect(streamed([chunks[0], finish, { usageMetadata: usage }])).toMatchObject({ usageSource: 'provider', counts })
    expect(streamed([finish])).toMatchObject({ usageSource: 'unknown', usageReason: 'stream_without_usage' })
    const second = { candidates: [candidate([], 'STOP', { index: 1 })], usageMetadata: usage }
    const two = { ...request, generationConfig: { candidateCount: 2 } }
    const both = [{ ...finish, usageMetadata: running(2) }, second]
    const ofTwo = (items: readonly unknown[]) => read(makeExchange(two, asEvents(items), streaming))
    expect(ofTwo(both.slice(0, 1)).usageSource).toBe('partial')
    expect(ofTwo(both)).toMatchObject({ usageSource: 'provider', counts, finishReasons: ['STOP', 'STOP'] })
  })

  it('that the client left is partial with the count so far (trap 16)', () => {
    expect(streamed(chunks.slice(0, 2), { responseComplete: false })).toMatchObject({
      usage: { input: 100, output: 3 },
      usageSource: 'partial',
      usageReason: 'stream_cut',
      content: { truncated: true },
    })
  })

  it('is not whole where an error came, nor billed where it came first (trap 28)', () => {
    const error = { error: { code: 503, message: 'Overloaded', status: 'UNAVAILABLE' } }
    expect(streamed([chunks[0], error])).toMatchObject({
      usageSource: 'partial',
      usageReason: 'stream_error',
      error: { type: 'UNAVAILABLE', message: 'Overloaded' },
    })
    expect(streamed([error])).toMatchObject({ usage: {}, usageSource: 'none', error: { type: 'UNAVAILABLE' } })
    expect(listed(asList([chunks[0], error]))).toMatchObject({ error: { type: 'UNAVAILABLE' } })
  })

  it('with a blocked prompt ends at once', () => {
    const feedback = {
      promptFeedback: { blockReason: 'SAFETY' },
      usageMetadata: { promptTokenCount: 6, totalTokenCount: 6 },
    }
    expect(streamed([feedback])).toMatchObject({
      usage: { input: 6 },
      usageSource: 'provider',
      guardrails: [{ stage: 'input', reason: 'SAFETY' }],
    })
  })
})
