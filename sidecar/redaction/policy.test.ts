import { describe, expect, it } from 'vitest'
import type { LlmCall } from '../call.ts'
import { callFor, contentPolicySchema, policyFor, storedMode, withPolicy } from './policy.ts'
import { makeRedactor, redactionConfigSchema } from './redact.ts'

const config = contentPolicySchema.parse({
  default: { retentionDays: 30, sinks: { loki: 'off' } },
  rules: [
    { tenants: ['acme'], routes: ['chat'], content: 'off', sinks: { langfuse: 'full' } },
    { tenants: ['acme'], legalHold: true, retentionDays: 365 },
    { routes: ['debug'], content: 'full' },
  ],
})
const call = (tenant: string, route: string): LlmCall =>
  ({
    tenant,
    gateway: { node: 'n', source: 'tap', route },
    content: { system: 'mail anna@example.org', unredacted: true },
  }) as unknown as LlmCall
const redactor = makeRedactor(redactionConfigSchema.parse({}), { key: 'k' })

describe('policyFor', () => {
  it.each([
    ['blue', 'chat', undefined, { content: 'redacted', retentionDays: 30, legalHold: false }],
    ['blue', 'chat', 'loki', { content: 'off', retentionDays: 30, legalHold: false }],
    ['acme', 'chat', 'otlp', { content: 'off', retentionDays: 30, legalHold: false }],
    ['acme', 'chat', 'langfuse', { content: 'full', retentionDays: 30, legalHold: false }],
    ['acme', 'other', 'otlp', { content: 'redacted', retentionDays: 365, legalHold: true }],
    ['blue', 'debug', 'otlp', { content: 'full', retentionDays: 30, legalHold: false }],
    ['constructor', 'toString', 'valueOf', { content: 'redacted', retentionDays: 30, legalHold: false }],
  ])('%s, %s, %s', (tenant, route, sink, expected) =>
    expect(policyFor(call(tenant, route), sink, config)).toEqual(expected),
  )
  it('the log keeps what the sink with the most may have', () => {
    expect(storedMode(call('acme', 'chat'), ['otlp'], config)).toBe('off')
    expect(storedMode(call('acme', 'chat'), ['otlp', 'langfuse'], config)).toBe('full')
    expect(storedMode(call('blue', 'chat'), ['loki'], config)).toBe('redacted')
  })
  it('takes a tenant by its name', () =>
    expect(contentPolicySchema.parse({ rules: [{ tenants: ['acme/eu'], content: 'off' }] }).rules[0]?.tenants).toEqual([
      'acme!2Feu',
    ]))
  it('refuses a rule that fits everything', () =>
    expect(contentPolicySchema.safeParse({ rules: [{ content: 'off' }] }).success).toBe(false))
})

describe('each sink gets its share', () => {
  it('full as it came, redacted masked, off nothing', () => {
    expect(callFor(call('blue', 'debug'), 'otlp', config, redactor).content).toEqual(call('blue', 'debug').content)
    expect(callFor(call('blue', 'chat'), 'otlp', config, redactor).content).toEqual({ system: 'mail [EMAIL]' })
    expect(callFor(call('blue', 'chat'), 'loki', config, redactor)).not.toHaveProperty('content')
  })
  it('an exporter sees no more than that', async () => {
    const seen: LlmCall[] = []
    const exporter = {
      id: 'loki',
      async send(batch: readonly LlmCall[], _signal: AbortSignal) {
        seen.push(...batch)
        return { sent: batch.length, rejected: [] }
      },
    }
    const wrapped = withPolicy(exporter, config, redactor)
    expect(await wrapped.send([call('blue', 'chat')], new AbortController().signal)).toEqual({ sent: 1, rejected: [] })
    expect(wrapped.id).toBe('loki')
    expect(JSON.stringify(seen)).not.toContain('anna')
  })
})
