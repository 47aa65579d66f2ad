import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Cost, Usage } from '../sidecar/call.ts'
import { openPriceBook } from './genai-prices.ts'
import { picoUsdPerToken } from './rates.ts'

const book = openPriceBook()
const AT = Date.UTC(2026, 10, 23, 12)

function cost(provider: string, model: string, usage: Usage, at = AT, serviceTier?: string): Cost {
  return book.costOf({ provider, models: [model], at, ...(serviceTier === undefined ? {} : { serviceTier }) }, usage)
}
function pico(provider: string, model: string, usage: Usage, at = AT): number {
  const found = cost(provider, model, usage, at)
  if (found.state !== 'priced') throw new Error(JSON.stringify(found))
  expect(Object.values(found.byUnit).reduce((sum, amount) => sum + amount, 0)).toBe(found.picoUsd)
  return found.picoUsd
}

describe('hand-computed prices', () => {
  it('names the data and the entry', () => {
    expect(book.version).toBe('genai-prices@0.1.8')
    expect(cost('openai', 'gpt-4o-2024-08-06', { input: 1 })).toEqual({
      state: 'priced',
      picoUsd: 2_500_000,
      byUnit: { input: 2_500_000 },
      priceId: 'genai-prices@0.1.8:openai/gpt-4o',
      book: 'genai-prices@0.1.8',
    })
  })

  it('gpt-4o: input 2.50, cached 1.25, output 10, reasoning as output', () => {
    expect(pico('openai', 'gpt-4o', { input: 15, cache_read: 10, output: 7, output_reasoning: 2 })).toBe(140_000_000)
  })

  it('gpt-4o-mini: 0.15, 0.075, 0.60', () => {
    expect(pico('openai', 'gpt-4o-mini', { input: 1000, cache_read: 1, output: 10 })).toBe(156_075_000)
  })

  it('claude-sonnet-4-5: 3, cache read 0.30, write 3.75 (5m) and 6 (1h), output 15', () => {
    const usage = { input: 100, cache_read: 1000, cache_write_5m: 10, cache_write_1h: 20, cache_write: 1, output: 50 }
    expect(pico('anthropic', 'claude-sonnet-4-5-20250929', usage)).toBe(
      300_000_000 + 300_000_000 + 37_500_000 + 120_000_000 + 3_750_000 + 750_000_000,
    )
  })

  it('claude-sonnet-4-5: above 200,000 prompt tokens, cached ones counted, the whole call costs the tier', () => {
    expect(pico('anthropic', 'claude-sonnet-4-5', { input: 1, cache_read: 199_999, output: 1 })).toBe(
      3_000_000 + 199_999 * 300_000 + 15_000_000,
    )
    expect(
      pico('anthropic', 'claude-sonnet-4-5', { input: 1, cache_read: 199_999, cache_write_1h: 1, output: 1 }),
    ).toBe(6_000_000 + 199_999 * 600_000 + 12_000_000 + 22_500_000)
  })

  it('a one-hour cache without a price of its own costs twice the input', () => {
    expect(pico('openai', 'gpt-5.6', { cache_write_1h: 1 }, AT)).toBe(2 * 4_000_000)
  })
})

describe('prices in time', () => {
  it('a dated price counts from its day', () => {
    const before = cost('openai', 'gpt-5.6', { output: 1 }, Date.UTC(2026, 7, 21) - 1)
    const after = cost('openai', 'gpt-5.6', { output: 1 }, Date.UTC(2026, 7, 21))
    expect(before).toMatchObject({ picoUsd: 30_000_000, priceId: 'genai-prices@0.1.8:openai/gpt-5.6-sol' })
    expect(after).toMatchObject({ picoUsd: 20_000_000, priceId: 'genai-prices@0.1.8:openai/gpt-5.6-sol@2026-08-21' })
  })

  it('a time of day has its price, to the millisecond', () => {
    const at = (hour: number, ms = 0) =>
      pico('deepseek', 'deepseek-v4-pro', { input: 1 }, Date.UTC(2026, 10, 23, hour) + ms)
    expect([at(1, -1), at(1), at(4, -1), at(4), at(7)]).toEqual([660_000, 1_320_000, 1_320_000, 660_000, 1_320_000])
    expect(cost('deepseek', 'deepseek-v4-pro', { input: 1 }, Date.UTC(2026, 10, 23, 2))).toMatchObject({
      priceId: 'genai-prices@0.1.8:deepseek/deepseek-v4-pro@01:00:00Z/04:00:00Z',
    })
  })
})

