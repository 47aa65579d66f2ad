import { describe, expect, it } from 'vitest'
import { openPriceBook } from '../../pricing/open-price-book.ts'
import type { Reading } from '../dialects/dialect.ts'
import { type PriceContext, price } from './price.ts'

const book = openPriceBook()
const context: PriceContext = {
  book,
  tenant: 'blue',
  provider: 'openai',
  startedAt: Date.UTC(2026, 10, 23),
  durationMs: 1000,
  httpStatus: 200,
  cache: undefined,
}
const reading: Reading = {
  dialect: 'openai-chat',
  operation: 'chat',
  stream: false,
  requestModel: 'gpt-4o',
  responseModel: 'gpt-4o-2024-08-06',
  responseId: 'chatcmpl-1',
  counts: { input: 25, cacheRead: 10, output: 9, reasoning: 2 },
  usage: { input: 15, cache_read: 10, output: 7, output_reasoning: 2 },
  usageSource: 'provider',
  guardrails: [],
  billable: true,
}

describe('what a call costs', () => {
  it('by its usage, and billed once', () => {
    const { cost, billingKey } = price(reading, context)
    expect(cost).toMatchObject({ state: 'priced', picoUsd: 140_000_000 })
    expect(billingKey).toBe('blue/openai/chatcmpl-1')
  })

  it('a cached answer is no spend, its tokens none of the provider’s, its price what was saved', () => {
    const hit = price(reading, { ...context, cache: 'hit' })
    expect(hit).toEqual({
      usage: {},
      usageSource: 'none',
      cost: { state: 'free', picoUsd: 0, reason: 'cache_hit', book: book.version },
      savedPicoUsd: 140_000_000,
    })
    expect(
      price({ ...reading, responseModel: 'x', requestModel: 'x' }, { ...context, cache: 'hit' }),
    ).not.toHaveProperty('savedPicoUsd')
    for (const cache of ['miss', 'bypass', 'refresh'] as const)
      expect(price(reading, { ...context, cache }).cost).toMatchObject({ picoUsd: 140_000_000 })
  })

  it('an error without usage is free, one with usage is not', () => {
    const none = { usage: {}, usageSource: 'none' } as const
    const unknown = { usage: {}, usageSource: 'unknown' } as const
    for (const given of [none, unknown]) {
      const failed = price({ ...reading, ...given }, { ...context, httpStatus: 429 })
      expect(failed).toMatchObject({ usageSource: 'none', cost: { state: 'free', reason: 'error' } })
      expect(failed).not.toHaveProperty('billingKey')
    }
    const inStream = { ...reading, error: { type: 'overloaded_error' } }
    expect(price({ ...inStream, ...none }, context).cost).toMatchObject({ reason: 'error' })
    expect(price({ ...inStream, usageSource: 'partial' }, context).cost).toMatchObject({ picoUsd: 140_000_000 })
  })

  it('a client that hung up owes what nobody counted: unpriced, not free', () => {
    const cut: Reading = { ...reading, usage: {}, usageSource: 'unknown' }
    expect(price(cut, { ...context, httpStatus: 499 }).cost).toMatchObject({ state: 'unpriced', reason: 'no_usage' })
    expect(price(cut, context).cost).toMatchObject({ state: 'unpriced', reason: 'no_usage' })
    expect(price(cut, context)).not.toHaveProperty('billingKey')
  })

  it('an estimated answer is billed once if it is whole; of a broken one the whole is still to be billed', () => {
    const estimated: Reading = { ...reading, usageSource: 'estimated', finishReasons: ['stop'] }
    expect(price(estimated, context)).toMatchObject({
      usageSource: 'estimated',
      cost: { state: 'priced', picoUsd: 140_000_000 },
      billingKey: 'blue/openai/chatcmpl-1',
    })
    const { finishReasons: _, ...broken } = estimated
    for (const given of [broken, { ...estimated, usageSource: 'partial' as const }]) {
      expect(price(given, context).cost).toMatchObject({ state: 'priced' })
      expect(price(given, context)).not.toHaveProperty('billingKey')
    }
  })

  it('what a provider never bills is free', () => {
    expect(price({ ...reading, billable: false }, context)).toMatchObject({
      usage: {},
      cost: { state: 'free', reason: 'not_billable' },
    })
  })

  it('an answer that is billed in several lines costs their sum, each at its own model', () => {
    const lines = [
      { kind: 'message', counts: reading.counts },
      { kind: 'advisor_message', model: 'gpt-4o-mini', counts: { input: 1000, output: 10 } },
    ]
    const { cost, usage } = price({ ...reading, billedLines: lines }, context)
    expect(usage).toEqual({ input: 1015, cache_read: 10, output: 17, output_reasoning: 2 })
    expect(cost).toMatchObject({ state: 'priced', picoUsd: 140_000_000 + 150_000_000 + 6_000_000 })
    if (cost.state === 'priced') {
      expect(Object.values(cost.byUnit).reduce((sum, amount) => sum + amount, 0)).toBe(cost.picoUsd)
      expect(cost.priceId).toContain('gpt-4o-mini')
    }
    const unknown = [{ kind: 'advisor_message', model: 'nobody-knows', counts: { input: 1 } }]
    expect(price({ ...reading, billedLines: unknown }, context).cost).toMatchObject({ reason: 'unknown_model' })
    expect(price({ ...reading, billedLines: [] }, context).cost).toMatchObject({ state: 'free' })
  })

  it('response ids of any length make keys of bounded length that differ', () => {
    const key = (responseId: string) => price({ ...reading, responseId }, context).billingKey!
    expect(key(`${'x'.repeat(1e6)}1`)).not.toBe(key(`${'x'.repeat(1e6)}2`))
    expect(key('x'.repeat(1e6)).length).toBeLessThan(300)
  })
})
