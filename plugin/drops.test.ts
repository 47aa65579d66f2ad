import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { captureBatchSchema } from '../sidecar/capture.ts'
import { makeDrops } from './drops.ts'
import { makeSequenceSet } from './sequence-set.ts'

describe('sequence set', () => {
  it('agrees with a Set, and keeps runs as ranges', () => {
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.integer({ min: 1, max: 60 }) },
      { weight: 1, arbitrary: fc.record({ take: fc.integer({ min: 0, max: 10 }) }) },
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200, size: 'max' }), (steps) => {
        const set = makeSequenceSet()
        const model = new Set<number>()
        for (const one of steps) {
          if (typeof one === 'number') {
            set.add(one)
            model.add(one)
          } else {
            const smallest = [...model].sort((a, b) => a - b).slice(0, one.take)
            expect(set.take(one.take)).toEqual(smallest)
            for (const taken of smallest) model.delete(taken)
          }
          expect(set.size).toBe(model.size)
          expect(set.ranges).toBe([...model].filter((number) => !model.has(number - 1)).length)
        }
      }),
    )
  })
})

describe('drops', () => {
  it('reports running totals, and names sequences until they are acknowledged', () => {
    const drops = makeDrops()
    expect(drops.untold).toBe(false)
    drops.count('queue_full', ['e1', 1])
    drops.count('queue_full', ['e1', 2])
    drops.count('pdk_timeout', undefined)
    const first = drops.report()
    expect(first).toEqual([
      {
        reason: 'queue_full',
        total: 2,
        sequences: [
          ['e1', 1],
          ['e1', 2],
        ],
      },
      { reason: 'pdk_timeout', total: 1 },
    ])
    drops.returned(first)
    expect(drops.report()).toEqual(first)
    drops.acknowledged(first)
    expect(drops.untold).toBe(false)
    drops.count('queue_full', ['e2', 9])
    expect(drops.untold).toBe(true)
    expect(drops.report()).toEqual([
      { reason: 'queue_full', total: 3, sequences: [['e2', 9]] },
      { reason: 'pdk_timeout', total: 1 },
    ])
  })

  it('spreads many sequences over reports that the wire contract takes, each exactly once', () => {
    const drops = makeDrops()
    for (let n = 1; n <= 12_000; n++) drops.count('queue_full', [n % 2 === 0 ? 'e1' : 'e2', n])
    const told: number[] = []
    let reports = 0
    while (drops.untold) {
      const report = drops.report()
      captureBatchSchema.parse({ v: 1, plugin: { version: '1', instance: 'i' }, dropped: report, captures: [] })
      for (const { sequences } of report) told.push(...(sequences ?? []).map(([, sequence]) => sequence))
      drops.acknowledged(report)
      expect(++reports).toBeLessThan(10)
    }
    expect(told.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 12_000 }, (_, index) => index + 1))
  })

  it('moves what is untold to another', () => {
    const old = makeDrops()
    const heir = makeDrops()
    heir.count('queue_full', ['e1', 7])
    old.count('queue_full', ['e1', 1])
    old.acknowledged(old.report())
    old.count('queue_full', ['e1', 2])
    old.moveTo(heir)
    expect(old.untold).toBe(false)
    expect(heir.report()).toEqual([
      {
        reason: 'queue_full',
        total: 2,
        sequences: [
          ['e1', 2],
          ['e1', 7],
        ],
      },
    ])
  })
})
