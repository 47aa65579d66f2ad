import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { PriceAttributes, Usage } from '../sidecar/call.ts'
import { tenantId } from '../sidecar/tenant.ts'
import type { Catalogue } from './catalogue.ts'
import { openPriceBook, parsePriceFile } from './open-price-book.ts'
import { makePriceBook, type PriceKey } from './price-book.ts'
import { operatorPricesSchema } from './rules.ts'

const book = openPriceBook()
const at = Date.parse('2026-11-23T00:00:00Z')
const cost = (provider: string, model: string, usage: Usage, more: Partial<PriceKey> = {}) =>
  book.costOf({ provider, models: [model], at, ...more }, usage)

describe('list prices', () => {
  it('gpt-4o: 2.50 in, 1.25 cached, 10 out; reasoning is output; what the cache saved stands beside', () => {
    expect(cost('openai', 'gpt-4o-2024-08-06', { input: 15, cache_read: 10, output: 7, output_reasoning: 2 })).toEqual({
      state: 'priced',
      picoUsd: 15 * 2_500_000 + 10 * 1_250_000 + 9 * 10_000_000,
      byUnit: { input: 37_500_000, cache_read: 12_500_000, output: 70_000_000, output_reasoning: 20_000_000 },
      cacheSavedPicoUsd: 10 * 1_250_000,
      priceId: 'genai-prices@0.2.3:openai/gpt-4o+openai-web-search',
      book: book.version,
    })
  })
  it('Claude Sonnet 4.5: cache writes at 1.25x for five minutes and 2x for an hour, reads at 0.1x (traps 9, 28)', () => {
    const usage = { input: 100, cache_read: 1000, cache_write_5m: 200, cache_write_1h: 300, output: 50 }
    const picoUsd = 100 * 3_000_000 + 1000 * 300_000 + 200 * 3_750_000 + 300 * 6_000_000 + 50 * 15_000_000
    expect(cost('anthropic', 'claude-sonnet-4-5-20250929', usage)).toMatchObject({ picoUsd })
  })
  it('over 200k of prompt the whole call at the long-context rate; at 200k exactly not', () => {
    const long = { input: 200_000, cache_read: 1, output: 10 }
    expect(cost('anthropic', 'claude-sonnet-4-5', long)).toMatchObject({
      picoUsd: 200_000 * 6_000_000 + 600_000 + 10 * 22_500_000,
    })
    expect(cost('anthropic', 'claude-sonnet-4-5', { input: 200_000, output: 10 })).toMatchObject({
      picoUsd: 200_000 * 3_000_000 + 10 * 15_000_000,
    })
  })
  it('a price of hours: the entry in force when the call started, named', () => {
    const day = cost('deepseek', 'deepseek-chat', { input: 1000 }, { at: Date.parse('2026-11-23T12:00:00Z') })
    const night = cost('deepseek', 'deepseek-chat', { input: 1000 }, { at: Date.parse('2026-11-23T20:00:00Z') })
    expect(day).toMatchObject({ picoUsd: 270_000_000, priceId: expect.stringContaining('@00:30-16:30') })
    expect(night).toMatchObject({ picoUsd: 135_000_000, priceId: expect.stringContaining('@first') })
  })
  it('a dated price counts from its day on', () => {
    const day = Date.UTC(2026, 7, 21)
    expect(cost('openai', 'gpt-5.6', { output: 1 }, { at: day - 1 })).toMatchObject({ picoUsd: 30_000_000 })
    expect(cost('openai', 'gpt-5.6', { output: 1 }, { at: day })).toMatchObject({
      picoUsd: 20_000_000,
      priceId: expect.stringContaining('openai/gpt-5.6-sol@2026-08-21'),
    })
  })
  it('the response’s model comes first, the request’s second', () => {
    expect(book.costOf({ provider: 'openai', models: ['no-such-model', 'gpt-4o'], at }, { input: 1 })).toMatchObject({
      picoUsd: 2_500_000,
    })
  })
  it('Azure, Vertex and Bedrock sell the models of others', () => {
    expect(cost('azure.ai.openai', 'gpt-4o', { input: 1 })).toMatchObject({ picoUsd: 2_500_000 })
    expect(cost('gcp.vertex_ai', 'claude-sonnet-4-5@20250929', { input: 1 })).toMatchObject({ picoUsd: 3_000_000 })
    expect(cost('aws.bedrock', 'us.anthropic.claude-sonnet-4-5-20250929-v1:0', { input: 1 })).toMatchObject({
      picoUsd: 3_300_000,
    })
  })
  it.each<[string, string, Usage, string]>([
    ['openai', 'no-such-model', { input: 1 }, 'unknown_model'],
    ['no-such-provider', 'gpt-4o', { input: 1 }, 'unknown_provider'],
    ['constructor', 'gpt-4o', { input: 1 }, 'unknown_provider'],
    ['my-openai-proxy', 'gpt-4o', { input: 1 }, 'unknown_provider'],
    ['openai', `gpt-4o-${'x'.repeat(1000)}`, { input: 1 }, 'unknown_model'],
    ['openai', 'gpt-4o', { input_audio: 1 }, 'no_price'],
    ['openai', 'gpt-4o', { output_image: 1 }, 'no_price'],
    ['openai', 'text-embedding-3-small', { input: 1, output: 1 }, 'no_price'],
    ['openai', 'gpt-4o', { input: 3e9, output: 3e8 }, 'overflow'],
    ['openai', 'gpt-4o', { input: Number.MAX_SAFE_INTEGER }, 'overflow'],
  ])('%s %.30s %j is %s, never 0', (provider, model, usage, reason) => {
    expect(cost(provider, model, usage)).toMatchObject({ state: 'unpriced', reason })
  })
  it('a time that is no date has no price, and nothing throws', () => {
    expect(cost('openai', 'gpt-5.6', { input: 1 }, { at: 1e300 })).toMatchObject({ reason: 'no_price' })
  })
})

