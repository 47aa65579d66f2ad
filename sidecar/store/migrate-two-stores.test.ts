import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { LlmCall } from '../call.ts'
import { makeCall } from '../testing/make-call.ts'
import { writeOldStores } from '../testing/old-stores.ts'
import { totals } from '../testing/store-in-folder.ts'
import { checkStore } from './check.ts'
import { openDataFolder } from './open-data-folder.ts'
import type { Store } from './store.ts'

const NOW = 1_795_500_000_000
const START = NOW - 3_600_000
const COST = 140_000_000n
const ALL = { calls: 10_000, bytes: 1e9 }
const EPOCH = '0123456789abcdef0123456789abcdef'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'two-stores-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const call = (n: number, change: Partial<LlmCall> = {}) => makeCall({ startedAt: START + n, ...change }, n)
const numbered = (n: number, epoch = EPOCH, sequence = n) =>
  call(n, { gateway: { node: 'node-1', source: 'tap', epoch, sequence } })
async function open(sinks: readonly string[] = ['otlp', 'loki']) {
  const told: string[] = []
  const store = await openDataFolder(
    folder,
    { sinks, gapGraceMs: 1000, now: () => NOW, callRetentionMs: 62 * 86_400_000 },
    (_level, _fields, message) => told.push(message),
  )
  return { store, told }
}
const nothingWrong = () => expect(checkStore(join(folder, 'observer.db')).flatMap(({ wrong }) => wrong)).toEqual([])
const sum = (store: Store) => totals(store).cost!['blue|openai|gpt-4o-2024-08-06']
async function waiting(store: Store, sink: string): Promise<string[]> {
  const batch = await store.read(sink, ALL, AbortSignal.timeout(200))
  return batch?.entries.map((entry) => entry.call.requestId) ?? []
}

