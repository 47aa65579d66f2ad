import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { CAPTURE_VERSION } from '../sidecar/capture.ts'
import { readBatch } from '../sidecar/capture-batch.ts'
import type { Answer } from './send.ts'
import { makeShipper } from './ship.ts'

/**
 * Every number that was given is acknowledged as stored, told lost by one tombstone, or still held: whatever the sidecar
 * answers, whether it took a batch that it did not answer or not, whichever captures it cannot read.
 */
type Does = 'stored' | 'later' | 'refused' | 'hangs' | 'hangs and stores' | 'never'

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ push: fc.integer({ min: 1, max: 400 }), tapped: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ lose: fc.constantFrom('invalid' as const, 'pdk_timeout' as const) }) },
  { weight: 3, arbitrary: fc.record({ wait: fc.integer({ min: 1, max: 8000 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      does: fc.constantFrom<Does>('stored', 'stored', 'later', 'refused', 'hangs', 'hangs and stores', 'never'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ limit: fc.integer({ min: 500, max: 4000 }) }) },
)

describe('the numbers of a shipper', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] }))
  afterEach(() => void vi.useRealTimers())

  it('are conserved', async () => {
    const poison = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 120, size: 'max' }), poison, async (steps, bad) => {
        let does: Does = 'stored'
        const born = new Set<string>()
        const acknowledged = new Set<string>()
        const toldLost = new Map<string, string>()
        let tapNumber = 0
        const settings = { queueBytes: 4000, batchMaxCalls: 8, batchMaxBytes: 2000, lingerMs: 10, sendTimeoutMs: 1000 }
        const shipper = makeShipper({
          instance: 'i',
          version: '1',
          address: 'a',
          settings,
          notices: { say: () => {} },
          sender: {
            close: async () => {},
            async send(body): Promise<Answer> {
              const json = JSON.parse(body.toString())
              expect(json.v).toBe(CAPTURE_VERSION)
              const batch = readBatch(json)
              if ('problem' in batch) throw new Error(batch.problem.message)
              const captures = batch.entries.filter((entry) => entry !== undefined) as {
                number: string
                bad: boolean
              }[]
              // Nothing is said to be acknowledged that was not.
              for (const [epoch, ranges] of batch.acknowledged)
                for (const [first, last] of ranges)
                  for (let n = first; n <= last; n++) expect(acknowledged.has(`${epoch} ${n}`)).toBe(true)
              await new Promise((resolve) => setTimeout(resolve, does === 'stored' ? 5 : 1000))
              if (does === 'later') return { kind: 'later', reason: 'http_503', afterMs: 0 }
              if (does === 'refused') return { kind: 'refused', reason: 'http_401' }
              if (does === 'never') return { kind: 'never', reason: 'rejected', message: '' }
              if (does === 'hangs' || captures.some((capture) => capture.bad))
                return { kind: 'unanswered', reason: 'timeout' }
              if (does === 'hangs and stores') return { kind: 'unanswered', reason: 'timeout' }
              for (const { number } of captures) acknowledged.add(number)
              for (const { tombstone, epoch, sequence, count } of batch.tombstones)
                for (let n = sequence; n < sequence + count; n++) {
                  expect(acknowledged.has(`${epoch} ${n}`)).toBe(false)
                  acknowledged.add(`${epoch} ${n}`)
                  toldLost.set(`${epoch} ${n}`, tombstone)
                }
              return { kind: 'stored', rejected: [] }
            },
          },
        })
        const push = (number: readonly [string, number], bytes: number) => {
          const name = `${number[0]} ${number[1]}`
          born.add(name)
          const poisoned = bad.includes(born.size)
          shipper.push(Buffer.from(JSON.stringify({ number: name, bad: poisoned, pad: 'x'.repeat(bytes) })), number)
        }
        for (const one of steps) {
          if ('push' in one) push(one.tapped ? ['tap', ++tapNumber] : shipper.number(), one.push)
          else if ('lose' in one) {
            const number = shipper.number()
            born.add(number.join(' '))
            shipper.lose(one.lose, number)
          } else if ('wait' in one) await vi.advanceTimersByTimeAsync(one.wait)
          else if ('does' in one) does = one.does
          else shipper.configure({ ...settings, queueBytes: one.limit })
          const held = shipper.held
          for (const name of acknowledged) expect(born.has(name)).toBe(true)
          expect(held).toBeLessThanOrEqual(born.size - acknowledged.size)
        }
        // The sidecar is well again, and there is other traffic, by which a capture that it cannot take is known.
        does = 'stored'
        for (let round = 0; round < 60 && !shipper.idle; round++) {
          await vi.advanceTimersByTimeAsync(12_000)
          if (shipper.held > 0 && shipper.held <= bad.length) push(shipper.number(), 1)
        }
        expect(shipper.idle).toBe(true)
        expect([...acknowledged].toSorted()).toEqual([...born].toSorted())
        for (const reason of toldLost.values())
          expect(['queue_full', 'too_large', 'timed_out', 'rejected', 'invalid', 'pdk_timeout']).toContain(reason)
        await shipper.close()
      }),
      { numRuns: 150 },
    )
  })
})
