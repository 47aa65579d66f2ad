import { expect, it } from 'vitest'
import { contradictionsOfCuts, failuresOfGarbage, garbled } from '../testing/damage.ts'
import { makeExchange } from '../testing/make-exchange.ts'
import { read } from './index.ts'

const place = { host: 'api.mistral.ai', path: '/v1/ocr' }
const request = { model: 'mistral-ocr-latest', document: { type: 'document_url', document_url: 'u' } }
const usage_info = { pages_processed: 3, doc_size_bytes: 4096, pages_processed_annotation: 0 }
const answer = { pages: [{ index: 0, markdown: '# x'.repeat(60) }], model: 'mistral-ocr-2505', usage_info }

it('is billed by the page, at Mistral and at Azure', () => {
  for (const path of ['/v1/ocr', '/providers/mistral/azure/ocr'])
    expect(read(makeExchange(request, answer, { ...place, path }))).toMatchObject({
      dialect: 'mistral-ocr',
      operation: 'ocr',
      requestModel: 'mistral-ocr-latest',
      responseModel: 'mistral-ocr-2505',
      usage: { pages: 3 },
      usageSource: 'provider',
      rawUsage: usage_info,
    })
})

it('cut anywhere claims no other numbers; its end is enough', () => {
  expect(contradictionsOfCuts(makeExchange(request, answer, place))).toEqual([])
  const text = JSON.stringify(answer)
  const cut = { responseBody: Buffer.from(text.slice(0, 40)), responseTail: Buffer.from(text.slice(-120)) }
  expect(read(makeExchange(request, undefined, { ...place, ...cut }))).toMatchObject({
    usage: { pages: 3 },
    usageSource: 'provider',
  })
  const open = { responseBody: Buffer.from(text.slice(0, 40)), responseComplete: false }
  expect(read(makeExchange(request, undefined, { ...place, ...open })).usageReason).toBe('body_cut')
})

it('refused is free; without usage it is not known', () => {
  const refusal = { object: 'error', message: 'bad document', type: 'invalid_file', code: '1901' }
  expect(read(makeExchange(request, refusal, { ...place, status: 400 }))).toMatchObject({
    usage: {},
    usageSource: 'none',
    error: { type: '1901', message: 'bad document' },
  })
  const silent = { usage: {}, usageSource: 'unknown', usageReason: 'body_without_usage' }
  for (const none of [undefined, null, {}, { pages_processed: '3' }])
    expect(read(makeExchange(request, { ...answer, usage_info: none }, place))).toMatchObject(silent)
})

it('with values of any type never throws', () => {
  expect(failuresOfGarbage(garbled(answer).map((body) => makeExchange(request, body, place)))).toEqual([])
  expect(failuresOfGarbage(garbled(request).map((body) => makeExchange(body, answer, place)))).toEqual([])
})
