import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { type Item, makeQueue } from './queue.ts'

let made = 0
function item(bytes: number): Item {
  return { json: Buffer.alloc(bytes), number: ['e1', ++made], node: undefined, queuedAt: 0 }
}
const name = (item: Item) => `${item.number}`
const names = (items: readonly Item[]) => items.map(name)

describe('queue', () => {
  it('drops the oldest when a new one does not fit', () => {
    const dropped: [string, string][] = []
    const queue = makeQueue(100, (one, reason) => dropped.push([name(one), reason]))
    const items = [item(40), item(40), item(40)]
    for (const one of items) queue.push(one)
    expect(dropped).toEqual([[name(items[0]!), 'queue_full']])
    expect(names(queue.take(10, 1000))).toEqual(names(items.slice(1)))
  })

  it('never drops what is in flight: then the new one goes', () => {
    const dropped: string[] = []
    const queue = makeQueue(100, (one) => dropped.push(name(one)))
    queue.push(item(90))
    const taken = queue.take(1, 1000)
    const late = item(20)
    queue.push(late)
    expect(dropped).toEqual([name(late)])
    queue.giveBack(taken)
    expect(names(queue.take(1, 1000))).toEqual(names(taken))
  })

  it('takes one item even if it alone is larger than a batch', () => {
    const queue = makeQueue(1000, () => {})
    queue.push(item(500))
    queue.push(item(500))
    expect(queue.take(10, 100)).toHaveLength(1)
  })

  it('gives a suspect alone, and behind all others', () => {
    const queue = makeQueue(1000, () => {})
    const [bad, ...good] = [item(1), item(1), item(1)] as [Item, Item, Item]
    for (const one of [bad, ...good]) queue.push(one)
    const [taken] = queue.take(1, 100)
    queue.putLast({ ...taken!, suspectAt: 0 })
    queue.push(item(1))
    expect(names(queue.take(10, 100))).toEqual(names(good))
    expect(names(queue.take(10, 100))).toEqual(names([bad]))
    expect(queue.take(10, 100)).toHaveLength(1)
  })

  it('refuses an item that is larger than the queue', () => {
    const reasons: string[] = []
    const queue = makeQueue(100, (_item, reason) => reasons.push(reason))
    queue.push(item(60))
    queue.push(item(101))
    expect(reasons).toEqual(['too_large'])
    expect(queue.waiting).toBe(1)
  })

  it('agrees with a model: order kept, bytes bounded, nothing lost uncounted', () => {
    const command = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({ do: fc.constant('push' as const), bytes: fc.integer({ min: 1, max: 120 }) }),
      },
      {
        weight: 3,
        arbitrary: fc.record({
          do: fc.constant('take' as const),
          items: fc.integer({ min: 1, max: 8 }),
          bytes: fc.integer({ min: 1, max: 300 }),
        }),
      },
      { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('settle' as const, 'giveBack' as const) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('putLast' as const) }) },
      {
        weight: 1,
        arbitrary: fc.record({ do: fc.constant('limit' as const), bytes: fc.integer({ min: 100, max: 1000 }) }),
      },
    )
    fc.assert(
      fc.property(fc.array(command, { maxLength: 3000, size: 'max' }), (commands) => {
        let limit = 1000
        let model: Item[] = []
        let modelTaken: Item[] = []
        const modelDropped: string[] = []
        const dropped: string[] = []
        let taken: Item[] = []
        let pushed = 0
        let settled = 0
        const queue = makeQueue(limit, (one) => dropped.push(name(one)))
        const size = (items: Item[]) => items.reduce((sum, { json }) => sum + json.length, 0)
        const trim = (extra: number) => {
          while (size(model) + size(modelTaken) + extra > limit && model.length > 0)
            modelDropped.push(name(model.shift()!))
        }
        for (const step of commands) {
          if (step.do === 'push') {
            const one = item(step.bytes)
            pushed++
            queue.push(one)
            if (one.json.length + size(modelTaken) > limit) modelDropped.push(name(one))
            else {
              trim(one.json.length)
              model.push(one)
            }
          } else if (step.do === 'take' && taken.length === 0) {
            taken = queue.take(step.items, step.bytes)
            while (
              model.length > 0 &&
              modelTaken.length < step.items &&
              modelTaken[0]?.suspectAt === undefined &&
              (modelTaken.length === 0 || model[0]!.suspectAt === undefined) &&
              (modelTaken.length === 0 || size(modelTaken) + model[0]!.json.length <= step.bytes)
            )
              modelTaken.push(model.shift()!)
            expect(names(taken)).toEqual(names(modelTaken))
          } else if (step.do === 'settle') {
            queue.settle(taken)
            settled += taken.length
            taken = []
            modelTaken = []
          } else if (step.do === 'putLast' && taken.length === 1) {
            const [one] = taken as [Item]
            one.suspectAt = 0
            queue.putLast(one)
            taken = []
            model = [...model, one]
            modelTaken = []
            trim(0)
          } else if (step.do === 'giveBack') {
            queue.giveBack(taken)
            taken = []
            model = [...modelTaken, ...model]
            modelTaken = []
            trim(0)
          } else if (step.do === 'limit') {
            limit = step.bytes
            queue.setLimit(limit)
            trim(0)
          }
          expect(queue.bytes).toBe(size(model) + size(modelTaken))
          // A limit that was lowered binds at once, but for what is in flight.
          expect(queue.bytes).toBeLessThanOrEqual(Math.max(limit, size(modelTaken)))
          expect(queue.oldest).toBe(model[0])
        }
        expect(dropped).toEqual(modelDropped)
        expect(pushed).toBe(settled + dropped.length + queue.waiting + taken.length)
        const rest: Item[] = []
        while (queue.waiting > 0) rest.push(...queue.take(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY))
        expect(names(rest)).toEqual(names(model))
      }),
      { numRuns: 60 },
    )
  })

  it('drops from the front of a long queue in constant time', () => {
    const queue = makeQueue(100_000, () => {})
    const one = item(1)
    let moved = 0
    const spies = (['shift', 'unshift', 'splice', 'slice'] as const).map((name) => {
      const own = Array.prototype[name] as (...args: unknown[]) => unknown
      return vi.spyOn(Array.prototype, name).mockImplementation(function (this: unknown[], ...args: unknown[]) {
        moved += this.length
        return own.apply(this, args) as never
      })
    })
    try {
      for (let n = 0; n < 400_000; n++) queue.push(one)
    } finally {
      for (const spy of spies) spy.mockRestore()
    }
    expect(queue.waiting).toBe(100_000)
    // Shifting an array of 100,000 would move 30,000,000,000.
    expect(moved).toBeLessThan(2_000_000)
  })
})
