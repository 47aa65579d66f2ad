import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { copyFileSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, describe, expect, it } from 'vitest'
import { makeCall } from '../testing/make-call.ts'
import { LEDGER_READER } from './spool.ts'
import { describeSpool } from './spool-contract.ts'
import { openSqliteSpool } from './sqlite.ts'
import { CLAIM_BYTES } from './sqlite-claims.ts'
import { SPOOL_MIGRATIONS } from './sqlite-schema.ts'
import { openStore, type StoredCall } from './sqlite-store.ts'

const folders: string[] = []
const newFolder = () => {
  const folder = mkdtempSync(join(tmpdir(), 'spool-'))
  folders.push(folder)
  return folder
}
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})
const READERS = [LEDGER_READER, 'otlp']
const never = new AbortController().signal

describeSpool('SQLite', async () => {
  let file = join(newFolder(), 'spool.db')
  return {
    open: (options = {}) => openSqliteSpool({ file, limitBytes: 1e9, ...options }),
    crash: async (spool) => {
      // What a dead process leaves is the database and its log as they stand, unclosed.
      const left = join(newFolder(), 'spool.db')
      for (const suffix of ['', '-wal']) if (existsSync(file + suffix)) copyFileSync(file + suffix, left + suffix)
      await spool.close()
      file = left
    },
    discard: async () => {},
  }
})

