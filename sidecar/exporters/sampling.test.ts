import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CALL_STATUSES, type LlmCall } from '../call.ts'
import { tenantId } from '../tenant.ts'
import { makeCall } from '../testing/make-call.ts'
import { makeSampler, samplingConfigSchema } from './sampling.ts'

const sampler = (config: unknown) => makeSampler(samplingConfigSchema.parse(config))
const callOf = (traceId: string, overrides: Partial<LlmCall> = {}) =>
  makeCall({ trace: { traceId, spanId: '1'.repeat(16) }, ...overrides })
const traceIds = Array.from({ length: 4000 }, (_, n) =>
  createHash('sha256').update(String(n)).digest('hex').slice(0, 32),
)
const anyTraceId = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('hex'))

describe('sampling', () => {
  it('by default keeps all', () => {
    expect(traceIds.every((id) => sampler({}).keeps(callOf(id)))).toBe(true)
    expect(sampler({}).ratioFor(callOf(traceIds[0]!))).toBe(1)
  })

  it.each([0, 0.01, 0.25, 0.5, 0.9])('keeps a share of %d', (ratio) => {
    const kept = traceIds.filter((id) => sampler({ ratio }).keeps(callOf(id))).length
    expect(Math.abs(kept / traceIds.length - ratio)).toBeLessThan(0.025)
    if (ratio === 0) expect(kept).toBe(0)
  })

  it('decides by the trace alone, and a larger share keeps what a smaller one keeps', () => {
    fc.assert(
      fc.property(
        anyTraceId,
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (traceId, a, b) => {
          const [small, large] = [Math.min(a, b), Math.max(a, b)]
          const keeps = (ratio: number) => sampler({ ratio }).keeps(callOf(traceId))
          expect(keeps(small)).toBe(sampler({ ratio: small }).keeps(callOf(traceId, { requestId: 'another' })))
          if (keeps(small)) expect(keeps(large)).toBe(true)
        },
      ),
    )
  })

  it('a tenant is found by its name as written, and one called constructor is sampled as all are', () => {
    const own = sampler({ ratio: 0, tenants: { 'acme/eu': 1 } })
    expect(own.keeps(callOf(traceIds[0]!, { tenant: tenantId('acme/eu') }))).toBe(true)
    expect(own.keeps(callOf(traceIds[0]!, { tenant: 'acme_eu' }))).toBe(false)
    for (const tenant of ['constructor', '__proto__', tenantId('constructor')])
      expect(sampler({}).keeps(callOf(traceIds[0]!, { tenant }))).toBe(true)
  })

  it('a tenant may have a share of its own', () => {
    const own = sampler({ ratio: 0, tenants: { gold: 1, red: 0.5 } })
    expect(own.keeps(callOf(traceIds[0]!, { tenant: 'gold' }))).toBe(true)
    expect(own.keeps(callOf(traceIds[0]!, { tenant: 'blue' }))).toBe(false)
    expect(own.ratioFor(callOf(traceIds[0]!, { tenant: 'red' }))).toBe(0.5)
  })

  it.each<[string, Partial<LlmCall>]>([
    ...CALL_STATUSES.filter((status) => status !== 'ok').map((status): [string, Partial<LlmCall>] => [
      status,
      { status },
    ]),
    ['a guardrail event', { guardrails: [{ guardrail: 'g', stage: 'input', action: 'flagged' }] }],
    ['a dear call', { cost: { state: 'priced', picoUsd: 1e12 + 1, byUnit: {}, priceId: 'p', book: 'b' } }],
    ['a slow call', { durationMs: 20_001 }],
  ])('always keeps %s, and says ratio 1', (_, overrides) => {
    const none = sampler({ ratio: 0, keepAboveUsd: 1, keepAboveSeconds: 20 })
    expect(none.keeps(callOf(traceIds[0]!, overrides))).toBe(true)
    expect(none.ratioFor(callOf(traceIds[0]!, overrides))).toBe(1)
  })

  it('does not keep a call at the limits', () => {
    const none = sampler({ ratio: 0, keepAboveUsd: 1, keepAboveSeconds: 20 })
    const cost = { state: 'priced', picoUsd: 1e12, byUnit: {}, priceId: 'p', book: 'b' } as const
    expect(none.keeps(callOf(traceIds[0]!, { cost, durationMs: 20_000 }))).toBe(false)
  })

  it('a ratio is a share', () => {
    expect(samplingConfigSchema.safeParse({ ratio: 1.5 }).success).toBe(false)
    expect(samplingConfigSchema.safeParse({ tenants: { a: -1 } }).success).toBe(false)
  })
})
