import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import { TOKEN_TYPES, type TokenType } from '../call.ts'
import { type AdjustmentTotal, readAdjustmentTotals } from './adjustment-totals.ts'
import type { CellDelta, CountDelta, Delta } from './delta.ts'
import { addMoney, moneyColumns, moneyValues, PICO_PER_USD, picoUsdOf } from './money-columns.ts'
import { DAY_MS } from './period.ts'
import type { HistogramName } from './series.ts'
import { makeSpendStore } from './spend-store.ts'

/** A total that a process tells of itself: it only grows, and told twice it counts once. */
export interface RunningTotal {
  /** Who tells it: a plugin process, or an epoch of the tap. */
  source: string
  name: string
  total: number
  /** What grows with it. */
  counter: { name: string; labels: readonly string[] }
  /** Kong's name of the node that is the counter's label. */
  node?: string
  /** Part of what it has grown by that is counted otherwise. */
  counted?: number
}
/** The ledger's totals as they stand in the file. */
export interface LoadedLedger {
  labels: { kind: string; name: string }[]
  cells: Omit<CellDelta, 'hour'>[]
  counts: { name: string; labels: readonly [string, string, string, string]; value: bigint }[]
  histograms: (CountDelta & { name: HistogramName })[]
  adjustments: AdjustmentTotal[]
}

const CONSTRAINT_DATATYPE = 3091
const SOURCE_LIFE_DAYS = 30
/** Money among the counts: whole dollars stand in a row of their own (schema.ts, L1). */
const MONEY_COUNTS: readonly string[] = ['usage_source_cost', 'lookup_cost', 'bill_above_list', 'bill_below_list']
const IN_USD = '.usd'
/** The second row of a count that passed int64 (schema.ts, L2). */
const PART = '.part'
const MONEY = ['cost', 'saved', 'cache_saved'] as const

/** The sums of the ledger in SQLite. Everything that writes runs inside the caller's transaction. */
export function makeLedgerTables(database: DatabaseSync) {
  const spend = makeSpendStore(database)
  const addCell = prepareCells(database, 'cells', ['hour', 'tenant', 'provider', 'model', 'status'])
  const addTotal = prepareCells(database, 'totals', ['tenant', 'provider', 'model', 'status'])
  const addCount = database.prepare(
    'INSERT INTO counts VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value',
  )
  const startCount = database.prepare('INSERT OR IGNORE INTO counts VALUES (?, ?, ?, ?, ?, 0)')
  const addMoneyCount = database.prepare(
    `INSERT INTO counts VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET value = (value + excluded.value) % ${PICO_PER_USD}`,
  )
  const countOf = database.prepare('SELECT value FROM counts WHERE metric = ? AND a = ? AND b = ? AND c = ? AND d = ?')
  countOf.setReadBigInts(true)
  const addHistogram = database.prepare(
    'INSERT INTO histograms VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value',
  )
  const admit = database.prepare('INSERT OR IGNORE INTO labels VALUES (?, ?)')
  const totalOf = database.prepare('SELECT total, last_day FROM running_totals WHERE source = ? AND name = ?')
  const setTotal = database.prepare(
    'INSERT INTO running_totals VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET total = excluded.total, last_day = excluded.last_day',
  )
  const forgetSources = database.prepare('DELETE FROM running_totals WHERE last_day < ?')

  function count(counts: readonly CountDelta[]): void {
    for (const { name, labels, value } of counts) {
      const [a = '', b = '', c = '', d = ''] = labels
      if (value === 0n) startCount.run(name, a, b, c, d)
      else if (!MONEY_COUNTS.includes(name)) {
        if (!fits(addCount, [name, a, b, c, d, value])) fits(addCount, [`${name}${PART}`, a, b, c, d, value])
      } else {
        const pico = (countOf.get(name, a, b, c, d) as { value: bigint } | undefined)?.value ?? 0n
        const dollars = (pico + value) / PICO_PER_USD
        addMoneyCount.run(name, a, b, c, d, value % PICO_PER_USD)
        if (dollars > 0n) addCount.run(`${name}${IN_USD}`, a, b, c, d, dollars)
      }
    }
  }

  return {
    load: (): LoadedLedger => ({ ...load(database), adjustments: readAdjustmentTotals(database) }),
    apply(delta: Delta): void {
      for (const { kind, name } of delta.newLabels) admit.run(kind, name)
      const totals = new Map<string, CellDelta>()
      for (const cell of delta.cells) {
        const { hour, tenant, provider, model, status } = cell
        addCell([hour, tenant, provider, model, status], cell)
        const key = `${tenant}\u0000${provider}\u0000${model}\u0000${status}`
        const total = totals.get(key)
        totals.set(key, total === undefined ? cell : sumOf(total, cell))
      }
      for (const total of totals.values()) addTotal([total.tenant, total.provider, total.model, total.status], total)
      spend.add(delta.spend)
      count(delta.counts)
      for (const { name, labels, value } of delta.histograms)
        addHistogram.run(name, labels[0]!, labels[1]!, labels[2]!, Number(labels[3]), value)
    },
    admit: (kind: string, name: string): void => void admit.run(kind, name),
    /** What running totals have grown by. */
    grow(totals: readonly RunningTotal[], nodeLabel: (node: string) => string, now: number): CountDelta[] {
      const day = Math.floor(now / DAY_MS)
      const counts: CountDelta[] = []
      for (const { source, name, total, counter, node, counted = 0 } of totals) {
        const before = totalOf.get(source, name) as { total: number; last_day: number } | undefined
        const grown = total - (before?.total ?? 0)
        const labels = node === undefined ? counter.labels : [nodeLabel(node)]
        if (grown > counted) counts.push({ name: counter.name, labels, value: BigInt(grown - counted) })
        if (grown > 0 || (before !== undefined && before.last_day < day))
          setTotal.run(source, name, Math.max(total, before?.total ?? 0), day)
      }
      return counts
    },
    trim(now: number): void {
      spend.trim(now)
      forgetSources.run(Math.floor(now / DAY_MS) - SOURCE_LIFE_DAYS)
    },
  }
}
export type LedgerTables = ReturnType<typeof makeLedgerTables>

