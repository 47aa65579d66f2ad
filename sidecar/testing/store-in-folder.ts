import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach } from 'vitest'
import { type LlmCall, TOKEN_TYPES } from '../call.ts'
import { openStore, type Store, type StoreOptions } from '../store/store.ts'
import { LEDGER_SERIES, type LedgerSeries, type Totals } from '../store/totals.ts'

/** A folder and a clock of its own for each test; the store in it may be opened again and again. */
export function storeInFolder() {
  const test = {
    folder: '',
    clock: 0,
    get file() {
      return join(test.folder, 'observer.db')
    },
    open: (options: Partial<StoreOptions> = {}): Promise<Store> =>
      openStore({
        file: test.file,
        sinks: [],
        labelLimits: { tenants: 100, models: 100, series: 1_000_000 },
        gapGraceMs: 1000,
        now: () => test.clock,
        ...options,
      }),
    /** One request a batch. */
    async feed(store: Store, ...batches: readonly (readonly LlmCall[])[]): Promise<void> {
      for (const calls of batches) await store.append({ calls })
    },
  }
  beforeEach(() => {
    test.folder = mkdtempSync(join(tmpdir(), 'store-'))
    test.clock = 1_800_000_000_000
  })
  afterEach(() => rmSync(test.folder, { recursive: true, force: true }))
  return test
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
export const latencies = (ledger: Totals) =>
  Object.fromEntries([...ledger.histogram('latency')].map(({ labels, ...sample }) => [labels.join('|'), sample]))
export const totals = (ledger: Totals) =>
  Object.fromEntries(
    (Object.keys(LEDGER_SERIES) as LedgerSeries[]).map((name) => [
      name,
      Object.fromEntries<bigint>(
        [...ledger.series(name)].map(({ labels, value }): [string, bigint] => [labels.join('|'), value]).sort(),
      ),
    ]),
  )
