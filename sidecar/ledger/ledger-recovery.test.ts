import { execFileSync, spawn } from 'node:child_process'
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { makeExposition } from '../metrics/exposition.ts'
import { newReceiveCounters } from '../receive.ts'
import { LEDGER_READER, type Spool } from '../spool/spool.ts'
import { openSqliteSpool } from '../spool/sqlite.ts'
import { cellsAsTotals, followToEnd, latencies, ledgerInFolder, totals } from '../testing/ledger-in-folder.ts'
import { makeCall } from '../testing/make-call.ts'
import type { Ledger } from './ledger.ts'
import { LEDGER_MIGRATIONS } from './schema.ts'

const test = ledgerInFolder()

describe('ledger after restarts, crashes and upgrades', () => {
  it('any split into batches, restarts and crashes gives the totals of one reading', async () => {
    const step = fc.record({
      calls: fc.integer({ min: 1, max: 12 }),
      batch: fc.integer({ min: 1, max: 7 }),
      end: fc.constantFrom('stay', 'close', 'crash', 'crash in the middle'),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 5 }), async (steps) => {
        const home = mkdtempSync(join(test.folder, 'run-'))
        const spool = await openSqliteSpool({ file: join(home, 'spool.db'), readers: [LEDGER_READER] })
        let file = join(home, 'ledger-0.db')
        let life = 0
        let ledger = await test.open({ file })
        let n = 0
        /** What a dead process leaves is the database and its log as they stand, unclosed. */
        const crash = async () => {
          const left = join(home, `ledger-${++life}.db`)
          for (const suffix of ['', '-wal']) if (existsSync(file + suffix)) copyFileSync(file + suffix, left + suffix)
          await ledger.close()
          file = left
          ledger = await test.open({ file })
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
            ledger = await test.open({ file })
          } else if (end !== 'stay') await crash()
        }
        await followToEnd(ledger, spool)
        const inOne = await test.open({ file: join(home, 'one.db') })
        await followToEnd(inOne, spool)
        expect(totals(ledger)).toEqual(totals(inOne))
        expect(latencies(ledger)).toEqual(latencies(inOne))
        // In the month of the calls.
        test.clock = 1_795_500_000_000
        const spend = await ledger.readSpend()
        const sorted = (of: typeof spend) => of.toSorted((a, b) => (a.tenant + a.period < b.tenant + b.period ? -1 : 1))
        expect(sorted(spend)).toEqual(sorted(await inOne.readSpend()))
        const month = spend.filter(({ period }) => period === 'month').reduce((sum, { spent }) => sum + spent, 0n)
        expect(month).toBe(BigInt(n) * 140_000_000n)
        expect(Object.values(totals(ledger).calls!).reduce((sum, count) => sum + count, 0n)).toBe(BigInt(n))
        for (const of of [ledger, inOne, spool]) await of.close()
        const again = await test.open({ file })
        const reopened = await test.open({ file: join(home, 'one.db') })
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

  it('a commit that the spool forgot counts nothing twice', async () => {
    const ledger = await test.open()
    const spool = await test.openSpool()
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
    const spoolFile = join(test.folder, 'spool.db')
    const spool = await test.openSpool()
    const CALLS = 4000
    for (let n = 0; n < CALLS; n += 500)
      await spool.append(Array.from({ length: 500 }, (_, index) => makeCall({}, n + index)))
    await spool.close()
    for (let life = 0; life < 3; life++) {
      const child = spawn(
        process.execPath,
        [join(import.meta.dirname, '../testing/follow-ledger.ts'), spoolFile, join(test.folder, 'ledger.db')],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      )
      await new Promise<void>((resolve) => {
        child.stdout.on('data', () => child.kill('SIGKILL'))
        child.on('exit', () => resolve())
      })
    }
    const reopened = await test.openSpool()
    const ledger = await test.open()
    await followToEnd(ledger, reopened)
    expect(Object.values(totals(ledger).calls!)).toEqual([BigInt(CALLS)])
    const metricsOf = async (of: Ledger) => {
      const exposition = makeExposition({
        ledger: of,
        spool: reopened,
        receive: newReceiveCounters(),
        deliver: new Map(),
        book: { version: 'test', updated: '2026-01-01', stats: { loadedAt: 0, reloads: 0, failures: 0 } },
      })
      const text = (await exposition.render()).body
      exposition.close()
      return text.split('\n').filter((line) => /^(llm|kong)_/.test(line))
    }
    const before = await metricsOf(ledger)
    await ledger.close()
    const again = await test.open()
    expect(await metricsOf(again)).toEqual(before)
    expect(before.find((line) => line.startsWith('llm_cost_usd_total'))).toMatch(/ 0\.56$/)
    await again.close()
    await reopened.close()
  })

  it('an older store is migrated whole, a newer one refused', async () => {
    const file = join(test.folder, 'ledger.db')
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
    const ledger = await test.open({ now: Date.now })
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
    await expect(test.open()).rejects.toThrow(/schema version 7.*up to 5/)
  })

  it('another spool is read from its start, however far it has come', async () => {
    const ledger = await test.open()
    await test.feed(ledger, [makeCall({}, 1), makeCall({}, 2)])
    await ledger.close()
    const again = await test.open()
    const other = await openSqliteSpool({ file: join(test.folder, 'other.db'), readers: [LEDGER_READER] })
    await other.append(Array.from({ length: 5 }, (_, n) => makeCall({}, 10 + n)))
    await followToEnd(again, other)
    expect(Object.values(totals(again).calls!)).toEqual([7n])
    await again.close()
    await other.close()
  })

  it('a full disk: it waits, says so, and goes on without a call lost or counted twice', async () => {
    const small = mkdtempSync(join(test.folder, 'disk-'))
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=400k', 'tmpfs', small], { stdio: 'ignore' })
    } catch {
      if (process.env.CI) throw new Error('CI runs as root and can mount a small tmpfs')
      return
    }
    const spool = await test.openSpool()
    try {
      let stalled = 0
      const ledger = await test.open({ file: join(small, 'ledger.db'), onStall: () => stalled++ })
      const CALLS = 3000
      for (let n = 0; n < CALLS; n += 500)
        await spool.append(
          Array.from({ length: 500 }, (_, index) => makeCall({ startedAt: 3_600_000 * (n + index) }, n + index)),
        )
      const stop = new AbortController()
      const running = ledger.follow(spool, stop.signal)
      await expect.poll(() => stalled).toBe(1)
      expect(ledger.position).toBeLessThan(CALLS)
      execFileSync('mount', ['-o', 'remount,size=30m', small])
      await expect.poll(() => ledger.position).toBe(CALLS)
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
    const ledger = await test.open()
    await test.feed(ledger, [makeCall({}, 1), makeCall({}, 2)])
    for (const suffix of ['', '-wal', '-shm']) rmSync(join(test.folder, `spool.db${suffix}`), { force: true })
    await test.feed(ledger, [makeCall({}, 3)])
    expect(Object.values(totals(ledger).calls!)).toEqual([3n])
    await ledger.close()
  })
})
