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

  it('any retry is a retry of all, at the latest time asked for; it stands above a drop', async () => {
    const answers: Record<string, SendResult> = {
      a: { drop: 'http_400' },
      b: { retry: 'http_429', afterMs: 2000 },
      c: { retry: 'http_429', afterMs: 9000 },
      d: { sent: 1, rejected: [] },
    }
    const result = await sendGroups(batchOf('a', 'b', 'c', 'd'), byTenant, async (tenant) => answers[tenant]!)
    expect(result).toEqual({ retry: 'http_429', afterMs: 9000 })
  })

  it('a drop of one group is a drop of all, so that the caller halves', async () => {
    const result = await sendGroups(batchOf('a', 'b'), byTenant, async (tenant, calls) =>
      tenant === 'b' ? { drop: 'http_413' } : taken(calls),
    )
    expect(result).toEqual({ drop: 'http_413' })
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
