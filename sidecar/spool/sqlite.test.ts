import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, describe, expect, it } from 'vitest'
import { makeCall } from '../testing/make-call.ts'
import { LEDGER_READER } from './spool.ts'
import { describeSpool } from './spool-contract.ts'
import { openSqliteSpool } from './sqlite.ts'
import { SPOOL_MIGRATIONS } from './sqlite-schema.ts'

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
  const file = join(newFolder(), 'spool.db')
  return {
    open: (options = {}) => openSqliteSpool({ file, limitBytes: 1e9, ...options }),
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
      .run('a', 'blue', 1, 0, JSON.stringify(makeCall({}, 1)))
    old.close()
    const spool = await openSqliteSpool({ file, readers: READERS })
    expect((await spool.read('otlp', { calls: 10, bytes: 1e9 }, never))?.entries[0]?.call.requestId).toBe('request-1')
    await spool.close()
    const newer = new DatabaseSync(file)
    newer.exec('PRAGMA user_version = 99')
    newer.close()
    await expect(openSqliteSpool({ file, readers: READERS })).rejects.toThrow(/schema version 99.*up to 2/)
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
    await expect.poll(async () => (await spool.stats()).rows, { timeout: 10_000 }).toBe(0)
    expect((await spool.stats()).bytes).toBeLessThan(30_000_000)
    await spool.close()
  })
})
