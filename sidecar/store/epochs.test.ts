import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { makeCall } from '../testing/make-call.ts'
import { fillWithEpochs } from '../testing/many-epochs.ts'
import { storeInFolder, totals } from '../testing/store-in-folder.ts'
import { checkStore } from './check.ts'
import { makeEpochs } from './epochs.ts'
import { migrateStore } from './migrations.ts'
import { defineFunctions } from './open-database.ts'
import type { Store } from './store.ts'

const test = storeInFolder()
const DAY_MS = 86_400_000
const epochOf = (number: number) => number.toString(16).padStart(32, '0')
const numbered = (sequence: number, epoch = 'e') =>
  makeCall({ gateway: { node: 'n', source: 'tap', epoch, sequence } }, sequence * 100 + epoch.length)
/** What the tap's timer tells: so many numbers were given out. */
const given = (store: Store, sequence: number, epoch = 'e', node = 'n') =>
  store.append({ calls: [], given: [{ node, epoch, sequence }] })
/** What the plugin tells that it will never send. */
const tombstone = (store: Store, sequence: number, { count = 1, epoch = 'e', reason = 'queue_full' } = {}) =>
  store.append({ calls: [], lost: [{ epoch, sequence, count, reason, node: 'n' }] })
async function graceEnds(store: Store): Promise<void> {
  test.clock += 1001
  await store.confirmGaps()
}
const lost = (store: Store) => totals(store).lost

