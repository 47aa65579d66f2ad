import { expect, it } from 'vitest'
import { contradictionsOfCuts, failuresOfGarbage, garbled } from '../testing/damage.ts'
import { makeExchange } from '../testing/make-exchange.ts'
import type { Exchange } from './dialect.ts'
import { read } from './index.ts'

const place = {
  method: 'GET',
  host: 'api.anthropic.com',
  path: '/v1/messages/batches/msgbatch_1/results',
  responseHeaders: { 'content-type': 'application/x-jsonl' },
}
const usage = {
  input_tokens: 20,
  cache_creation_input_tokens: 3,
  cache_read_input_tokens: 2,
  output_tokens: 5,
  service_tier: 'batch',
  inference_geo: 'us',
}
const line = (custom_id: string, model: string, changes: object = {}) => ({
  custom_id,
  result: { type: 'succeeded', message: { id: `msg_${custom_id}`, model, usage: { ...usage, ...changes } } },
})
const failed = { custom_id: 'c', result: { type: 'errored', error: { type: 'invalid_request_error' } } }
const canceled = { custom_id: 'd', result: { type: 'canceled' } }
const expired = { custom_id: 'e', result: { type: 'expired' } }
const lines = [line('a', 'claude-haiku-4-5'), failed, canceled, line('b', 'claude-opus-4-8'), expired]
const exchangeOf = (items: readonly unknown[], overrides: Partial<Exchange> = {}) =>
  makeExchange(undefined, items.map((item) => `${JSON.stringify(item)}\n`).join(''), { ...place, ...overrides })

it('bills each request that succeeded at its own model, once for the batch', () => {
  const counts = { input: 25, output: 5, cacheRead: 2, cacheWrite: 3 }
  expect(read(exchangeOf(lines))).toMatchObject({
    dialect: 'anthropic-batch-results',
    operation: 'batch',
    responseId: 'msgbatch_1',
    responseModel: 'claude-haiku-4-5',
    serviceTier: 'batch',
    priceAttributes: { batch: 'true', geo: 'us' },
    counts: { input: 50, output: 10, cacheRead: 4, cacheWrite: 6 },
    billedLines: [
      { kind: 'batch_request', model: 'claude-haiku-4-5', counts },
      { kind: 'batch_request', model: 'claude-opus-4-8', counts },
    ],
    usageSource: 'provider',
    billable: true,
  })
  const one = read(exchangeOf([lines[0]]))
  expect(one).toMatchObject({ counts, usageSource: 'provider', billedLines: [{ counts }] })
})

it('does not say where it ran where its requests ran in several places', () => {
  const elsewhere = line('b', 'claude-opus-4-8', { inference_geo: 'global' })
  expect(read(exchangeOf([lines[0], elsewhere])).priceAttributes).toEqual({ batch: 'true' })
})

it('bills the passes of an answer that took several', () => {
  const message = { type: 'message', input_tokens: 20, output_tokens: 5 }
  const advisor = { type: 'advisor_message', model: 'claude-opus-4-8', input_tokens: 50, output_tokens: 3 }
  const passes = line('a', 'claude-haiku-4-5', { iterations: [message, advisor] })
  expect(read(exchangeOf([passes, failed])).billedLines).toEqual([
    { kind: 'message', model: 'claude-haiku-4-5', counts: { input: 20, output: 5 } },
    { kind: 'advisor_message', model: 'claude-opus-4-8', counts: { input: 50, output: 3 } },
  ])
})

it('without a request that succeeded bills nothing', () => {
  expect(read(exchangeOf([failed, canceled]))).toMatchObject({ usage: {}, usageSource: 'none', billable: false })
  const missing = { type: 'error', error: { type: 'not_found_error', message: 'gone' } }
  expect(read(exchangeOf([missing], { status: 404 }))).toMatchObject({
    usage: {},
    usageSource: 'none',
    billable: false,
    error: { type: 'not_found_error', message: 'gone' },
  })
})

it('cut anywhere claims no other numbers, and is never thought free', () => {
  expect(contradictionsOfCuts(exchangeOf(lines), [false])).toEqual([])
  expect(contradictionsOfCuts(exchangeOf(lines.slice(0, 1)), [false])).toEqual([])
  const text = Buffer.from(JSON.stringify(lines[0]))
  for (let cut = 1; cut < text.length; cut++)
    expect(read({ ...exchangeOf([]), responseBody: text.subarray(0, cut), responseComplete: false })).toMatchObject({
      usageSource: 'unknown',
      usageReason: 'body_cut',
      billable: true,
    })
  const two = Buffer.from(`${text}\n${text}`)
  expect(read({ ...exchangeOf([]), responseBody: two.subarray(0, -9), responseComplete: false })).toMatchObject({
    counts: { input: 25 },
    usageSource: 'partial',
    usageReason: 'body_cut',
  })
  const torn = Buffer.from(`${text}\n{"custom_id":"b","res`)
  expect(read({ ...exchangeOf([]), responseBody: torn })).toMatchObject({ usageSource: 'partial' })
  expect(read({ ...exchangeOf([]), responseBody: undefined })).toMatchObject({ usageReason: 'no_body' })
})

it('with values of any type never throws', () => {
  const other = garbled(lines[0]).map((garbage) => exchangeOf([garbage, lines[3]]))
  expect(failuresOfGarbage(other)).toEqual([])
})
