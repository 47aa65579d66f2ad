import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { makeExchange } from '../testing/make-exchange.ts'
import { read } from './index.ts'
import { unreadKeys, unwatched, watchUsage } from './watched-usage.ts'

const chat = (usage: object) =>
  makeExchange(
    { model: 'gpt-4.1' },
    {
      id: 'c',
      object: 'chat.completion',
      model: 'gpt-4.1',
      choices: [{ index: 0, message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15, ...usage },
    },
    { path: '/v1/chat/completions', host: 'api.openai.com' },
  )

describe('a usage object', () => {
  it('names what holds a count and was taken by nobody', () => {
    const watched = watchUsage({ a: 1, b: { c: 2, d: 0, e: 'x' }, list: [{ f: 3 }, { f: 4, g: 5 }], time_ms: 7 })!
    void watched.a
    void (watched.list as { f: number }[])[0]!.f
    expect(unreadKeys(watched)).toEqual(['b.c', 'list[].g'])
    expect(unwatched(watched)).toMatchObject({ a: 1 })
    expect(unreadKeys({ a: 1 })).toBeUndefined()
  })

  it('marks the call with each new key, whatever its name, in its object or in one of its details', () => {
    const name = fc
      .stringMatching(/^zz[a-z_]{1,20}$/)
      .filter((key) => !/(?:_cost|_price|_ms|_at|time|latency)$/.test(key))
    fc.assert(
      fc.property(name, fc.integer({ min: 1, max: 1e9 }), fc.boolean(), (key, amount, nested) => {
        const usage = nested ? { prompt_tokens_details: { [key]: amount } } : { [key]: amount }
        const reading = read(chat(usage))
        expect(reading.reasons).toEqual(['unread_usage'])
        expect(reading.unreadUsage).toEqual([nested ? `prompt_tokens_details.${key}` : key])
        expect(reading.usage).toEqual({ input: 10, output: 5 })
      }),
    )
  })

  it('is silent of zeros, sums, times and money', () => {
    const { reasons } = read(
      chat({ novelty_tokens: 0, queue_time: 0.01, cost_details: { upstream: 1 }, extra: { total: 3 } }),
    )
    expect(reasons).toBeUndefined()
  })
})

describe('one count under many names', () => {
  it.each([
    [{ prompt_tokens_details: { cached_tokens: 4 } }, { cacheRead: 4 }],
    [
      { cache_read_input_tokens: 4, cache_creation_input_tokens: 2 },
      { cacheRead: 4, cacheWrite: 2 },
    ],
    [
      { prompt_tokens_details: { cached_tokens: 0, cache_creation_tokens: 2 }, cache_creation_input_tokens: 2 },
      { cacheWrite: 2 },
    ],
    [{ prompt_cache_hit_tokens: 4, prompt_cache_miss_tokens: 6 }, { cacheRead: 4 }],
    [{ cached_tokens: 4 }, { cacheRead: 4 }],
    [{ cacheReadInputTokens: 4 }, { cacheRead: 4 }],
    [{ cache_creation: { ephemeral_1h_input_tokens: 2 } }, { cacheWrite: 2, cacheWrite1h: 2 }],
    [{ reasoning_tokens: 3 }, { reasoning: 3 }],
  ])('%j', (usage, counts) => {
    const reading = read(chat(usage))
    expect(reading.counts).toMatchObject({ input: 10, output: 5, ...counts })
    expect(reading.reasons).toBeUndefined()
  })

  it('cached tokens that stand beside the prompt are part of the input', () => {
    const beside = { total_tokens: 45, cache_read_input_tokens: 20, cache_creation_input_tokens: 10 }
    expect(read(chat(beside)).counts).toMatchObject({ input: 40, output: 5, cacheRead: 20, cacheWrite: 10 })
  })
})
