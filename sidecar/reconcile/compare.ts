import type { TokenType, UsageSource } from '../call.ts'
import { type ExportLine, TOKEN_KINDS, type TokenKind } from './export-line.ts'

/** What the ledger holds, in the terms of `readUsage` and `readSources`. */
export interface LedgerRow {
  day: string
  tenant: string
  model: string
  calls: bigint
  tokens: Partial<Record<TokenType, bigint>>
  costPicoUsd: bigint
  adjustmentsPicoUsd: bigint
}
export interface SourceRow {
  day: string
  tenant: string
  model: string
  source: UsageSource
  unpriced: boolean
  calls: bigint
}

export interface Names {
  /** The provider's key, project, workspace or resource → our tenant. Empty: all tenants are one. */
  tenants: Readonly<Record<string, string>>
  /** The provider's name of a model → ours, where they are not alike. */
  models: Readonly<Record<string, string>>
}

/** Where a difference comes from, as far as it can be told. */
export const CAUSES = [
  'equal',
  'rounding', // less than a cent, and no token
  'not_through_kong', // they counted requests or tokens that never came to us
  'not_in_export', // we counted what their export does not have
  'usage_not_reported', // calls whose usage we estimated, or do not know
  'unpriced', // calls that have no price here
  'day_edge', // the same amount stands on the other side of midnight
  'cache_counted_differently', // the prompt is as long, its cached part is not
  'other_rate', // the tokens are equal, the dollars are not
  'unexplained',
] as const
export type Cause = (typeof CAUSES)[number]

export interface Amounts {
  tokens: Record<TokenKind, bigint>
  requests: bigint | undefined
  picoUsd: bigint | undefined
}
export interface Comparison {
  day: string
  model: string
  tenant: string
  theirs: Amounts
  ours: Amounts
  causes: Cause[]
}
export interface Reconciliation {
  rows: Comparison[]
  /** Lines of no model: taxes, credits, tools. */
  others: { day: string; what: string; picoUsd: bigint }[]
  total: { theirs: Amounts; ours: Amounts }
  hasTokens: boolean
  hasDollars: boolean
}

const CENT = 10_000_000_000n
const ALL_TENANTS = '*'

export function compare(
  lines: readonly ExportLine[],
  ledger: readonly LedgerRow[],
  sources: readonly SourceRow[],
  names: Names,
): Reconciliation {
  const byKey = Object.keys(names.tenants).length > 0
  const hasTokens = lines.some(({ tokens }) => tokens !== undefined)
  const hasDollars = lines.some(({ picoUsd }) => picoUsd !== undefined)
  const rows = new Map<string, Comparison>()
  const others: Reconciliation['others'] = []
  const row = (day: string, model: string, tenant: string): Comparison => {
    const name = [day, model, tenant].join('\u0000')
    let found = rows.get(name)
    if (found === undefined) {
      found = { day, model, tenant, theirs: nothing(), ours: nothing(), causes: [] }
      rows.set(name, found)
    }
    return found
  }
  for (const line of lines) {
    if (line.model === undefined) {
      if (line.picoUsd !== undefined) others.push({ day: line.day, what: line.what, picoUsd: line.picoUsd })
      continue
    }
    const tenant = byKey ? (own(names.tenants, line.key ?? '') ?? `key ${line.key ?? 'unknown'}`) : ALL_TENANTS
    const { theirs } = row(line.day, modelName(own(names.models, line.model) ?? line.model), tenant)
    for (const kind of TOKEN_KINDS) theirs.tokens[kind] += line.tokens?.[kind] ?? 0n
    if (line.requests !== undefined) theirs.requests = (theirs.requests ?? 0n) + line.requests
    if (line.picoUsd !== undefined) theirs.picoUsd = (theirs.picoUsd ?? 0n) + line.picoUsd
  }
  const tenantOf = (tenant: string) => (byKey ? tenant : ALL_TENANTS)
  for (const { day, model, tenant, calls, tokens, costPicoUsd, adjustmentsPicoUsd } of ledger) {
    const { ours } = row(day, modelName(model), tenantOf(tenant))
    for (const [type, amount] of Object.entries(tokens) as [TokenType, bigint][]) ours.tokens[kindOf(type)] += amount
    ours.requests = (ours.requests ?? 0n) + calls
    ours.picoUsd = (ours.picoUsd ?? 0n) + costPicoUsd + adjustmentsPicoUsd
  }
  const uncertain = new Map<string, { notReported: bigint; unpriced: bigint; free: bigint }>()
  for (const { day, model, tenant, source, unpriced, calls } of sources) {
    const name = [day, modelName(model), tenantOf(tenant)].join('\u0000')
    const known = uncertain.get(name) ?? { notReported: 0n, unpriced: 0n, free: 0n }
    if (source !== 'provider' && source !== 'counted' && source !== 'none') known.notReported += calls
    if (source === 'none') known.free += calls
    if (unpriced) known.unpriced += calls
    uncertain.set(name, known)
  }
  const sorted = [...rows.values()].sort((a, b) =>
    `${a.day} ${a.model} ${a.tenant}` < `${b.day} ${b.model} ${b.tenant}` ? -1 : 1,
  )
  const shown = { hasTokens, hasDollars }
  for (const one of sorted) {
    const known = uncertain.get([one.day, one.model, one.tenant].join('\u0000'))
    // Refused calls have no usage, and the provider does not count them as requests either.
    if (known !== undefined && one.ours.requests !== undefined) one.ours.requests -= known.free
    one.causes = causesOf(one, known, sorted, shown)
  }
  const total = { theirs: nothing(), ours: nothing() }
  for (const { theirs, ours } of sorted) {
    add(total.theirs, theirs)
    add(total.ours, ours)
  }
  return { rows: sorted, others, total, hasTokens, hasDollars }
}

