import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type LlmCall, TOKEN_TYPES } from '../call.ts'
import { makeExposition } from '../metrics/exposition.ts'
import { newReceiveCounters } from '../receive.ts'
import { LEDGER_READER, type Spool } from '../spool/spool.ts'
import { openSqliteSpool } from '../spool/sqlite.ts'
import { makeCall } from '../testing/make-call.ts'
import { LEDGER_SERIES, type Ledger, type LedgerOptions, type LedgerSeries, openLedger } from './ledger.ts'

let folder: string
let clock: number
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ledger-'))
  clock = 1_800_000_000_000
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const open = (options: Partial<LedgerOptions> = {}) =>
  openLedger({
    file: join(folder, 'ledger.db'),
    labelLimits: { tenants: 100, models: 100 },
    gapGraceMs: 1000,
    now: () => clock,
    ...options,
  })
const openSpool = () => openSqliteSpool({ file: join(folder, 'spool.db'), readers: [LEDGER_READER] })

/** Follows until the ledger stands where the spool ends. */
async function followToEnd(ledger: Ledger, spool: Spool): Promise<void> {
  const stop = new AbortController()
  const running = ledger.follow(spool, stop.signal)
  const { lastPosition } = await spool.stats()
  await expect.poll(() => ledger.position, { interval: 5, timeout: 10_000 }).toBe(lastPosition)
  stop.abort()
  await running
}
/** Through a spool of its own, appended to what was there. */
async function feed(ledger: Ledger, calls: readonly LlmCall[]): Promise<void> {
  const spool = await openSpool()
  await spool.append(calls)
  await followToEnd(ledger, spool)
  await spool.close()
}
const totals = (ledger: Ledger) =>
  Object.fromEntries(
    (Object.keys(LEDGER_SERIES) as LedgerSeries[]).map((name) => [
      name,
      Object.fromEntries<bigint>(
        [...ledger.series(name)].map(({ labels, value }): [string, bigint] => [labels.join('|'), value]).sort(),
      ),
    ]),
  )

