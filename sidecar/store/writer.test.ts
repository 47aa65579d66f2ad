import type { DatabaseSync } from 'node:sqlite'
import { afterEach, describe, expect, it } from 'vitest'
import type { LlmCall } from '../call.ts'
import { makeCall } from '../testing/make-call.ts'
import { storeInFolder } from '../testing/store-in-folder.ts'
import { configureSinks } from './configure-sinks.ts'
import { migrateStore } from './migrations.ts'
import { openForWriting } from './open-database.ts'
import { packCalls } from './packed-calls.ts'
import { type AppendRequest, makeWriter, STORED } from './writer.ts'

const test = storeInFolder()
const EPOCH = 'ab'.repeat(16)
const OPTIONS = {
  sinks: undefined,
  logLimitBytes: 1e9,
  gapGraceMs: 1000,
  labelLimits: { tenants: 10, models: 10, series: 10_000 },
  reservedTenants: [],
}
const numbered = (sequence: number) =>
  makeCall({ gateway: { node: 'n', source: 'tap', epoch: EPOCH, sequence } }, sequence)
const ioError = () => Object.assign(new Error('disk I/O error'), { errcode: 10 })

function requestOf(calls: readonly LlmCall[]): AppendRequest {
  return { calls: packCalls(calls), ignored: [], lost: [], acknowledged: [], totals: [], given: [] }
}

/** A writer on a database of which commits, roll-backs and reads can be made to fail. */
function faulty() {
  const fails = { commit: false, rollback: false, read: false }
  const database = openForWriting(test.file)
  migrateStore(database, test.file)
  const real: DatabaseSync['exec'] = database.exec.bind(database)
  database.exec = (sql) => {
    if (fails.commit && sql === 'COMMIT') throw ioError()
    if (fails.rollback && sql === 'ROLLBACK') throw ioError()
    real(sql)
  }
  const prepare = database.prepare.bind(database)
  database.prepare = (sql) => {
    const statement = prepare(sql)
    for (const method of ['get', 'all'] as const) {
      const run = statement[method].bind(statement) as (...values: never[]) => never
      statement[method] = ((...values: never[]) => {
        if (fails.read) throw ioError()
        return run(...values)
      }) as never
    }
    return statement
  }
  const writer = makeWriter(database, { file: test.file, ...OPTIONS })
  return { fails, database, writer }
}

describe('a transaction that was given up', () => {
  let under: ReturnType<typeof faulty>
  afterEach(() => under.database.close())
  const append = (sequence: number) =>
    under.writer.append([requestOf([numbered(sequence)])], [], 0, test.clock).results[0]!.codes

  it('leaves no number settled in memory, also where nothing could be read anew', () => {
    under = faulty()
    expect(append(1)).toEqual([STORED])
    under.fails.commit = true
    // The reads of the transaction itself are well: what fails are those after it.
    const exec = under.database.exec
    under.database.exec = (sql) => {
      if (sql === 'COMMIT') under.fails.read = true
      exec(sql)
    }
    expect(() => append(2)).toThrow('disk I/O error')
    under.database.exec = exec
    Object.assign(under.fails, { commit: false, read: false })
    expect(append(2)).toEqual([STORED])
  })

  it('that could not be rolled back is, before the next one', () => {
    under = faulty()
    Object.assign(under.fails, { commit: true, rollback: true })
    expect(() => append(1)).toThrow('disk I/O error')
    expect(under.database.isTransaction).toBe(true)
    Object.assign(under.fails, { commit: false, rollback: false })
    expect(append(1)).toEqual([STORED])
    expect(under.database.isTransaction).toBe(false)
  })
})

describe('rows that are held', () => {
  it('are not looked at by each trim, and go when no sink holds them any more', () => {
    const database = openForWriting(test.file)
    migrateStore(database, test.file)
    configureSinks(database, ['otlp', 'loki'])
    const writer = makeWriter(database, { file: test.file, ...OPTIONS })
    const trimAll = () => {
      while (writer.trim(test.clock));
    }
    const rows = () =>
      (database.prepare('SELECT position FROM log ORDER BY position').all() as { position: number }[]).map(
        ({ position }) => position,
      )
    const append = (from: number, to: number) => {
      const calls = Array.from({ length: to - from + 1 }, (_, index) => makeCall({}, from + index))
      return writer.append([requestOf(calls)], [], 0, test.clock).results[0]!.positions
    }
    const outcomes = (positions: readonly number[]) =>
      positions.map((position) => ({ position, tenant: 'blue', outcome: 'sent' as const, reason: '' }))
    const held = (positions: readonly number[]) => positions.map((position) => ({ position, tenant: 'blue' }))
    const settle = (sink: string, request: Partial<Parameters<typeof writer.settle>[0][number]>) =>
      writer.settle([{ sink, upTo: undefined, outcomes: [], held: [], deadLetters: [], ...request }], test.clock)

    const first = append(1, 2500)
    settle('otlp', { upTo: 2500, held: held(first) })
    settle('loki', { upTo: 2500, held: held(first.slice(0, 10)), outcomes: outcomes(first.slice(10)) })
    trimAll()
    expect(rows()).toHaveLength(2500)
    // Let go behind its back: only a trim that looks again would see it.
    database.exec('DELETE FROM held WHERE position = 1500')
    const second = append(2501, 2510)
    for (const sink of ['otlp', 'loki']) settle(sink, { upTo: 2510, outcomes: outcomes(second) })
    trimAll()
    expect(rows()).toEqual(first)
    database.exec("INSERT INTO held VALUES ('otlp', 'blue', 1500)")

    settle('otlp', { outcomes: outcomes(first.slice(0, 2400)) })
    trimAll()
    expect(rows()).toEqual([...first.slice(0, 10), ...first.slice(2400)])
    settle('loki', { outcomes: outcomes(first.slice(0, 10)) })
    settle('otlp', { outcomes: outcomes(first.slice(2400)) })
    trimAll()
    expect(rows()).toEqual([])
    expect(database.prepare("SELECT value FROM state WHERE name = 'log_bytes'").get()).toEqual({ value: 0 })
    database.close()
  })
})