describe('what has no price says why', () => {
  it.each<[string, string, Usage, string]>([
    ['nobody', 'gpt-4o', { input: 1 }, 'unknown_provider'],
    ['constructor', 'gpt-4o', { input: 1 }, 'unknown_provider'],
    ['openai', 'no-such-model', { input: 1 }, 'unknown_model'],
    ['openai', `gpt-4o-${'x'.repeat(1e6)}`, { input: 1 }, 'unknown_model'],
    ['openai', 'gpt-4o-audio-preview', { input_audio: 1 }, 'no_price'],
    ['openai', 'text-embedding-3-small', { input: 1, output: 1 }, 'no_price'],
    ['openai', 'gpt-4o', { input: Number.MAX_SAFE_INTEGER }, 'overflow'],
    ['openai', 'gpt-4o', { input: 3e9, output: 3e8 }, 'overflow'],
  ])('%s %s → %s %s', (provider, model, usage, reason) => {
    expect(cost(provider, model.slice(0, 1e6), usage)).toEqual({ state: 'unpriced', reason, book: book.version })
  })

  it('a service tier with prices of its own is not charged at the standard price', () => {
    expect(cost('openai', 'gpt-4o', { input: 1 }, AT, 'Batch')).toMatchObject({ reason: 'no_price' })
    expect(cost('openai', 'gpt-4o', { input: 1 }, AT, 'default')).toMatchObject({ picoUsd: 2_500_000 })
  })

  it('an unknown response model leaves the word to the request', () => {
    const key = { provider: 'openai', models: ['my-deployment', 'gpt-4o'], at: AT }
    expect(book.costOf(key, { input: 1 })).toMatchObject({ picoUsd: 2_500_000 })
  })

  it('the same model has an id for each provider, whoever asked first', () => {
    expect(cost('openai', 'gpt-4-turbo', { input: 1 })).toMatchObject({
      priceId: 'genai-prices@0.1.8:openai/gpt-4-turbo',
    })
    expect(cost('azure.ai.openai', 'gpt-4-turbo', { input: 1 })).toMatchObject({
      priceId: expect.stringContaining(':azure/'),
    })
  })
})

describe('rates', () => {
  it('are exact', () => {
    expect([0.15, 0.1, 2.5, 1e-7, 1e21, 0, 0.000_001].map(picoUsdPerToken)).toEqual([
      150_000, 100_000, 2_500_000, 0, 1e27, 0, 1,
    ])
    expect(picoUsdPerToken(0.083_333_333_333_333_34)).toBe(83_333)
    expect(picoUsdPerToken(0.000_000_5)).toBe(1)
  })

  it('hold for any six decimals', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e10 }), (micro) => picoUsdPerToken(Number(`${micro}e-6`)) === micro),
    )
  })
})

it('model names from clients cost little memory, and a known call little time', () => {
  for (let n = 0; n < 10_000; n++) cost('openai', `invented-${n}`, { input: 1 })
  const key = { provider: 'openai', models: ['gpt-4o'], at: AT }
  const usage = { input: 15, cache_read: 10, output: 7, output_reasoning: 2 }
  const timed = (rounds: number) => {
    const start = process.cpuUsage()
    for (let n = 0; n < rounds; n++) book.costOf(key, usage)
    const { user, system } = process.cpuUsage(start)
    return (user + system) / rounds
  }
  timed(20_000)
  expect(timed(100_000)).toBeLessThan(10) // µs; measured 0.3
})