describe('ledger', () => {
  it('counts calls, tokens by kind, cost and savings, exactly', async () => {
    const ledger = await open()
    await feed(ledger, [
      makeCall({}, 1),
      makeCall({}, 2),
      makeCall(
        { status: 'rate_limited', usage: {}, cost: { state: 'free', picoUsd: 0, reason: 'error', book: 'b' } },
        3,
      ),
      makeCall(
        {
          cache: 'hit',
          usage: {},
          usageSource: 'none',
          savedPicoUsd: 5,
          cost: { state: 'free', picoUsd: 0, reason: 'cache_hit', book: 'b' },
        },
        4,
      ),
      makeCall({ usage: {}, usageSource: 'unknown', cost: { state: 'unpriced', reason: 'no_usage', book: 'b' } }, 5),
      makeCall({ guardrails: [{ guardrail: 'openai.content_filter', stage: 'output', action: 'blocked' }] }, 6),
    ])
    const seen = totals(ledger)
    const series = 'blue|openai|gpt-4o-2024-08-06'
    expect(seen.calls).toEqual({ [`${series}|ok`]: 5n, [`${series}|rate_limited`]: 1n })
    expect(seen.tokens).toEqual({
      [`${series}|input`]: 45n,
      [`${series}|cache_read`]: 30n,
      [`${series}|output`]: 21n,
      [`${series}|output_reasoning`]: 6n,
    })
    expect(seen.cost).toEqual({ [series]: 3n * 140_000_000n })
    expect(seen.saved).toEqual({ [series]: 5n })
    expect(seen.cache_requests).toEqual({ blue: 1n })
    expect(seen.cache_hits).toEqual({ blue: 1n })
    expect(seen.unpriced).toEqual({ [`${series}|no_usage`]: 1n })
    expect(seen.guardrail).toEqual({ 'blue|openai.content_filter|output|blocked': 1n })
    const [latency] = [...ledger.histogram('latency')]
    expect(latency).toMatchObject({ labels: ['blue', 'openai', 'gpt-4o-2024-08-06'], sumMs: 7500n })
    expect(latency!.counts.reduce((a, b) => a + b, 0n)).toBe(6n)
    await ledger.close()
  })

  it('an hour of millions of dollars in one cell stays exact', async () => {
    const picoUsd = Number.MAX_SAFE_INTEGER
    const ledger = await open()
    const spool = await openSpool()
    const cost = { state: 'priced', picoUsd, byUnit: {}, priceId: 'p', book: 'b' } as const
    for (let n = 0; n < 2000; n += 500)
      await spool.append(
        Array.from({ length: 500 }, (_, index) => makeCall({ cost, startedAt: 1_795_419_012_000 }, n + index)),
      )
    await followToEnd(ledger, spool)
    const exact = 2000n * BigInt(picoUsd)
    expect(exact).toBeGreaterThan(2n ** 63n)
    expect([...ledger.series('cost')][0]?.value).toBe(exact)
    await ledger.close()
    const again = await open()
    expect([...again.series('cost')][0]?.value).toBe(exact)
    await again.close()
    await spool.close()
  })

  it('goes on after a restart exactly where it stood, whatever the batches', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 5 }), async (sizes) => {
        rmSync(join(folder, 'ledger.db'), { force: true })
        for (const suffix of ['', '-wal', '-shm', '.lock'])
          for (const name of ['ledger.db', 'spool.db']) rmSync(join(folder, name + suffix), { force: true })
        let n = 0
        for (const size of sizes) {
          const ledger = await open()
          await feed(
            ledger,
            Array.from({ length: size }, () => makeCall({ tenant: n % 2 ? 'blue' : 'red' }, ++n)),
          )
          await ledger.close()
        }
        const stepwise = await open()
        const spread = totals(stepwise)
        await stepwise.close()
        expect(Object.values(spread.calls!).reduce((a, b) => a + b, 0n)).toBe(BigInt(n))
        expect(Object.values(spread.cost!).reduce((a, b) => a + b, 0n)).toBe(BigInt(n) * 140_000_000n)
      }),
      { numRuns: 8 },
    )
  })

  it('a commit that the spool forgot counts nothing twice', async () => {
    const ledger = await open()
    const spool = await openSpool()
    await spool.append([makeCall({}, 1), makeCall({}, 2)])
    const forgetful: Spool = { ...spool, commit: async () => {} }
    await followToEnd(ledger, forgetful)
    await followToEnd(ledger, spool)
    await spool.append([makeCall({}, 3)])
    await followToEnd(ledger, spool)
    expect(Object.values(totals(ledger).calls!)).toEqual([3n])
    await ledger.close()
    await spool.close()
  })

  it('kill -9 while it follows: each stored call counts once, and /metrics says the same as before', async () => {
    const spoolFile = join(folder, 'spool.db')
    const spool = await openSpool()
    const CALLS = 4000
    for (let n = 0; n < CALLS; n += 500)
      await spool.append(Array.from({ length: 500 }, (_, index) => makeCall({}, n + index)))
    await spool.close()
    for (let life = 0; life < 3; life++) {
      const child = spawn(
        process.execPath,
        [join(import.meta.dirname, '../testing/follow-ledger.ts'), spoolFile, join(folder, 'ledger.db')],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      )
      await new Promise<void>((resolve) => {
        child.stdout.on('data', () => child.kill('SIGKILL'))
        child.on('exit', () => resolve())
      })
    }
    const reopened = await openSpool()
    const ledger = await open()
    await followToEnd(ledger, reopened)
    expect(Object.values(totals(ledger).calls!)).toEqual([BigInt(CALLS)])
    const metricsOf = async (of: Ledger) => {
      const exposition = makeExposition({
        ledger: of,
        spool: reopened,
        receive: newReceiveCounters(),
        deliver: new Map(),
        bookVersion: 'b',
      })
      const text = await exposition.render()
      exposition.close()
      return text.split('\n').filter((line) => /^(llm|kong)_/.test(line))
    }
    const before = await metricsOf(ledger)
    await ledger.close()
    const again = await open()
    expect(await metricsOf(again)).toEqual(before)
    expect(before.find((line) => line.startsWith('llm_cost_usd_total'))).toMatch(/ 0\.56$/)
    await again.close()
    await reopened.close()
  })

  it('folds tenants and models beyond the limit, remembers whom it admitted, and counts what folded', async () => {
    const limits = { labelLimits: { tenants: 2, models: 1 } }
    const ledger = await open(limits)
    await feed(
      ledger,
      ['a', 'b', 'c', 'a'].map((tenant, n) => makeCall({ tenant, model: `m-${n % 2}` }, n + 1)),
    )
    await ledger.close()
    const again = await open(limits)
    await feed(
      again,
      ['c', 'b'].map((tenant, n) => makeCall({ tenant, model: 'x'.repeat(500) }, n + 10)),
    )
    const seen = totals(again)
    expect(seen.calls).toEqual({
      'a|openai|m-0|ok': 1n,
      'a|openai|__other__|ok': 1n,
      'b|openai|__other__|ok': 2n,
      '__other__|openai|m-0|ok': 1n,
      '__other__|openai|__other__|ok': 1n,
    })
    expect(seen.folded).toEqual({ tenant: 2n, model: 4n })
    await again.close()
  })

  it('every token kind has its column', async () => {
    const ledger = await open()
    const usage = Object.fromEntries(TOKEN_TYPES.map((type, index) => [type, index + 1]))
    await feed(ledger, [makeCall({ usage }, 1)])
    await ledger.close()
    const again = await open()
    expect([...again.series('tokens')].map(({ labels, value }) => [labels[3], Number(value)]).sort()).toEqual(
      Object.entries(usage).sort(),
    )
    await again.close()
  })

  it('an older store is migrated from nothing, a newer one refused', async () => {
    const file = join(folder, 'ledger.db')
    await (await open()).close()
    const database = new DatabaseSync(file)
    database.exec('PRAGMA user_version = 7')
    database.close()
    await expect(open()).rejects.toThrow(/schema version 7.*up to 2/)
  })

  it('an empty spool in place of the old one is read from its start', async () => {
    const ledger = await open()
    await feed(ledger, [makeCall({}, 1), makeCall({}, 2)])
    for (const suffix of ['', '-wal', '-shm']) rmSync(join(folder, `spool.db${suffix}`), { force: true })
    await feed(ledger, [makeCall({}, 3)])
    expect(Object.values(totals(ledger).calls!)).toEqual([3n])
    await ledger.close()
  })
})