function causesOf(
  row: Comparison,
  known: { notReported: bigint; unpriced: bigint } | undefined,
  all: readonly Comparison[],
  { hasTokens, hasDollars }: { hasTokens: boolean; hasDollars: boolean },
): Cause[] {
  const { theirs, ours } = row
  const tokens = hasTokens ? TOKEN_KINDS.map((kind) => theirs.tokens[kind] - ours.tokens[kind]) : [0n]
  const sameTokens = tokens.every((difference) => difference === 0n)
  const dollars = hasDollars ? (theirs.picoUsd ?? 0n) - (ours.picoUsd ?? 0n) : 0n
  if (sameTokens && dollars === 0n) return ['equal']
  if (sameTokens && magnitude(dollars) < CENT) return ['rounding']
  if (isEmpty(ours) && ours.requests === undefined) return ['not_through_kong']
  if (isEmpty(theirs) && theirs.picoUsd === undefined && theirs.requests === undefined) return ['not_in_export']
  const causes: Cause[] = []
  if (atMidnight(row, all, hasTokens)) causes.push('day_edge')
  if (theirs.requests !== undefined && theirs.requests > (ours.requests ?? 0n)) causes.push('not_through_kong')
  if (theirs.requests !== undefined && theirs.requests < (ours.requests ?? 0n)) causes.push('not_in_export')
  if (!sameTokens && (known?.notReported ?? 0n) > 0n) causes.push('usage_not_reported')
  if (dollars > 0n && (known?.unpriced ?? 0n) > 0n) causes.push('unpriced')
  const prompt = (amounts: Amounts) => amounts.tokens.input + amounts.tokens.cache_read + amounts.tokens.cache_write
  if (hasTokens && !sameTokens && prompt(theirs) === prompt(ours) && theirs.tokens.output === ours.tokens.output)
    causes.push('cache_counted_differently')
  if (hasTokens && sameTokens && causes.length === 0) causes.push('other_rate')
  return causes.length > 0 ? causes : ['unexplained']
}

/** The same tokens (or dollars) are missing here that are too many on the day before or after. */
function atMidnight(row: Comparison, all: readonly Comparison[], byTokens: boolean): boolean {
  const difference = (one: Comparison) =>
    byTokens
      ? TOKEN_KINDS.reduce((sum, kind) => sum + one.theirs.tokens[kind] - one.ours.tokens[kind], 0n)
      : (one.theirs.picoUsd ?? 0n) - (one.ours.picoUsd ?? 0n)
  const own = difference(row)
  if (own === 0n) return false
  const day = Date.parse(row.day)
  return all.some(
    (other) =>
      other.model === row.model &&
      other.tenant === row.tenant &&
      Math.abs(Date.parse(other.day) - day) === 86_400_000 &&
      difference(other) === -own,
  )
}

/** Names of one model on both sides: small letters, without the day of a snapshot, Bedrock's prefixes and versions. */
export function modelName(name: string): string {
  return name
    .toLowerCase()
    .replace(/^(?:[a-z]{2,6}\.)?(?:anthropic|amazon|meta|mistral|cohere|openai|deepseek)\./, '')
    .replace(/@.*$/, '')
    .replace(/-v\d+(?::\d+)?$/, '')
    .replace(/-(?:20\d\d-?\d\d-?\d\d|\d{4})$/, '')
}

function kindOf(type: TokenType): TokenKind {
  if (type.startsWith('cache_read')) return 'cache_read'
  if (type.startsWith('cache_write')) return 'cache_write'
  return type.startsWith('output') ? 'output' : 'input'
}

function nothing(): Amounts {
  return { tokens: { input: 0n, cache_read: 0n, cache_write: 0n, output: 0n }, requests: undefined, picoUsd: undefined }
}

function isEmpty({ tokens }: Amounts): boolean {
  return TOKEN_KINDS.every((kind) => tokens[kind] === 0n)
}

function add(sum: Amounts, { tokens, requests, picoUsd }: Amounts): void {
  for (const kind of TOKEN_KINDS) sum.tokens[kind] += tokens[kind]
  if (requests !== undefined) sum.requests = (sum.requests ?? 0n) + requests
  if (picoUsd !== undefined) sum.picoUsd = (sum.picoUsd ?? 0n) + picoUsd
}

function magnitude(amount: bigint): bigint {
  return amount < 0n ? -amount : amount
}

function own(map: Readonly<Record<string, string>>, name: string): string | undefined {
  return Object.hasOwn(map, name) ? map[name] : undefined
}
