import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { TOKEN_TYPES, type TokenType } from '../call.ts'
import { migrate } from '../spool/migrate.ts'
import { type AdjustmentTotal, makeAdjustmentTotals } from './adjustment-totals.ts'
import { makeCallLineStore } from './call-line-store.ts'
import { type GapChange, makeCaptureGaps, type TapTotal } from './capture-gaps.ts'
import type { CellDelta, CountDelta, Delta } from './delta.ts'
import { addMoney, moneyColumns, moneyValues, PICO_PER_USD, picoUsdOf } from './money-columns.ts'
import { LEDGER_MIGRATIONS } from './schema.ts'
import type { HistogramName } from './series.ts'
import type { SpendRange } from './spend.ts'
import { makeSpendStore } from './spend-store.ts'

/** The synchronous half of the ledger: it lives in a worker thread, see ledger-worker.ts. */
export interface LedgerStoreOptions {
  file: string
  gapGraceMs: number
  /** How long a call's own line is kept; for ever where not given. */
  callRetentionMs?: number | undefined
  /** Tenants that keep a label of their own, however many there are (law 13). */
  reservedTenants?: readonly string[] | undefined
}
export interface RunningTotal {
  /** Who tells it: a plugin process, or an epoch of the tap. */
  instance: string
  reason: string
  total: number
  /** What grows with it. */
  counter: { name: string; labels: readonly string[] }
}
export interface Loaded {
  position: number
  spool: string | undefined
  labels: { kind: string; name: string }[]
  cells: Omit<CellDelta, 'hour'>[]
  counts: { name: string; labels: readonly [string, string, string, string]; value: bigint }[]
  histograms: (CountDelta & { name: HistogramName })[]
  adjustments: AdjustmentTotal[]
}

const CONSTRAINT_DATATYPE = 3091
const INSTANCE_LIFE_MS = 30 * 24 * 3600 * 1000
const TOUCH_MS = 24 * 3600 * 1000
/** Money among the counts: whole dollars stand in a row of their own (schema.ts, L1). */
const MONEY_COUNTS: readonly string[] = ['usage_source_cost', 'lookup_cost']
const IN_USD = '.usd'
const MONEY = ['cost', 'saved', 'cache_saved'] as const