describe('SQLite spool', () => {
  it('kill -9 in the middle of appends: all that was acknowledged is there, nothing twice', async () => {
    const file = join(newFolder(), 'spool.db')
    const acknowledged = new Set<number>()
    let next = 1
    for (let life = 0; life < 3; life++) {
      const child: ChildProcess = spawn(
        process.execPath,
        [join(import.meta.dirname, '../testing/append-for-ever.ts'), file, String(next)],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      )
      let text = ''
      await new Promise<void>((resolve) => {
        child.stdout!.on('data', (chunk: Buffer) => {
          text += chunk.toString()
          if (text.split('\n').length > 40) child.kill('SIGKILL')
        })
        child.on('exit', () => resolve())
      })
      // A line is a batch of ten that `append` has acknowledged; the last may be cut.
      for (const line of text.split('\n').slice(0, -1)) for (let n = 0; n < 10; n++) acknowledged.add(Number(line) + n)
      // The next life sends the unacknowledged again, as the plugin would.
      next = Math.max(...acknowledged) + 1
    }
    const spool = await openSqliteSpool({ file, readers: READERS })
    const stored = new Map<string, number>()
    for (let after = 0; ; ) {
      const batch = await spool.read('otlp', { calls: 1000, bytes: 1e9 }, AbortSignal.timeout(100), after)
      if (batch === undefined) break
      for (const { call } of batch.entries) stored.set(call.requestId, (stored.get(call.requestId) ?? 0) + 1)
      after = batch.upTo
    }
    await spool.close()
    expect(acknowledged.size).toBeGreaterThan(1000)
    for (const n of acknowledged) expect(stored.get(`request-${n}`)).toBe(1)
    expect([...stored.values()].every((times) => times === 1)).toBe(true)
  })

  it('a full disk: append says full, stores nothing by half, and goes on when there is room', async () => {
    const folder = newFolder()
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', folder], { stdio: 'ignore' })
    } catch {
      if (process.env.CI) throw new Error('CI runs as root and can mount a small tmpfs')
      return
    }
    try {
      const spool = await openSqliteSpool({ file: join(folder, 'spool.db'), readers: READERS })
      const body = 'x'.repeat(20_000)
      let stored = 0
      let result: Awaited<ReturnType<typeof spool.append>> = { stored: 0, duplicate: 0 }
      while (result !== 'full') {
        result = await spool.append([
          makeCall({ errorMessage: body }, stored + 1),
          makeCall({ errorMessage: body }, stored + 2),
        ])
        if (result !== 'full') stored += 2
        expect(stored).toBeLessThan(1000)
      }
      const batch = (await spool.read('otlp', { calls: 1000, bytes: 1e9 }, never, 0))!
      expect(batch.entries).toHaveLength(stored)
      execFileSync('mount', ['-o', 'remount,size=30m', folder])
      expect(await spool.append([makeCall({ errorMessage: body }, stored + 1)])).toEqual({ stored: 1, duplicate: 0 })
      await spool.close()
    } finally {
      execFileSync('umount', ['-l', folder])
    }
  })

  it('refuses a second process, lets a tool look and replay', async () => {
    const file = join(newFolder(), 'spool.db')
    const spool = await openSqliteSpool({ file, readers: READERS })
    await expect(openSqliteSpool({ file, readers: READERS })).rejects.toThrow(/another process/)
    await spool.append([makeCall({}, 1)])
    const { entries, upTo } = (await spool.read('otlp', { calls: 10, bytes: 1e9 }, never))!
    await spool.bury('otlp', [{ entry: entries[0]!, reason: 'http_400' }])
    await spool.commit('otlp', upTo, [])
    const tool = await openSqliteSpool({ file, tool: true })
    expect(await tool.deadLetters('otlp')).toHaveLength(1)
    // The running spool sees what the tool replayed, without being asked.
    const waiting = spool.read('otlp', { calls: 10, bytes: 1e9 }, never)
    expect(await tool.replay('otlp')).toBe(1)
    expect((await waiting)?.entries[0]?.call.id).toBe(entries[0]!.call.id)
    await tool.close()
    await spool.close()
  })

  it('an older store is migrated, a newer one refused with both versions named', async () => {
    const file = join(newFolder(), 'spool.db')
    const old = new DatabaseSync(file)
    old.exec(SPOOL_MIGRATIONS[0]!)
    old.exec('PRAGMA user_version = 1')
    old
      .prepare('INSERT INTO calls (id, tenant, at, repeat, body) VALUES (?, ?, ?, ?, ?)')
      .run(makeCall({}, 1).id, 'blue', 1, 0, JSON.stringify(makeCall({}, 1)))
    old.prepare('INSERT INTO ids VALUES (?, ?)').run(makeCall({}, 1).id, Date.now())
    old.prepare('INSERT INTO billing_keys VALUES (?, ?)').run(makeCall({}, 1).billingKey!, Date.now())
    old.close()
    await expect(openSqliteSpool({ file, tool: true })).rejects.toThrow(/start its sidecar once/)
    const spool = await openSqliteSpool({ file, readers: READERS })
    expect((await spool.read('otlp', { calls: 10, bytes: 1e9 }, never))?.entries[0]?.call.requestId).toBe('request-1')
    // What was claimed before the migration is known after it.
    expect(await spool.append([makeCall({}, 1)])).toEqual({ stored: 0, duplicate: 1 })
    await spool.append([makeCall({ billingKey: makeCall({}, 1).billingKey! }, 2)])
    expect((await spool.read('otlp', { calls: 10, bytes: 1e9 }, never))?.entries[1]?.call.repeat).toBe(true)
    await spool.close()
    const newer = new DatabaseSync(file)
    newer.exec('PRAGMA user_version = 99')
    newer.close()
    await expect(openSqliteSpool({ file, readers: READERS })).rejects.toThrow(/schema version 99.*up to 3/)
  })

  it('trims what all readers have passed, and the write-ahead log stays small', async () => {
    const file = join(newFolder(), 'spool.db')
    const spool = await openSqliteSpool({ file, readers: READERS })
    for (let n = 0; n < 60; n++) {
      await spool.append(
        Array.from({ length: 100 }, (_, index) => makeCall({ errorMessage: 'x'.repeat(2000) }, n * 100 + index)),
      )
      for (const reader of READERS) await spool.commit(reader, (n + 1) * 100, [])
    }
    await expect.poll(async () => (await spool.stats()).rows).toBe(0)
    expect((await spool.stats()).bytes).toBeLessThan(30_000_000)
    await spool.close()
  })

  it('never holds more than its limit, whatever the size and script of the calls', async () => {
    const file = join(newFolder(), 'spool.db')
    const limitBytes = 3 * 1024 * 1024
    const spool = await openSqliteSpool({ file, limitBytes, readers: READERS })
    const onDisk = () => statSync(file).size + (statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0)
    let largest = 0
    let largestOnDisk = 0
    let largestBatch = 0
    let stored = 0
    for (let n = 0; n < 150; n++) {
      const size = [10, 700, 1400, 2100, 9000][n % 5]!
      const batch = Array.from({ length: 1 + (n % 13) }, (_, index) =>
        makeCall({ errorMessage: '好'.repeat(size) }, n * 100 + index),
      )
      const result = await spool.append(batch)
      if (result !== 'full') stored += result.stored
      const { lastPosition, bytes } = await spool.stats()
      largest = Math.max(largest, bytes)
      largestOnDisk = Math.max(largestOnDisk, onDisk())
      largestBatch = Math.max(largestBatch, Buffer.byteLength(JSON.stringify(batch)))
      await spool.commit(LEDGER_READER, lastPosition, [])
    }
    expect(stored).toBeGreaterThan(500)
    expect(largest).toBeLessThanOrEqual(limitBytes)
    expect(largest).toBeGreaterThan(limitBytes * 0.7)
    // The file keeps its free pages, so the log of one batch may for a moment stand beyond the limit.
    expect(largestOnDisk).toBeLessThanOrEqual(limitBytes + 1.25 * largestBatch)
    const { outcomes, readers } = await spool.stats()
    const dropped = outcomes.reduce((sum, { count }) => sum + Number(count), 0)
    expect(dropped + (readers.find(({ reader }) => reader === 'otlp')?.waiting.blue ?? 0)).toBe(stored)
    await spool.close()
  })

  it('a file that is no database is refused by its name', async () => {
    const file = join(newFolder(), 'spool.db')
    writeFileSync(file, 'no database, but text that is long enough to be looked at as one'.repeat(100))
    await expect(openSqliteSpool({ file, readers: READERS })).rejects.toThrow(file)
  })
})