describe('what a price depends on besides the model', () => {
  const served = (provider: string, model: string, serviceTier: string, when = at) =>
    cost(provider, model, { input: 1_000_000 }, { serviceTier, at: when })
  it('the tier that served, in any spelling (trap 13)', () => {
    for (const list of ['default', 'standard', 'on_demand', 'auto', 'ON_DEMAND', ''])
      expect(served('openai', 'gpt-4o', list)).toMatchObject({ picoUsd: 2.5e12 })
    expect(served('openai', 'gpt-4o', 'priority')).toMatchObject({
      picoUsd: 4.25e12,
      priceId: expect.stringContaining('priority'),
    })
    expect(served('openai', 'gpt-5.6-sol', 'FLEX')).toMatchObject({ state: 'priced' })
    // The catalogue knows it from October 2026 on; before that half the price is what was published.
    const half = served('openai', 'gpt-5', 'flex', Date.UTC(2026, 1, 1))
    expect(half).toMatchObject({ picoUsd: 0.625e12, priceId: expect.stringContaining('openai-flex-half') })
    expect(served('openai', 'gpt-4o', 'scale')).toMatchObject({ reason: 'no_price' })
    expect(served('groq', 'llama-3.1-8b-instant', 'priority')).toMatchObject({ reason: 'no_price' })
  })
  it('a batch is half the price, once', () => {
    const batch = { attributes: { batch: 'true' } as PriceAttributes, serviceTier: 'batch' }
    const usage = { input: 1_000_000, output: 1_000_000 }
    expect(cost('openai', 'gpt-4o', usage, batch)).toMatchObject({ picoUsd: 6.25e12 })
    expect(cost('openai', 'gpt-4o', usage, { ...batch, at: Date.UTC(2025, 1, 1) })).toMatchObject({
      picoUsd: 6.25e12,
      priceId: expect.stringContaining('batch-half'),
    })
    expect(cost('anthropic', 'claude-sonnet-4-5', { input: 100_000 }, batch)).toMatchObject({ picoUsd: 0.15e12 })
    expect(cost('deepseek', 'deepseek-chat', { input: 1 }, batch)).toMatchObject({ reason: 'no_price' })
  })
  it('where Anthropic computed it, and how fast', () => {
    const opus = (attributes: PriceAttributes) => cost('anthropic', 'claude-opus-4-6', { input: 1000 }, { attributes })
    const list = opus({ geo: 'global' })
    if (list.state !== 'priced') throw new Error('unpriced')
    expect(opus({ geo: 'us' })).toMatchObject({ picoUsd: (list.picoUsd * 11) / 10 })
    expect(cost('anthropic', 'claude-sonnet-4-5', { input: 1 }, { attributes: { speed: 'fast' } })).toMatchObject({
      reason: 'no_price',
    })
    expect(opus({ speed: 'standard' })).toMatchObject({ picoUsd: list.picoUsd })
  })
  it('throughput paid for before has no price a token', () => {
    const traffic = (name: string) =>
      cost('gcp.vertex_ai', 'gemini-2.5-flash', { input: 1 }, { attributes: { traffic: name } })
    expect(traffic('on_demand')).toMatchObject({ picoUsd: 300_000 })
    expect(traffic('provisioned_throughput')).toMatchObject({ reason: 'no_price' })
  })
  it('searches, requests, pictures, pages, seconds, characters, search units', () => {
    expect(cost('x_ai', 'grok-4', { web_searches: 2 })).toMatchObject({ byUnit: { web_searches: 10_000_000_000 } })
    const sonar = (size?: string) =>
      cost(
        'perplexity',
        'sonar',
        { requests: 1 },
        size === undefined ? {} : { attributes: { search_context_size: size } },
      )
    expect(
      [sonar(), sonar('low'), sonar('medium'), sonar('high')].map((it) => it.state === 'priced' && it.picoUsd / 1e9),
    ).toEqual([5, 5, 8, 12])
    const picture = (image_size: string, image_quality?: string) =>
      cost('openai', 'dall-e-3', { images: 1 }, { attributes: { image_size, ...(image_quality && { image_quality }) } })
    expect(picture('1024x1024')).toMatchObject({ picoUsd: 40_000_000_000 })
    expect(picture('1792x1024', 'hd')).toMatchObject({ picoUsd: 120_000_000_000 })
    expect(cost('mistral_ai', 'mistral-ocr-latest', { pages: 2 })).toMatchObject({ picoUsd: 8_000_000_000 })
    expect(cost('openai', 'whisper-1', { audio_milliseconds: 7000 })).toMatchObject({ picoUsd: 700_000_000 })
    expect(cost('openai', 'tts-1', { characters: 1000 })).toMatchObject({ picoUsd: 15_000_000_000 })
    expect(cost('cohere', 'rerank-v3.5', { search_units: 3 })).toMatchObject({ picoUsd: 6_000_000_000 })
  })
  it('sound that is billed by its length is not billed by tokens as well', () => {
    expect(
      cost('mistral_ai', 'voxtral-mini-latest', { input: 3, input_audio: 375, output: 11, audio_milliseconds: 36_000 }),
    ).toMatchObject({
      byUnit: { audio_milliseconds: 1_800_000_000 },
      picoUsd: 1_800_000_000,
    })
  })
})

