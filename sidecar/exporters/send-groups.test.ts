import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LlmCall } from '../call.ts'
import { makeCall } from '../testing/make-call.ts'
import type { SendResult } from './exporter.ts'
import { sendGroups } from './send-groups.ts'

const batchOf = (...tenants: string[]) => tenants.map((tenant, n) => makeCall({ tenant }, n))
const byTenant = ({ tenant }: LlmCall) => tenant
const taken = (calls: readonly LlmCall[]): SendResult => ({ sent: calls.length, rejected: [] })

describe('one result for several pushes', () => {
  it('pushes each group once, in the batch’s order within it', async () => {
    const pushes: [string, string[]][] = []
    const result = await sendGroups(batchOf('a', 'b', 'a', 'c', 'b'), byTenant, async (tenant, calls) => {
      pushes.push([tenant, calls.map(({ requestId }) => requestId)])
      return taken(calls)
    })
    expect(result).toEqual({ sent: 5, rejected: [] })
    expect(pushes.sort()).toEqual([
      ['a', ['request-0', 'request-2']],
      ['b', ['request-1', 'request-4']],
      ['c', ['request-3']],
    ])
  })

  it('each group’s answer is its own', async () => {
    const answers: Record<string, SendResult> = {
      a: { drop: 'http_400' },
      b: { retry: 'http_429', afterMs: 2000, scope: 'tenant' },
      c: { retry: 'http_500' },
      d: { sent: 1, rejected: [] },
    }
    const result = await sendGroups(batchOf('a', 'b', 'c', 'd', 'b'), byTenant, async (tenant) => answers[tenant]!)
    expect(result).toEqual({
      sent: 1,
      rejected: [],
      failed: [
        { indexes: [0], failure: answers.a },
        { indexes: [1, 4], failure: answers.b },
        { indexes: [2], failure: answers.c },
      ],
    })
  })

  it('a batch of one group has its answer', async () => {
    for (const answer of [{ drop: 'http_413' }, { retry: 'http_500', afterMs: 5 }])
      expect(await sendGroups(batchOf('a', 'a'), byTenant, async () => answer)).toEqual(answer)
  })

  it('where all groups say that the sink is in trouble it is a retry of all, at the latest time asked for', async () => {
    const after: Record<string, number> = { a: 1000, b: 9000, c: 2000 }
    const result = await sendGroups(batchOf('a', 'b', 'c'), byTenant, async (tenant) => ({
      retry: 'http_503',
      afterMs: after[tenant]!,
    }))
    expect(result).toEqual({ retry: 'http_503', afterMs: 9000 })
  })

  it('a tenant’s own refusal stops no other group', async () => {
    const tenants = Array.from({ length: 50 }, (_, n) => `t${n}`)
    const result = await sendGroups(batchOf(...tenants), byTenant, async (tenant, calls) =>
      tenant === 't49' ? taken(calls) : { retry: 'unauthorized', scope: 'tenant' },
    )
    expect(result).toMatchObject({ sent: 1, failed: { length: 49 } })
  })

  it('after a sink in trouble the groups that were not begun are told apart', async () => {
    let begun = 0
    const tenants = Array.from({ length: 50 }, (_, n) => `t${n}`)
    const result = await sendGroups(batchOf(...tenants), byTenant, async (_, calls) =>
      ++begun === 1 ? taken(calls) : { retry: 'timeout' },
    )
    if (!('sent' in result)) throw new Error('expected a result by parts')
    const failed = result.failed!.flatMap(({ indexes }) => indexes)
    expect([result.sent, failed.length + result.untried!.length]).toEqual([1, 49])
    expect(begun).toBeLessThanOrEqual(6)
    expect(new Set([0, ...failed, ...result.untried!]).size).toBe(50)
  })

  it('begins no further group once one is to be tried again', async () => {
    let begun = 0
    const tenants = Array.from({ length: 50 }, (_, n) => `t${n}`)
    await sendGroups(batchOf(...tenants), byTenant, async () => {
      begun++
      return { retry: 'timeout' }
    })
    expect(begun).toBeLessThanOrEqual(4)
  })

  it('several groups are under way at once, and never more than the pool has connections', async () => {
    let underWay = 0
    let most = 0
    const tenants = Array.from({ length: 20 }, (_, n) => `t${n}`)
    const result = await sendGroups(batchOf(...tenants), byTenant, async (_, calls) => {
      most = Math.max(most, ++underWay)
      await new Promise((resolve) => setImmediate(resolve))
      underWay--
      return taken(calls)
    })
    expect(result).toEqual({ sent: 20, rejected: [] })
    expect(most).toBe(4)
  })

  it('a refusal counts for a call of the group that was refused, each call at most once', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 20 }),
        fc.record({ a: fc.nat(20), b: fc.nat(20), c: fc.nat(20) }),
        fc.boolean(),
        async (tenants, refused, named) => {
          const batch = batchOf(...tenants)
          const of = (tenant: string, size: number) => Math.min(refused[tenant as 'a'], size)
          const result = await sendGroups(batch, byTenant, async (tenant, calls) => {
            const many = of(tenant, calls.length)
            return {
              sent: calls.length - many,
              rejected: Array.from({ length: many }, (_, index) => ({
                index: named && index === 0 ? 0 : -1,
                reason: 'r',
              })),
            }
          })
          if (!('sent' in result)) throw new Error('expected a result of sent and rejected')
          const indexes = result.rejected.map(({ index }) => index)
          expect(new Set(indexes).size).toBe(indexes.length)
          expect(result.sent + indexes.length).toBe(batch.length)
          for (const tenant of ['a', 'b', 'c']) {
            const size = tenants.filter((name) => name === tenant).length
            expect(indexes.filter((index) => batch[index]!.tenant === tenant)).toHaveLength(of(tenant, size))
          }
        },
      ),
    )
  })

  it('an empty batch is taken', async () => {
    expect(await sendGroups([], byTenant, async () => ({ retry: 'never' }))).toEqual({ sent: 0, rejected: [] })
  })
})
