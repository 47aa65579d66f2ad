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
  it('by its usage; an id alone makes nothing a repeat (design law 10)', () => {
    const { cost, answer, reasons } = price(reading, context)
    expect(cost).toMatchObject({ state: 'priced', picoUsd: 140_000_000 })
    expect({ answer, reasons }).toEqual({ answer: undefined, reasons: [] })
  })

  it('an answer with a retrieval is known by its key; only the provider’s own whole word is final', () => {
    const kept: Reading = { ...reading, answer: { key: 'api.openai.com/response/resp_1', retrieval: false } }
    expect(price(kept, context)).toMatchObject({
      answer: { key: 'api.openai.com/response/resp_1', retrieval: false, final: true },
    })
    for (const usageSource of ['estimated', 'partial', 'gateway'] as const) {
      const { answer } = price({ ...kept, usageSource }, context)
      expect(answer?.final).toBe(false)
    }
  })

  it('a cached answer is no spend, its tokens none of the provider’s, its price what was saved', () => {
    const hit = price(reading, { ...context, cache: 'hit' })
    expect(hit).toEqual({
      usage: {},
      usageSource: 'none',
      cost: { state: 'free', picoUsd: 0, reason: 'cache_hit', book: book.version },
      savedPicoUsd: 140_000_000,
      reasons: [],
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
    }
    const inStream = { ...reading, error: { type: 'overloaded_error' } }
    expect(price({ ...inStream, ...none }, context).cost).toMatchObject({ reason: 'error' })
    expect(price({ ...inStream, usageSource: 'partial' }, context).cost).toMatchObject({ picoUsd: 140_000_000 })
  })

  it('a client that hung up owes what nobody counted: unpriced, not free', () => {
    const cut: Reading = { ...reading, usage: {}, usageSource: 'unknown' }
    expect(price(cut, { ...context, httpStatus: 499 }).cost).toMatchObject({ state: 'unpriced', reason: 'no_usage' })
    expect(price(cut, context).cost).toMatchObject({ state: 'unpriced', reason: 'no_usage' })
  })

  it('an estimated answer is priced, and never the last word (repro 22)', () => {
    const estimated: Reading = {
      ...reading,
      usageSource: 'estimated',
      finishReasons: ['in_progress'],
      answer: { key: 'api.openai.com/response/resp_1', retrieval: false },
    }
    expect(price(estimated, context)).toMatchObject({
      usageSource: 'estimated',
      cost: { state: 'priced', picoUsd: 140_000_000 },
      answer: { final: false },
    })
  })

  it('the provider’s own bill is the amount, our list stands beside it', () => {
    const { cost, reasons } = price(
      { ...reading, reportedPicoUsd: 150_000_000, reasons: ['tier_not_seen', 'fees_not_seen'] },
      context,
    )
    expect(cost).toMatchObject({ picoUsd: 150_000_000, listPicoUsd: 140_000_000, priceId: 'reported:openai' })
    expect(reasons).toEqual([])
    // Where nobody reads the usage, the bill still counts.
    const unread = { ...reading, usage: {}, counts: {}, usageSource: 'unknown' as const, reportedPicoUsd: 7 }
    expect(price(unread, context).cost).toMatchObject({ state: 'priced', picoUsd: 7 })
  })

  it('Perplexity rounds the parts of its sum: within the rounding the list is the more exact number', () => {
    const answer: Reading = {
      ...reading,
      responseModel: 'sonar-pro',
      counts: { input: 17, output: 6, requests: 1 },
      usage: { input: 17, output: 6, requests: 1 },
    }
    const at = (reportedPicoUsd: number) =>
      price({ ...answer, reportedPicoUsd }, { ...context, provider: 'perplexity' }).cost
    expect(at(6_140_000_000)).toMatchObject({ picoUsd: 6_141_000_000 })
    expect(at(7_000_000_000)).toMatchObject({ picoUsd: 7_000_000_000, listPicoUsd: 6_141_000_000 })
  })

  it('the name that a client chose sets no price on Azure, and elsewhere only with a reason', () => {
    const renamed = { ...reading, responseModel: 'gpt-9-mini-2027-01-01', requestModel: 'gpt-4' }
    expect(price(renamed, { ...context, provider: 'azure.ai.openai' }).cost).toMatchObject({ state: 'unpriced' })
    expect(price(renamed, context)).toMatchObject({ cost: { state: 'priced' }, reasons: ['request_model_priced'] })
    const { responseModel: _, ...unnamed } = reading
    expect(price(unnamed, { ...context, provider: 'azure.ai.openai' }).reasons).toEqual(['request_model_priced'])
    expect(price(unnamed, context).reasons).toEqual([])
  })

  it('an unknown host gets the prices of the format’s owner, and says so', () => {
    expect(price(reading, { ...context, providerGuessed: true }).reasons).toEqual(['provider_guessed'])
  })

  it('a plan pays for its traffic; a declared gateway of ours bills the call itself', () => {
    const planned = price({ ...reading, priceAttributes: { plan: 'chatgpt' } }, context)
    expect(planned).toMatchObject({ usage: reading.usage, cost: { state: 'free', reason: 'plan' }, reasons: ['plan'] })
    const chained = price(reading, { ...context, provider: 'gateway' })
    expect(chained).toMatchObject({ usage: reading.usage, cost: { state: 'free', reason: 'gateway' } })
  })

  it('a timeout of the gateway is no proof that the provider billed nothing', () => {
    const none: Reading = { ...reading, usage: {}, counts: {}, usageSource: 'none' }
    expect(price(none, { ...context, httpStatus: 504, gatewayTimeout: true })).toMatchObject({
      usageSource: 'unknown',
      cost: { state: 'unpriced', reason: 'no_usage' },
      reasons: ['gateway_timeout'],
    })
  })

  it('a tool without a price marks the call, and the rest is priced', () => {
    const usage = { ...reading.usage, tool_calls: 2 }
    const { cost, reasons } = price({ ...reading, usage, counts: { ...reading.counts, toolCalls: 2 } }, context)
    expect(cost).toMatchObject({ picoUsd: 140_000_000, unpricedFees: ['tool_calls'] })
    expect(reasons).toEqual(['tool_fee_unknown'])
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

  it('keys of any length become bounded ones that differ', () => {
    const key = (id: string) => {
      const answer = { key: `h/response/${id}`, retrieval: true }
      return price({ ...reading, responseId: id, answer }, context).answer!.key
    }
    const [one, two] = [key(`${'x'.repeat(1e6)}1`), key(`${'x'.repeat(1e6)}2`)]
    expect(one).not.toBe(two)
    expect(one.length).toBeLessThan(300)
  })
})