describe('the operator’s own prices', () => {
  const catalogue: Catalogue = {
    source: 'list@1',
    updated: '2026-01-01',
    providers: [
      { id: 'p', models: [{ id: 'm', match: { equals: 'm' }, entries: [{ prices: { input: '2', output: '10' } }] }] },
    ],
  }
  const own = (yaml: string) =>
    makePriceBook({
      version: 'v',
      catalogue,
      overrides: [],
      operator: parsePriceFile(yaml, 'prices.yaml', operatorPricesSchema),
    })
  const priceOf = (yaml: string, key: Partial<PriceKey> = {}, usage: Usage = { input: 1_000_000 }) => {
    const found = own(yaml).costOf({ provider: 'p', models: ['m'], at, ...key }, usage)
    return found.state === 'priced' ? found.picoUsd / 1e12 : found.state === 'unpriced' ? found.reason : found.state
  }

  it('a tenant’s rule stands over a general one, wherever it stands in the file', () => {
    const yaml = `rules:
  - { id: acme, provider: p, tenant: acme, rates: { input: 1 } }
  - { id: all, provider: p, multiply: 0.9 }`
    expect(priceOf(yaml)).toBe(1.8)
    expect(priceOf(yaml, { tenant: 'acme' })).toBe(1)
    expect(priceOf(yaml, { tenant: 'other' })).toBe(1.8)
    const named = yaml.replace('tenant: acme', 'tenant: acme/eu')
    expect(priceOf(named, { tenant: tenantId('acme/eu') })).toBe(1)
    expect(priceOf(named, { tenant: 'acme_eu' })).toBe(1.8)
  })
  it('discounts of some units, mark-ups, dates and conditions', () => {
    const yaml = `rules:
  - { id: spring, provider: p, model: "m*", from: 2026-03-01, until: 2026-04-01, multiply: 0.5, units: [output] }
  - { id: eu, provider: p, when: { region: [eu-west-1, eu-central-1] }, multiply: 1.2 }`
    const day = (text: string) => ({ at: Date.parse(text) })
    const usage = { input: 1_000_000, output: 1_000_000 }
    expect(priceOf(yaml, day('2026-02-28T23:59:59Z'), usage)).toBe(12)
    expect(priceOf(yaml, day('2026-03-01T00:00:00Z'), usage)).toBe(7)
    expect(priceOf(yaml, day('2026-04-01T00:00:00Z'), usage)).toBe(12)
    expect(priceOf(yaml, { attributes: { region: 'EU-West-1' } })).toBe(2.4)
  })
  it('a model of one’s own: by tokens, or by the hour of a GPU that several calls share', () => {
    const yaml = `rules:
  - { id: tokens, provider: here, model: "llama-*", rates: { input: { base: 1, tiers: [{ over: 1000, price: 3 }] }, output: 2 } }
  - { id: gpu, provider: here, model: big, gpu_hour: 3.6, concurrency: 4 }`
    const mine = (model: string, usage: Usage, durationMs?: number) =>
      own(yaml).costOf(
        { provider: 'here', models: [model], at, ...(durationMs === undefined ? {} : { durationMs }) },
        usage,
      )
    expect(mine('llama-3', { input: 1000 })).toMatchObject({ picoUsd: 1_000_000_000, priceId: 'tokens' })
    expect(mine('llama-3', { input: 1001 })).toMatchObject({ picoUsd: 3 * 1_001_000_000 })
    // 3.6 dollars an hour are 1,000 micro-dollars a second, shared by four.
    expect(mine('big', { input: 5, output: 5 }, 2000)).toMatchObject({
      picoUsd: 500_000_000,
      byUnit: { compute_milliseconds: 500_000_000 },
    })
    expect(mine('small', { input: 1 })).toMatchObject({ reason: 'unknown_model' })
    expect(own(yaml).costOf({ provider: 'there', models: ['big'], at }, { input: 1 })).toMatchObject({
      reason: 'unknown_provider',
    })
  })
  it('all there is, where it replaces', () => {
    const yaml = 'rules: [{ id: flat, provider: p, model: m, replace: true, rates: { input: 7 } }]'
    expect(priceOf(yaml)).toBe(7)
    expect(priceOf(yaml, {}, { output: 1 })).toBe('no_price')
    expect(priceOf(yaml, { serviceTier: 'priority' })).toBe(7)
  })
  it('a currency to show', () => {
    expect(own('display: { currency: EUR, per_usd: 0.92, as_of: 2026-11-01 }').display).toEqual({
      currency: 'EUR',
      per_usd: '0.92',
      as_of: '2026-11-01',
    })
  })
})

