import { describe, expect, it } from 'vitest'
import { at, readBinary } from '../testing/make-bedrock-exchange.ts'
import { makeChunkStream } from '../testing/make-event-stream.ts'
import { makeExchange } from '../testing/make-exchange.ts'
import type { Exchange } from './dialect.ts'
import { read } from './index.ts'

describe('families of invoke', () => {
  const headers = (input: number, output: number, read_ = 0, write = 0) => ({
    responseHeaders: {
      'content-type': 'application/json',
      'x-amzn-bedrock-input-token-count': String(input),
      'x-amzn-bedrock-output-token-count': String(output),
      'x-amzn-bedrock-cache-read-input-token-count': String(read_),
      'x-amzn-bedrock-cache-write-input-token-count': String(write),
    },
  })
  const chunks = (parts: readonly object[], name = 'm') =>
    readBinary(makeChunkStream(parts), at('invoke-with-response-stream', name))
  const whole = (body: object, more: Partial<Exchange> = {}, name = 'm', request: object = {}) =>
    read(makeExchange(request, body, { ...at('invoke', name), ...more }))

  it.each([
    [
      'Llama',
      [
        { generation: 'a', prompt_token_count: 5, generation_token_count: 1 },
        { generation: 'b', generation_token_count: 2, stop_reason: 'stop' },
      ],
      { input: 5, output: 2 },
    ],
    [
      'Titan',
      [
        { outputText: 'a', inputTextTokenCount: 8 },
        { outputText: 'b', totalOutputTextTokenCount: 17, completionReason: 'FINISH' },
      ],
      { input: 8, output: 17 },
    ],
    [
      'Nova',
      [{ contentBlockDelta: { delta: { text: 'a' } } }, { metadata: { usage: { inputTokens: 5, outputTokens: 1 } } }],
      { input: 5, output: 1 },
    ],
    [
      'Cohere',
      [
        { text: 'a' },
        {
          is_finished: true,
          finish_reason: 'COMPLETE',
          response: { text: 'a', meta: { billed_units: { input_tokens: 4, output_tokens: 2 } } },
        },
      ],
      { input: 4, output: 2 },
    ],
  ])('the own last word of a stream of %s is final without Bedrock’s', (_name, parts, counts) => {
    expect(chunks(parts)).toMatchObject({ counts, usageSource: 'provider' })
    expect(['unknown', 'partial']).toContain(chunks(parts.slice(0, 1)).usageSource)
  })

  it('pictures: those that were taken away are not counted; their size is part of the price', () => {
    const config = { numberOfImages: 2, width: 1024, height: 512, quality: 'premium' }
    const asked = { textToImageParams: { text: 'A cat' }, imageGenerationConfig: config }
    expect(
      whole({ images: ['QUJD'], error: 'One was taken away' }, {}, 'amazon.nova-canvas-v1:0', asked),
    ).toMatchObject({
      operation: 'image_generation',
      usage: { images: 1 },
      usageSource: 'counted',
      priceAttributes: { image_size: '1024x512', image_quality: 'premium' },
      content: { input: [{ parts: [{ content: 'A cat' }] }], output: [{ parts: [{ type: 'other', kind: 'image' }] }] },
    })
    const artifacts = [
      { base64: 'QUJD', finishReason: 'SUCCESS' },
      { base64: 'QUJD', finishReason: 'CONTENT_FILTERED' },
    ]
    expect(whole({ result: 'success', artifacts }, {}, 'stability.stable-diffusion-xl-v1').usage).toEqual({ images: 1 })
    const filtered = { images: [null], finish_reasons: ['Filter reason: prompt'], seeds: [] }
    expect(whole(filtered, {}, 'stability.sd3-5-large-v1:0')).toMatchObject({ usage: {}, usageSource: 'unknown' })
    expect(JSON.stringify(whole({ images: ['QUJD'] }))).not.toContain('QUJD')
    expect(whole({ message: 'no' }, { status: 400 }, 'amazon.nova-canvas-v1:0')).toMatchObject({
      operation: 'image_generation',
      usage: {},
      usageSource: 'none',
    })
  })

  it('rerankers: a query over short documents is counted, over others not', () => {
    const results = { results: [{ index: 0, relevance_score: 0.9 }] }
    const ask = (documents: unknown[]) => whole(results, {}, 'cohere.rerank-v3-5:0', { query: 'capital?', documents })
    expect(ask(['Paris', { text: 'Rome' }])).toMatchObject({
      operation: 'rerank',
      usage: { search_units: 1 },
      usageSource: 'counted',
    })
    expect(ask(Array.from({ length: 101 }, () => 'Paris')).usage).toEqual({ search_units: 2 })
    for (const documents of [[], ['x'.repeat(2000)], [7]])
      expect(ask(documents)).toMatchObject({ usage: {}, usageSource: 'unknown' })
  })

  it.each([
    [
      'amazon.titan-embed-text-v2:0',
      { inputText: 'Hi' },
      { embedding: [0.1], inputTextTokenCount: 3 },
      'embeddings',
      '',
    ],
    [
      'cohere.embed-english-v3',
      { texts: ['Hi'] },
      { embeddings: [[0.1]], id: 'x', response_type: 'f' },
      'embeddings',
      '',
    ],
    ['mistral.mistral-7b-instruct-v0:2', { prompt: 'Hi' }, { outputs: [{ text: 'Ho' }] }, 'text_completion', 'Ho'],
    [
      'anthropic.claude-v2',
      { prompt: 'Hi' },
      { completion: 'Ho', stop_reason: 'stop_sequence' },
      'text_completion',
      'Ho',
    ],
    ['ai21.j2-ultra-v1', { prompt: 'Hi' }, { completions: [{ data: { text: 'Ho' } }] }, 'text_completion', 'Ho'],
    ['cohere.command-text-v14', { prompt: 'Hi' }, { generations: [{ text: 'Ho' }] }, 'text_completion', 'Ho'],
    ['cohere.command-r-v1:0', { message: 'Hi' }, { text: 'Ho', finish_reason: 'COMPLETE' }, 'chat', 'Ho'],
    [
      'amazon.nova-lite-v1:0',
      { messages: [{ role: 'user', content: [{ text: 'Hi' }] }] },
      { output: { message: { content: [{ text: 'Ho' }] } } },
      'chat',
      'Ho',
    ],
    [
      'mistral.mistral-large-2407-v1:0',
      { messages: [{ role: 'user', content: 'Hi' }] },
      { choices: [{ message: { content: 'Ho' } }] },
      'chat',
      'Ho',
    ],
    ['twelvelabs.pegasus-1-2-v1:0', { inputPrompt: 'Hi' }, { message: 'Ho', finishReason: 'stop' }, 'chat', 'Ho'],
  ])('what was asked of %s, and what it said', (name, asked, said, operation, text) => {
    const reading = whole(said, headers(1, 1), name, asked)
    expect(reading).toMatchObject({ operation, usageSource: 'provider', requestModel: name })
    expect(reading.content?.input?.at(-1)).toEqual({ role: 'user', parts: [{ type: 'text', content: 'Hi' }] })
    if (text !== '') expect(reading.content?.output?.[0]?.parts).toEqual([{ type: 'text', content: 'Ho' }])
  })

  it('the same parameters in each family’s spelling', () => {
    const of = (asked: object) => whole({ generation: 'x' }, {}, 'm', asked).parameters
    const all = { maxTokens: 9, temperature: 0.5, topP: 0.9, stopSequences: ['END'] }
    expect(of({ max_gen_len: 9, temperature: 0.5, top_p: 0.9, stop: ['END'] })).toEqual(all)
    const titan = { maxTokenCount: 9, temperature: 0.5, topP: 0.9, stopSequences: ['END', 7] }
    expect(of({ inputText: 'Hi', textGenerationConfig: titan })).toEqual(all)
    expect(of({ inferenceConfig: { max_new_tokens: 9, topK: 3 } })).toEqual({ maxTokens: 9, topK: 3 })
    expect(of({ p: 1, k: 2, max_tokens: '9' })).toEqual({ topP: 1, topK: 2 })
    expect(of({})).toBeUndefined()
  })
})
