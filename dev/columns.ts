import { readFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import type { Column, TenantNumbers } from './demo-table.ts'
import type { ListPrices } from './list-prices.ts'
import { picoUsdOf } from './pico-usd.ts'
import { BILLED_UNITS, type BilledUnit, type BilledUsage } from './provider/answer.ts'

/**
 * One reader for each column of the demo's table, each from its own source and with none of the observer's code:
 * what they agree on was not agreed upon by them.
 *
 * A call is every request that reached a route with the llm-observer plugin, a 401 included (tenant `unattributed`).
 */
const UNATTRIBUTED = 'unattributed'
const TENANT_TAG = 'tenant:'
const SCRAPE_LIMIT_MS = 60_000
const TOKEN_COLUMN = 'tokens_'
const PICO_PER_USD = 1_000_000_000_000n

/**
 * The gateway's own log: one Kong log document a line. The tenant is the consumer's tag; tokens are what the provider
 * says it billed (`x-mock-usage`, a response header that the gateway logs); the price is the list's.
 */
export function fromAccessLog(file: string, prices: ListPrices): Column {
  const totals = tenantTotals()
  readFileSync(file, 'utf8')
    .split('\n')
    .forEach((line, index) => {
      if (line === '') return
      const where = `${file}, line ${index + 1}`
      const document: LogDocument = JSON.parse(line)
      if (document.route == null) return // reached no route, so no plugin either
      const { status, headers } = document.response
      const tag = tagsOf(document).find((name) => name.startsWith(TENANT_TAG))
      const header = headers['x-mock-usage']
      if (header === undefined && status < 400) throw new Error(`${where}: an answer without x-mock-usage`)
      const usage: BilledUsage = header === undefined ? {} : JSON.parse(String(header))
      totals.add(tag?.slice(TENANT_TAG.length) ?? UNATTRIBUTED, {
        calls: 1,
        tokens: BILLED_UNITS.reduce((sum, unit) => sum + (usage[unit] ?? 0), 0),
        picoUsd: priceOf(usage, prices, where),
      })
    })
  return { name: 'access log', perTenant: totals.perTenant }
}

interface LogDocument {
  route?: unknown
  /** Kong writes an empty list as an empty object. */
  consumer?: { tags?: string[] | Record<string, never> | null } | null
  response: { status: number; headers: Record<string, unknown> }
}

function tagsOf({ consumer }: LogDocument): string[] {
  return Array.isArray(consumer?.tags) ? consumer.tags : []
}

function priceOf(usage: BilledUsage, prices: ListPrices, where: string): bigint {
  if (usage.model === undefined) return 0n
  if (usage.service_tier !== undefined) throw new Error(`${where}: no list price for the tier ${usage.service_tier}`)
  let picoUsd = 0n
  for (const unit of BILLED_UNITS) {
    const tokens = usage[unit]
    if (tokens === undefined) continue
    const price = prices[usage.model]?.[unit]
    if (price === undefined) throw new Error(`${where}: no list price for ${unit} of ${usage.model}`)
    picoUsd += BigInt(tokens) * price
  }
  return picoUsd
}

/** The ledger's own database, by plain SQL. */
export function fromLedger(file: string): Column {
  const totals = tenantTotals()
  for (const [tenant, { calls, usage, picoUsd }] of readLedger(file))
    totals.add(tenant, { calls, tokens: Object.values(usage).reduce((sum, tokens) => sum + tokens, 0), picoUsd })
  return { name: 'ledger', perTenant: totals.perTenant }
}

export interface LedgerNumbers {
  calls: number
  /** Units that were used; none is 0. */
  usage: Partial<Record<BilledUnit, number>>
  picoUsd: bigint
}

/** What the ledger holds of each tenant. Opened read-only, so that it may be read while the sidecar writes. */
export function readLedger(file: string): Map<string, LedgerNumbers> {
  const perTenant = new Map<string, LedgerNumbers>()
  const database = new DatabaseSync(file, { readOnly: true })
  try {
    const cells = database.prepare('SELECT * FROM cells')
    cells.setReadBigInts(true)
    for (const cell of cells.iterate() as Iterable<Record<string, string | bigint>>) {
      const amount = (column: string): bigint => {
        const value = cell[column]
        if (typeof value !== 'bigint') throw new Error(`${file}: cells has no integer column ${column}`)
        return value
      }
      const tenant = String(cell.tenant)
      const numbers = perTenant.get(tenant) ?? { calls: 0, usage: {}, picoUsd: 0n }
      perTenant.set(tenant, numbers)
      numbers.calls += Number(amount('calls'))
      numbers.picoUsd += amount('cost_usd') * PICO_PER_USD + amount('cost_pico')
      for (const column of Object.keys(cell)) {
        if (!column.startsWith(TOKEN_COLUMN)) continue
        const unit = BILLED_UNITS.find((name) => column === TOKEN_COLUMN + name)
        if (unit === undefined) throw new Error(`${file}: cells counts tokens of an unknown kind, ${column}`)
        const tokens = Number(amount(column))
        if (tokens > 0) numbers.usage[unit] = (numbers.usage[unit] ?? 0) + tokens
      }
    }
    return perTenant
  } finally {
    database.close()
  }
}

/** A scrape of the sidecar's /metrics, as Prometheus would read it. */
export async function fromMetrics(url: string): Promise<Column> {
  const response = await fetch(url, { signal: AbortSignal.timeout(SCRAPE_LIMIT_MS) })
  const text = await response.text()
  if (!response.ok) throw new Error(`${url} answered ${response.status}`)
  const totals = tenantTotals()
  const sample = (name: string, toNumbers: (value: string) => Partial<TenantNumbers>) => {
    // A metric that is not there at all is not a metric of value 0.
    if (!new RegExp(`^# TYPE ${name.replace(/_total$/, '(_total)?')} counter$`, 'm').test(text))
      throw new Error(`${url} has no counter ${name}`)
    for (const { labels, value } of samplesOf(text, name)) {
      if (labels.tenant_id === undefined) throw new Error(`${url}: ${name} without the label tenant_id`)
      totals.add(labels.tenant_id, toNumbers(value))
    }
  }
  sample('llm_calls_total', (value) => ({ calls: integerOf(value) }))
  sample('llm_tokens_total', (value) => ({ tokens: integerOf(value) }))
  sample('llm_cost_usd_total', (value) => ({ picoUsd: picoUsdOf(value) }))
  return { name: '/metrics', perTenant: totals.perTenant }
}

function* samplesOf(text: string, name: string): Generator<{ labels: Record<string, string>; value: string }> {
  for (const line of text.split('\n')) {
    if (!line.startsWith(name) || !(line[name.length] === '{' || line[name.length] === ' ')) continue
    const labels: Record<string, string> = {}
    let rest = line.slice(name.length)
    if (rest.startsWith('{')) {
      const label = /\s*([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"\s*,?/y
      label.lastIndex = 1
      let end = 1
      for (let match = label.exec(rest); match !== null; match = label.exec(rest)) {
        labels[match[1]!] = match[2]!.replace(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped))
        end = label.lastIndex
      }
      if (rest[end] !== '}') throw new Error(`cannot read the sample "${line}"`)
      rest = rest.slice(end + 1)
    }
    // After the value may come a timestamp, and an exemplar.
    yield { labels, value: rest.trim().split(/\s/)[0]! }
  }
}

function integerOf(text: string): number {
  const number = Number(text)
  if (!Number.isSafeInteger(number)) throw new Error(`a counter of whole things has the value ${text}`)
  return number
}

/** What arrived at a sink, as the sink counted it: distinct spans or lines, from their bytes. */
export function fromSink(
  name: string,
  perTenant: ReadonlyMap<string, { calls: number; tokens: Readonly<Record<string, number>>; picoUsd: bigint }>,
): Column {
  const totals = tenantTotals()
  for (const [tenant, { calls, tokens, picoUsd }] of perTenant)
    totals.add(tenant, { calls, tokens: Object.values(tokens).reduce((sum, count) => sum + count, 0), picoUsd })
  return { name, perTenant: totals.perTenant }
}

function tenantTotals() {
  const perTenant = new Map<string, TenantNumbers>()
  return {
    perTenant,
    add(tenant: string, { calls = 0, tokens = 0, picoUsd = 0n }: Partial<TenantNumbers>): void {
      const before = perTenant.get(tenant) ?? { calls: 0, tokens: 0, picoUsd: 0n }
      perTenant.set(tenant, {
        calls: before.calls + calls,
        tokens: before.tokens + tokens,
        picoUsd: before.picoUsd + picoUsd,
      })
    },
  }
}
