import { describe, expect, it } from 'vitest'
import { contentPolicySchema } from '../redaction/policy.ts'
import { makeCall } from '../testing/make-call.ts'
import { storeInFolder, totals } from '../testing/store-in-folder.ts'
import { rowsOf } from '../testing/write-store.ts'
import { checkStore } from './check.ts'

const test = storeInFolder()
const wrong = () => checkStore(test.file).flatMap((finding) => finding.wrong)
const DAY = 86_400_000
const policy = contentPolicySchema.parse({
  default: { retentionDays: 30 },
  rules: [
    { routes: ['held'], legalHold: true, retentionDays: 1 },
    { tenants: ['quick'], retentionDays: 1 },
    { tenants: ['bank'], legalHold: true },
  ],
})
const calls = () => [
  makeCall({ tenant: 'quick', startedAt: test.clock, user: 'u', errorMessage: 'no such prompt: x' }, 1),
  makeCall({ tenant: 'slow', startedAt: test.clock }, 2),
  makeCall({ tenant: 'bank', startedAt: test.clock }, 3),
  makeCall({ tenant: 'quick', startedAt: test.clock, gateway: { node: 'n', source: 'tap', route: 'held' } }, 4),
]
/** Tenants of rows that still have content. */
const withContent = (table: 'log' | 'dead_letters' = 'log') =>
  rowsOf(test.file, table)
    [table]!.filter(({ body }) => Buffer.from(body as Uint8Array).includes('"content":'))
    .map(({ tenant }) => tenant)

describe('content past its days', () => {
  it('goes from rows that wait for a sink, counted; the call, its user and its money stay', async () => {
    const store = await test.open({ sinks: ['otlp'], policy })
    await test.feed(store, calls())
    await store.expireContent()
    expect(withContent()).toEqual(['quick', 'slow', 'bank', 'quick'])
    test.clock += 1.01 * DAY
    await store.expireContent()
    expect(withContent()).toEqual(['slow', 'bank', 'quick'])
    test.clock += 30 * DAY
    await store.expireContent()
    expect(withContent()).toEqual(['bank', 'quick'])
    expect(totals(store).content_expired).toEqual({ quick: 1n, slow: 1n })
    const { entries } = (await store.read('otlp', { calls: 10, bytes: 1e9 }, new AbortController().signal))!
    expect(entries.map(({ call }) => [call.id, call.content === undefined])).toEqual(
      calls().map(({ id }, index) => [id, index < 2]),
    )
    const [first] = entries
    expect([first!.call.user, first!.call.errorMessage, first!.call.cost]).toEqual(['u', undefined, makeCall().cost])
    await store.close()
    expect(wrong()).toEqual([])
    // Durable.
    const again = await test.open({ sinks: ['otlp'], policy })
    expect(totals(again).content_expired).toEqual({ quick: 1n, slow: 1n })
    await again.close()
  })

  it('goes from dead letters too, by the age of the call and not of the letter', async () => {
    const store = await test.open({ sinks: ['otlp'], policy })
    await test.feed(store, calls())
    test.clock += 20 * DAY
    const batch = (await store.read('otlp', { calls: 10, bytes: 1e9 }, new AbortController().signal))!
    await store.settle('otlp', {
      upTo: batch.upTo,
      outcomes: batch.entries.map(({ position, call: { tenant } }) => ({
        ...{ position, tenant },
        ...{ outcome: 'rejected' as const, reason: 'http_400' },
      })),
      deadLetters: batch.entries.map((entry) => ({ entry, reason: 'http_400' })),
    })
    await store.expireContent()
    expect(withContent('dead_letters')).toEqual(['slow', 'bank', 'quick'])
    // Put back, it is as old as before.
    await store.replay('otlp')
    test.clock += 11 * DAY
    await store.expireContent()
    expect(new Set(withContent())).toEqual(new Set(['bank', 'quick']))
    await store.close()
    expect(wrong()).toEqual([])
  })

  it('stays without a policy, and goes by a new one as soon as it is in force', async () => {
    const store = await test.open({ sinks: ['otlp'] })
    await test.feed(store, calls())
    test.clock += 400 * DAY
    await store.expireContent()
    expect(withContent()).toHaveLength(4)
    await store.usePolicy(policy)
    await store.expireContent()
    expect(withContent()).toEqual(['bank', 'quick'])
    await store.close()
    expect(wrong()).toEqual([])
  })
})