describe('SQLite store', () => {
  const DAY = 24 * 3600 * 1000
  const stored = (n: number): StoredCall => ({
    id: makeCall({}, n).id,
    tenant: 'blue',
    billingKey: `key ${n}`,
    body: '{}',
  })
  const openAt = (clock: () => number, limitBytes = 1e9) =>
    openStore({ file: join(newFolder(), 'spool.db'), limitBytes, readers: READERS, idRetentionMs: 7 * DAY }, clock)
  const appendAndPass = (store: ReturnType<typeof openAt>, calls: StoredCall[]) =>
    store.transaction(() => {
      const result = store.append(calls)
      for (const reader of READERS) store.commit(reader, store.lastPosition, [])
      return result
    })
  const trimAll = (store: ReturnType<typeof openAt>) => {
    while (store.transaction(() => store.trim()));
  }

  it('knows an id and a billing key for seven days after its row is gone', () => {
    let now = 1_800_000_000_000
    const store = openAt(() => now)
    appendAndPass(store, [stored(1)])
    now += 7 * DAY
    trimAll(store)
    expect(store.stats().rows).toBe(0)
    expect(appendAndPass(store, [stored(1)])).toEqual({ positions: [0] })
    expect(appendAndPass(store, [{ ...stored(2), billingKey: 'key 1' }])).toEqual({ positions: [-2] })
    now += 1
    trimAll(store)
    expect(appendAndPass(store, [stored(1)])).toEqual({ positions: [3] })
    store.close()
  })

  it('keeps the id of a row as long as the row, however old', () => {
    let now = 1_800_000_000_000
    const store = openAt(() => now)
    store.transaction(() => store.append([stored(1)]))
    now += 30 * DAY
    trimAll(store)
    expect(store.transaction(() => store.append([stored(1)]))).toEqual({ positions: [0] })
    store.close()
  })

  it('ids take at most half of the limit: the oldest are forgotten early, counted, and calls still find room', () => {
    let now = 1_800_000_000_000
    const limitBytes = 1024 * 1024
    const store = openAt(() => now, limitBytes)
    const CALLS = 12_000
    for (let n = 0; n < CALLS; n += 100) {
      now += 1000
      expect(
        appendAndPass(
          store,
          Array.from({ length: 100 }, (_, index) => stored(n + index)),
        ),
      ).not.toBe('full')
      trimAll(store)
    }
    const held = Math.floor(limitBytes / 2 / CLAIM_BYTES)
    const { bytes, idsForgottenEarly } = store.stats()
    // Half of what is beyond goes from each of the two tables: at an odd number one more.
    expect(Math.abs(idsForgottenEarly! - (2 * CALLS - held))).toBeLessThanOrEqual(1)
    expect(bytes).toBeLessThanOrEqual(limitBytes)
    expect(appendAndPass(store, [stored(CALLS - 1)])).toEqual({ positions: [0] })
    store.close()
  })

  it('a transaction that fails leaves cursors, counts and claims as they were', () => {
    const store = openAt(Date.now)
    store.transaction(() => store.append([stored(1)]))
    const before = store.stats()
    expect(() =>
      store.transaction(() => {
        store.append([stored(2)])
        store.commit('otlp', 2, [{ position: 1, tenant: 'blue', outcome: 'sent', reason: '' }])
        store.bury('otlp', [{ ...stored(1), position: 1, reason: 'http_400' }])
        throw new Error('power cut')
      }),
    ).toThrow('power cut')
    expect({ ...store.stats(), bytes: 0 }).toEqual({ ...before, bytes: 0 })
    expect(store.transaction(() => store.append([stored(2)]))).toEqual({ positions: [2] })
    store.close()
  })
})