export function openLedgerStore(options: LedgerStoreOptions) {
  const { file, gapGraceMs, callRetentionMs = Number.POSITIVE_INFINITY, reservedTenants = [] } = options
  const database = new DatabaseSync(file, { timeout: 5000 })
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 4194304')
  migrate(database, file, LEDGER_MIGRATIONS)
  const gaps = makeCaptureGaps(database, gapGraceMs)
  const lines = makeCallLineStore(database, callRetentionMs)
  const adjustments = makeAdjustmentTotals(database)
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
  for (const tenant of reservedTenants) admit.run('tenant', tenant)
  const setPosition = database.prepare('UPDATE position SET position = ?, spool = coalesce(?, spool)')
  const totalOf = database.prepare('SELECT total, last_at FROM plugin_drops WHERE instance = ? AND reason = ?')
  const setTotal = database.prepare(
    'INSERT INTO plugin_drops VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET total = excluded.total, last_at = excluded.last_at',
  )
  const forgetInstances = database.prepare('DELETE FROM plugin_drops WHERE last_at < ?')

  function count(counts: readonly CountDelta[]): void {
    for (const { name, labels, value } of counts) {
      const [a = '', b = '', c = '', d = ''] = labels
      if (value === 0n) startCount.run(name, a, b, c, d)
      else if (!MONEY_COUNTS.includes(name)) addCount.run(name, a, b, c, d, value)
      else {
        const pico = (countOf.get(name, a, b, c, d) as { value: bigint } | undefined)?.value ?? 0n
        const dollars = (pico + value) / PICO_PER_USD
        addMoneyCount.run(name, a, b, c, d, value % PICO_PER_USD)
        if (dollars > 0n) addCount.run(`${name}${IN_USD}`, a, b, c, d, dollars)
      }
    }
  }

  /** What the numbering says, as counts. */
  function counted(changes: readonly GapChange[]): CountDelta[] {
    const counts: CountDelta[] = []
    for (const { node, lost, late } of changes) {
      if (lost > 0) counts.push({ name: 'capture_gaps', labels: [node], value: BigInt(lost) })
      if (late > 0) counts.push({ name: 'capture_late', labels: [node], value: BigInt(late) })
    }
    count(counts)
    return counts
  }

  return {
    load: (): Loaded => ({ ...load(database), adjustments: adjustments.read() }),
    /** All or nothing. */
    transaction<T>(work: () => T): T {
      database.exec('BEGIN IMMEDIATE')
      try {
        const result = work()
        database.exec('COMMIT')
        return result
      } catch (error) {
        if (database.isTransaction) database.exec('ROLLBACK')
        lines.forget()
        throw error
      }
    },
    /** Inside a transaction, as all below. Returns what was counted besides `delta` itself. */
    apply(delta: Delta, position: number, spool: string | undefined, now: number): CountDelta[] {
      for (const [kind, name] of delta.newLabels) admit.run(kind, name)
      const totals = new Map<string, CellDelta>()
      for (const cell of delta.cells) {
        const { hour, tenant, provider, model, status } = cell
        addCell([hour, tenant, provider, model, status], cell)
        const key = `${tenant}\u0000${provider}\u0000${model}\u0000${status}`
        const total = totals.get(key)
        totals.set(key, total === undefined ? cell : sumOf(total, cell))
      }
      for (const total of totals.values()) addTotal([total.tenant, total.provider, total.model, total.status], total)
      lines.add(delta.lines)
      spend.add(delta.spend)
      lines.trim(now)
      count(delta.counts)
      for (const { name, labels, value } of delta.histograms)
        addHistogram.run(name, labels[0]!, labels[1]!, labels[2]!, Number(labels[3]), value)
      setPosition.run(position, spool ?? null)
      return counted(delta.arrivals.map((arrival) => gaps.arrived(arrival, now)))
    },
    /** Running totals: told twice, they count once. */
    grow(totals: readonly RunningTotal[], now: number): CountDelta[] {
      const counts: CountDelta[] = []
      for (const { instance, reason, total, counter } of totals) {
        const before = totalOf.get(instance, reason) as { total: number; last_at: number } | undefined
        const grown = total - (before?.total ?? 0)
        if (grown > 0) counts.push({ ...counter, value: BigInt(grown) })
        if (grown > 0 || (before !== undefined && before.last_at < now - TOUCH_MS))
          setTotal.run(instance, reason, Math.max(total, before?.total ?? 0), now)
      }
      if (counts.length > 0) forgetInstances.run(now - INSTANCE_LIFE_MS)
      count(counts)
      return counts
    },
    recordTapTotals(told: readonly TapTotal[], now: number): CountDelta[] {
      return counted(told.map((total) => gaps.told(total, now)))
    },
    accountDropped(epoch: string, sequences: readonly number[], now: number): CountDelta[] {
      return counted(gaps.accountDropped(epoch, sequences, now))
    },
    confirmGaps(now: number): CountDelta[] {
      lines.trim(now)
      spend.trim(now)
      return counted(gaps.confirm(now))
    },
    /** Outside a transaction. */
    sumsOfSpend: (ranges: readonly SpendRange[]) => spend.sums(ranges),
    /** Outside a transaction: what `reprice`, another process, has written; undefined where nothing has changed. */
    changedAdjustments: adjustments.changed,
    close: () => database.close(),
  }
}
export type LedgerStore = ReturnType<typeof openLedgerStore>

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

function load(database: DatabaseSync): Omit<Loaded, 'adjustments'> {
  function rows<Text extends string, Integer extends string>(sql: string) {
    const statement = database.prepare(sql)
    statement.setReadBigInts(true)
    return statement.all() as (Record<Text, string> & Record<Integer, bigint>)[]
  }
  const [at] = rows<'spool', 'position'>('SELECT position, spool FROM position')
  return {
    position: Number(at!.position),
    // Null where no spool has said its name yet.
    spool: at!.spool ?? undefined,
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
          name: inUsd ? metric.slice(0, -IN_USD.length) : metric,
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
