import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readRateLimit, secondsOf } from './read-rate-limit.ts'

const NOW = Date.UTC(2026, 10, 23, 12, 0, 0)
const call = { httpStatus: 200, source: 'upstream', endedAt: NOW }

describe('budgets', () => {
  it.each([
    [
      'OpenAI',
      {
        'x-ratelimit-limit-requests': '10000',
        'x-ratelimit-remaining-requests': '9999',
        'x-ratelimit-reset-requests': '6m0.5s',
        'x-ratelimit-limit-tokens': '200000',
        'x-ratelimit-remaining-tokens': '199976',
        'x-ratelimit-reset-tokens': '7ms',
      },
      [
        { by: 'provider', name: 'requests', limit: 10_000, remaining: 9999, resetSeconds: 360.5 },
        { by: 'provider', name: 'tokens', limit: 200_000, remaining: 199_976, resetSeconds: 0.007 },
      ],
    ],
    [
      'Anthropic',
      {
        'anthropic-ratelimit-input-tokens-limit': '50000',
        'anthropic-ratelimit-input-tokens-remaining': '49000',
        'anthropic-ratelimit-input-tokens-reset': '2026-11-23T12:00:30Z',
      },
      [{ by: 'provider', name: 'input-tokens', limit: 50_000, remaining: 49_000, resetSeconds: 30 }],
    ],
    [
      'Kong’s ai-rate-limiting-advanced',
      {
        'x-ai-ratelimit-limit-30-openai': '1000',
        'x-ai-ratelimit-remaining-30-openai': '963',
        'x-ai-ratelimit-reset-30-openai': '21',
        'x-ai-ratelimit-reset': '21',
        'x-ai-ratelimit-query-cost': '37',
      },
      [{ by: 'gateway', name: '30-openai', limit: 1000, remaining: 963, resetSeconds: 21 }],
    ],
    [
      'Kong’s rate-limiting',
      {
        'x-ratelimit-limit-minute': '60',
        'x-ratelimit-remaining-minute': '59',
        'ratelimit-limit': '60',
        'ratelimit-remaining': '59',
        'ratelimit-reset': '13',
      },
      [
        { by: 'gateway', name: 'minute', limit: 60, remaining: 59 },
        { by: 'gateway', name: 'requests', limit: 60, remaining: 59, resetSeconds: 13 },
      ],
    ],
  ])('of %s', (_who, headers, budgets) => {
    expect(readRateLimit(headers, call)).toEqual({ budgets })
  })

  it('where nobody says any, and nobody refused: nothing', () => {
    expect(readRateLimit({ 'content-type': 'x', 'retry-after': '3' }, call)).toBeUndefined()
    expect(readRateLimit({ 'x-ratelimit-remaining-tokens': 'many' }, call)).toBeUndefined()
  })

  it('are bounded', () => {
    const headers = Object.fromEntries(Array.from({ length: 99 }, (_, n) => [`x-ratelimit-limit-${n}`, '1']))
    expect(readRateLimit(headers, call)!.budgets).toHaveLength(16)
  })
})

describe('who refused', () => {
  it('is the provider, or Kong', () => {
    const headers = { 'retry-after': '7' }
    expect(readRateLimit(headers, { ...call, httpStatus: 429 })).toEqual({
      refusedBy: 'provider',
      retryAfterSeconds: 7,
      budgets: [],
    })
    const byKong = readRateLimit({ 'x-ai-ratelimit-retry-after': '51' }, { ...call, httpStatus: 429, source: 'kong' })
    expect(byKong).toEqual({ refusedBy: 'gateway', retryAfterSeconds: 51, budgets: [] })
  })
})

describe('a time', () => {
  it.each([
    ['51', 51],
    ['0.8', 0.8],
    ['1h2m3s', 3723],
    ['1d', 86_400],
    ['Mon, 23 Nov 2026 12:01:00 GMT', 60],
    [String(NOW / 1000 + 9), 9],
    ['2026-11-23T11:00:00Z', undefined],
    ['soon', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('%s is %s s', (text, seconds) => expect(secondsOf(text, NOW)).toBe(seconds))

  it('never throws, and never gives what is no number', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[\dmhsd.:TZ-]{0,80}$/)), (text) => {
        const seconds = secondsOf(text, NOW)
        expect(seconds === undefined || (Number.isFinite(seconds) && seconds >= 0)).toBe(true)
      }),
    )
  })
})