function prepareCells(database: DatabaseSync, table: string, key: readonly string[]) {
  const tokens = TOKEN_TYPES.map((type) => `tokens_${type}`)
  const columns = [...key, 'part', 'calls', ...moneyColumns(MONEY), ...tokens]
  const add = database.prepare(
    `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})
     ON CONFLICT DO UPDATE SET calls = calls + excluded.calls, ${addMoney(MONEY)}, ${tokens.map((name) => `${name} = ${name} + excluded.${name}`).join(', ')}`,
  )
  return (values: readonly SQLInputValue[], cell: Omit<CellDelta, 'hour'>): void => {
    const { calls, cost, saved, cacheSaved, tokens: counts } = cell
    for (let part = 0; ; part++)
      if (
        fits(add, [
          ...values,
          part,
          calls,
          ...moneyValues(cost),
          ...moneyValues(saved),
          ...moneyValues(cacheSaved),
          ...counts,
        ])
      )
        return
  }
}

/** False where a sum passed int64: STRICT refuses the float that SQLite makes of it, and the row stays as it was. */
function fits(statement: StatementSync, values: readonly SQLInputValue[]): boolean {
  try {
    statement.run(...values)
    return true
  } catch (error) {
    if ((error as { errcode?: number }).errcode === CONSTRAINT_DATATYPE) return false
    throw error
  }
}

function sumOf(a: CellDelta, b: CellDelta): CellDelta {
  return {
    ...a,
    calls: a.calls + b.calls,
    cost: a.cost + b.cost,
    saved: a.saved + b.saved,
    cacheSaved: a.cacheSaved + b.cacheSaved,
    tokens: a.tokens.map((value, index) => value + b.tokens[index]!),
  }
}

function load(database: DatabaseSync): Omit<LoadedLedger, 'adjustments'> {
  function rows<Text extends string, Integer extends string>(sql: string) {
    const statement = database.prepare(sql)
    statement.setReadBigInts(true)
    return statement.all() as (Record<Text, string> & Record<Integer, bigint>)[]
  }
  return {
    labels: rows<'kind' | 'name', never>('SELECT kind, name FROM labels'),
    cells: rows<Key, 'calls' | Money | `tokens_${TokenType}`>('SELECT * FROM totals').map((row) => ({
      tenant: row.tenant,
      provider: row.provider,
      model: row.model,
      status: row.status,
      calls: row.calls,
      cost: picoUsdOf(row, 'cost'),
      saved: picoUsdOf(row, 'saved'),
      cacheSaved: picoUsdOf(row, 'cache_saved'),
      tokens: TOKEN_TYPES.map((type) => row[`tokens_${type}`]),
    })),
    counts: rows<'metric' | 'a' | 'b' | 'c' | 'd', 'value'>('SELECT metric, a, b, c, d, value FROM counts').map(
      ({ metric, a, b, c, d, value }) => {
        const inUsd = metric.endsWith(IN_USD)
        return {
          name: inUsd
            ? metric.slice(0, -IN_USD.length)
            : metric.endsWith(PART)
              ? metric.slice(0, -PART.length)
              : metric,
          labels: [a, b, c, d],
          value: inUsd ? value * PICO_PER_USD : value,
        }
      },
    ),
    histograms: rows<'metric' | Key, 'bucket' | 'value'>(
      'SELECT metric, tenant, provider, model, bucket, value FROM histograms',
    ).map(({ metric, tenant, provider, model, bucket, value }) => ({
      name: metric as HistogramName,
      labels: [tenant, provider, model, String(bucket)],
      value,
    })),
  }
}
type Key = 'tenant' | 'provider' | 'model' | 'status'
type Money = `${(typeof MONEY)[number]}_${'usd' | 'pico'}`