describe('what was lost before it came here', () => {
  const numbered = (sequence: number, epoch = 'e') =>
    makeCall({ gateway: { node: 'n', source: 'tap', epoch, sequence } }, sequence * 100 + epoch.length)

  it('a gap counts only after the grace time, and once', async () => {
    const ledger = await open()
    await feed(ledger, [numbered(1), numbered(5)])
    await ledger.confirmGaps()
    expect(totals(ledger).capture_gaps).toEqual({ n: 0n })
    await feed(ledger, [numbered(3)])
    clock += 1001
    await ledger.confirmGaps()
    await ledger.confirmGaps()
    expect(totals(ledger).capture_gaps).toEqual({ n: 2n })
    await ledger.close()
    const again = await open()
    expect(totals(again).capture_gaps).toEqual({ n: 2n })
    await again.close()
  })

  it('one that comes too late is counted late, and the loss does not fall', async () => {
    const ledger = await open()
    await feed(ledger, [numbered(2)])
    clock += 1001
    await ledger.confirmGaps()
    await feed(ledger, [numbered(1)])
    expect(totals(ledger)).toMatchObject({ capture_gaps: { n: 1n }, capture_late: { n: 1n } })
    await ledger.close()
  })

  it('what the plugin dropped is not lost as well, and totals told twice count once', async () => {
    const ledger = await open()
    await feed(ledger, [numbered(1), numbered(4)])
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
    clock += 1001
    await ledger.confirmGaps()
    expect(totals(ledger)).toMatchObject({ capture_gaps: { n: 0n }, plugin_dropped: { queue_full: 4n } })
    await ledger.close()
  })

  it('errors of the tap are running totals of an epoch', async () => {
    const ledger = await open()
    await ledger.recordTapErrors([{ node: 'n', epoch: 'a', total: 2 }])
    await ledger.recordTapErrors([{ node: 'n', epoch: 'a', total: 2 }])
    await ledger.recordTapErrors([{ node: 'n', epoch: 'b', total: 1 }])
    expect(totals(ledger).tap_errors).toEqual({ n: 3n })
    await ledger.close()
    const again = await open()
    expect(totals(again).tap_errors).toEqual({ n: 3n })
    await again.close()
  })

  it('any order of arrival leaves exactly what never came', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 20 }),
        async (arrivals) => {
          for (const suffix of ['', '-wal', '-shm', '.lock'])
            for (const name of ['ledger.db', 'spool.db']) rmSync(join(folder, name + suffix), { force: true })
          const ledger = await open()
          await feed(
            ledger,
            arrivals.map((sequence) => numbered(sequence)),
          )
          clock += 1001
          await ledger.confirmGaps()
          const lost = BigInt(Math.max(...arrivals) - arrivals.length)
          expect(totals(ledger).capture_gaps).toEqual({ n: lost })
          await ledger.close()
        },
      ),
      { numRuns: 15 },
    )
  })
})
