import { expect, it } from 'vitest'
import { contradictionsOfCuts, failuresOfGarbage, garbled } from '../testing/damage.ts'
import { makeExchange } from '../testing/make-exchange.ts'
import type { Exchange } from './dialect.ts'
import { read } from './index.ts'

const request = { model: 'rerank-v3.5', query: 'capital?', documents: ['Paris', 'London'] }
const results = [
  { index: 0, relevance_score: 0.9 },
  { index: 1, relevance_score: 0.1 },
]
const cohere = { id: 'r-1', results, meta: { api_version: { version: '2' }, billed_units: { search_units: 1 } } }
const place = { host: 'api.cohere.com', path: '/v2/rerank' }
const ranked = (answer: unknown, overrides: Partial<Exchange> = {}) =>
  read(makeExchange(request, answer, { ...place, ...overrides }))

it('of Cohere is billed by search units', () => {
  expect(ranked(cohere)).toMatchObject({
    dialect: 'rerank',
    operation: 'rerank',
    stream: false,
    requestModel: 'rerank-v3.5',
    responseId: 'r-1',
    usage: { search_units: 1 },
    usageSource: 'provider',
    content: { input: [{ parts: [{ content: 'capital?' }] }] },
  })
})

it.each([
  ['api.voyageai.com', '/v1/rerank', { usage: { total_tokens: 57 } }, { input: 57 }],
  [
    'api.together.xyz',
    '/v1/rerank',
    { usage: { prompt_tokens: 9, completion_tokens: 0, total_tokens: 9 } },
    { input: 9 },
  ],
  ['api.jina.ai', '/v1/rerank', { usage: { total_tokens: 8, prompt_tokens: 8 } }, { input: 8 }],
  ['api.mixedbread.com', '/v1/reranking', { usage: { prompt_tokens: 5, total_tokens: 5 } }, { input: 5 }],
  ['dashscope.aliyuncs.com', '/compatible-api/v1/reranks', { usage: { total_tokens: 79 } }, { input: 79 }],
  [
    'dashscope.aliyuncs.com',
    '/api/v1/services/rerank/text-rerank/text-rerank',
    { output: { results }, usage: { total_tokens: 79 }, request_id: 'q' },
    { input: 79 },
  ],
  ['api.pinecone.io', '/rerank', { usage: { rerank_units: 1 } }, { search_units: 1 }],
  ['openrouter.ai', '/api/v1/rerank', { usage: { search_units: 1, total_tokens: 0 } }, { search_units: 1 }],
  [
    'api.siliconflow.com',
    '/v1/rerank',
    { meta: { billed_units: { input_tokens: 6, output_tokens: 0, search_units: 0, classifications: 0 } } },
    { input: 6, output: 0 },
  ],
])('of %s at %s says its units', (host, path, answer, usage) => {
  expect(ranked({ model: 'm', ...answer }, { host, path })).toMatchObject({
    dialect: 'rerank',
    responseModel: 'm',
    usage,
    usageSource: 'provider',
  })
})

it('of OpenRouter says what it costs', () => {
  const answer = { results, usage: { total_tokens: 17, cost: 3.4e-7 } }
  expect(ranked(answer, { host: 'openrouter.ai' })).toMatchObject({ usage: { input: 17 }, reportedPicoUsd: 340_000 })
})

it('without usage, refused, or as a bare list has none', () => {
  expect(ranked({ results })).toMatchObject({ usage: {}, usageSource: 'unknown', usageReason: 'body_without_usage' })
  expect(ranked([{ index: 0, score: 0.9 }])).toMatchObject({ usage: {}, usageSource: 'unknown' })
  expect(ranked({ message: 'no' }, { status: 429 })).toMatchObject({ usage: {}, usageSource: 'none' })
  expect(ranked(undefined)).toMatchObject({ usageReason: 'no_body' })
})

it('cut anywhere claims no other numbers; its end is enough', () => {
  const long = { ...cohere, results: Array.from({ length: 12 }, () => results[0]) }
  expect(contradictionsOfCuts(makeExchange(request, long, place))).toEqual([])
  const voyage = { data: long.results, model: 'm', usage: { total_tokens: 57 } }
  expect(contradictionsOfCuts(makeExchange(request, voyage, place))).toEqual([])
  const text = JSON.stringify(long)
  const cut = { responseBody: Buffer.from(text.slice(0, 50)), responseTail: Buffer.from(text.slice(-110)) }
  expect(ranked(undefined, cut)).toMatchObject({ usage: { search_units: 1 }, usageSource: 'provider' })
})

it('with values of any type never throws', () => {
  for (const answer of [cohere, { usage: { total_tokens: 1, search_units: 1, cost: 1 } }])
    expect(failuresOfGarbage(garbled(answer).map((body) => makeExchange(request, body, place)))).toEqual([])
  expect(failuresOfGarbage(garbled(request).map((body) => makeExchange(body, cohere, place)))).toEqual([])
})
