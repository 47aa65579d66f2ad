import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { readStore } from '../store/open-for-reading.ts'
import { makeCall } from '../testing/make-call.ts'
import { storeInFolder } from '../testing/store-in-folder.ts'
import { boundsOf } from './period.ts'
import { readUsage } from './read-usage.ts'

const test = storeInFolder()
const file = () => test.file
const at = (text: string) => Date.parse(text)
const cost = (picoUsd: number) => ({ state: 'priced', picoUsd, byUnit: {}, priceId: 'p', book: 'b' }) as const

describe('usage by day', () => {
  it('adds hours, statuses and parts of a day, in UTC, first and last instant included, beside an open ledger', async () => {
    const ledger = await test.open()
    await test.feed(ledger, [
      makeCall({ startedAt: at('2026-10-31T23:59:59.999Z'), cost: cost(1) }, 1),
      makeCall({ startedAt: at('2026-11-01T00:00:00.000Z'), cost: cost(10) }, 2),
      makeCall({ startedAt: at('2026-11-01T23:59:59.999Z'), cost: cost(100), status: 'timeout' }, 3),
      makeCall({ startedAt: at('2026-11-02T12:00:00.000Z'), cost: cost(1000), tenant: 'a' }, 4),
      makeCall({ startedAt: at('2026-11-03T00:00:00.000Z'), cost: cost(10_000) }, 5),
    ])
    const series = { tenant: 'blue', provider: 'openai', model: 'gpt-4o-2024-08-06', adjustmentsPicoUsd: 0n }
    const tokens = { input: 15n, cache_read: 10n, output: 7n, output_reasoning: 2n }
    const twice = { input: 30n, cache_read: 20n, output: 14n, output_reasoning: 4n }
    expect(readStore(file(), (database) => readUsage(database, { from: '2026-11-01', to: '2026-11-02' }))).toEqual([
      { day: '2026-11-01', ...series, calls: 2n, tokens: twice, costPicoUsd: 110n },
      { day: '2026-11-02', ...series, tenant: 'a', calls: 1n, tokens, costPicoUsd: 1000n },
    ])
    expect(
      readStore(file(), (database) => readUsage(database, { from: '2026-10-01', to: '2026-11-30' })).map(
        ({ costPicoUsd }) => costPicoUsd,
      ),
    ).toEqual([1n, 110n, 1000n, 10_000n])
    await ledger.close()
  })

  it('says what is wrong with a period or a file', async () => {
    expect(() => boundsOf({ from: '2026-02-31', to: '2026-03-01' })).toThrow('2026-02-31 is no day')
    expect(() => boundsOf({ from: '2026-11-1', to: '2026-11-30' })).toThrow('2026-11-1 is no day')
    expect(() => boundsOf({ from: '2026-11-02', to: '2026-11-01' })).toThrow('2026-11-02 is after 2026-11-01')
    const period = { from: '2026-11-01', to: '2026-11-30' }
    expect(() => readStore(file(), (database) => readUsage(database, period))).toThrow(
      /observer\.db: there is no store/,
    )
    new DatabaseSync(file()).close()
    expect(() => readStore(file(), (database) => readUsage(database, period))).toThrow(
      /older program .*schema version 0/,
    )
    await (await test.open()).close()
    const newer = new DatabaseSync(file())
    newer.exec('PRAGMA user_version = 99')
    newer.close()
    expect(() => readStore(file(), (database) => readUsage(database, period))).toThrow(
      /newer program .*schema version 99/,
    )
  })
})
