import type { Cost, LlmCall, PriceAttributes, Usage, UsageSource } from '../call.ts'
import type { CallLabels } from './fold-labels.ts'
import { DAY_MS } from './period.ts'
import { usageOf, usageText } from './usage-text.ts'

/** What many calls of a day have in common, stored once. In the order of its columns, see KIND_COLUMNS. */
export type CallKind = readonly (string | number | null)[]
/** What is a call's own. In the order of its columns, see LINE_COLUMNS; the id as hex digits. */
export type CallLine = readonly (string | number | null)[]

export const KIND_COLUMNS = [
  'day',
  'tenant',
  'provider',
  'model',
  'tenant_name',
  'provider_name',
  'response_model',
  'request_model',
  'service_tier',
  'attributes',
  'usage_source',
  'state',
  'price_id',
  'reason',
  'book',
] as const
export const LINE_COLUMNS = [
  'started_at',
  'id',
  'duration_ms',
  'usage',
  'billed',
  'cost',
  'cache_saved',
  'saved',
  'reported',
] as const

/** What the ledger keeps of a call so that it can be priced again. `cost`: what the cells count for it. */
export function callLine(call: LlmCall, labels: CallLabels, cost: number): { kind: CallKind; line: CallLine } {
  const { provider, tenant, cost: priced } = call
  const startedAt = startOf(call)
  return {
    kind: [
      Math.floor(startedAt / DAY_MS),
      labels.tenant,
      labels.provider,
      labels.model,
      labels.tenant === tenant ? null : tenant,
      labels.provider === provider ? null : provider,
      call.responseModel ?? null,
      call.requestModel ?? null,
      call.serviceTier ?? null,
      call.priceAttributes === undefined ? null : JSON.stringify(call.priceAttributes),
      call.usageSource,
      priced.state,
      priced.state === 'priced' ? priced.priceId : null,
      priced.state === 'priced' ? null : priced.reason,
      priced.book,
    ],
    line: [
      startedAt,
      call.id,
      amountOf(call.durationMs) ?? 0,
      usageText(call.usage),
      billedText(call),
      cost,
      priced.state === 'priced' ? amountOf(priced.cacheSavedPicoUsd) : null,
      amountOf(call.savedPicoUsd),
      amountOf(call.reportedPicoUsd),
    ],
  }
}

/** The start under which a call's line stands. */
export function startOf({ startedAt }: Pick<LlmCall, 'startedAt'>): number {
  return Number.isSafeInteger(startedAt) ? startedAt : 0
}

/** A call as the ledger keeps it: what a price may depend on, and what it was first priced at. */
export interface KeptCall {
  /** 32 hex digits. */
  id: string
  startedAt: number
  durationMs: number
  labels: CallLabels
  tenant: string
  provider: string
  /** The response's model, then the request's. */
  models: string[]
  serviceTier?: string
  attributes?: PriceAttributes
  usage: Usage
  usageSource: UsageSource
  lines?: { model?: string; usage: Usage }[]
  /** Its lines are sums of more lines than are kept: they cannot be priced again. */
  merged: boolean
  reportedPicoUsd?: number
  state: Cost['state']
  priceId: string | null
  reason: string | null
  /** pico-USD, as first priced. */
  cost: number
  book: string
}

/** Columns of a row that `keptCall` reads, of `calls` and `call_kinds`. */
export const KEPT_COLUMNS = [...LINE_COLUMNS.map((name) => `calls.${name}`), ...KIND_COLUMNS].join(', ')
export type KeptRow = Record<(typeof KIND_COLUMNS)[number], string | null> & {
  [Name in (typeof LINE_COLUMNS)[number]]: Name extends 'id' ? Uint8Array : Name extends 'usage' ? string : number
} & { billed: string | null; reported: number | null }

export function keptCall(row: KeptRow): KeptCall {
  const billed = row.billed === null ? undefined : (JSON.parse(row.billed) as BilledText[])
  return {
    id: Buffer.from(row.id).toString('hex'),
    startedAt: row.started_at,
    durationMs: row.duration_ms,
    labels: { tenant: row.tenant!, provider: row.provider!, model: row.model! },
    tenant: row.tenant_name ?? row.tenant!,
    provider: row.provider_name ?? row.provider!,
    models: [row.response_model, row.request_model].filter((model) => model !== null),
    ...(row.service_tier === null ? {} : { serviceTier: row.service_tier }),
    ...(row.attributes === null ? {} : { attributes: JSON.parse(row.attributes) as PriceAttributes }),
    usage: usageOf(row.usage),
    usageSource: row.usage_source as UsageSource,
    ...(billed === undefined
      ? {}
      : {
          lines: billed.map(({ m, u }) => ({ ...(m === undefined ? {} : { model: m }), usage: usageOf(u) })),
        }),
    merged: billed?.some(({ n }) => n !== undefined && n > 1) ?? false,
    ...(row.reported === null ? {} : { reportedPicoUsd: row.reported }),
    state: row.state as Cost['state'],
    priceId: row.price_id,
    reason: row.reason,
    cost: row.cost,
    book: row.book!,
  }
}

/** Model, usage, and of how many lines it is the sum. */
interface BilledText {
  m?: string
  u: string
  n?: number
}

function billedText({ billedLines }: LlmCall): string | null {
  if (billedLines === undefined) return null
  return JSON.stringify(
    billedLines.map(
      ({ model, usage, merged }): BilledText => ({
        ...(model === undefined ? {} : { m: model }),
        u: usageText(usage),
        ...(merged === undefined ? {} : { n: merged }),
      }),
    ),
  )
}

function amountOf(value: number | undefined): number | null {
  return value !== undefined && Number.isSafeInteger(value) && value >= 0 ? value : null
}