describe('what was lost before it came here', () => {
  it('a gap counts only after the grace time, and once, also after a restart', async () => {
    const store = await test.open()
    await test.feed(store, [numbered(1), numbered(5)])
    await store.confirmGaps()
    expect(lost(store)).toEqual({ 'n|gap': 0n })
    // Out of order is no loss.
    await test.feed(store, [numbered(3)])
    await graceEnds(store)
    await store.confirmGaps()
    expect(lost(store)).toEqual({ 'n|gap': 2n })
    await store.close()
    const again = await test.open()
    await graceEnds(again)
    expect(lost(again)).toEqual({ 'n|gap': 2n })
    await again.close()
    expect(checkStore(test.file).flatMap(({ wrong }) => wrong)).toEqual([])
  })

  it('one that comes too late is stored and counted late, and the loss does not fall', async () => {
    const store = await test.open()
    await test.feed(store, [numbered(2)])
    await graceEnds(store)
    await test.feed(store, [numbered(1)], [numbered(1)])
    expect(totals(store)).toMatchObject({ lost: { 'n|gap': 1n }, late: { n: 1n } })
    expect(Object.values(totals(store).calls!)).toEqual([2n])
    await store.close()
  })

  it('a lost tail is known from the total that the tap tells; what comes within the grace time is no loss', async () => {
    const store = await test.open()
    await test.feed(store, [numbered(1), numbered(2)])
    for (const total of [5, 5, 3]) await given(store, total)
    await test.feed(store, [numbered(4)])
    await graceEnds(store)
    expect(totals(store)).toMatchObject({ lost: { 'n|gap': 2n }, late: {} })
    await test.feed(store, [numbered(6), numbered(7)])
    await graceEnds(store)
    expect(lost(store)).toEqual({ 'n|gap': 2n })
    await store.close()
  })

  it('an epoch of which nothing ever came is lost as a whole, but for what the plugin says that it dropped', async () => {
    const store = await test.open()
    await tombstone(store, 2, { epoch: 'gone' })
    await given(store, 4, 'gone', 'm')
    expect(lost(store)).toEqual({ 'm|gap': 0n, 'n|queue_full': 1n })
    await graceEnds(store)
    expect(lost(store)).toEqual({ 'm|gap': 3n, 'n|queue_full': 1n })
    await store.close()
  })

  it('a tombstone is never a gap as well, whether it comes before or after its neighbours, and told again counts once', async () => {
    const store = await test.open()
    await tombstone(store, 2, { count: 2 })
    await test.feed(store, [numbered(1), numbered(4), numbered(9)])
    await tombstone(store, 2, { count: 2 })
    await tombstone(store, 5, { count: 3, reason: 'too_large' })
    // Part of it is stored, part is told already.
    await tombstone(store, 6, { count: 4, reason: 'shutdown' })
    await graceEnds(store)
    expect(lost(store)).toEqual({ 'n|gap': 0n, 'n|queue_full': 2n, 'n|too_large': 3n, 'n|shutdown': 1n })
    await store.close()
  })

  it('what was counted as a gap gets no second reason; what was told lost and comes after all is a duplicate', async () => {
    const store = await test.open()
    await test.feed(store, [numbered(3)])
    await graceEnds(store)
    await tombstone(store, 1)
    await tombstone(store, 4)
    const { duplicate } = await store.append({ calls: [numbered(4)] })
    expect(duplicate).toBe(1)
    await graceEnds(store)
    expect(lost(store)).toEqual({ 'n|gap': 2n, 'n|queue_full': 1n })
    expect(Object.values(totals(store).calls!)).toEqual([1n])
    await store.close()
  })

  it('captures that are no calls are not missing', async () => {
    const store = await test.open()
    await store.append({
      calls: [numbered(3)],
      ignored: [1, 2].map((sequence) => ({ epoch: 'e', sequence, node: 'n' })),
    })
    await graceEnds(store)
    expect(lost(store)).toEqual({ 'n|gap': 0n })
    expect(store.settledNumbers()('e', 2)).toBe(true)
    await store.close()
  })

  it('a numbering that was silent for weeks goes on where it was', async () => {
    const store = await test.open()
    await test.feed(store, [numbered(1), numbered(2)])
    test.clock += 29 * DAY_MS
    await store.confirmGaps()
    await store.close()
    const again = await test.open()
    await test.feed(again, [numbered(3)])
    await graceEnds(again)
    expect(lost(again)).toEqual({ 'n|gap': 0n })
    await again.close()
  })

  it('time in which the store was closed, or captures were refused, is not time in which one could come', async () => {
    const store = await test.open()
    await test.feed(store, [numbered(1), numbered(3)])
    await store.close()
    test.clock += 60_000
    const again = await test.open()
    await again.confirmGaps()
    expect(lost(again)).toEqual({ 'n|gap': 0n })
    for (let minute = 0; minute < 10; minute++) {
      test.clock += 900
      again.capturesRefused()
      await again.confirmGaps()
    }
    expect(lost(again)).toEqual({ 'n|gap': 0n })
    await test.feed(again, [numbered(2)])
    await given(again, 4)
    await graceEnds(again)
    expect(totals(again)).toMatchObject({ lost: { 'n|gap': 1n }, late: {} })
    await again.close()
  })

  it('more holes than it keeps are closed early, none is lost from the count, and nobody guesses who comes for them', async () => {
    const store = await test.open({ callRetentionMs: 10 * DAY_MS })
    const MANY = 1300
    const startedAt = test.clock
    const missing = (sequence: number) => ({ ...numbered(sequence), startedAt })
    await test.feed(
      store,
      Array.from({ length: MANY }, (_, index) => missing(2 * index + 2)),
    )
    expect(lost(store)).toEqual({ 'n|gap': BigInt(MANY - 1000) })
    await graceEnds(store)
    expect(lost(store)).toEqual({ 'n|gap': BigInt(MANY) })
    // Its line tells whether it is stored: 2 is, 1 is not.
    expect(store.settledNumbers()('e', 2)).toBe(false)
    const again = await store.append({ calls: [missing(2), missing(1)] })
    expect(again).toMatchObject({ stored: 1, duplicate: 1, lateRefused: 0 })
    expect(totals(store)).toMatchObject({ late: { n: 1n }, lost: { 'n|gap': BigInt(MANY) } })
    // Lines of such calls are gone: nobody can tell any more.
    test.clock += 11 * DAY_MS
    // A clock alone makes nothing old: a call of that day does.
    await test.feed(store, [makeCall({ startedAt: test.clock }, 99_999)])
    await store.close()
    const later = await test.open({ callRetentionMs: 10 * DAY_MS })
    const refused = await later.append({ calls: [missing(3)] })
    expect(refused).toMatchObject({ stored: 0, duplicate: 0, lateRefused: 1 })
    expect(totals(later).late_refused).toEqual({ n: 1n })
    await later.close()
  })

  it('errors of the tap are running totals of an epoch', async () => {
    const store = await test.open()
    const told = (epoch: string, total: number) =>
      store.append({
        calls: [],
        totals: [
          {
            source: `tap n ${epoch}`,
            name: 'tap_error',
            total,
            counter: { name: 'tap_errors', labels: [] },
            node: 'n',
          },
        ],
      })
    await told('a', 2)
    await told('a', 2)
    await told('b', 1)
    expect(totals(store).tap_errors).toEqual({ n: 3n })
    await store.close()
    const again = await test.open()
    expect(totals(again).tap_errors).toEqual({ n: 3n })
    await again.close()
  })
})

