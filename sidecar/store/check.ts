import type { DatabaseSync } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import { TOKEN_TYPES } from '../call.ts'
import { lineChecksum } from '../ledger/call-line-store.ts'
import { KIND_COLUMNS, LINE_COLUMNS } from '../ledger/call-lines.ts'
import { picoUsdOf } from '../ledger/money-columns.ts'
import { HOUR_MS } from '../ledger/period.ts'
import { decodeHoles } from './numbers.ts'
import { openForReading } from './open-for-reading.ts'

/** One thing that was checked. */
export interface Finding {
  what: string
  /** How much was looked at. */
  looked: number
  /** What is wrong; empty: nothing. At most 20, then how many more there are. */
  wrong: string[]
}

const MOST = 20
const MONEY = ['cost', 'saved', 'cache_saved'] as const
const ADJUSTED = ['up', 'down'] as const

/**
 * Reads the whole store, also beside a running sidecar, and adds everything up anew: pages, checksums, sums
 * (cells = calls + totals, adjustments = their cells and totals), numbers of epochs, counts of the sinks.
 */
export function checkStore(file: string): Finding[] {
  const database = openForReading(file)
  try {
    // One snapshot: sums of a running sidecar move between two reads.
    database.exec('BEGIN')
    return [
      pages(database),
      bodies(database, 'log'),
      bodies(database, 'dead_letters'),
      lines(database),
      totals(database),
      cells(database),
      adjustments(database),
      epochs(database),
      sinks(database),
    ]
  } finally {
    database.close()
  }
}

function finding(what: string) {
  const all: string[] = []
  let more = 0
  const found: Finding = { what, looked: 0, wrong: all }
  return {
    found,
    wrong(text: string): void {
      if (all.length < MOST) all.push(text)
      else {
        more++
        all[MOST] = `and ${more} more`
      }
    },
  }
}

function pages(database: DatabaseSync): Finding {
  const { found, wrong } = finding('pages of the file')
  for (const { quick_check: text } of database.prepare('PRAGMA quick_check').iterate() as Iterable<{
    quick_check: string
  }>)
    if (text !== 'ok') wrong(text)
  found.looked = (database.prepare('PRAGMA page_count').get() as { page_count: number }).page_count
  return found
}

function bodies(database: DatabaseSync, table: 'log' | 'dead_letters'): Finding {
  const { found, wrong } = finding(table === 'log' ? 'rows that wait for sinks' : 'dead letters')
  for (const { position, checksum, body } of database
    .prepare(`SELECT position, checksum, body FROM ${table}`)
    .iterate() as Iterable<{ position: number; checksum: number; body: Uint8Array }>) {
    found.looked++
    if (crc32(body) !== checksum) wrong(`${table} ${position}: the body is not what was written`)
  }
  return found
}

function lines(database: DatabaseSync): Finding {
  const { found, wrong } = finding('lines of calls')
  const columns = LINE_COLUMNS.map((name) => `calls.${name}`).join(', ')
  for (const row of database
    .prepare(`SELECT checksum, call_kinds.kind AS known, ${columns} FROM calls LEFT JOIN call_kinds USING (kind)`)
    .iterate() as Iterable<Record<string, never>>) {
    found.looked++
    const { checksum, known, ...line } = row as unknown as {
      checksum: number | null
      known: number | null
      id: Uint8Array
      started_at: number
    }
    const name = `call ${Buffer.from(line.id).toString('hex')} of ${new Date(line.started_at).toISOString()}`
    if (known === null) wrong(`${name}: its kind is not there`)
    // Lines of older versions have none.
    if (checksum === null) continue
    const values = Object.values(line) as (string | number | null)[]
    const asText = (id: string) => lineChecksum(values.map((value) => (value === (line.id as unknown) ? id : value)))
    if (
      asText(Buffer.from(line.id).toString('hex')) !== checksum &&
      asText(Buffer.from(line.id).toString()) !== checksum
    )
      wrong(`${name}: the line is not what was written`)
  }
  return found
}