describe('spool.db and ledger.db become one store', () => {
  it('the ledger far behind the log, sinks apart, one retired, repeats, dead letters: sums are equal and nothing is sent twice', async () => {
    const CALLS = 3000
    const old = writeOldStores(folder)
    old.spool.exec('BEGIN')
    old.ledger.exec('BEGIN')
    for (let n = 1; n <= CALLS; n++) {
      const position = old.append(numbered(n), { at: START })
      if (n <= 1000) old.count(numbered(n), position)
    }
    const repeat = old.append(call(CALLS + 1), { at: START, repeat: true })
    old.spool.exec('COMMIT')
    old.ledger.exec(`INSERT INTO epochs VALUES ('node-1', '${EPOCH}', 1000, ${START})`)
    old.ledger.exec('COMMIT')
    old.reader('ledger', 1000)
    old.reader('otlp', 2000)
    old.reader('loki', 2999)
    old.reader('langfuse', 10, 1)
    for (const [reader, count] of [
      ['otlp', 2000],
      ['loki', 2998],
    ] as const)
      old.spool.prepare('INSERT INTO outcomes VALUES (?, ?, ?, ?, ?)').run(reader, 'blue', 'sent', '', count)
    old.spool.prepare("INSERT INTO outcomes VALUES ('loki', 'blue', 'rejected', 'http_400', 1)").run()
    old.spool
      .prepare("INSERT INTO dead_letters VALUES ('loki', 7, 'x', 'blue', 'http_400', ?, ?)")
      .run(START, JSON.stringify(numbered(7)))
    old.close()

    const { store, told } = await open()
    expect(told.join('\n')).toMatch(/one store now/)
    expect(sum(store)).toBe(BigInt(CALLS) * COST)
    expect(Object.values(totals(store).calls!).reduce((a, b) => a + b, 0n)).toBe(BigInt(CALLS + 1))
    expect(totals(store).repeats).toEqual({ blue: 1n })
    expect((await waiting(store, 'otlp')).length).toBe(1001)
    expect(await waiting(store, 'loki')).toEqual([`request-${CALLS}`, `request-${CALLS + 1}`])
    expect((await store.read('loki', ALL, AbortSignal.timeout(200)))!.entries.at(-1)!.call.repeat).toBe(true)
    expect((await store.deadLetters(undefined, undefined, 10)).map(({ sink, position }) => [sink, position])).toEqual([
      ['loki', 7],
    ])
    // The last acknowledged batch comes again, as after a 202 that was lost.
    const again = Array.from({ length: 100 }, (_, index) => numbered(CALLS - index))
    expect(await store.append({ calls: again })).toMatchObject({ stored: 0, duplicate: 100 })
    expect(await store.append({ calls: [numbered(CALLS + 10)] })).toMatchObject({ stored: 1 })
    // Positions go on where they were.
    expect((await store.read('loki', ALL, AbortSignal.timeout(200)))!.upTo).toBe(repeat + 1)
    await store.close()
    nothingWrong()
    expect(readdirSync(join(folder, 'before-one-store')).sort()).toEqual(
      expect.arrayContaining(['ledger.db', 'spool.db']),
    )
    expect(existsSync(join(folder, 'ledger.db'))).toBe(false)
    const { store: reopened, told: silence } = await open()
    expect(silence).toEqual([])
    expect(sum(reopened)).toBe(BigInt(CALLS + 1) * COST)
    await reopened.close()
  })

  it('numbers: what is missing may still come, what was given up long ago is stored late, what is there is a duplicate', async () => {
    const old = writeOldStores(folder)
    // 1, 2, 5 came; 3 is missing; 4 was confirmed lost, which the old ledger keeps no trace of.
    for (const n of [1, 2, 5]) old.count(numbered(n), old.append(numbered(n), { at: START }))
    old.ledger.exec(`INSERT INTO epochs VALUES ('node-1', '${EPOCH}', 5, ${START})`)
    old.ledger.exec(`INSERT INTO missing VALUES ('node-1', '${EPOCH}', 3, 3, ${NOW - 500})`)
    old.ledger.exec(`INSERT INTO counts VALUES ('capture_gaps', 'node-1', '', '', '', 1)`)
    old.ledger.exec(`INSERT INTO counts VALUES ('plugin_dropped', 'queue_full', '', '', '', 2)`)
    old.reader('ledger', 3)
    old.close()
    const { store } = await open([])
    expect(totals(store).lost).toEqual({ 'node-1|gap': 1n, '|queue_full': 2n })
    expect(await store.append({ calls: [numbered(1), numbered(2), numbered(5)] })).toMatchObject({ duplicate: 3 })
    expect(await store.append({ calls: [numbered(3)] })).toMatchObject({ stored: 1 })
    expect(await store.append({ calls: [numbered(4)] })).toMatchObject({ stored: 1 })
    expect(totals(store).late).toEqual({ 'node-1': 1n })
    expect(sum(store)).toBe(5n * COST)
    await store.close()
    nothingWrong()
  })

  it('ids of calls that an older ledger kept no line of are recognised for seven days', async () => {
    const old = writeOldStores(folder)
    old.count(call(1), old.append(call(1), { at: NOW - 86_400_000 }), { line: false })
    old.reader('ledger', 1)
    old.close()
    const { store } = await open([])
    expect(await store.append({ calls: [call(1)] })).toMatchObject({ stored: 0, duplicate: 1 })
    await store.close()
  })

  it('another spool in the place of the old one is counted from its start, and nothing twice', async () => {
    const old = writeOldStores(folder)
    for (const n of [1, 2, 3]) old.count(call(n), old.append(call(n), { at: START }))
    old.spool.exec("UPDATE identity SET id = 'another spool'; DELETE FROM calls WHERE position < 3")
    old.append(call(4), { at: START })
    old.reader('ledger', 3)
    old.close()
    const { store } = await open([])
    expect(sum(store)).toBe(4n * COST)
    await store.close()
    nothingWrong()
  })

  it('a ledger alone, a spool alone, and a migration that was cut off', async () => {
    const old = writeOldStores(folder)
    old.count(call(1), old.append(call(1), { at: START }))
    old.reader('ledger', 1)
    old.reader('otlp', 0)
    old.close()
    for (const name of ['ledger.db', 'spool.db']) {
      const alone = mkdtempSync(join(folder, 'alone-'))
      new DatabaseSync(join(folder, name)).prepare('VACUUM INTO ?').run(join(alone, name))
      // Left by a process that was killed within.
      new DatabaseSync(join(alone, 'observer.db.migrating')).exec('CREATE TABLE junk (a)')
      const store = await openDataFolder(alone, { sinks: ['otlp'], now: () => NOW }, () => {})
      expect(sum(store)).toBe(COST)
      expect((await waiting(store, 'otlp')).length).toBe(name === 'spool.db' ? 1 : 0)
      await store.close()
      expect(readdirSync(alone).filter((entry) => entry.includes('migrating'))).toEqual([])
    }
  })

  it('a damaged row keeps its place, and is set aside where it is read', async () => {
    const old = writeOldStores(folder)
    for (const n of [1, 2, 3]) old.append(call(n), { at: START })
    old.spool.exec(`UPDATE calls SET body = substr(body, 1, 40) WHERE position = 2`)
    old.reader('ledger', 0)
    old.reader('otlp', 0)
    old.close()
    const { store } = await open(['otlp'])
    expect(sum(store)).toBe(2n * COST)
    expect(await waiting(store, 'otlp')).toEqual(['request-1', 'request-3'])
    await store.close()
  })
})
