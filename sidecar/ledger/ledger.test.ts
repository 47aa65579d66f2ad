import { execFileSync, spawn } from 'node:child_process'
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
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
import { openLedgerStore } from './ledger-store.ts'
import { LEDGER_MIGRATIONS } from './schema.ts'

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
/** The cells as another program reads them: plain SQL, all parts added. */
function cellsAsTotals(file: string): { cost: Record<string, bigint>; tokens: Record<string, bigint> } {
  const database = new DatabaseSync(file, { readOnly: true })
  const statement = database.prepare('SELECT * FROM cells')
  statement.setReadBigInts(true)
  const cost: Record<string, bigint> = {}
  const tokens: Record<string, bigint> = {}
  for (const row of statement.iterate() as Iterable<Record<string, bigint>>) {
    const series = `${row.tenant}|${row.provider}|${row.model}`
    cost[series] = (cost[series] ?? 0n) + row.cost_usd! * 1_000_000_000_000n + row.cost_pico!
    for (const type of TOKEN_TYPES) {
      const value = row[`tokens_${type}`]!
      if (value > 0n) tokens[`${series}|${type}`] = (tokens[`${series}|${type}`] ?? 0n) + value
    }
  }
  database.close()
  return { cost, tokens }
}
const latencies = (ledger: Ledger) =>
  Object.fromEntries([...ledger.histogram('latency')].map(({ labels, ...sample }) => [labels.join('|'), sample]))
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

  it('any split into batches, restarts and crashes gives the totals of one reading', async () => {
    const step = fc.record({
      calls: fc.integer({ min: 1, max: 12 }),
      batch: fc.integer({ min: 1, max: 7 }),
      end: fc.constantFrom('stay', 'close', 'crash', 'crash in the middle'),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 5 }), async (steps) => {
        const home = mkdtempSync(join(folder, 'run-'))
        const spool = await openSqliteSpool({ file: join(home, 'spool.db'), readers: [LEDGER_READER] })
        let file = join(home, 'ledger-0.db')
        let life = 0
        let ledger = await open({ file })
        let n = 0
        /** What a dead process leaves is the database and its log as they stand, unclosed. */
        const crash = async () => {
          const left = join(home, `ledger-${++life}.db`)
          for (const suffix of ['', '-wal']) if (existsSync(file + suffix)) copyFileSync(file + suffix, left + suffix)
          await ledger.close()
          file = left
          ledger = await open({ file })
        }
        for (const { calls, batch, end } of steps) {
          await spool.append(
            Array.from({ length: calls }, () =>
              makeCall(
                {
                  tenant: ['blue', 'red', 'green'][n % 3]!,
                  status: n % 5 === 0 ? 'timeout' : 'ok',
                  startedAt: 1_795_419_012_318 + n * 1_000_000,
                  durationMs: n * 97,
                  savedPicoUsd: n,
                  gateway: { node: 'n', source: 'tap', epoch: `e${n % 2}`, sequence: (n >> 1) + 1 },
                },
                ++n,
              ),
            ),
          )
          const slow: Spool = {
            ...spool,
            read: (reader, limit, signal, after) => spool.read(reader, { ...limit, calls: batch }, signal, after),
            // Commits are only leave to trim: that some are lost must not matter.
            commit: async (reader, upTo, settled) => {
              if (upTo % 2 === 0) await spool.commit(reader, upTo, settled)
            },
          }
          if (end === 'crash in the middle') {
            const stop = new AbortController()
            const running = ledger.follow(slow, stop.signal)
            const from = ledger.position
            await expect.poll(() => ledger.position, { interval: 1 }).toBeGreaterThan(from)
            stop.abort()
            await running
          } else await followToEnd(ledger, slow)
          if (end === 'close') {
            await ledger.close()
            ledger = await open({ file })
          } else if (end !== 'stay') await crash()
        }
        await followToEnd(ledger, spool)
        const inOne = await open({ file: join(home, 'one.db') })
        await followToEnd(inOne, spool)
        expect(totals(ledger)).toEqual(totals(inOne))
        expect(latencies(ledger)).toEqual(latencies(inOne))
        expect(Object.values(totals(ledger).calls!).reduce((sum, count) => sum + count, 0n)).toBe(BigInt(n))
        for (const of of [ledger, inOne, spool]) await of.close()
        const again = await open({ file })
        const reopened = await open({ file: join(home, 'one.db') })
        expect(totals(again)).toEqual(totals(reopened))
        expect(cellsAsTotals(file)).toEqual(cellsAsTotals(join(home, 'one.db')))
        expect(cellsAsTotals(file).cost).toEqual(totals(again).cost)
        expect(cellsAsTotals(file).tokens).toEqual(totals(again).tokens)
        await again.close()
        await reopened.close()
      }),
      { numRuns: 6 },
    )
  })

  it('tokens past int64 in one hour stay exact, also after a restart', async () => {
    const tokens = Number.MAX_SAFE_INTEGER
    const ledger = await open()
    const spool = await openSpool()
    for (let n = 0; n < 2500; n += 500)
      await spool.append(
        Array.from({ length: 500 }, (_, index) =>
          makeCall({ usage: { input: tokens, output: 1 }, startedAt: 1_795_419_012_000 }, n + index),
        ),
      )
    await followToEnd(ledger, spool)
    await ledger.close()
    await spool.close()
    const again = await open()
    const series = 'blue|openai|gpt-4o-2024-08-06'
    const exact = { [`${series}|input`]: 2500n * BigInt(tokens), [`${series}|output`]: 2500n }
    expect(exact[`${series}|input`]).toBeGreaterThan(2n * 2n ** 63n)
    expect(totals(again).tokens).toEqual(exact)
    expect(cellsAsTotals(join(folder, 'ledger.db')).tokens).toEqual(exact)
    expect(totals(again).calls).toEqual({ [`${series}|ok`]: 2500n })
    await again.close()
  })

  it('money carries into whole dollars with each addition, so that no column ever fills', () => {
    const file = join(folder, 'ledger.db')
    const store = openLedgerStore({ file, gapGraceMs: 1000 })
    const cost = 999_999_999_999n
    const cell = { hour: 1, tenant: 't', provider: 'p', model: 'm', status: 'ok', calls: 1n, cost, saved: cost }
    for (let times = 0; times < 50; times++)
      store.transaction(() =>
        store.apply(
          {
            cells: [{ ...cell, tokens: TOKEN_TYPES.map(() => 0n) }],
            counts: [{ name: 'usage_source_cost', labels: ['t', 'provider'], value: cost }],
            histograms: [],
            newLabels: [],
            arrivals: [],
          },
          times,
          undefined,
          clock,
        ),
      )
    const loaded = store.load()
    expect(loaded.cells[0]).toMatchObject({ cost: 50n * cost, saved: 50n * cost })
    expect(loaded.counts.reduce((sum, { value }) => sum + value, 0n)).toBe(50n * cost)
    store.close()
    const database = new DatabaseSync(file)
    const stored = database.prepare('SELECT cost_usd, cost_pico FROM cells').get()
    expect(stored).toEqual({ cost_usd: 49, cost_pico: 1e12 - 50 })
    expect(database.prepare("SELECT value FROM counts WHERE metric = 'usage_source_cost'").get()).toEqual({
      value: 1e12 - 50,
    })
    database.close()
  })

  it('a call with amounts that cannot be is counted, and what is wrong with it too', async () => {
    const ledger = await open()
    const cost = { state: 'priced', byUnit: {}, priceId: 'p', book: 'b' } as const
    await feed(ledger, [
      makeCall({ cost: { ...cost, picoUsd: 1.5 }, usage: { input: -1, output: 3 }, durationMs: -4 }, 1),
      makeCall({ cost: { ...cost, picoUsd: 2 ** 60 }, startedAt: Number.NaN, savedPicoUsd: -1 }, 2),
      makeCall({}, 3),
    ])
    const seen = totals(ledger)
    expect(Object.values(seen.calls!)).toEqual([3n])
    expect(Object.values(seen.cost!)).toEqual([140_000_000n])
    expect(seen.malformed).toEqual({ cost: 2n, tokens: 1n, latency: 1n, saved: 1n })
    await ledger.close()
  })

  it('the same totals per tenant', async () => {
    const ledger = await open()
    await feed(ledger, [
      makeCall({}, 1),
      makeCall({ model: 'other', savedPicoUsd: 7 }, 2),
      makeCall({ tenant: 'red', usage: {}, cost: { state: 'unpriced', reason: 'no_usage', book: 'b' } }, 3),
    ])
    expect(ledger.perTenant()).toEqual([
      {
        tenant: 'blue',
        calls: 2n,
        tokens: { input: 30n, cache_read: 20n, output: 14n, output_reasoning: 4n },
        picoUsd: 280_000_000n,
        savedPicoUsd: 7n,
        unpriced: 0n,
      },
      { tenant: 'red', calls: 1n, tokens: {}, picoUsd: 0n, savedPicoUsd: 0n, unpriced: 1n },
    ])
    await ledger.close()
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

  it('an older store is migrated whole, a newer one refused', async () => {
    const file = join(folder, 'ledger.db')
    const old = new DatabaseSync(file)
    old.exec(LEDGER_MIGRATIONS[0]!)
    old.exec('PRAGMA user_version = 1')
    const cell = old.prepare(
      'INSERT INTO cells (hour, tenant, provider, model, status, calls, cost_usd, cost_pico, tokens_input) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
    )
    // Version 1 let the pico-dollars grow past a dollar.
    cell.run(1, 'blue', 'openai', 'm', 'ok', 3, 1, 2_000_000_000_001n, 10)
    cell.run(2, 'blue', 'openai', 'm', 'ok', 4, 0, 999_999_999_999n, 5)
    old.exec("UPDATE position SET position = 7; INSERT INTO labels VALUES ('tenant', 'blue')")
    old.exec("INSERT INTO plugin_drops VALUES ('p', 'queue_full', 5)")
    old.exec("INSERT INTO counts VALUES ('plugin_dropped', 'queue_full', '', '', '', 5)")
    old.close()
    const ledger = await open({ now: Date.now })
    expect(ledger.position).toBe(7)
    await ledger.recordPluginDrops({
      instance: 'p',
      totals: [{ reason: 'queue_full', total: 6 }],
      sequences: [],
    })
    expect(totals(ledger)).toMatchObject({
      calls: { 'blue|openai|m|ok': 7n },
      cost: { 'blue|openai|m': 4_000_000_000_000n },
      tokens: { 'blue|openai|m|input': 15n },
      plugin_dropped: { queue_full: 6n },
    })
    await ledger.close()
    const database = new DatabaseSync(file)
    database.exec('PRAGMA user_version = 7')
    database.close()
    await expect(open()).rejects.toThrow(/schema version 7.*up to 2/)
  })

  it('another spool is read from its start, however far it has come', async () => {
    const ledger = await open()
    await feed(ledger, [makeCall({}, 1), makeCall({}, 2)])
    await ledger.close()
    const again = await open()
    const other = await openSqliteSpool({ file: join(folder, 'other.db'), readers: [LEDGER_READER] })
    await other.append(Array.from({ length: 5 }, (_, n) => makeCall({}, 10 + n)))
    await followToEnd(again, other)
    expect(Object.values(totals(again).calls!)).toEqual([7n])
    await again.close()
    await other.close()
  })

  it('a full disk: it waits, says so, and goes on without a call lost or counted twice', async () => {
    const small = mkdtempSync(join(folder, 'disk-'))
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=400k', 'tmpfs', small], { stdio: 'ignore' })
    } catch {
      if (process.env.CI) throw new Error('CI runs as root and can mount a small tmpfs')
      return
    }
    const spool = await openSpool()
    try {
      let stalled = 0
      const ledger = await open({ file: join(small, 'ledger.db'), onStall: () => stalled++ })
      const CALLS = 3000
      for (let n = 0; n < CALLS; n += 500)
        await spool.append(
          Array.from({ length: 500 }, (_, index) => makeCall({ startedAt: 3_600_000 * (n + index) }, n + index)),
        )
      const stop = new AbortController()
      const running = ledger.follow(spool, stop.signal)
      await expect.poll(() => stalled, { timeout: 10_000 }).toBe(1)
      expect(ledger.position).toBeLessThan(CALLS)
      execFileSync('mount', ['-o', 'remount,size=30m', small])
      await expect.poll(() => ledger.position, { timeout: 10_000 }).toBe(CALLS)
      stop.abort()
      await running
      expect(Object.values(totals(ledger).calls!)).toEqual([BigInt(CALLS)])
      await ledger.close()
    } finally {
      execFileSync('umount', ['-l', small])
      await spool.close()
    }
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

  it('what the plugin dropped before anything of the epoch came is not lost as well', async () => {
    const ledger = await open()
    await ledger.recordPluginDrops({
      instance: 'p',
      totals: [{ reason: 'queue_full', total: 2 }],
      sequences: [
        ['e', 1],
        ['e', 2],
      ],
    })
    await feed(ledger, [numbered(4)])
    clock += 1001
    await ledger.confirmGaps()
    expect(totals(ledger)).toMatchObject({ capture_gaps: { n: 1n }, plugin_dropped: { queue_full: 2n } })
    await ledger.close()
  })

  it('a numbering that was silent for weeks goes on where it was', async () => {
    const ledger = await open()
    await feed(ledger, [numbered(1), numbered(2)])
    clock += 29 * 24 * 3600 * 1000
    await ledger.confirmGaps()
    await feed(ledger, [numbered(3)])
    clock += 1001
    await ledger.confirmGaps()
    expect(totals(ledger).capture_gaps).toEqual({ n: 0n })
    await ledger.close()
  })

  it('time in which the ledger was closed is not time in which a capture could come', async () => {
    const ledger = await open()
    await feed(ledger, [numbered(1), numbered(3)])
    await ledger.close()
    clock += 60_000
    const again = await open()
    await again.confirmGaps()
    expect(totals(again).capture_gaps).toEqual({ n: 0n })
    await feed(again, [numbered(2)])
    clock += 1001
    await again.confirmGaps()
    expect(totals(again)).toMatchObject({ capture_gaps: { n: 0n }, capture_late: {} })
    await again.close()
  })

  it('more ranges than it keeps are given up early, and none is lost from the count', async () => {
    const ledger = await open()
    const MANY = 1300
    await feed(
      ledger,
      Array.from({ length: MANY }, (_, index) => numbered(2 * index + 2)),
    )
    expect(totals(ledger).capture_gaps).toEqual({ n: BigInt(MANY - 1000) })
    clock += 1001
    await ledger.confirmGaps()
    expect(totals(ledger).capture_gaps).toEqual({ n: BigInt(MANY) })
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
