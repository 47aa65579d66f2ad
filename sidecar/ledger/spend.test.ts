import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { budgetsConfigSchema, makeBudgets } from '../budgets/budgets.ts'
import { PERIODS, periodAt } from '../budgets/calendar.ts'
import type { LlmCall } from '../call.ts'
import { openForReading } from '../store/open-for-reading.ts'
import { STORE_MIGRATIONS } from '../store/schema.ts'
import type { Store } from '../store/store.ts'
import { makeCall } from '../testing/make-call.ts'
import { storeInFolder } from '../testing/store-in-folder.ts'
import { tableBook } from '../testing/table-book.ts'
import { reprice } from './reprice.ts'

const test = storeInFolder()
const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
const USD = 1_000_000_000_000n

const budgets = makeBudgets(
  budgetsConfigSchema.parse({
    default: { month: 3 },
    tenants: {
      berlin: { day: 1, timeZone: 'Europe/Berlin' },
      cairo: { timeZone: 'Africa/Cairo', month: null },
      kathmandu: { timeZone: 'Asia/Kathmandu' },
      howe: { timeZone: 'Australia/Lord_Howe' },
    },
  }),
)
const TENANTS = ['berlin', 'cairo', 'kathmandu', 'howe', 'nobody said'] as const

const spent = (picoUsd: number, startedAt: number, tenant: string, n: number): LlmCall =>
  makeCall({ tenant, startedAt, cost: { state: 'priced', picoUsd, byUnit: {}, priceId: 'p', book: 'b' } }, n)
const unpriced = (startedAt: number, tenant: string, n: number): LlmCall =>
  makeCall({ tenant, startedAt, cost: { state: 'unpriced', reason: 'no_price', book: 'b' } }, n)

async function read(ledger: Store) {
  return Object.fromEntries(
    (await ledger.readSpend()).map(({ tenant, period, spent: sum, unpriced: without, limit }) => [
      `${tenant} ${period}`,
      [sum, without, limit],
    ]),
  )
}

