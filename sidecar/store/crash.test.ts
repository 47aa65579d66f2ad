import { spawn } from 'node:child_process'
import { copyFileSync, existsSync, mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LlmCall } from '../call.ts'
import { scrape } from '../testing/exposition-of.ts'
import { makeCall } from '../testing/make-call.ts'
import { cellsAsTotals, latencies, storeInFolder, totals } from '../testing/store-in-folder.ts'
import { checkStore } from './check.ts'
import { STORE_VERSION } from './migrations.ts'
import { STORE_MIGRATIONS } from './schema.ts'
import type { Store } from './store.ts'

const test = storeInFolder()
const wrongIn = (file: string) => checkStore(file).flatMap(({ wrong }) => wrong)
const MONTH_OF_CALLS = 1_795_500_000_000

/** Every third call has no number: it is known by its id. */
const calls: LlmCall[] = Array.from({ length: 60 }, (_, index) =>
  makeCall(
    {
      tenant: ['blue', 'red', 'green'][index % 3]!,
      status: index % 5 === 0 ? 'timeout' : 'ok',
      startedAt: 1_795_419_012_318 + index * 1_000_000,
      durationMs: index * 97,
      savedPicoUsd: index,
      gateway:
        index % 3 === 2
          ? { node: 'n', source: 'log' }
          : { node: 'n', source: 'tap', epoch: `e${index % 3}`, sequence: Math.floor(index / 3) + 1 },
    },
    index + 1,
  ),
)
const sorted = (spend: Awaited<ReturnType<Store['readSpend']>>) =>
  spend.toSorted((a, b) => (a.tenant + a.period < b.tenant + b.period ? -1 : 1))

describe('a store after restarts and crashes', () => {
  it('any split into batches, batches sent again, restarts and crashes give the totals of one run', async () => {
    test.clock = MONTH_OF_CALLS
    const one = await test.open({ file: join(test.folder, 'one.db'), sinks: ['otlp'] })
    await test.feed(one, calls)
    const expected = {
      totals: totals(one),
      latencies: latencies(one),
      spend: sorted(await one.readSpend()),
      metrics: (await scrape({ store: one, now: () => test.clock }))
        .split('\n')
        .filter((line) => /^(llm|kong)_/.test(line))
        .sort(),
    }
    await one.close()
    const cells = cellsAsTotals(join(test.folder, 'one.db'))
    const month = expected.spend.filter(({ period }) => period === 'month')
    expect(month.reduce((sum, { spent }) => sum + spent, 0n)).toBe(60n * 140_000_000n)

    const step = fc.record({
      calls: fc.integer({ min: 1, max: 25 }),
      again: fc.integer({ min: 0, max: 25 }),
      end: fc.constantFrom('stay', 'close', 'crash'),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 4 }), async (steps) => {
        const home = mkdtempSync(join(test.folder, 'run-'))
        let file = join(home, 'life-0.db')
        let store = await test.open({ file, sinks: ['otlp'] })
        let at = 0
        for (const [life, { calls: count, again, end }] of steps.entries()) {
          // What the plugin does not know to be stored it sends again.
          await test.feed(store, calls.slice(Math.max(0, at - again), at + count))
          at = Math.min(calls.length, at + count)
          if (end === 'stay') continue
          // What a dead process leaves is the database and its write-ahead log as they stand, unclosed.
          const left = join(home, `life-${life + 1}.db`)
          if (end === 'crash')
            for (const suffix of ['', '-wal']) if (existsSync(file + suffix)) copyFileSync(file + suffix, left + suffix)
          await store.close()
          if (end === 'crash') file = left
          store = await test.open({ file, sinks: ['otlp'] })
        }
        await test.feed(store, calls.slice(at))
        expect(totals(store)).toEqual(expected.totals)
        expect(latencies(store)).toEqual(expected.latencies)
        expect(sorted(await store.readSpend())).toEqual(expected.spend)
        const text = await scrape({ store, now: () => test.clock })
        expect(
          text
            .split('\n')
            .filter((line) => /^(llm|kong)_/.test(line))
            .sort(),
        ).toEqual(expected.metrics)
        await store.close()
        expect(cellsAsTotals(file)).toEqual(cells)
        expect(wrongIn(file)).toEqual([])
      }),
      { numRuns: 5 },
    )
  })

  it('kill -9 while it appends: what was acknowledged is there, all sent again counts once, and /metrics says the same after', async () => {
    const CALLS = 3000
    const counted = (store: Store) => Object.values(totals(store).calls!).reduce((sum, count) => sum + count, 0n)
    for (const stopAt of [20, 300, 900]) {
      const child = spawn(
        process.execPath,
        [join(import.meta.dirname, '../testing/append-calls.ts'), test.file, String(CALLS)],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      )
      const ended = new Promise((resolve) => child.on('exit', (_code, signal) => resolve(signal)))
      let acknowledged = 0
      for await (const line of createInterface({ input: child.stdout })) {
        acknowledged = Number(line)
        if (acknowledged >= stopAt) child.kill('SIGKILL')
      }
      expect(await ended).toBe('SIGKILL')
      const store = await test.open()
      expect(counted(store)).toBeGreaterThanOrEqual(BigInt(acknowledged))
      await store.close()
      expect(wrongIn(test.file)).toEqual([])
    }
    const store = await test.open()
    for (let from = 1; from <= CALLS; from += 500)
      await test.feed(
        store,
        Array.from({ length: 500 }, (_, index) =>
          makeCall({ gateway: { node: 'n', source: 'tap', epoch: 'e', sequence: from + index } }, from + index),
        ),
      )
    expect(counted(store)).toBe(BigInt(CALLS))
    expect(totals(store).lost).toEqual({ 'n|gap': 0n })
    const read = async (of: Store) =>
      (await scrape({ store: of, now: () => test.clock }))
        .split('\n')
        .filter((line) => /^(llm|kong)_/.test(line))
        .sort()
    const before = await read(store)
    await store.close()
    const again = await test.open()
    expect(await read(again)).toEqual(before)
    await again.close()
    expect(wrongIn(test.file)).toEqual([])
  })

  it('two processes must not share a store; the next one may as soon as the first is gone', async () => {
    const store = await test.open()
    await expect(test.open()).rejects.toThrow(/observer\.db\.lock is held by another process/)
    const child = spawn(process.execPath, [join(import.meta.dirname, '../testing/append-calls.ts'), test.file, '10'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let text = ''
    child.stderr.on('data', (chunk) => {
      text += chunk
    })
    expect(await new Promise((resolve) => child.on('close', resolve))).not.toBe(0)
    expect(text).toMatch(/two sidecars must not share one store/)
    // Refused is refused: the first one goes on.
    await test.feed(store, [makeCall({}, 1)])
    await store.close()
    const next = await test.open()
    expect(Object.values(totals(next).calls!)).toEqual([1n])
    await next.close()
  })
})

