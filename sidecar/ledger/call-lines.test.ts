import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EXTRA_UNITS, TOKEN_TYPES, type Usage } from '../call.ts'
import { openForWriting } from '../store/open-database.ts'
import { readStore } from '../store/open-for-reading.ts'
import { makeCall } from '../testing/make-call.ts'
import { storeInFolder } from '../testing/store-in-folder.ts'
import { tableBook } from '../testing/table-book.ts'
import { repriceStore, rowsOf, writeStore } from '../testing/write-store.ts'
import { makeCallLineStore } from './call-line-store.ts'
import { readUsage } from './read-usage.ts'
import { listUnpriced } from './unpriced.ts'
import { usageOf, usageText } from './usage-text.ts'

const test = storeInFolder()
const file = () => test.file
const DAY = 86_400_000
const START = Date.parse('2026-09-01T00:00:00Z')

describe('a line for each call', () => {
  it('usage comes back as it was', () => {
    const usage = fc.dictionary(fc.constantFrom(...TOKEN_TYPES, ...EXTRA_UNITS), fc.maxSafeNat())
    fc.assert(
      fc.property(usage, (given) => {
        expect(usageOf(usageText(given))).toEqual({ ...given })
      }),
    )
    // What the cells leave out is left out here as well.
    expect(usageOf(usageText({ input: -1, output: 1.5, images: 3, nonsense: 4 } as Usage))).toEqual({ images: 3 })
    expect(() => usageOf('zz:1')).toThrow('that is no usage')
  })

  it('the same call twice has one line; amounts that cannot be do not stop the ledger', async () => {
    const odd = makeCall({ startedAt: Number.NaN, durationMs: -1, usage: { input: -4 }, reportedPicoUsd: 1.5 }, 2)
    await writeStore(file(), [[makeCall({}, 1), odd], [makeCall({}, 1)]])
    expect(rowsOf(file(), 'calls').calls).toMatchObject([
      { started_at: 0n, duration_ms: 0n, usage: '', reported: null },
      { usage: 'i:15 r:10 o:7 or:2', cost: 140_000_000n },
    ])
  })

  it('what calls have in common stands once a day', async () => {
    const calls = Array.from({ length: 40 }, (_, n) =>
      makeCall({ startedAt: START + n * (DAY / 20), requestModel: `m${n % 2}` }, n),
    )
    await writeStore(file(), [calls.slice(0, 15), calls.slice(15)])
    expect(rowsOf(file(), 'call_kinds').call_kinds).toHaveLength(4)
  })

  it('lines past their retention go, a slice at a time, with their adjustments and kinds; what was counted stays', async () => {
    const calls = Array.from({ length: 9000 }, (_, n) => makeCall({ startedAt: START + n * 60_000 }, n))
    const kept = { callRetentionMs: 10 * DAY }
    await writeStore(file(), [calls.slice(0, 4500), calls.slice(4500)], { now: START, ...kept })
    const book = tableBook('new', { 'gpt-4o': 1, 'gpt-4o-2024-08-06': 1 })
    await repriceStore(file(), { from: '2026-09-01', to: '2026-09-30', book })
    const period = { from: '2026-09-01', to: '2026-09-30' }
    const usage = readStore(file(), (database) => readUsage(database, period))
    const left = () => {
      const { calls: lines, adjustments, call_kinds } = rowsOf(file(), 'calls', 'adjustments', 'call_kinds')
      return [lines!.length, adjustments!.length, call_kinds!.length]
    }
    expect(left()).toEqual([9000, 9000, 7])

    // Two days old the first call is just past its ten days; each slice drops 2001 of each table at most.
    const now = START + 12 * DAY + 1
    const database = openForWriting(file())
    const store = makeCallLineStore(database, kept.callRetentionMs)
    store.trim(now)
    expect(left()).toEqual([9000 - 2001, 9000 - 2001, 7])
    store.trim(now)
    store.trim(now)
    expect(left()).toEqual([9000 - 2 * 1440, 9000 - 2 * 1440, 5])
    store.trim(now + 3_599_000)
    expect(left()).toEqual([9000 - 2 * 1440, 9000 - 2 * 1440, 5])
    database.close()
    expect(readStore(file(), (database) => readUsage(database, period))).toEqual(usage)

    const keptFrom = START + 2 * DAY
    expect(await repriceStore(file(), { ...period, book })).toMatchObject({
      keptFrom,
      seen: 9000 - 2880,
      adjusted: 0,
    })
    expect(await repriceStore(file(), { from: '2026-09-03', to: '2026-09-30', book })).toMatchObject({
      keptFrom: undefined,
      seen: 9000 - 2880,
    })
    expect(readStore(file(), (database) => listUnpriced(database))).toEqual({ keptFrom, models: [] })
  })
})
