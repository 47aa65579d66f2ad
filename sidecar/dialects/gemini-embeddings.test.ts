import { expect, it } from 'vitest'
import { makeExchange } from '../testing/make-exchange.ts'
import { read } from './index.ts'

const host = 'generativelanguage.googleapis.com'
const batch = { host, path: '/v1beta/models/gemini-embedding-2:batchEmbedContents' }
const single = { host, path: '/v1beta/models/gemini-embedding-001:embedContent' }
const part = (text: string) => ({ content: { parts: [{ text }] } })
const request = { requests: [part('one'), part('two')] }
const usageMetadata = {
  promptTokenCount: 8,
  promptTokenDetails: [
    { modality: 'TEXT', tokenCount: 3 },
    { modality: 'IMAGE', tokenCount: 5 },
  ],
}
const answer = { embeddings: [{ values: [0.25, -1.5] }, { values: [0.5, 2] }], usageMetadata }

it('newer models report what they counted', () => {
  expect(read(makeExchange(request, answer, batch))).toEqual({
    dialect: 'gemini-embeddings',
    operation: 'embeddings',
    stream: false,
    requestModel: 'gemini-embedding-2',
    counts: { input: 8, inputImage: 5 },
    usage: { input: 3, input_image: 5 },
    usageSource: 'provider',
    rawUsage: usageMetadata,
    guardrails: [],
    billable: true,
    content: {
      input: [
        { role: 'user', parts: [{ type: 'text', content: 'one' }] },
        { role: 'user', parts: [{ type: 'text', content: 'two' }] },
      ],
    },
  })
})

it('older models report nothing: unknown, not zero', () => {
  expect(read(makeExchange(part('one'), { embedding: { values: [1] } }, single))).toMatchObject({
    usage: {},
    usageSource: 'unknown',
    usageReason: 'body_without_usage',
    content: { input: [{ parts: [{ content: 'one' }] }] },
  })
  for (const none of [null, [], 'x', {}, { promptTokenCount: null }])
    expect(read(makeExchange({}, { ...answer, usageMetadata: none }, batch))).toMatchObject({
      usage: {},
      billable: true,
    })
})

it('an error', () => {
  const error = { error: { code: 404, message: 'No such model', status: 'NOT_FOUND' } }
  expect(read(makeExchange(request, error, { ...batch, status: 404 }))).toMatchObject({
    usage: {},
    usageSource: 'none',
    error: { type: 'NOT_FOUND', message: 'No such model' },
  })
})

it('cut at any byte gives the usage or none; the end of a long answer is enough', () => {
  const bytes = Buffer.from(JSON.stringify(answer, null, 1))
  const at = (head: number, tail?: number) =>
    read(
      makeExchange(request, undefined, {
        ...batch,
        responseBody: bytes.subarray(0, head),
        responseTail: tail === undefined ? undefined : bytes.subarray(tail),
        responseComplete: tail !== undefined,
      }),
    )
  for (let cut = 0; cut <= bytes.length; cut++) {
    const { counts, usageSource } = at(cut)
    expect([{}, { input: 8, inputImage: 5 }]).toContainEqual(counts)
    expect(usageSource === 'provider').toBe(counts.input === 8)
  }
  expect(at(20, bytes.indexOf('"usageMetadata"') - 9)).toMatchObject({ counts: { input: 8 }, usageSource: 'provider' })
  expect(at(20, bytes.indexOf('"promptTokenCount"'))).toMatchObject({ counts: {}, usageSource: 'unknown' })
})

it('batches are handed in for nothing', () => {
  for (const verb of ['batchGenerateContent', 'asyncBatchEmbedContent'])
    expect(
      read(makeExchange({ batch: {} }, { name: 'batches/b' }, { host, path: `/v1beta/models/gemini-2.5-pro:${verb}` })),
    ).toMatchObject({
      dialect: 'gemini-batch-results',
      operation: 'batch',
      requestModel: 'gemini-2.5-pro',
      billable: false,
      usage: {},
      usageSource: 'none',
    })
})
