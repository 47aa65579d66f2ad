import { validateHeaderValue } from 'node:http'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { MAX_TENANT_KEY, ofTenant, tenantId, tenantKey, tenantMap, tenantNameOf, tenantSchema } from './tenant.ts'

/** Names of every kind: any text, half surrogate pairs, keys of other names, reserved words, long ones. */
const name = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 120 }),
  fc.string({ unit: fc.constantFrom('a', '/', '!', '2', 'F', '-', '_', '.', '\ud800', '\udc00', '企'), maxLength: 80 }),
  fc.string({ unit: fc.constantFrom('a', 'b', '.'), minLength: 60, maxLength: 70 }),
  fc.constantFrom('unattributed', '__other__', 'platform', 'constructor', '__proto__', '.', '..', 'toString'),
)
const names = fc.oneof(
  name,
  name.map((text) => tenantId(text)),
)

describe('tenantId', () => {
  it.each([
    ['blue', 'blue'],
    ['Team_7.eu-west', 'Team_7.eu-west'],
    ['a'.repeat(64), 'a'.repeat(64)],
    ['acme/eu', 'acme!2Feu'],
    ['acme eu', 'acme!20eu'],
    ['acme_eu', 'acme_eu'],
    ['acme!2Feu', 'acme!212Feu'],
    ['企業甲', '!E4!BC!81!E6!A5!AD!E7!94!B2'],
    ['Ünal', '!C3!9Cnal'],
    ['unattributed', '!75nattributed'],
    ['platform', '!70latform'],
    ['__other__', '!5F_other__'],
    ['__proto__', '!5F_proto__'],
    ['constructor', '!63onstructor'],
    ['..', '!2E.'],
  ])('%j is %s', (written, key) => expect(tenantId(written)).toBe(key))

  it('names alike in 64 characters stay apart, and their beginning can be read', () => {
    const path = 'spiffe://prod.example.com/ns/payments-and-settlements-europe/sa/'
    const keys = [tenantId(`${path}frontend`), tenantId(`${path}backend`)]
    expect(new Set(keys).size).toBe(2)
    for (const key of keys) expect(key).toMatch(/^spiffe!3A!2F!2Fprod\.example\.com!2Fns!2Fp!-[\w-]{22}$/)
  })

  it('is injective', () => {
    fc.assert(
      fc.property(names, names, (one, other) => {
        expect(tenantId(one) === tenantId(other)).toBe(one === other)
      }),
      { numRuns: 5000 },
    )
  })

  it('is legal as a label, a header value and a file name, within the limit', () => {
    fc.assert(
      fc.property(names, (text) => {
        const key = tenantId(text)
        expect(key).toMatch(/^[A-Za-z0-9._!-]+$/)
        expect(key.length).toBeLessThanOrEqual(MAX_TENANT_KEY)
        expect(['.', '..']).not.toContain(key)
        validateHeaderValue('x-scope-orgid', key)
      }),
    )
  })

  it('leaves a plain name as it is, and gives nobody a name of ours', () => {
    const plain = fc.string({ unit: fc.constantFrom(...'abzAZ019._-'), minLength: 1, maxLength: 64 })
    const ours = new Set(['unattributed', 'platform', '.', '..', ...Object.getOwnPropertyNames(Object.prototype)])
    fc.assert(
      fc.property(plain, (text) => {
        if (text.startsWith('__') || ours.has(text)) expect(tenantId(text)).toMatch(/^![0-9A-F]{2}/)
        else expect(tenantId(text)).toBe(text)
      }),
    )
    for (const reserved of [...ours, '__other__', '__anything'])
      expect(reserved in {} || tenantId(reserved) === reserved).toBe(reserved in {})
    for (const reserved of ours) expect(tenantId(reserved)).not.toBe(reserved)
  })

  it('can be turned back where nothing was hashed', () => {
    fc.assert(
      fc.property(names, (text) => {
        const key = tenantId(text)
        expect(tenantNameOf(key)).toBe(key.includes('!-') ? undefined : text)
      }),
    )
  })

  it('is not idempotent: a name that looks like a key is another tenant', () => {
    expect(tenantId(tenantId('acme/eu'))).not.toBe(tenantId('acme/eu'))
  })
})

describe('what an operator writes', () => {
  it('is a name or a key, and says the same tenant either way', () => {
    fc.assert(
      fc.property(name, (text) => {
        const key = tenantId(text)
        expect(tenantKey(key)).toBe(key)
      }),
    )
    expect(tenantKey('acme/eu')).toBe('acme!2Feu')
    expect(tenantKey('acme!2Feu')).toBe('acme!2Feu')
    // No key of anybody: so it is a name.
    expect(tenantKey('hello!')).toBe('hello!21')
    expect(tenantKey('!42lue')).toBe('!2142lue')
  })

  it('names the calls of nobody, and nothing that is no tenant', () => {
    expect(tenantKey('unattributed')).toBe('unattributed')
    for (const never of ['', '__other__', 'platform']) expect(tenantKey(never)).toBeUndefined()
    expect(tenantSchema.safeParse('platform').error?.issues[0]?.message).toMatch(
      /^no call ever has the tenant platform, a name of ours; a consumer of that name is the tenant !70latform$/,
    )
  })

  it('keys a map, once for each tenant', () => {
    const map = tenantMap(z.number())
    const parsed = map.parse(JSON.parse('{"acme/eu":1,"constructor":2,"__proto__":3,"blue":4}'))
    expect(ofTenant(parsed, tenantId('acme/eu'))).toBe(1)
    expect(ofTenant(parsed, tenantId('constructor'))).toBe(2)
    expect(ofTenant(parsed, tenantId('__proto__'))).toBe(3)
    expect(ofTenant(parsed, 'constructor')).toBeUndefined()
    expect(ofTenant(parsed, 'red')).toBeUndefined()
    expect(map.safeParse({ 'acme/eu': 1, 'acme!2Feu': 2 }).error?.issues[0]).toMatchObject({
      path: ['acme!2Feu'],
      message: 'is the same tenant as "acme/eu": write it once',
    })
    expect(map.safeParse({ __other__: 1 }).success).toBe(false)
  })
})
