import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LlmCall } from '../call.ts'
import { makeCall } from '../testing/make-call.ts'
import { cleanLabel, type LabelLimits, LINES_A_MODEL, makeLabelFold, OTHER } from './fold-labels.ts'

describe('labels', () => {
  it('names that are written alike are one label', () => {
    const fold = makeFold()
    expect(fold.admit('model', 'm\ud800')).toBe('m\ufffd')
    expect(fold.admit('model', 'm\udc00')).toBe('m\ufffd')
    expect(fold.admit('model', 'a\u0000\r\nb')).toBe('a b')
    expect(fold.admit('model', OTHER)).toBe(OTHER)
    expect(fold.take()).toEqual({
      news: [
        { kind: 'model', name: 'm\ufffd' },
        { kind: 'model', name: 'a b' },
      ],
      folded: [],
    })
  })

  it('any name becomes a short text that survives UTF-8, and stays the same when cleaned again', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (name) => {
        const label = cleanLabel(name)
        expect(label.length).toBeLessThanOrEqual(128)
        expect(Buffer.from(label).toString()).toBe(label)
        expect(cleanLabel(label)).toBe(label)
      }),
    )
  })

  it('never admits more than the limit, whatever comes', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 3 })), fc.integer({ min: 1, max: 5 }), (names, limit) => {
        const fold = makeFold({ tenants: limit })
        const first = names.map((name) => fold.admit('tenant', name))
        const second = names.map((name) => fold.admit('tenant', name))
        expect(new Set(first.filter((label) => label !== OTHER)).size).toBeLessThanOrEqual(limit)
        expect(second).toEqual(first)
        expect(names.map((name) => fold.labelOf('tenant', name))).toEqual(first)
      }),
    )
  })

  it('only an answered call, or one that the price book knows, admits a model', () => {
    const fold = makeFold()
    const labelOf = (change: Partial<LlmCall>) => fold.admitCall(makeCall(change)).model
    const free = { state: 'free', picoUsd: 0, reason: 'error', book: 'b' } as const
    for (const status of [
      'client_error',
      'unauthorized',
      'rate_limited',
      'server_error',
      'timeout',
      'aborted',
    ] as const)
      expect(labelOf({ model: `junk ${status}`, status, cost: free })).toBe(OTHER)
    expect(labelOf({ model: 'unknown', status: 'unauthorized', cost: free })).toBe('unknown')
    const unpriced = { state: 'unpriced', reason: 'no_price', book: 'b' } as const
    expect(labelOf({ model: 'listed', status: 'server_error', cost: unpriced })).toBe('listed')
    expect(labelOf({ model: 'answered', status: 'ok', cost: free })).toBe('answered')
    // Admitted once, it keeps its label whatever comes.
    expect(labelOf({ model: 'answered', status: 'timeout', cost: free })).toBe('answered')
    // What never had room is no news for an operator; what found none is.
    expect(fold.take().folded).toEqual([])
  })

  it('bounds tenants × providers × models together, and keeps what was admitted', () => {
    const of = (n: number, change: Partial<LlmCall> = {}) =>
      makeCall({ tenant: `t${n % 50}`, model: `m${Math.floor(n / 50)}`, ...change }, n)
    const fold = makeFold({ tenants: 1000, models: 1000, series: 100 * LINES_A_MODEL })
    const seen = new Set<string>()
    for (let n = 0; n < 2000; n++) {
      const { tenant, provider, model } = fold.admitCall(of(n))
      seen.add(`${tenant} ${provider} ${model}`)
    }
    expect(seen.size).toBeLessThanOrEqual(200)
    expect(fold.series).toBeLessThanOrEqual(200 * LINES_A_MODEL)
    expect(fold.labelsOf(of(0))).toEqual({ tenant: 't0', provider: 'openai', model: 'm0' })
    expect(fold.labelsOf(of(1999))).toEqual({ tenant: 't49', provider: 'openai', model: OTHER })
    expect(fold.take().folded.length).toBe(1900)
    // A copy that has learnt the same says the same.
    const copy = makeFold({ tenants: 1000, models: 1000, series: 100 * LINES_A_MODEL })
    const names = Array.from({ length: 1000 }, (_, n) => of(n)).flatMap(({ tenant, model }) => [
      { kind: 'tenant' as const, name: tenant },
      { kind: 'model' as const, name: model },
    ])
    copy.learn(
      [...names, { kind: 'provider', name: 'openai' }],
      [...seen].map((text) => {
        const [tenant, provider, model] = text.split(' ') as [string, string, string]
        return { tenant, provider, model }
      }),
    )
    for (const n of [0, 60, 99, 500, 999]) expect(copy.labelsOf(of(n))).toEqual(fold.labelsOf(of(n)))
  })
})

function makeFold(limits: Partial<LabelLimits> = {}) {
  return makeLabelFold({ tenants: 10, models: 10, series: 1_000_000, ...limits }, { names: [], models: [] })
}
