import { expect, it } from 'vitest'
import { contradictionsOfCuts, failuresOfGarbage, garbled } from '../testing/damage.ts'
import { makeExchange } from '../testing/make-exchange.ts'
import { read } from './index.ts'

const speech = { host: 'api.x.ai', path: '/v1/tts', responseHeaders: { 'content-type': 'audio/mpeg' } }
const hearing = { host: 'api.x.ai', path: '/v1/stt' }
const sound = { responseBody: Buffer.from([0xff, 0xf3, 0x01]) }
const heard = { text: 'hi', language: 'en', duration: 3.7, words: [{ text: 'hi', start: 0.1, end: 0.4 }] }

it('speaks for the characters that were sent, also in a region', () => {
  for (const host of ['api.x.ai', 'us-east-1.api.x.ai'])
    expect(
      read(makeExchange({ text: 'Grüße 🎉', voice_id: 'eve' }, undefined, { ...speech, host, ...sound })),
    ).toMatchObject({
      dialect: 'x-ai-voice',
      operation: 'speech',
      requestModel: 'tts',
      usage: { characters: 7 },
      usageSource: 'counted',
    })
  const cut = { ...speech, ...sound, requestTruncated: true }
  expect(read(makeExchange({ text: 'x' }, undefined, cut))).toMatchObject({ usage: {}, usageSource: 'unknown' })
  expect(read(makeExchange({}, undefined, { ...speech, ...sound })).usageSource).toBe('unknown')
})

it('hears for the length of the sound', () => {
  expect(read(makeExchange(undefined, heard, hearing))).toMatchObject({
    operation: 'transcription',
    requestModel: 'stt',
    usage: { audio_milliseconds: 3700 },
    usageSource: 'counted',
  })
  for (const duration of [undefined, null, '3.7', -1, 1e300])
    expect(read(makeExchange(undefined, { ...heard, duration }, hearing))).toMatchObject({
      usage: {},
      usageSource: 'unknown',
      usageReason: 'body_without_usage',
    })
})

it('refused is free; cut or garbled claims nothing of the provider', () => {
  const refusal = { code: 'invalid-argument', error: 'no audio' }
  for (const place of [speech, hearing])
    expect(read(makeExchange({ text: 'x' }, refusal, { ...place, status: 400 }))).toMatchObject({
      usage: {},
      usageSource: 'none',
      error: { type: 'invalid-argument', message: 'no audio' },
    })
  expect(contradictionsOfCuts(makeExchange(undefined, heard, hearing))).toEqual([])
  expect(failuresOfGarbage(garbled(heard).map((body) => makeExchange(undefined, body, hearing)))).toEqual([])
  const asked = garbled({ text: 'x', model: 'm' }).map((body) => makeExchange(body, undefined, { ...speech, ...sound }))
  expect(failuresOfGarbage(asked)).toEqual([])
})
