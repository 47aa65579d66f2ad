import { describe, expect, it } from 'vitest'
import { makeExchange } from '../testing/make-exchange.ts'
import type { Exchange } from './dialect.ts'
import { read } from './index.ts'

const place = (model: string): Partial<Exchange> => ({
  host: 'us-central1-aiplatform.googleapis.com',
  path: `/v1/projects/p/locations/us-central1/publishers/google/models/${model}:predict`,
})
const embedded = (token_count?: unknown) => ({
  embeddings: { values: [0.5], statistics: { truncated: false, token_count } },
})
const metadata = { billableCharacterCount: 29 }
const image = { mimeType: 'image/png', bytesBase64Encoded: 'AAAA' }

describe('embeddings', () => {
  const embeddings = (predictions: unknown, overrides: Partial<Exchange> = {}) =>
    read(
      makeExchange(
        { instances: [{ content: 'one' }, { content: 'two' }] },
        { predictions, metadata },
        { ...place('text-embedding-004'), ...overrides },
      ),
    )

  it('are the sum of the counts of each text', () => {
    expect(embeddings([embedded(4), embedded(6)])).toEqual({
      dialect: 'vertex-predict',
      operation: 'embeddings',
      stream: false,
      requestModel: 'text-embedding-004',
      priceAttributes: { region: 'us-central1' },
      counts: { input: 10 },
      usage: { input: 10 },
      usageSource: 'provider',
      rawUsage: metadata,
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

  it('with a text whose count is not said have no sum', () => {
    for (const predictions of [[embedded(4), embedded()], [embedded('4')], [], 'x', null, [null]])
      expect(embeddings(predictions)).toMatchObject({ usage: {}, usageSource: 'unknown' })
  })

  it('cut at any byte claim nothing', () => {
    const bytes = Buffer.from(JSON.stringify({ predictions: [embedded(4), embedded(6)], metadata }))
    for (let cut = 0; cut < bytes.length; cut++)
      for (const responseComplete of [true, false]) {
        const { usageSource } = embeddings([], { responseBody: bytes.subarray(0, cut), responseComplete })
        expect(usageSource).not.toBe('provider')
      }
  })

  it('fail', () => {
    const error = { error: { code: 403, message: 'No', status: 'PERMISSION_DENIED' } }
    expect(read(makeExchange({}, error, { ...place('text-embedding-004'), status: 403 }))).toMatchObject({
      usage: {},
      usageSource: 'none',
      error: { type: 'PERMISSION_DENIED' },
    })
  })
})

describe('pictures', () => {
  const pictures = (predictions: unknown[], overrides: Partial<Exchange> = {}) =>
    read(
      makeExchange(
        { instances: [{ prompt: 'a cat' }] },
        { predictions },
        { ...place('imagen-4.0-generate-001'), ...overrides },
      ),
    )

  it('are counted, on Vertex and at Google AI', () => {
    const gemini = { host: 'generativelanguage.googleapis.com', path: '/v1beta/models/imagen-4.0-generate-001:predict' }
    for (const overrides of [{}, gemini])
      expect(pictures([image, { gcsUri: 'gs://b/1.png', mimeType: 'image/png' }], overrides)).toMatchObject({
        dialect: 'vertex-predict',
        operation: 'image_generation',
        requestModel: 'imagen-4.0-generate-001',
        usage: { images: 2 },
        usageSource: 'counted',
        content: { input: [{ parts: [{ content: 'a cat' }] }] },
      })
    expect(pictures([image])).not.toHaveProperty('usageReason')
  })

  it('that a filter kept back are none', () => {
    const filtered = { raiFilteredReason: 'The prompt was blocked.' }
    expect(pictures([image, filtered])).toMatchObject({
      usage: { images: 1 },
      guardrails: [{ guardrail: 'gcp.imagen.safety', stage: 'output', action: 'blocked' }],
    })
    expect(pictures([filtered])).toMatchObject({ usage: {}, usageSource: 'none', billable: false })
  })

  it('are no sounds, and are not counted in a body that was cut', () => {
    const song = { mimeType: 'audio/wav', bytesBase64Encoded: 'AAAA' }
    expect(pictures([song], place('lyria-002'))).toMatchObject({ usage: {}, usageSource: 'unknown' })
    const bytes = Buffer.from(JSON.stringify({ predictions: [image, image] }))
    for (let cut = 1; cut < bytes.length; cut++)
      expect(pictures([], { responseBody: bytes.subarray(0, cut), responseComplete: false })).toMatchObject({
        usage: {},
        usageSource: 'unknown',
      })
  })
})

it('texts of PaLM have their counts in the metadata', () => {
  const count = (totalTokens: number) => ({ totalTokens, totalBillableCharacters: 40 })
  const tokenMetadata = { inputTokenCount: count(9), outputTokenCount: count(3) }
  expect(
    read(
      makeExchange(
        { instances: [{ prompt: 'Hi' }] },
        { predictions: [{ content: 'Yes?' }], metadata: { tokenMetadata } },
        place('text-bison@002'),
      ),
    ),
  ).toMatchObject({ operation: 'text_completion', usage: { input: 9, output: 3 }, usageSource: 'provider' })
})

it('models of customers have no format', () => {
  const path = '/v1/projects/p/locations/us-central1/endpoints/123:predict'
  expect(read(makeExchange({}, { predictions: [image] }, { ...place(''), path })).dialect).toBe('unknown')
})
