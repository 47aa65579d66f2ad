import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { captureSchema, LOSS_REASONS, type Tombstone, tombstoneSchema } from './capture.ts'
import { type Batch, captureBatchSchema, readBatch } from './capture-batch.ts'
import { makeCapture } from './testing/make-capture.ts'

const plugin = { version: '1', instance: 'i' }
const read = (json: unknown) => {
  const batch = readBatch(json)
  if ('problem' in batch) throw new Error(batch.problem.message)
  return batch
}
const problemOf = (json: unknown) => {
  const batch = readBatch(json)
  return 'problem' in batch ? batch.problem.kind : 'none'
}
/** Every number that tombstones tell, as "epoch reason number". */
const told = (tombstones: Tombstone[]) =>
  tombstones.flatMap(({ tombstone, epoch, sequence, count }) =>
    Array.from({ length: count }, (_, step) => `${epoch} ${tombstone} ${sequence + step}`),
  )

describe('a batch of version 2', () => {
  it('gives its tombstones apart, and each capture under its index', () => {
    const [first, second] = [makeCapture({ n: 1 }), makeCapture({ n: 2 })]
    const bad = { v: 2, tombstone: 'invalid', epoch: 'e1', sequence: 0 }
    const captures = [
      { v: 2, tombstone: 'queue_full', epoch: 'e1', sequence: 5, count: 3, node: 'n' },
      first,
      bad,
      second,
    ]
    const batch = read({
      v: 2,
      plugin,
      captures,
      acknowledged: [['e1', [[1, 4]]]],
      errors: [{ kind: 'pdk_error', total: 2 }],
    })
    expect(batch).toEqual({
      plugin,
      acknowledged: [['e1', [[1, 4]]]],
      errors: [{ kind: 'pdk_error', total: 2 }],
      entries: [undefined, first, bad, second],
      tombstones: [{ v: 2, tombstone: 'queue_full', epoch: 'e1', sequence: 5, count: 3, node: 'n' }],
      legacyDrops: [],
    } satisfies Batch)
    expect(captureSchema.safeParse(bad).success).toBe(false)
  })

  it('a reason that a newer plugin knows is another one; numbers end at 2^53 - 1', () => {
    const tombstone = { v: 2, tombstone: 'a_new_reason', epoch: 'e', sequence: 1 }
    expect(tombstoneSchema.parse(tombstone)).toEqual({ ...tombstone, tombstone: 'other', count: 1 })
    const last = { v: 2, tombstone: 'invalid', epoch: 'e', sequence: Number.MAX_SAFE_INTEGER }
    expect(tombstoneSchema.safeParse({ ...last, count: 1 }).success).toBe(true)
    expect(tombstoneSchema.safeParse({ ...last, count: 2 }).success).toBe(false)
  })

  it.each([
    ['no captures', { v: 2, plugin }],
    ['a range that runs backwards', { v: 2, plugin, captures: [], acknowledged: [['e', [[3, 1]]]] }],
    ['an error kind that is no label', { v: 2, plugin, captures: [], errors: [{ kind: 'a b', total: 1 }] }],
    ['too many entries', { v: 2, plugin, captures: Array(20_001).fill(null) }],
    ['version 1 without drops', { v: 1, plugin, captures: [] }],
  ])('is refused whole: %s', (_what, json) => {
    expect(problemOf(json)).toBe('invalid_batch')
  })

  it.each([null, undefined, 7, 'x', [], {}, { v: 3 }, { v: '2' }, { v: null }])('of another version: %j', (json) => {
    expect(problemOf(json)).toBe('wrong_version')
  })

  it('whatever comes: it never throws, and no entry moves', () => {
    const entry = fc.oneof(
      fc.anything(),
      fc.record({
        v: fc.constant(2),
        tombstone: fc.constantFrom(...LOSS_REASONS),
        epoch: fc.string(),
        sequence: fc.nat(),
      }),
    )
    const json = fc.oneof(
      fc.anything(),
      fc.record({
        v: fc.constantFrom(1, 2, 3),
        plugin: fc.constant(plugin),
        captures: fc.array(entry),
        dropped: fc.constant([]),
      }),
    )
    fc.assert(
      fc.property(json, (one) => {
        const batch = readBatch(one)
        if ('problem' in batch) return
        const { captures } = one as { captures: unknown[] }
        expect(batch.entries).toHaveLength(captures.length)
        batch.entries.forEach((kept, index) => {
          if (kept !== undefined) expect(kept).toBe(captures[index])
        })
        const taken = batch.entries.filter((kept, index) => kept === undefined && captures[index] !== undefined)
        expect(taken).toHaveLength(batch.tombstones.length)
        for (const tombstone of batch.tombstones) expect(tombstoneSchema.parse(tombstone)).toEqual(tombstone)
      }),
    )
  })
})

describe('a batch of version 1', () => {
  it('tells each named number once as a tombstone, and the totals beside', () => {
    const named = fc.array(fc.tuple(fc.constantFrom('e1', 'e2'), fc.integer({ min: 1, max: 30 })), { maxLength: 60 })
    fc.assert(
      fc.property(named, named, (full, large) => {
        const captures = [makeCapture({ n: 1, capture: { v: 1 } })]
        const dropped = [
          { reason: 'queue_full', total: 100, sequences: full },
          { reason: 'too_large', total: 90, sequences: large },
          { reason: 'pdk_error', total: 3 },
        ]
        const batch = read({ v: 1, plugin, dropped, captures })
        const expected = [
          ...full.map(([epoch, sequence]) => `${epoch} queue_full ${sequence}`),
          ...large.map(([epoch, sequence]) => `${epoch} too_large ${sequence}`),
        ]
        expect(told(batch.tombstones).toSorted()).toEqual([...new Set(expected)].toSorted())
        expect(batch.legacyDrops).toEqual([
          { reason: 'queue_full', total: 100, named: full.length },
          { reason: 'too_large', total: 90, named: large.length },
          { reason: 'pdk_error', total: 3, named: 0 },
        ])
        expect(batch.entries).toEqual(captures)
        captureBatchSchema.parse({ v: 2, plugin, captures: batch.tombstones })
      }),
    )
  })
})
