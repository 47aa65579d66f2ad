import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { makeAcknowledgedNumbers } from './acknowledged.ts'
import { makeLosses } from './losses.ts'
import { makeNumberRanges } from './number-ranges.ts'

const number = fc.integer({ min: 1, max: 60 })
const numbersOf = (ranges: readonly (readonly [number, number])[]) =>
  ranges.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, step) => first + step))

describe('number ranges', () => {
  it('agree with a set, and never touch each other', () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: number.map((first) => ({ first, last: first })) },
      { weight: 2, arbitrary: fc.tuple(number, fc.nat(8)).map(([first, more]) => ({ first, last: first + more })) },
      { weight: 1, arbitrary: fc.constant('take' as const) },
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
        const ranges = makeNumberRanges()
        const model = new Set<number>()
        for (const one of steps) {
          if (one === 'take') {
            const lowest = ranges.takeLowest()
            expect(lowest?.[0]).toBe(model.size === 0 ? undefined : Math.min(...model))
            if (lowest !== undefined) for (const taken of numbersOf([lowest])) expect(model.delete(taken)).toBe(true)
          } else {
            const joins = [one.first - 1, one.first, one.first + 1].some((near) => model.has(near))
            expect(ranges.isApart(one.first)).toBe(!joins)
            ranges.add(one.first, one.last)
            for (const added of numbersOf([[one.first, one.last]])) model.add(added)
          }
          expect(numbersOf(ranges.highest(1000))).toEqual([...model].toSorted((a, b) => a - b))
          expect(ranges.ranges).toBe([...model].filter((kept) => !model.has(kept - 1)).length)
        }
      }),
    )
  })
})

describe('losses', () => {
  it('each number is taken once with its reason, whatever is given back; beyond the bound it is refused', () => {
    const step = fc.oneof(
      {
        weight: 5,
        arbitrary: fc.record({
          reason: fc.constantFrom('queue_full' as const, 'invalid' as const),
          epoch: fc.constantFrom('e1', 'e2'),
          sequence: number,
        }),
      },
      { weight: 1, arbitrary: fc.record({ take: fc.nat(5), keep: fc.boolean() }) },
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100, size: 'max' }), (steps) => {
        const losses = makeLosses(12)
        const model = new Set<string>()
        const told: string[] = []
        for (const one of steps) {
          if ('take' in one) {
            const taken = losses.take(one.take)
            expect(taken.length).toBeLessThanOrEqual(one.take)
            if (one.keep) losses.giveBack(taken)
            else
              for (const { reason, epoch, sequence, count } of taken)
                for (let n = sequence; n < sequence + count; n++) told.push(`${epoch} ${reason} ${n}`)
          } else {
            const name = `${one.epoch} ${one.reason} ${one.sequence}`
            if (told.includes(name)) continue
            if (losses.add(one.reason, [one.epoch, one.sequence])) model.add(name)
            else expect(losses.waiting).toBe(12)
          }
          expect(losses.waiting).toBeLessThanOrEqual(12)
        }
        const rest = losses.take(Number.POSITIVE_INFINITY)
        for (const { reason, epoch, sequence, count } of rest)
          for (let n = sequence; n < sequence + count; n++) told.push(`${epoch} ${reason} ${n}`)
        expect(told.toSorted()).toEqual([...model].toSorted())
        expect(losses.waiting).toBe(0)
      }),
    )
  })
})

describe('acknowledged numbers', () => {
  it('are a part of what was acknowledged, the newest, in 50 ranges an epoch and a bounded number of epochs', () => {
    const added = fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 300 }))
    fc.assert(
      fc.property(fc.array(added, { maxLength: 400, size: 'max' }), (numbers) => {
        const acknowledged = makeAcknowledgedNumbers(4)
        const model = new Map<string, Set<number>>()
        for (const [epoch, sequence] of numbers) {
          acknowledged.add(`e${epoch}`, sequence)
          const of = model.get(`e${epoch}`) ?? new Set()
          model.delete(`e${epoch}`)
          model.set(`e${epoch}`, of.add(sequence))
        }
        const known = acknowledged.of(model.keys())
        const newest = [...model.keys()].slice(-4)
        expect(known.map(([epoch]) => epoch).toSorted()).toEqual(newest.toSorted())
        for (const [epoch, ranges] of known) {
          expect(ranges.length).toBeLessThanOrEqual(50)
          const kept = numbersOf(ranges)
          for (const sequence of kept) expect(model.get(epoch)!.has(sequence)).toBe(true)
          if (ranges.length < 50) expect(kept.length).toBeGreaterThan(0)
        }
      }),
    )
  })

  it('go to another', () => {
    const [one, other] = [makeAcknowledgedNumbers(), makeAcknowledgedNumbers()]
    one.add('e', 1, 5)
    other.add('e', 7)
    one.moveTo(other)
    expect(other.of(['e', 'unknown', 'e'])).toEqual([['e', [[1, 5], [7, 7]]]]) // biome-ignore format: ranges
    expect(one.of(['e'])).toEqual([])
  })
})