describe('epochs in the store', () => {
  it('any order of arrival, any tombstones and any restarts leave exactly what never came', () => {
    const database = new DatabaseSync(':memory:')
    defineFunctions(database)
    migrateStore(database, 'memory')
    let run = 0
    const arrival = fc.record({
      sequence: fc.integer({ min: 1, max: 30 }),
      how: fc.constantFrom('capture', 'tombstone', 'total'),
      restart: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(arrival, { minLength: 1, maxLength: 25 }), (arrivals) => {
        const epoch = `run ${run++}`
        let epochs = makeEpochs(database)
        const come = new Set<number>()
        let highest = 0
        for (const [index, { sequence, how, restart }] of arrivals.entries()) {
          const second = 1000 + index
          highest = Math.max(highest, sequence)
          if (how === 'total') epochs.extend(epoch, sequence, 'n', second)
          else {
            expect(epochs.cover(epoch, sequence, sequence, 'n', second)).toEqual({
              fresh: come.has(sequence) ? 0 : 1,
              late: 0,
            })
            come.add(sequence)
          }
          epochs.flush()
          if (restart) epochs = makeEpochs(database)
        }
        const { lost } = epochs.confirm(2000)
        epochs.flush()
        const never = highest - come.size
        expect(lost).toEqual(never === 0 ? [] : [{ node: 'n', count: never }])
        for (let sequence = 1; sequence <= highest; sequence++)
          expect(epochs.isSettled(epoch, sequence)).toBe(come.has(sequence))
        expect(epochs.confirm(2000)).toEqual({ lost: [], more: false })
      }),
      { numRuns: 300 },
    )
    database.close()
  })

  it('a transaction that was given up leaves nothing in memory', () => {
    const database = new DatabaseSync(':memory:')
    defineFunctions(database)
    migrateStore(database, 'memory')
    const epochs = makeEpochs(database)
    database.exec('BEGIN')
    epochs.cover('e', 1, 3, 'n', 1000)
    epochs.flush()
    database.exec('ROLLBACK')
    epochs.reload()
    expect(epochs.isSettled('e', 2)).toBe(false)
    expect(epochs.cover('e', 1, 3, 'n', 1000)).toEqual({ fresh: 3, late: 0 })
    epochs.flush()
    expect(makeEpochs(database).nodeOf('e')).toBe('n')
    database.close()
  })

  it('twenty thousand epochs with holes are small, and are counted as lost a slice at a time', () => {
    const folder = mkdtempSync(join(tmpdir(), 'epochs-'))
    const { growth, bytes, slices, lost, settled } = fillWithEpochs(folder, 20_000)
    rmSync(folder, { recursive: true, force: true })
    // epochs.soak.test.ts: a million in 200 MB.
    expect(bytes).toBeLessThan(20_000 * 200)
    expect(growth.at(-1)!.pages - growth.at(-2)!.pages).toBeLessThan(1.25 * growth[0]!.pages)
    expect(slices).toBe(21)
    expect(lost).toBe(100_000)
    expect(settled).toEqual([false, true, false, true, false, true, false, true, false, true])
  })

  it('many that are due at once are counted in slices, each once', async () => {
    const store = await test.open()
    const epochs = 22_500
    for (let from = 0; from < epochs; from += 500)
      await store.append({
        calls: [],
        given: Array.from({ length: 500 }, (_, index) => ({ node: 'n', epoch: epochOf(from + index), sequence: 3 })),
      })
    test.clock += 10_000
    await store.confirmGaps()
    expect(totals(store).lost).toEqual({ 'n|gap': 60_000n })
    await store.confirmGaps()
    expect(totals(store).lost).toEqual({ 'n|gap': 67_500n })
    await store.confirmGaps()
    expect(totals(store).lost).toEqual({ 'n|gap': 67_500n })
    await store.close()
  })
})