describe('spend', () => {
  it('knows no budget, unknown spend and a full budget apart', async () => {
    const ledger = await test.open({ budgets })
    const at = test.clock - 1
    await test.feed(ledger, [spent(2e12, at, 'berlin', 1), unpriced(at, 'cairo', 2), spent(5, at, 'green', 3)])
    const seen = await read(ledger)
    expect(seen['berlin day']).toEqual([2n * USD, 0n, USD])
    expect(seen['cairo month']).toEqual([0n, 1n, undefined])
    expect(seen['green month']).toEqual([5n, 0n, 3n * USD])
    expect(seen['kathmandu month']).toEqual([0n, 0n, 3n * USD])
    await ledger.close()
  })

  it('is the sum of the calls that started in the tenant’s own period, over midnights, restarts and changes of clocks', async () => {
    const step = fc.oneof(
      fc.record({
        do: fc.constant('calls' as const),
        calls: fc.array(
          fc.record({
            tenant: fc.constantFrom(...TENANTS),
            ago: fc.oneof(fc.integer({ min: 0, max: 90 }), fc.integer({ min: 0, max: 30 * 24 * 60 })),
            picoUsd: fc.option(fc.maxSafeNat(), { nil: undefined, freq: 6 }),
          }),
          { minLength: 1, maxLength: 12 },
        ),
      }),
      fc.record({ do: fc.constant('wait' as const), minutes: fc.oneof(fc.nat(240), fc.nat(20 * 24 * 60)) }),
      fc.record({ do: fc.constant('restart' as const) }),
      fc.record({ do: fc.constant('look' as const) }),
    )
    // Just before clocks are changed in Europe, Egypt and Australia, before a leap day, and at the end of a year.
    const starts = [
      '2026-03-28T21:50:00Z',
      '2026-10-24T20:50:00Z',
      '2028-02-28T22:00:00Z',
      '2026-12-31T13:00:00Z',
      '2026-04-23T21:30:00Z',
    ]
    let n = 0
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...starts),
        fc.array(step, { minLength: 3, maxLength: 14 }),
        fc.uuid(),
        async (start, steps, name) => {
          const file = join(test.folder, `${name}.db`)
          test.clock = Date.parse(start)
          const open = () => test.open({ file, budgets })
          const model: { tenant: string; startedAt: number; picoUsd: number | undefined }[] = []
          let ledger = await open()
          for (const each of [...steps, { do: 'look' as const }]) {
            if (each.do === 'wait') test.clock += each.minutes * MINUTE_MS
            if (each.do === 'restart') {
              await ledger.close()
              ledger = await open()
            }
            if (each.do === 'calls') {
              const calls = each.calls.map(({ tenant, ago, picoUsd }) => ({
                tenant,
                picoUsd,
                startedAt: test.clock - ago * MINUTE_MS,
              }))
              model.push(...calls)
              await ledger.append({
                calls: calls.map(({ tenant, picoUsd, startedAt }) =>
                  picoUsd === undefined ? unpriced(startedAt, tenant, ++n) : spent(picoUsd, startedAt, tenant, ++n),
                ),
              })
            }
            if (each.do === 'look') expect(await read(ledger)).toEqual(expected(model))
          }
          await ledger.close()
        },
      ),
      { numRuns: 20 },
    )
  })

  function expected(model: readonly { tenant: string; startedAt: number; picoUsd: number | undefined }[]) {
    const tenants = new Set([...budgets.tenants, ...model.map(({ tenant }) => tenant)])
    return Object.fromEntries(
      [...tenants].flatMap((tenant) =>
        PERIODS.map((period) => {
          const { start, end } = periodAt(test.clock, period, budgets.calendarOf(tenant))
          const own = model.filter((call) => call.tenant === tenant && call.startedAt >= start && call.startedAt < end)
          const sum = own.reduce((total, { picoUsd = 0 }) => total + BigInt(picoUsd), 0n)
          const without = BigInt(own.filter(({ picoUsd }) => picoUsd === undefined).length)
          return [`${tenant} ${period}`, [sum, without, budgets.ceilingOf(tenant, period)]]
        }),
      ),
    )
  }

  it('a repricing moves it, up, down, and where there was no price', async () => {
    const ledger = await test.open({ budgets })
    const model = 'gpt-4o-2024-08-06'
    const at = test.clock - MINUTE_MS
    await test.feed(ledger, [spent(1000, at, 'berlin', 1), unpriced(at, 'berlin', 2)])
    expect((await read(ledger))['berlin day']).toEqual([1000n, 1n, USD])
    const day = new Date(at).toISOString().slice(0, 10)
    const database = openForReading(test.file)
    const again = (rate: number) =>
      reprice(database, {
        from: day,
        to: day,
        book: tableBook(`at ${rate}`, { [model]: rate }),
        write: ledger.adjust,
      })
    for (const rate of [100, 1]) {
      await again(rate)
      expect((await read(ledger))['berlin day']).toEqual([2n * 34n * BigInt(rate), 0n, USD])
    }
    database.close()
    await ledger.close()
  })

  it('a tenant with a budget keeps its own label, however many others came first', async () => {
    const limits = { tenants: 2, models: 10, series: 100_000 }
    const first = await test.open({ labelLimits: limits })
    await test.feed(
      first,
      ['a', 'b', 'late'].map((tenant, n) => spent(7, test.clock, tenant, n)),
    )
    await first.close()
    const ledger = await test.open({
      labelLimits: limits,
      budgets: makeBudgets(budgetsConfigSchema.parse({ tenants: { late: { day: 1 } } })),
    })
    await test.feed(ledger, [spent(9, test.clock, 'late', 10), spent(1, test.clock, 'later', 11)])
    const seen = await read(ledger)
    expect([seen['late day'], seen['__other__ day'], seen['later day']]).toEqual([
      [9n, 0n, USD],
      [8n, 0n, undefined],
      undefined,
    ])
    await ledger.close()
  })

  it('a ledger from before has its spend by the hour', async () => {
    const file = test.file
    const old = new DatabaseSync(file)
    for (const migration of STORE_MIGRATIONS.slice(0, 3)) old.exec(migration)
    old.exec('PRAGMA user_version = 3')
    const hour = Math.floor(Date.now() / 3_600_000)
    old.exec(
      `INSERT INTO cells (hour, tenant, provider, model, status, part, calls, cost_usd, cost_pico, saved_usd, saved_pico, ${TOKENS.join(', ')})
       VALUES (${hour}, 'blue', 'p', 'm', 'ok', 0, 1, 1, 999999999999, 0, 0, ${TOKENS.map(() => 0).join(', ')}),
              (${hour}, 'blue', 'p', 'm', 'timeout', 0, 1, 0, 2, 0, 0, ${TOKENS.map(() => 0).join(', ')})`,
    )
    old.exec(`INSERT INTO totals (tenant, provider, model, status, part, calls, cost_usd, cost_pico, saved_usd, saved_pico, ${TOKENS.join(', ')})
       VALUES ('blue', 'p', 'm', 'ok', 0, 1, 1, 999999999999, 0, 0, ${TOKENS.map(() => 0).join(', ')})`)
    old.exec(`INSERT INTO adjustment_cells VALUES (${hour}, 'blue', 'p', 'm', 1, 0, 5, 0, 3)`)
    old.close()
    test.clock = (hour + 1) * 3_600_000 - 1
    const ledger = await test.open()
    expect((await read(ledger))['blue day']?.[0]).toBe(2n * USD + 1n + 2n)
    await ledger.close()
  })

  it('is exact where sums are read while calls are stored: a period begins under load', async () => {
    const ledger = await test.open()
    let n = 0
    const dollar = () => spent(Number(USD), test.clock, 'nobody said', ++n)
    for (let day = 0; day < 40; day++) {
      test.clock += DAY_MS
      const appends: Promise<unknown>[] = []
      const reads: Promise<unknown>[] = []
      for (let round = 0; round < 8; round++) {
        appends.push(ledger.append({ calls: [dollar()] }))
        if (round % 2 === 1) reads.push(ledger.readSpend())
        await new Promise((resolve) => setImmediate(resolve))
      }
      await Promise.all([...appends, ...reads])
      const [today] = (await ledger.readSpend()).filter(({ period }) => period === 'day')
      expect([day, today!.spent / USD]).toEqual([day, 8n])
    }
    await ledger.close()
  })

  it('what is older than two months is forgotten', async () => {
    const ledger = await test.open()
    await test.feed(ledger, [
      spent(1, test.clock - 63 * DAY_MS, 'blue', 1),
      spent(1, test.clock - 61 * DAY_MS, 'blue', 2),
      spent(1, test.clock, 'blue', 3),
    ])
    test.clock += 10_000
    await ledger.confirmGaps()
    await ledger.close()
    const database = new DatabaseSync(test.file, { readOnly: true })
    expect(database.prepare('SELECT count(*) AS rows FROM spend').get()).toEqual({ rows: 2 })
    database.close()
  })
})

const TOKENS = [
  'input',
  'input_audio',
  'input_image',
  'cache_read',
  'cache_read_audio',
  'cache_write',
  'cache_write_5m',
  'cache_write_1h',
  'output',
  'output_reasoning',
  'output_audio',
  'output_image',
].map((type) => `tokens_${type}`)