/** The sums of a table's rows by `keys`: first the `amounts`, then the pairs of columns of `money`, in pico-dollars. */
function sumsOf(
  database: DatabaseSync,
  table: string,
  keys: readonly string[],
  amounts: readonly string[],
  money: readonly string[],
  found: Finding,
): Map<string, bigint[]> {
  const select = database.prepare(`SELECT * FROM ${table}`)
  select.setReadBigInts(true)
  const byKey = new Map<string, bigint[]>()
  for (const row of select.iterate() as Iterable<Record<string, never>>) {
    found.looked++
    const of = row as Record<string, bigint>
    const values = [...amounts.map((name) => of[name]!), ...money.map((name) => picoUsdOf(row, name))]
    const key = keys.map((name) => of[name]).join(' · ')
    const sum = byKey.get(key)
    byKey.set(key, sum === undefined ? values : sum.map((value, index) => value + values[index]!))
  }
  return byKey
}

/** totals = the sum of cells (schema.ts, L3). */
function totals(database: DatabaseSync): Finding {
  const { found, wrong } = finding('totals and their cells')
  const amounts = ['calls', ...TOKEN_TYPES.map((type) => `tokens_${type}`)]
  const keys = ['tenant', 'provider', 'model', 'status']
  const sums = (table: string) => sumsOf(database, table, keys, amounts, MONEY, found)
  compare(sums('cells'), sums('totals'), [...amounts, ...MONEY], wrong, ['cells', 'totals'])
  return found
}

/** For the hours of which every line is kept: cells = the sum of calls. */
function cells(database: DatabaseSync): Finding {
  const { found, wrong } = finding('cells and their calls')
  const { kept_from: keptFrom } = database.prepare('SELECT kept_from FROM retention').get() as { kept_from: number }
  const from = Math.ceil(keptFrom / HOUR_MS)
  const ofCells = new Map<string, bigint[]>()
  const ofCalls = new Map<string, bigint[]>()
  const add = (into: Map<string, bigint[]>, key: string, calls: bigint, cost: bigint) => {
    const [a = 0n, b = 0n] = into.get(key) ?? []
    into.set(key, [a + calls, b + cost])
    found.looked++
  }
  const selectCells = database.prepare(
    'SELECT hour, tenant, provider, model, calls, cost_usd, cost_pico FROM cells WHERE hour >= ?',
  )
  selectCells.setReadBigInts(true)
  for (const row of selectCells.iterate(from) as Iterable<Record<string, never>>) {
    const of = row as Record<string, bigint>
    add(ofCells, [of.hour, of.tenant, of.provider, of.model].join(' · '), of.calls!, picoUsdOf(row, 'cost'))
  }
  const { length } = KIND_COLUMNS
  const selectCalls = database.prepare(
    `SELECT started_at / ${HOUR_MS} AS hour, tenant, provider, model, cost, ${length} AS columns
     FROM calls JOIN call_kinds USING (kind) WHERE started_at >= ?`,
  )
  selectCalls.setReadBigInts(true)
  for (const row of selectCalls.iterate(from * HOUR_MS) as Iterable<Record<string, never>>) {
    const of = row as Record<string, bigint>
    add(ofCalls, [of.hour, of.tenant, of.provider, of.model].join(' · '), 1n, of.cost!)
  }
  compare(ofCells, ofCalls, ['calls', 'cost'], wrong, ['cells', 'lines of calls'])
  return found
}

function adjustments(database: DatabaseSync): Finding {
  const { found, wrong } = finding('adjustments and their sums')
  const names = ['entries', ...ADJUSTED]
  const sums = (table: string) => sumsOf(database, table, ['tenant', 'provider', 'model'], ['entries'], ADJUSTED, found)
  compare(sums('adjustment_cells'), sums('adjustment_totals'), names, wrong, ['adjustment_cells', 'adjustment_totals'])
  const chain = database.prepare(
    `SELECT count(*) AS broken FROM adjustments AS a LEFT JOIN adjustments AS b
       ON b.started_at = a.started_at AND b.call = a.call AND b.number = a.number - 1
     WHERE (a.difference <> a.new_cost - a.old_cost) OR (b.number IS NOT NULL AND b.new_cost <> a.old_cost)`,
  )
  const { broken } = chain.get() as { broken: number }
  if (broken > 0) wrong(`${broken} adjustments do not go on from the price before them`)
  return found
}

