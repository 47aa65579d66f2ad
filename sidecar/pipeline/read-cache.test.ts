import { describe, expect, it } from 'vitest'
import { openPriceBook } from '../../pricing/open-price-book.ts'
import { makeCapture } from '../testing/make-capture.ts'
import { priceLookup, readCache, semanticCacheConfigSchema } from './read-cache.ts'

const none = semanticCacheConfigSchema.parse({})
const logOf = (parts: Parameters<typeof makeCapture>[0] = {}) => makeCapture(parts).log

describe('Kong’s semantic cache', () => {
  it.each(['Hit', 'Miss', 'Bypass', 'Refresh'])('says %s beside its key', (status) => {
    const headers = { 'x-cache-status': status, 'x-cache-key': 'k' }
    expect(readCache(logOf(), headers, none)).toEqual({ status: status.toLowerCase() })
  })

  it('of an upstream without a key it may be a CDN’s', () => {
    expect(readCache(logOf({ log: { source: 'upstream' } }), { 'x-cache-status': 'HIT' }, none)).toEqual({})
    expect(readCache(logOf({ log: { source: 'kong' } }), { 'x-cache-status': 'Hit' }, none)).toEqual({ status: 'hit' })
    expect(readCache(logOf(), { 'x-cache-status': 'constructor', 'x-cache-key': 'k' }, none)).toEqual({})
  })

  it.each(['proxy', 'ai-proxy', 'ai-proxy-advanced'])('in the log under ai.%s', (root) => {
    const ai = {
      [root]: {
        cache: {
          cache_status: 'Hit',
          fetch_latency: 444,
          embeddings_provider: 'azure',
          embeddings_model: 'text-embedding-3-small',
          embeddings_latency: 424,
          embeddings_tokens: 12,
        },
      },
    }
    expect(readCache(logOf({ log: { ai } }), {}, none)).toEqual({
      status: 'hit',
      lookup: {
        lookupMs: 444,
        embeddingsProvider: 'azure.ai.openai',
        embeddingsModel: 'text-embedding-3-small',
        embeddingsTokens: 12,
        embeddingsMs: 424,
      },
    })
  })

  it('of whatever else stands there: nothing', () => {
    for (const ai of [
      null,
      'x',
      [],
      { proxy: null },
      { proxy: { cache: [] } },
      { proxy: { cache: { cache_status: 1 } } },
    ])
      expect(readCache(logOf({ log: { ai } }), {}, none)).toEqual({})
  })
})

describe('another cache, by the operator’s rule', () => {
  const config = semanticCacheConfigSchema.parse({
    rules: [
      { header: 'CF-AIG-Cache-Status', hit: ['HIT'], miss: ['MISS'], services: ['openai'] },
      { header: 'x-semantic-cache', hit: ['true'], miss: ['false'] },
    ],
  })

  it.each([
    [{ 'cf-aig-cache-status': 'hit' }, 'hit'],
    [{ 'cf-aig-cache-status': 'Miss' }, 'miss'],
    [{ 'cf-aig-cache-status': 'expired', 'x-semantic-cache': 'TRUE' }, 'hit'],
    [{ 'x-semantic-cache': 'perhaps' }, undefined],
    [{}, undefined],
  ])('%j is %s', (headers, status) => {
    expect(readCache(logOf({ log: { service: { name: 'openai' } } }), headers, config).status).toBe(status)
  })

  it('only where it was meant for', () => {
    const log = logOf({ log: { service: { name: 'anthropic' }, route: { name: 'r' } } })
    expect(readCache(log, { 'cf-aig-cache-status': 'hit' }, config)).toEqual({})
  })

  it('stands above Kong’s headers', () => {
    const headers = { 'x-semantic-cache': 'false', 'x-cache-status': 'Hit', 'x-cache-key': 'k' }
    expect(readCache(logOf(), headers, config).status).toBe('miss')
  })
})

describe('the embedding of a look-up', () => {
  const book = openPriceBook()
  const at = Date.UTC(2026, 10, 1)
  const lookup = { embeddingsProvider: 'openai', embeddingsModel: 'text-embedding-3-small', embeddingsTokens: 1000 }

  it('costs what the model costs', () => {
    // 0.02 USD per million tokens.
    expect(priceLookup(lookup, book, 't', at).picoUsd).toBe(20_000_000)
  })

  it.each([
    ['tokens', { ...lookup, embeddingsTokens: undefined }],
    ['a known model', { ...lookup, embeddingsModel: 'nobody-knows' }],
    ['a provider', { ...lookup, embeddingsProvider: undefined }],
  ])('without %s has no price, and is not 0', (_what, unknown) => {
    const given = Object.fromEntries(Object.entries(unknown).filter(([, value]) => value !== undefined))
    expect(priceLookup(given, book, 't', at)).toEqual(given)
  })
})
