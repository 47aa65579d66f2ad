import { spawnSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { makeCall } from '../testing/make-call.ts'
import { storeInFolder, totals } from '../testing/store-in-folder.ts'
import { backupStore, backupsIn, scheduleBackups } from './backup.ts'
import { checkStore } from './check.ts'
import { markDamaged } from './data-folder.ts'
import { openDataFolder } from './open-data-folder.ts'
import { salvage } from './salvage.ts'

const test = storeInFolder()
const wrong = (file = test.file) => checkStore(file).flatMap((finding) => finding.wrong)
const calls = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) =>
    makeCall(
      { gateway: { node: 'n', source: 'tap', epoch: 'ab'.repeat(16), sequence: from + index }, user: 'x'.repeat(900) },
      from + index,
    ),
  )
const SERIES = 'blue|openai|gpt-4o-2024-08-06'

describe('check', () => {
  it('finds nothing in a store that was used, also while it is used', async () => {
    const store = await test.open({ sinks: ['otlp', 'loki'] })
    await test.feed(store, calls(1, 50), calls(60, 80))
    const batch = (await store.read('otlp', { calls: 30, bytes: 1e9 }, new AbortController().signal))!
    await store.settle('otlp', {
      upTo: batch.upTo,
      outcomes: batch.entries
        .slice(0, 20)
        .map(({ position }) => ({ position, tenant: 'blue', outcome: 'sent' as const, reason: '' })),
      held: batch.entries.slice(20).map(({ position }) => ({ position, tenant: 'blue' })),
    })
    expect(wrong()).toEqual([])
    await store.close()
    expect(wrong()).toEqual([])
    expect(checkStore(test.file).find(({ what }) => what === 'lines of calls')!.looked).toBe(71)
  })

  it.each([
    ['a digit of a cell', 'UPDATE cells SET cost_pico = cost_pico + 1', /cost is 700000001 in cells and 700000000 in/],
    ['a line of a call', 'UPDATE calls SET cost = cost + 1', /the line is not what was written/],
    ['tokens of a total', 'UPDATE totals SET tokens_input = tokens_input - 1', /tokens_input is/],
    [
      'a row of the log',
      "UPDATE log SET body = CAST(replace(CAST(body AS TEXT), 'blue', 'grey') AS BLOB) WHERE position = 3",
      /log 3: the body/,
    ],
    ['bytes of the log', 'UPDATE log SET bytes = 1 WHERE position = 3', /the log's bytes are counted wrong/],
    [
      'a call that a sink lost',
      'DELETE FROM log WHERE position = 3',
      /otlp · blue: 1 calls are neither settled nor waiting/,
    ],
    ['holes of an epoch', "UPDATE epochs SET holes = x'ff'", /holes of an epoch cannot be read/],
  ])('finds %s that was changed behind its back', async (_name, sql, text) => {
    const store = await test.open({ sinks: ['otlp'] })
    await test.feed(store, calls(1, 5))
    await store.close()
    const database = new DatabaseSync(test.file)
    database.exec(sql)
    database.close()
    expect(wrong().join('\n')).toMatch(text)
  })
})

describe('a damaged file', () => {
  it('a row whose body was changed is set aside and counted; the others are read', async () => {
    let damaged = 0
    const store = await test.open({ sinks: ['otlp'] })
    await test.feed(store, calls(1, 5))
    await store.close()
    const database = new DatabaseSync(test.file)
    database.exec("UPDATE log SET body = x'7b' WHERE position = 3")
    database.close()
    const again = await test.open({ sinks: ['otlp'], onDamaged: (rows) => (damaged += rows) })
    const batch = (await again.read('otlp', { calls: 10, bytes: 1e9 }, new AbortController().signal))!
    expect(batch.entries.map(({ position }) => position)).toEqual([1, 2, 4, 5])
    expect([damaged, batch.upTo]).toEqual([1, 5])
    expect((await again.stats()).counts).toContainEqual({
      sink: 'otlp',
      tenant: 'blue',
      outcome: 'dropped',
      reason: 'damaged',
      count: 1n,
    })
    await again.close()
    expect(wrong()).toEqual([])
  })

  it('pages of the log overwritten: the process is told to end, and the next start keeps the whole ledger', async () => {
    const deaths: Error[] = []
    const store = await test.open({ sinks: ['otlp'], onDeath: (error) => deaths.push(error) })
    for (let from = 1; from <= 2000; from += 100) await test.feed(store, calls(from, from + 99))
    const before = totals(store)
    await store.close()
    overwrite('log')
    const damaged = await test.open({ sinks: ['otlp'], onDeath: (error) => deaths.push(error) })
    await readAll(damaged).catch(() => {})
    await expect.poll(() => deaths.length, { timeout: 20_000 }).toBeGreaterThan(0)
    await damaged.close().catch(() => {})

    const told: object[] = []
    const again = await openDataFolder(test.folder, { sinks: ['otlp'], now: () => test.clock }, (_, fields) =>
      told.push(fields),
    )
    expect(told).toContainEqual(expect.objectContaining({ incomplete: expect.arrayContaining(['log']) }))
    expect(totals(again)).toEqual(before)
    // What the damage took is gone, what can be read goes out.
    expect((await readAll(again)).length).toBeGreaterThan(100)
    // Numbers are known: nothing is counted twice.
    expect(await again.append({ calls: calls(1990, 2001) })).toMatchObject({ stored: 1, duplicate: 11 })
    await again.close()
    expect(readdirSync(test.folder).some((name) => name.includes('.damaged-'))).toBe(true)
    expect(
      checkStore(test.file)
        .filter(({ what }) => what !== 'sinks')
        .flatMap((finding) => finding.wrong),
    ).toEqual([])
  })

  it('the process is killed while it salvages: the next start begins again, and keeps the whole ledger', async () => {
    const before = await damagedStore()
    // A limit on the size of files kills with SIGXFSZ where a full disk would fail.
    const kilobytes = Math.floor(statSync(test.file).size / 2 / 1024)
    const program = `import('${join(import.meta.dirname, 'salvage.ts')}').then(({ salvage }) => salvage('${test.file}', Date.now()))`
    const child = spawnSync('bash', [
      '-c',
      'ulimit -f "$1"; exec "$2" -e "$3"',
      '-',
      `${kilobytes}`,
      process.execPath,
      program,
    ])
    expect(child.signal ?? child.status).not.toBe(0)
    await expectWhole(before)
  })

  it('the process is killed between the moves of files: the next start goes on', async () => {
    const before = await damagedStore()
    salvage(test.file, test.clock)
    markDamaged(test.file)
    renameSync(test.file, `${test.file}.salvaged`)
    await expectWhole(before)
  })

  it('a page that is read at opening is damaged: the start that finds it fails, the next one salvages', async () => {
    const before = await damagedStore('epochs_by_day', false)
    await expect(openDataFolder(test.folder, { sinks: ['otlp'], now: () => test.clock }, () => {})).rejects.toThrow()
    await expectWhole(before)
  })

  async function damagedStore(table = 'log', marked = true): Promise<ReturnType<typeof totals>> {
    const store = await test.open({ sinks: ['otlp'] })
    for (let from = 1; from <= 1000; from += 100) await test.feed(store, calls(from, from + 99))
    for (let n = 0; n < 300; n++)
      await store.append({ calls: [], given: [{ node: 'n', epoch: n.toString(16).padStart(32, '0'), sequence: 1 }] })
    const before = totals(store)
    await store.close()
    overwrite(table)
    if (marked) markDamaged(test.file)
    return before
  }
  async function expectWhole(before: ReturnType<typeof totals>): Promise<void> {
    const store = await openDataFolder(test.folder, { sinks: ['otlp'], now: () => test.clock }, () => {})
    expect(totals(store)).toEqual(before)
    await store.close()
    expect(readdirSync(test.folder).filter((name) => /salvag|\.damaged$/.test(name))).toEqual([])
  }

  async function readAll(store: Awaited<ReturnType<typeof test.open>>) {
    const positions: number[] = []
    for (;;) {
      const batch = await store.read('otlp', { calls: 500, bytes: 1e9 }, AbortSignal.timeout(1000))
      if (batch === undefined) return positions
      positions.push(...batch.entries.map(({ position }) => position))
      await store.settle('otlp', {
        upTo: batch.upTo,
        outcomes: batch.entries.map(({ position }) => ({
          position,
          tenant: 'blue',
          outcome: 'sent' as const,
          reason: '',
        })),
      })
    }
  }

  /** Overwrites leaf pages in the middle of a table. */
  function overwrite(table: string): void {
    const database = new DatabaseSync(test.file)
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    const pages = (
      database.prepare("SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path").all(table) as {
        pageno: number
      }[]
    ).map(({ pageno }) => pageno)
    const { page_size: size } = database.prepare('PRAGMA page_size').get() as { page_size: number }
    database.close()
    const file = openSync(test.file, 'r+')
    for (const page of pages.slice(pages.length >> 1, (pages.length >> 1) + 3))
      writeSync(file, Buffer.alloc(size, 0xa5), 0, size, (page - 1) * size)
    closeSync(file)
  }
})

describe('backup', () => {
  it('is a whole store of one moment, made beside a running one, closed to others', async () => {
    const store = await test.open({ sinks: ['otlp'] })
    await test.feed(store, calls(1, 300))
    const to = join(test.folder, 'copy', 'observer.db')
    const writing = backupStore(test.folder, to)
    for (let from = 301; from <= 600; from += 50) await test.feed(store, calls(from, from + 49))
    expect((await writing).bytes).toBe(statSync(to).size)
    await store.close()
    expect(wrong(to)).toEqual([])
    const restored = await openDataFolder(
      join(test.folder, 'copy'),
      { sinks: ['otlp'], now: () => test.clock },
      () => {},
    )
    const [copied] = Object.values(totals(restored).calls!)
    expect(copied).toBeGreaterThanOrEqual(300n)
    expect(copied).toBeLessThanOrEqual(600n)
    expect(statSync(to).mode & 0o077).toBe(0)
    await restored.close()
  })

  it('an older store put back is noticed from what the plugin was acknowledged, and is not ready until confirmed', async () => {
    const store = await test.open()
    await test.feed(store, calls(1, 100))
    const to = join(test.folder, 'older', 'observer.db')
    await backupStore(test.folder, to)
    await test.feed(store, calls(101, 150))
    await store.close()
    const older = await openDataFolder(join(test.folder, 'older'), { sinks: [], now: () => test.clock }, () => {})
    const acknowledged = [['ab'.repeat(16), [[1, 150]]]] as const
    expect(await older.append({ calls: calls(151, 151), acknowledged })).toMatchObject({ stored: 1, rolledBack: 50 })
    expect(older.rolledBack).toBe(50)
    expect(totals(older).lost).toEqual({ 'n|gap': 0n, 'n|store_rolled_back': 50n })
    // Told again it counts once; and it stays known over a restart.
    expect(await older.append({ calls: [], acknowledged })).toMatchObject({ rolledBack: 0 })
    await older.close()
    const again = await openDataFolder(join(test.folder, 'older'), { sinks: [], now: () => test.clock }, () => {})
    expect(again.rolledBack).toBe(50)
    await again.confirmRollback()
    expect(again.rolledBack).toBe(0)
    await again.close()
    // A store that is missing altogether, with the plugin still there.
    const empty = await openDataFolder(join(test.folder, 'empty'), { sinks: [], now: () => test.clock }, () => {})
    expect(await empty.append({ calls: calls(152, 152), acknowledged })).toMatchObject({ rolledBack: 150 })
    await empty.close()
    expect(Object.keys(totals(empty).calls!)).toEqual([`${SERIES}|ok`])
  })

  it('is broken off by its signal, and says why it cannot be written', async () => {
    const store = await test.open()
    await test.feed(store, calls(1, 100))
    await store.close()
    const stop = new AbortController()
    const broken = backupStore(test.folder, join(test.folder, 'copy.db'), stop.signal)
    stop.abort()
    await expect(broken).rejects.toThrow()
    expect(existsSync(join(test.folder, 'copy.db'))).toBe(false)
    await expect(backupStore(join(test.folder, 'nowhere'), join(test.folder, 'copy.db'))).rejects.toThrow(
      'unable to open database file',
    )
  })

  it('what was left unfinished goes with the next, and a store that is away is an error to be told, no end', async () => {
    const store = await test.open()
    await store.close()
    const folder = join(test.folder, 'backups')
    mkdirSync(folder)
    const left = join(folder, 'observer-20261101T000000Z.db.unfinished')
    const own = join(folder, 'mine.unfinished')
    for (const name of [left, own]) writeFileSync(name, 'x')
    let now = Date.UTC(2026, 10, 2)
    const said: string[] = []
    const backups = scheduleBackups(
      test.folder,
      { enabled: true, everyHours: 24, keep: 2 },
      { logger: pino({}, { write: (line: string) => said.push(line) }), now: () => (now += 1000), lookMs: 5 },
    )
    await expect.poll(() => backupsIn(folder), { timeout: 20_000 }).toHaveLength(1)
    expect([existsSync(left), existsSync(own)]).toEqual([false, true])
    renameSync(test.file, `${test.file}.away`)
    now += 48 * 3_600_000
    await expect.poll(() => said.join(''), { timeout: 20_000 }).toContain('no backup of the store')
    await backups.close()
  })

  it('keeps the newest, and writes one when the last is old', async () => {
    const store = await test.open()
    const settings = { enabled: true, everyHours: 24, keep: 2 }
    const folder = join(test.folder, 'backups')
    for (const day of [0, 1, 2, 3]) {
      let now = Date.UTC(2026, 10, 1 + day)
      const backups = scheduleBackups(test.folder, settings, {
        logger: pino({ enabled: false }),
        now: () => now,
        lookMs: 5,
      })
      now += 3_600_000
      await expect
        .poll(() => backupsIn(folder), { timeout: 20_000 })
        .toEqual([day, day + 1].filter((of) => of > 0).map((of) => `observer-2026110${of}T010000Z.db`))
      await backups.close()
    }
    expect(backupsIn(folder)).toEqual(['observer-20261103T010000Z.db', 'observer-20261104T010000Z.db'])
    expect(existsSync(join(folder, 'observer-20261101T010000Z.db'))).toBe(false)
    await store.close()
  })
})
