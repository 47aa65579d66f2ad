import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Usage } from '../sidecar/call.ts'
import { openPriceBook } from './genai-prices.ts'
import { picoUsdPerToken } from './pico-usd.ts'

const book = openPriceBook()
const at = Date.parse('2026-11-23T00:00:00Z')
const cost = (provider: string, model: string, usage: Usage, when = at) =>
  book.costOf({ provider, models: [model], at: when }, usage)

describe('dollars per million → pico-USD per token', () => {
  it.each([
    [2.5, 2_500_000n],
    [0.075, 75_000n],
    [0.15, 150_000n],
    [1e-7, 0n],
    [5e-7, 1n],
    [1.5e-6, 2n],
    [0.0000014, 1n],
    [0, 0n],
    [75, 75_000_000n],
  ])('%d', (dollars, pico) => expect(picoUsdPerToken(dollars)).toBe(pico))
  it('is exact for any price of up to six decimals', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e9 }), (micro) => {
        expect(picoUsdPerToken(micro / 1e6)).toBe(BigInt(micro))
      }),
    )
  })
  it('refuses what is no price', () => {
    expect(() => picoUsdPerToken(Number.NaN)).toThrow(RangeError)
    expect(() => picoUsdPerToken(-1)).toThrow(RangeError)
  })
})

describe('list prices', () => {
  it('gpt-4o: 2.50 in, 1.25 cached, 10 out; reasoning is output', () => {
    expect(cost('openai', 'gpt-4o-2024-08-06', { input: 15, cache_read: 10, output: 7, output_reasoning: 2 })).toEqual({
      state: 'priced',
      picoUsd: 15 * 2_500_000 + 10 * 1_250_000 + 9 * 10_000_000,
      byUnit: { input: 37_500_000, cache_read: 12_500_000, output: 70_000_000, output_reasoning: 20_000_000 },
      priceId: expect.stringMatching(/^genai-prices@[\d.]+:openai\/gpt-4o/),
      book: book.version,
    })
  })
  it('gpt-4o-mini: 0.15 in, 0.60 out', () => {
    expect(cost('openai', 'gpt-4o-mini', { input: 14, output: 14 })).toMatchObject({
      picoUsd: 14 * 150_000 + 14 * 600_000,
    })
  })
  it('Claude Sonnet 4.5: cache writes at 1.25x for five minutes and 2x for an hour, reads at 0.1x', () => {
    const usage = { input: 100, cache_read: 1000, cache_write_5m: 200, cache_write_1h: 300, output: 50 }
    const picoUsd = 100 * 3_000_000 + 1000 * 300_000 + 200 * 3_750_000 + 300 * 6_000_000 + 50 * 15_000_000
    expect(cost('anthropic', 'claude-sonnet-4-5-20250929', usage)).toMatchObject({ picoUsd })
  })
  it('Claude Sonnet 4.5 over 200k of prompt: the whole call at the long-context rate; at 200k exactly not', () => {
    const long = { input: 200_000, cache_read: 1, output: 10 }
    expect(cost('anthropic', 'claude-sonnet-4-5', long)).toMatchObject({
      picoUsd: 200_000 * 6_000_000 + 600_000 + 10 * 22_500_000,
    })
    expect(cost('anthropic', 'claude-sonnet-4-5', { input: 200_000, output: 10 })).toMatchObject({
      picoUsd: 200_000 * 3_000_000 + 10 * 15_000_000,
    })
  })
  it('a price of hours: the entry in force when the call started, named', () => {
    const day = cost('deepseek', 'deepseek-chat', { input: 1000 }, Date.parse('2026-11-23T12:00:00Z'))
    const night = cost('deepseek', 'deepseek-chat', { input: 1000 }, Date.parse('2026-11-23T20:00:00Z'))
    expect(day).toMatchObject({ picoUsd: 270_000_000, priceId: expect.stringContaining('@00:30:00Z-16:30:00Z') })
    expect(night).toMatchObject({ picoUsd: 135_000_000, priceId: expect.stringContaining('@first') })
  })
  it('the response’s model comes first, the request’s second', () => {
    expect(book.costOf({ provider: 'openai', models: ['no-such-model', 'gpt-4o'], at }, { input: 1 })).toMatchObject({
      picoUsd: 2_500_000,
    })
  })
  it('what has no price says why, and is never 0', () => {
    expect(cost('openai', 'no-such-model', { input: 1 })).toMatchObject({ state: 'unpriced', reason: 'unknown_model' })
    expect(cost('no-such-provider', 'gpt-4o', { input: 1 })).toMatchObject({
      state: 'unpriced',
      reason: 'unknown_provider',
    })
    expect(cost('openai', 'gpt-4o', { input: Number.MAX_SAFE_INTEGER })).toMatchObject({
      state: 'unpriced',
      reason: 'overflow',
    })
    expect(book.costOf({ provider: 'openai', models: [], at }, { input: 1 })).toMatchObject({
      state: 'unpriced',
      reason: 'unknown_model',
    })
  })
  it('a one-hour cache write without a price of its own costs twice the input', () => {
    expect(cost('openai', 'gpt-5.6', { cache_write_1h: 1 })).toMatchObject({ picoUsd: 2 * 4_000_000 })
  })
  it('a dated price counts from its day on', () => {
    const day = Date.UTC(2026, 7, 21)
    expect(cost('openai', 'gpt-5.6', { output: 1 }, day - 1)).toMatchObject({ picoUsd: 30_000_000 })
    expect(cost('openai', 'gpt-5.6', { output: 1 }, day)).toMatchObject({
      picoUsd: 20_000_000,
      priceId: `${book.version}:openai/gpt-5.6-sol@2026-08-21`,
    })
  })
  it.each<[string, string, Usage, string]>([
    ['openai', 'gpt-4o-audio-preview', { input_audio: 1 }, 'no_price'],
    ['openai', 'gpt-4o-audio-preview', { output_audio: 1 }, 'no_price'],
    ['openai', 'text-embedding-3-small', { input: 1, output: 1 }, 'no_price'],
    ['constructor', 'gpt-4o', { input: 1 }, 'unknown_provider'],
    ['my-openai-proxy', 'gpt-4o', { input: 1 }, 'unknown_provider'],
    ['openai', `gpt-4o-${'x'.repeat(1000)}`, { input: 1 }, 'unknown_model'],
    ['openai', 'gpt-4o', { input: 3e9, output: 3e8 }, 'overflow'],
  ])('%s %.30s %j is %s', (provider, model, usage, reason) => {
    expect(cost(provider, model, usage)).toMatchObject({ state: 'unpriced', reason })
  })
  it('a time that is no date has no price, and nothing throws', () => {
    expect(cost('openai', 'gpt-5.6', { input: 1 }, 1e300)).toMatchObject({ reason: 'no_price' })
  })
  it('a known call costs a few microseconds', () => {
    const usage = { input: 15, cache_read: 10, output: 7, output_reasoning: 2 }
    const microseconds = (rounds: number) => {
      const start = process.cpuUsage()
      for (let n = 0; n < rounds; n++) cost('openai', 'gpt-4o', usage)
      const { user, system } = process.cpuUsage(start)
      return (user + system) / rounds
    }
    microseconds(20_000)
    const measured = microseconds(50_000)
    if (process.env.REPORT) process.stdout.write(`costOf: ${measured.toFixed(2)} µs\n`)
    expect(measured).toBeLessThan(10)
  })
  it('the parts add up, and a token more never costs less', () => {
    const count = fc.integer({ min: 0, max: 1_000_000 })
    fc.assert(
      fc.property(
        fc.constantFrom('gpt-4o', 'gpt-4o-mini', 'o4-mini'),
        fc.record({ input: count, cache_read: count, output: count, output_reasoning: count }),
        (model, usage) => {
          const price = cost('openai', model, usage)
          if (price.state !== 'priced') throw new Error('unpriced')
          expect(Object.values(price.byUnit).reduce((a, b) => a + b, 0)).toBe(price.picoUsd)
          const more = cost('openai', model, { ...usage, output: usage.output + 1 })
          expect(more.state === 'priced' && more.picoUsd > price.picoUsd).toBe(true)
        },
      ),
    )
  })
  it('names of clients do not fill the cache', () => {
    const before = process.memoryUsage().heapUsed
    for (let n = 0; n < 20_000; n++) cost('openai', `junk-${n}`, { input: 1 })
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(60_000_000)
  })
})