describe('any call', () => {
  const count = fc.integer({ min: 0, max: 1_000_000 })
  const usages = fc.record({ input: count, cache_read: count, output: count, output_reasoning: count })
  it('its parts add up, a token more never costs less, what a cache saved and cost is the fresh price', () => {
    fc.assert(
      fc.property(fc.constantFrom('gpt-4o', 'gpt-4o-mini', 'o4-mini'), usages, (model, usage) => {
        const price = cost('openai', model, usage)
        if (price.state !== 'priced') throw new Error('unpriced')
        expect(Object.values(price.byUnit).reduce((a, b) => a + b, 0)).toBe(price.picoUsd)
        const more = cost('openai', model, { ...usage, output: usage.output + 1 })
        expect(more.state === 'priced' && more.picoUsd > price.picoUsd).toBe(true)
        const fresh = cost('openai', model, { ...usage, cache_read: 0, input: usage.input + usage.cache_read })
        expect(fresh.state === 'priced' && fresh.picoUsd).toBe(price.picoUsd + (price.cacheSavedPicoUsd ?? 0))
      }),
    )
  })
  it('names of clients do not fill the cache', () => {
    const before = process.memoryUsage().heapUsed
    for (let n = 0; n < 20_000; n++) cost('openai', `junk-${n}`, { input: 1 }, { attributes: { region: `r${n}` } })
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(60_000_000)
  })
})
