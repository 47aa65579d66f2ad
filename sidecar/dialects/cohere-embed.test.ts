import { expect, it } from 'vitest'
import { contradictionsOfCuts, failuresOfGarbage, garbled } from '../testing/damage.ts'
import { makeExchange } from '../testing/make-exchange.ts'
import type { Exchange } from './dialect.ts'
import { read } from './index.ts'

const place = { host: 'api.cohere.com', path: '/v2/embed' }
const request = { model: 'embed-v4.0', texts: ['a', 'b'], embedding_types: ['float'] }
const answer = {
  id: 'e-1',
  texts: ['a', 'b'],
  embeddings: { float: [Array.from({ length: 40 }, (_, at) => at / 100)] },
  meta: { api_version: { version: '2' }, billed_units: { input_tokens: 7, image_tokens: 0 } },
  response_type: 'embeddings_by_type',
}
const whole = (changes: object = {}, overrides: Partial<Exchange> = {}) =>
  read(makeExchange(request, { ...answer, ...changes }, { ...place, ...overrides }))
const billed = (billed_units: unknown) => whole({ meta: { billed_units } })

it('bills text and images', () => {
  expect(whole()).toMatchObject({
    dialect: 'cohere-embed',
    operation: 'embeddings',
    stream: false,
    requestModel: 'embed-v4.0',
    responseId: 'e-1',
    usage: { input: 7 },
    usageSource: 'provider',
    rawUsage: answer.meta,
    content: { input: [{ parts: [{ content: 'a' }] }, { parts: [{ content: 'b' }] }] },
  })
  expect(billed({ input_tokens: 3, image_tokens: 40 }).usage).toEqual({ input: 3, input_image: 40 })
  expect(billed({ image_tokens: 40 }).usage).toEqual({ input: 0, input_image: 40 })
  expect(billed({ images: 2 }).usage).toEqual({ images: 2 })
})

it('keeps the texts of mixed inputs', () => {
  const inputs = [{ content: [{ type: 'text', text: 'a' }, { type: 'image_url' }] }, null]
  const reading = read(makeExchange({ inputs }, answer, place))
  expect(reading.content).toEqual({ input: [{ role: 'user', parts: [{ type: 'text', content: 'a' }] }] })
})

it('of an answer without its vectors reads the end', () => {
  const text = JSON.stringify(answer)
  const cut = { responseBody: Buffer.from(text.slice(0, 60)), responseTail: Buffer.from(text.slice(-150)) }
  expect(whole({}, cut)).toMatchObject({ usage: { input: 7 }, usageSource: 'provider' })
  const open = { responseBody: Buffer.from(text.slice(0, 60)), responseComplete: false }
  expect(whole({}, open)).toMatchObject({ usage: {}, usageSource: 'unknown', usageReason: 'body_cut' })
  expect(contradictionsOfCuts(makeExchange(request, answer, place))).toEqual([])
})

it('without billed units has no usage; refused is free', () => {
  for (const none of [{ meta: undefined }, { meta: null }, { meta: {} }, { meta: { billed_units: {} } }])
    expect(whole(none)).toMatchObject({ usage: {}, usageSource: 'unknown', usageReason: 'body_without_usage' })
  const refusal = { id: 'x', message: "model 'nonexistent' not found" }
  expect(read(makeExchange(request, refusal, { ...place, status: 404 }))).toMatchObject({
    usage: {},
    usageSource: 'none',
    error: { type: '404', message: "model 'nonexistent' not found" },
  })
})

it('reads what answers alike: summarize, Jina’s classify, paths without a version', () => {
  const summary = { id: 's', summary: 'x', meta: { billed_units: { input_tokens: 90, output_tokens: 5 } } }
  expect(read(makeExchange({ text: 'long' }, summary, { ...place, path: '/v1/summarize' }))).toMatchObject({
    operation: 'text_completion',
    usage: { input: 90, output: 5 },
    content: { input: [{ parts: [{ content: 'long' }] }] },
  })
  const labels = { data: [{ prediction: 'spam' }], usage: { total_tokens: 32 } }
  expect(read(makeExchange({}, labels, { host: 'api.jina.ai', path: '/v1/classify' }))).toMatchObject({
    operation: 'unknown',
    usage: { input: 32 },
    usageSource: 'provider',
  })
  expect(whole({}, { path: '/embed' }).dialect).toBe('cohere-embed')
  expect(whole({}, { path: '/embed', host: 'tei.internal' }).dialect).not.toBe('cohere-embed')
})

it('with values of any type never throws', () => {
  const short = { ...answer, embeddings: [] }
  expect(failuresOfGarbage(garbled(short).map((body) => makeExchange(request, body, place)))).toEqual([])
  expect(failuresOfGarbage(garbled(request).map((body) => makeExchange(body, short, place)))).toEqual([])
})