const recordings = join(import.meta.dirname, '../../shared/data/provider-exchanges/exchanges.jsonl')
if (!existsSync(recordings) && process.env.CI) throw new Error('CI must have the recordings of real providers')
describe.skipIf(!existsSync(recordings))('recorded exchanges', () => {
  interface Row {
    id: string
    provider: string
    endpoint: string
    cost_agreement: boolean | null
    expected_cost_genai_prices: number | null
    expected: { model: string; billed: unknown } & Record<string, number | null>
  }
  const rows = readFileSync(recordings, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Row)
    .filter(
      ({ provider, endpoint, cost_agreement, expected_cost_genai_prices, expected }) =>
        ((provider === 'openai' && endpoint === 'chat') || (provider === 'anthropic' && endpoint === 'messages')) &&
        cost_agreement &&
        expected_cost_genai_prices !== null &&
        !expected.billed,
    )

  it('there are some', () => expect(rows.length).toBeGreaterThan(50))
  it.each(rows.map((row) => [row.id, row] as const))('%s costs what both catalogues say', (_id, row) => {
    const e = row.expected
    const n = (name: string) => e[name] ?? 0
    const write5m = n('cache_write_5m_tokens')
    const write1h = n('cache_write_1h_tokens')
    const usage: Usage = {
      input: n('input_tokens') - n('cache_read_tokens') - n('cache_write_tokens') - n('input_audio_tokens'),
      input_audio: n('input_audio_tokens'),
      cache_read: n('cache_read_tokens'),
      cache_write: n('cache_write_tokens') - write5m - write1h,
      cache_write_5m: write5m,
      cache_write_1h: write1h,
      output: n('output_tokens') - n('reasoning_tokens') - n('output_audio_tokens'),
      output_reasoning: n('reasoning_tokens'),
      output_audio: n('output_audio_tokens'),
    }
    const serviceTier = (e.service_tier as unknown as string | null) ?? undefined
    const priced = book.costOf(
      { provider: row.provider, models: [e.model], at, ...(serviceTier && { serviceTier }) },
      usage,
    )
    if (serviceTier === 'priority' || serviceTier === 'flex') {
      expect(priced).toMatchObject({ state: 'unpriced', reason: 'no_price' })
      return
    }
    expect(priced.state).toBe('priced')
    if (priced.state === 'priced')
      expect(Math.abs(priced.picoUsd / 1e12 - row.expected_cost_genai_prices!)).toBeLessThanOrEqual(1e-8)
  })
})