function epochs(database: DatabaseSync): Finding {
  const { found, wrong } = finding('numbers of captures')
  for (const { epoch, highest, holes } of database
    .prepare('SELECT epoch, highest, holes FROM epochs')
    .iterate() as Iterable<unknown> as Iterable<{ epoch: Uint8Array; highest: number; holes: Uint8Array | null }>) {
    found.looked++
    const name = `epoch ${Buffer.from(epoch).toString('hex')}`
    try {
      let end = 0
      for (const { first, last } of decodeHoles(holes)) {
        if (first <= end || last < first || last > highest) wrong(`${name}: its holes are not in order`)
        end = last
      }
    } catch (error) {
      wrong(`${name}: ${(error as Error).message}`)
    }
  }
  return found
}

/** due + replayed = sent + sampled_out + rejected + dropped + waiting (schema.ts, S3). */
function sinks(database: DatabaseSync): Finding {
  const { found, wrong } = finding('sinks')
  const due = new Map<string, bigint>()
  const counts = database.prepare('SELECT sink, tenant, outcome, count FROM sink_counts')
  counts.setReadBigInts(true)
  const waits = (sink: string, tenant: string, count: bigint) => {
    const key = `${sink} · ${tenant}`
    due.set(key, (due.get(key) ?? 0n) + count)
  }
  for (const { sink, tenant, outcome, count } of counts.iterate() as Iterable<unknown> as Iterable<{
    sink: string
    tenant: string
    outcome: string
    count: bigint
  }>) {
    found.looked++
    if (outcome === 'discarded') continue
    waits(sink, tenant, outcome === 'due' || outcome === 'replayed' ? count : -count)
  }
  const waiting = database.prepare(
    `SELECT sink, tenant, sum(count) AS count FROM (
       SELECT sink, tenant, count(*) AS count FROM sinks JOIN log
         ON log.position > sinks.position AND (only_sink IS NULL OR only_sink = sink) WHERE retired = 0 GROUP BY 1, 2
       UNION ALL SELECT sink, tenant, count(*) FROM held GROUP BY 1, 2) GROUP BY 1, 2`,
  )
  waiting.setReadBigInts(true)
  for (const { sink, tenant, count } of waiting.iterate() as Iterable<unknown> as Iterable<{
    sink: string
    tenant: string
    count: bigint
  }>)
    waits(sink, tenant, -count)
  for (const [name, difference] of due)
    if (difference !== 0n) wrong(`${name}: ${difference} calls are neither settled nor waiting`)
  const bytes = database.prepare(
    `SELECT (SELECT value FROM state WHERE name = 'log_bytes') - (SELECT coalesce(sum(bytes), 0) FROM log) AS log,
       (SELECT value FROM state WHERE name = 'dead_letter_bytes') - (SELECT coalesce(sum(bytes), 0) FROM dead_letters) AS letters`,
  )
  const { log, letters } = bytes.get() as { log: number; letters: number }
  if (log !== 0) wrong(`the log's bytes are counted wrong by ${log}`)
  if (letters !== 0) wrong(`the dead letters' bytes are counted wrong by ${letters}`)
  return found
}

function compare(
  a: ReadonlyMap<string, readonly bigint[]>,
  b: ReadonlyMap<string, readonly bigint[]>,
  names: readonly string[],
  wrong: (text: string) => void,
  [nameA, nameB]: readonly [string, string],
): void {
  for (const key of new Set([...a.keys(), ...b.keys()]))
    for (const [index, name] of names.entries()) {
      const inA = a.get(key)?.[index] ?? 0n
      const inB = b.get(key)?.[index] ?? 0n
      if (inA !== inB) wrong(`${key}: ${name} is ${inA} in ${nameA} and ${inB} in ${nameB}`)
    }
}

export function checkText(findings: readonly Finding[]): string {
  return findings
    .map(({ what, looked, wrong }) =>
      wrong.length === 0
        ? `${what}: ${looked} looked at, nothing wrong\n`
        : `${what}: ${looked} looked at\n${wrong.map((text) => `  ${text}\n`).join('')}`,
    )
    .join('')
}
