import { rmSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ledgerInFolder, totals } from '../testing/ledger-in-folder.ts'
import { makeCall } from '../testing/make-call.ts'

const test = ledgerInFolder()

describe('what was lost before it came here', () => {
  const numbered = (sequence: number, epoch = 'e') =>
    makeCall({ gateway: { node: 'n', source: 'tap', epoch, sequence } }, sequence * 100 + epoch.length)

  it('a gap counts only after the grace time, and once', async () => {
    const ledger = await test.open()
    await test.feed(ledger, [numbered(1), numbered(5)])
    await ledger.confirmGaps()
    expect(totals(ledger).capture_gaps).toEqual({ n: 0n })
    await test.feed(ledger, [numbered(3)])
    test.clock += 1001
    await ledger.confirmGaps()
    await ledger.confirmGaps()
    expect(totals(ledger).capture_gaps).toEqual({ n: 2n })
    await ledger.close()
    const again = await test.open()
    expect(totals(again).capture_gaps).toEqual({ n: 2n })
    await again.close()
  })

  it('one that comes too late is counted late, and the loss does not fall', async () => {
    const ledger = await test.open()
    await test.feed(ledger, [numbered(2)])
    test.clock += 1001
    await ledger.confirmGaps()
    await test.feed(ledger, [numbered(1)])
    expect(totals(ledger)).toMatchObject({ capture_gaps: { n: 1n }, capture_late: { n: 1n } })
    await ledger.close()
  })

  it('a lost tail is known from the total that the tap tells; what comes within the grace time is no loss', async () => {
    const ledger = await test.open()
    await test.feed(ledger, [numbered(1), numbered(2)])
    const told = { node: 'n', epoch: 'e', sequence: 5 }
    await ledger.recordTapTotal(told)
    await ledger.recordTapTotal(told)
    await ledger.recordTapTotal({ ...told, sequence: 3 })
    await test.feed(ledger, [numbered(4)])
    test.clock += 1001
    await ledger.confirmGaps()
    expect(totals(ledger)).toMatchObject({ capture_gaps: { n: 2n }, capture_late: {} })
    await test.feed(ledger, [numbered(6), numbered(7)])
    test.clock += 1001
    await ledger.confirmGaps()
    expect(totals(ledger).capture_gaps).toEqual({ n: 2n })
    await ledger.close()
  })

  it('an epoch of which nothing ever came is lost as a whole, but for what the plugin says that it dropped', async () => {
    const ledger = await test.open()
    await ledger.recordPluginDrops({ instance: 'p', totals: [], sequences: [['gone', 2]] })
    await ledger.recordTapTotal({ node: 'm', epoch: 'gone', sequence: 4 })
    expect(totals(ledger).capture_gaps).toEqual({ m: 0n })
    test.clock += 1001
    await ledger.confirmGaps()
    expect(totals(ledger).capture_gaps).toEqual({ m: 3n })
    await ledger.close()
  })

  it('what the plugin dropped is not lost as well, and totals told twice count once', async () => {
    const ledger = await test.open()
    await test.feed(ledger, [numbered(1), numbered(4)])
    const told = {
      instance: 'p',
      totals: [{ reason: 'queue_full', total: 2 }],
      sequences: [
        ['e', 2],
        ['e', 3],
      ] as [string, number][],
    }
    await ledger.recordPluginDrops(told)
    await ledger.recordPluginDrops(told)
    await ledger.recordPluginDrops({ ...told, totals: [{ reason: 'queue_full', total: 3 }], sequences: [] })
    await ledger.recordPluginDrops({ instance: 'q', totals: [{ reason: 'queue_full', total: 1 }], sequences: [] })
    test.clock += 1001
    await ledger.confirmGaps()
    expect(totals(ledger)).toMatchObject({ capture_gaps: { n: 0n }, plugin_dropped: { queue_full: 4n } })
    await ledger.close()
  })

  it('what the plugin dropped before anything of the epoch came is not lost as well', async () => {
    const ledger = await test.open()
    await ledger.recordPluginDrops({
      instance: 'p',
      totals: [{ reason: 'queue_full', total: 2 }],
      sequences: [
        ['e', 1],
        ['e', 2],
      ],
    })
    await test.feed(ledger, [numbered(4)])
    test.clock += 1001
    await ledger.confirmGaps()
    expect(totals(ledger)).toMatchObject({ capture_gaps: { n: 1n }, plugin_dropped: { queue_full: 2n } })
    await ledger.close()
  })

  it('a numbering that was silent for weeks goes on where it was', async () => {
    const ledger = await test.open()
    await test.feed(ledger, [numbered(1), numbered(2)])
    test.clock += 29 * 24 * 3600 * 1000
    await ledger.confirmGaps()
    await test.feed(ledger, [numbered(3)])
    test.clock += 1001
    await ledger.confirmGaps()
    expect(totals(ledger).capture_gaps).toEqual({ n: 0n })
    await ledger.close()
  })

  it('time in which the ledger was closed is not time in which a capture could come', async () => {
    const ledger = await test.open()
    await test.feed(ledger, [numbered(1), numbered(3)])
    await ledger.close()
    test.clock += 60_000
    const again = await test.open()
    await again.confirmGaps()
    expect(totals(again).capture_gaps).toEqual({ n: 0n })
    await test.feed(again, [numbered(2)])
    test.clock += 1001
    await again.confirmGaps()
    expect(totals(again)).toMatchObject({ capture_gaps: { n: 0n }, capture_late: {} })
    await again.close()
  })

  it('time in which captures were refused is not time in which one could come', async () => {
    const ledger = await test.open()
    await test.feed(ledger, [numbered(1)])
    // The plugin has two more that the spool has no room for; the tap's timer tells of them all the same.
    await ledger.recordTapTotal({ node: 'n', epoch: 'e', sequence: 3 })
    for (let minute = 0; minute < 10; minute++) {
      test.clock += 900
      ledger.capturesRefused()
      await ledger.confirmGaps()
    }
    expect(totals(ledger).capture_gaps).toEqual({ n: 0n })
    await test.feed(ledger, [numbered(2)])
    test.clock += 1001
    await ledger.confirmGaps()
    expect(totals(ledger)).toMatchObject({ capture_gaps: { n: 1n }, capture_late: {} })
    await ledger.close()
  })

  it('more ranges than it keeps are given up early, and none is lost from the count', async () => {
    const ledger = await test.open()
    const MANY = 1300
    await test.feed(
      ledger,
      Array.from({ length: MANY }, (_, index) => numbered(2 * index + 2)),
    )
    expect(totals(ledger).capture_gaps).toEqual({ n: BigInt(MANY - 1000) })
    test.clock += 1001
    await ledger.confirmGaps()
    expect(totals(ledger).capture_gaps).toEqual({ n: BigInt(MANY) })
    await ledger.close()
  })

  it('errors of the tap are running totals of an epoch', async () => {
    const ledger = await test.open()
    await ledger.recordTapErrors([{ node: 'n', epoch: 'a', total: 2 }])
    await ledger.recordTapErrors([{ node: 'n', epoch: 'a', total: 2 }])
    await ledger.recordTapErrors([{ node: 'n', epoch: 'b', total: 1 }])
    expect(totals(ledger).tap_errors).toEqual({ n: 3n })
    await ledger.close()
    const again = await test.open()
    expect(totals(again).tap_errors).toEqual({ n: 3n })
    await again.close()
  })

  it('any order of arrival leaves exactly what never came', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 20 }),
        async (arrivals) => {
          for (const suffix of ['', '-wal', '-shm', '.lock'])
            for (const name of ['ledger.db', 'spool.db']) rmSync(join(test.folder, name + suffix), { force: true })
          const ledger = await test.open()
          await test.feed(
            ledger,
            arrivals.map((sequence) => numbered(sequence)),
          )
          test.clock += 1001
          await ledger.confirmGaps()
          const lost = BigInt(Math.max(...arrivals) - arrivals.length)
          expect(totals(ledger).capture_gaps).toEqual({ n: lost })
          await ledger.close()
        },
      ),
      { numRuns: 15 },
    )
    // A ledger and a spool for each run, each with its fsyncs.
  })
})
