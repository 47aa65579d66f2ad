import { describe, expect, it } from 'vitest'
import { makeExchange, makeStream } from '../testing/make-exchange.ts'
import { read } from './index.ts'

const form = (fields: Record<string, string>) => {
  const parts = Object.entries(fields).map(
    ([name, value]) => `--XX\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  )
  const file =
    '--XX\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\nContent-Type: audio/mpeg\r\n\r\n\u0000\u0001\r\n'
  return {
    requestBody: Buffer.from(`${file}${parts.join('')}--XX--\r\n`),
    requestHeaders: { 'content-type': 'multipart/form-data; boundary=XX' },
  }
}

describe('embeddings', () => {
  const place = { path: '/v1/embeddings' }
  const answer = {
    object: 'list',
    data: [{ object: 'embedding', index: 0, embedding: [0.1, 0.2] }],
    model: 'text-embedding-3-small',
    usage: { prompt_tokens: 7, total_tokens: 7 },
  }
  it('have input alone', () => {
    expect(read(makeExchange({ model: 'e', input: ['a', 'b'] }, answer, place))).toMatchObject({
      dialect: 'openai-embeddings',
      operation: 'embeddings',
      responseModel: 'text-embedding-3-small',
      counts: { input: 7, total: 7 },
      usage: { input: 7 },
      usageSource: 'provider',
      content: { input: [{ parts: [{ content: 'a' }] }, { parts: [{ content: 'b' }] }] },
    })
  })
  it('of Voyage say their total alone', () => {
    expect(read(makeExchange({}, { ...answer, usage: { total_tokens: 3 } }, place)).usage).toEqual({ input: 3 })
  })
  it('whose vectors were cut out are read from the end', () => {
    const text = JSON.stringify(answer)
    const cut = {
      responseBody: Buffer.from(text.slice(0, 40)),
      responseTail: Buffer.from(text.slice(-70)),
      responseComplete: true,
    }
    expect(read(makeExchange({}, undefined, { ...place, ...cut }))).toMatchObject({
      usage: { input: 7 },
      usageSource: 'provider',
    })
    expect(read(makeExchange({}, undefined, { ...place, ...cut, responseTail: Buffer.from('}') }))).toMatchObject({
      usage: {},
      usageReason: 'body_cut',
    })
  })
})

describe('images', () => {
  const place = { path: '/v1/images/generations' }
  const drawn = { created: 1, data: [{ b64_json: 'x' }, { b64_json: 'y' }] }
  it('of DALL-E are counted: the answer reports nothing', () => {
    const request = { model: 'dall-e-3', prompt: 'a cat', size: '1024x1024', quality: 'hd', n: 2 }
    expect(read(makeExchange(request, drawn, place))).toMatchObject({
      operation: 'image_generation',
      requestModel: 'dall-e-3',
      usage: { images: 2 },
      usageSource: 'counted',
      priceAttributes: { image_size: '1024x1024', image_quality: 'hd' },
    })
  })
  it('asked for by a form say their model there', () => {
    const edit = { ...form({ model: 'dall-e-2', size: '512x512' }), path: '/v1/images/edits' }
    expect(read(makeExchange(undefined, { data: [{ url: 'u' }] }, edit))).toMatchObject({
      requestModel: 'dall-e-2',
      usage: { images: 1 },
      priceAttributes: { image_size: '512x512' },
    })
  })
  const usage = {
    input_tokens: 50,
    input_tokens_details: { text_tokens: 10, image_tokens: 40 },
    output_tokens: 4160,
    total_tokens: 4210,
  }
  it('of gpt-image are billed by tokens', () => {
    expect(read(makeExchange({ model: 'gpt-image-1' }, { ...drawn, usage, size: '1024x1536' }, place))).toMatchObject({
      counts: { input: 50, output: 4160, inputImage: 40, outputImage: 4160 },
      usage: { input: 10, input_image: 40, output: 0, output_image: 4160 },
      usageSource: 'provider',
      priceAttributes: { image_size: '1024x1536' },
    })
  })
  it('streamed say their usage at the end', () => {
    const partial = { type: 'image_generation.partial_image', b64_json: 'x' }
    const done = { type: 'image_generation.completed', b64_json: 'y', usage }
    const stream = (events: unknown[]) => read(makeExchange({}, makeStream(events, true), place))
    expect(stream([partial, done])).toMatchObject({ stream: true, usage: { output_image: 4160 } })
    expect(stream([partial])).toMatchObject({ usage: {}, usageSource: 'unknown', usageReason: 'stream_cut' })
  })
  it('refused by a filter are a guardrail event and free', () => {
    const error = { error: { code: 'moderation_blocked', message: 'no' } }
    expect(read(makeExchange({}, error, { ...place, status: 400 }))).toMatchObject({
      usageSource: 'none',
      guardrails: [{ guardrail: 'openai.content_filter', stage: 'input', action: 'blocked' }],
    })
  })
  it('of xAI cost what it says; their number is counted', () => {
    const answer = { data: [{ url: 'u' }], usage: { cost_in_usd_ticks: 700_000_000 } }
    expect(read(makeExchange({}, answer, { ...place, host: 'api.x.ai' }))).toMatchObject({
      usage: { images: 1 },
      usageSource: 'counted',
      reportedPicoUsd: 70_000_000_000,
    })
  })
})

describe('transcriptions', () => {
  const place = { ...form({ model: 'whisper-1', response_format: 'json' }), path: '/v1/audio/transcriptions' }
  const heard = (answer: unknown, overrides = {}) => read(makeExchange(undefined, answer, { ...place, ...overrides }))
  it('are billed by tokens, or by seconds, as the answer says', () => {
    expect(
      heard({
        text: 'hi',
        duration: 3.7,
        usage: {
          type: 'tokens',
          total_tokens: 49,
          input_tokens: 37,
          input_token_details: { text_tokens: 2, audio_tokens: 35 },
          output_tokens: 12,
        },
      }),
    ).toMatchObject({
      operation: 'transcription',
      requestModel: 'whisper-1',
      usage: { input: 2, input_audio: 35, output: 12 },
      usageSource: 'provider',
    })
    expect(heard({ text: 'hi', usage: { type: 'duration', seconds: 7 } })).toMatchObject({
      usage: { audio_milliseconds: 7000 },
      usageSource: 'provider',
    })
  })
  it('that only say how long the sound was are counted by it', () => {
    expect(heard({ text: 'hi', duration: 36.71 })).toMatchObject({
      usage: { audio_milliseconds: 36_710 },
      usageSource: 'counted',
    })
    expect(heard({ text: 'hi' })).toMatchObject({ usage: {}, usageSource: 'unknown' })
    expect(heard('1\n00:00 --> 00:01\nhi\n', { responseHeaders: { 'content-type': 'text/plain' } })).toMatchObject({
      usageSource: 'unknown',
      usageReason: 'unreadable_body',
    })
  })
  it('of Mistral name seconds beside tokens; sound that is in the tokens is not billed twice', () => {
    const usage = { prompt_audio_seconds: 36, prompt_tokens: 13, completion_tokens: 151, total_tokens: 164 }
    expect(heard({ model: 'voxtral', text: 'x', usage }).usage).toEqual({
      input: 13,
      output: 151,
      audio_milliseconds: 36_000,
    })
    const both = {
      prompt_audio_seconds: 3,
      prompt_tokens: 3,
      total_tokens: 389,
      completion_tokens: 11,
      prompt_tokens_details: { audio_tokens: 375 },
    }
    expect(heard({ model: 'voxtral', text: 'x', usage: both }).usage).toEqual({
      input: 3,
      input_audio: 375,
      output: 11,
      audio_milliseconds: 3000,
    })
  })
  it('streamed say their usage at the end', () => {
    const delta = { type: 'transcript.text.delta', delta: 'h' }
    const done = {
      type: 'transcript.text.done',
      text: 'hi',
      usage: { input_tokens: 5, output_tokens: 2, total_tokens: 7 },
    }
    const stream = (events: unknown[]) =>
      heard(makeStream(events), { responseHeaders: { 'content-type': 'text/event-stream' } })
    expect(stream([delta, done, '[DONE]'])).toMatchObject({
      stream: true,
      usage: { input: 5, output: 2 },
      usageSource: 'provider',
    })
    expect(stream([delta])).toMatchObject({ usageSource: 'unknown', usageReason: 'stream_cut' })
  })
})

describe('speech', () => {
  const place = { path: '/v1/audio/speech', responseHeaders: { 'content-type': 'audio/mpeg' } }
  const sound = Buffer.from([0xff, 0xf3, 0x01])
  it('is billed by the characters that were sent', () => {
    const request = { model: 'tts-1', input: 'Grüße 🎉', voice: 'alloy' }
    expect(read(makeExchange(request, undefined, { ...place, responseBody: sound }))).toMatchObject({
      operation: 'speech',
      requestModel: 'tts-1',
      usage: { characters: 7 },
      usageSource: 'counted',
    })
    const cut = { ...place, responseBody: sound, requestTruncated: true }
    expect(read(makeExchange(request, undefined, cut))).toMatchObject({ usage: {}, usageSource: 'unknown' })
  })
  it('as a stream of events reports tokens', () => {
    const done = { type: 'speech.audio.done', usage: { input_tokens: 14, output_tokens: 101, total_tokens: 115 } }
    const streamed = makeExchange(
      { model: 'gpt-4o-mini-tts', input: 'x' },
      makeStream([{ type: 'speech.audio.delta' }, done]),
      {
        path: '/v1/audio/speech',
      },
    )
    expect(read(streamed)).toMatchObject({
      usage: { input: 14, output: 0, output_audio: 101 },
      usageSource: 'provider',
    })
  })
})

describe('moderations', () => {
  it('are free, and guardrail events where they flag', () => {
    const results = [{ flagged: true, categories: { hate: true, violence: false } }, { flagged: false }]
    expect(
      read(makeExchange({ input: 'x' }, { id: 'modr-1', model: 'omni', results }, { path: '/v1/moderations' })),
    ).toMatchObject({
      operation: 'moderation',
      billable: false,
      usageSource: 'none',
      guardrails: [{ guardrail: 'openai.moderation', stage: 'input', action: 'flagged', reason: 'hate' }],
    })
  })
})
