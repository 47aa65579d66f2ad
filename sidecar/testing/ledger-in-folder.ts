import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect } from 'vitest'
import { type LlmCall, TOKEN_TYPES } from '../call.ts'
import { LEDGER_SERIES, type Ledger, type LedgerOptions, type LedgerSeries, openLedger } from '../ledger/ledger.ts'
import { LEDGER_READER, type Spool } from '../spool/spool.ts'
import { openSqliteSpool } from '../spool/sqlite.ts'

/** A folder and a clock of its own for each test; ledgers and spools in it may be opened again and again. */
export function ledgerInFolder() {
  const test = {
    folder: '',
    clock: 0,
    open: (options: Partial<LedgerOptions> = {}) =>
      openLedger({
        file: join(test.folder, 'ledger.db'),
        labelLimits: { tenants: 100, models: 100 },
        gapGraceMs: 1000,
        now: () => test.clock,
        ...options,
      }),
    openSpool: () => openSqliteSpool({ file: join(test.folder, 'spool.db'), readers: [LEDGER_READER] }),
    /** Through a spool, appended to what was there. */
    async feed(ledger: Ledger, calls: readonly LlmCall[]): Promise<void> {
      const spool = await test.openSpool()
      await spool.append(calls)
      await followToEnd(ledger, spool)
      await spool.close()
    },
  }
  beforeEach(() => {
    test.folder = mkdtempSync(join(tmpdir(), 'ledger-'))
    test.clock = 1_800_000_000_000
  })
  afterEach(() => rmSync(test.folder, { recursive: true, force: true }))
  return test
}

/** Follows until the ledger stands where the spool ends. */
export async function followToEnd(ledger: Ledger, spool: Spool): Promise<void> {
  const stop = new AbortController()
  const running = ledger.follow(spool, stop.signal)
  const { lastPosition } = await spool.stats()
  await expect.poll(() => ledger.position, { interval: 5 }).toBe(lastPosition)
  stop.abort()
  await running
}
/** The cells as another program reads them: plain SQL, all parts added. */
export function cellsAsTotals(file: string): { cost: Record<string, bigint>; tokens: Record<string, bigint> } {
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
export const latencies = (ledger: Ledger) =>
  Object.fromEntries([...ledger.histogram('latency')].map(({ labels, ...sample }) => [labels.join('|'), sample]))
export const totals = (ledger: Ledger) =>
  Object.fromEntries(
    (Object.keys(LEDGER_SERIES) as LedgerSeries[]).map((name) => [
      name,
      Object.fromEntries<bigint>(
        [...ledger.series(name)].map(({ labels, value }): [string, bigint] => [labels.join('|'), value]).sort(),
      ),
    ]),
  )