describe('a store of another version', () => {
  it.each([1, 2, 3, 4])('schema version %i is migrated whole', async (version) => {
    const old = new DatabaseSync(test.file)
    for (const migration of STORE_MIGRATIONS.slice(0, version)) old.exec(migration)
    old.exec(`PRAGMA user_version = ${version}`)
    const insert = (table: string, values: Record<string, SQLInputValue>) => {
      const names = (old.prepare('SELECT name FROM pragma_table_info(?)').all(table) as { name: string }[]).map(
        ({ name }) => name,
      )
      old
        .prepare(`INSERT INTO ${table} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`)
        .run(...names.map((name) => values[name] ?? 0))
    }
    const series = { tenant: 'blue', provider: 'openai', model: 'm', status: 'ok' }
    // Version 1 let the pico-dollars grow past a dollar.
    const dollars = version === 1 ? [1, 2_000_000_000_001n] : [3, 1]
    insert('cells', { ...series, hour: 1, calls: 3, cost_usd: dollars[0]!, cost_pico: dollars[1]!, tokens_input: 10 })
    insert('cells', { ...series, hour: 2, calls: 4, cost_pico: 999_999_999_999n, tokens_input: 5 })
    if (version > 1) insert('totals', { ...series, calls: 7, cost_usd: 4, tokens_input: 15 })
    // Calls of these hours have no lines.
    if (version > 2) old.exec('UPDATE retention SET kept_from = 10800000')
    insert('labels', { kind: 'tenant', name: 'blue' })
    insert('plugin_drops', { instance: 'p', reason: 'queue_full', total: 5, last_at: test.clock })
    insert('counts', { metric: 'plugin_dropped', a: 'queue_full', b: '', c: '', d: '', value: 5 })
    insert('counts', { metric: 'capture_gaps', a: 'n', b: '', c: '', d: '', value: 1 })
    insert('epochs', { node: 'n', epoch: 'e', highest: 9, last_at: test.clock })
    insert('missing', { node: 'n', epoch: 'e', first: 3, last: 4, noticed_at: test.clock })
    old.close()
    const store = await test.open()
    const drops = { source: 'p', name: 'queue_full', total: 6, counter: { name: 'lost', labels: ['', 'queue_full'] } }
    const late = makeCall({ gateway: { node: 'n', source: 'tap', epoch: 'e', sequence: 3 } }, 1)
    await store.append({ calls: [late], totals: [drops] })
    // One of the two that were missing has come.
    test.clock += 1001
    await store.confirmGaps()
    expect(totals(store)).toMatchObject({
      calls: { 'blue|openai|m|ok': 7n },
      cost: { 'blue|openai|m': 4_000_000_000_000n },
      tokens: { 'blue|openai|m|input': 15n },
      lost: { '|queue_full': 6n, 'n|gap': 2n },
    })
    await store.close()
    expect(wrongIn(test.file)).toEqual([])
  })

  it('a newer one is refused, and left as it is', async () => {
    await (await test.open()).close()
    const database = new DatabaseSync(test.file)
    database.exec(`PRAGMA user_version = ${STORE_VERSION + 1}`)
    database.close()
    const text = `schema version ${STORE_VERSION + 1}, and this program knows versions up to ${STORE_VERSION}: a newer one wrote it`
    await expect(test.open()).rejects.toThrow(text)
    // The lock is let go of as well.
    await expect(test.open()).rejects.toThrow(text)
    expect(() => checkStore(test.file)).toThrow(/a newer program wrote it/)
  })
})

describe('a clock that jumps', () => {
  it('months ahead and back: no line, no number and no spend is forgotten', async () => {
    const store = await test.open({ callRetentionMs: 62 * 86_400_000 })
    const numbered = (sequence: number) =>
      makeCall(
        { startedAt: test.clock, gateway: { node: 'n', source: 'tap', epoch: 'ab'.repeat(16), sequence } },
        sequence,
      )
    const early = [numbered(1), numbered(2)]
    await test.feed(store, early)
    const now = test.clock
    test.clock += 400 * 86_400_000
    await store.confirmGaps()
    await store.close()
    test.clock = now
    const again = await test.open({ callRetentionMs: 62 * 86_400_000 })
    const acknowledged = [['ab'.repeat(16), [[1, 2]]]] as const
    expect(await again.append({ calls: [...early, numbered(3)], acknowledged })).toMatchObject({
      stored: 1,
      duplicate: 2,
      rolledBack: 0,
    })
    await again.close()
    expect(checkStore(test.file).flatMap(({ wrong }) => wrong)).toEqual([])
  })
})
