import { requestMayPrice } from '../../pricing/names-may-price.ts'
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
      requestModelOf(call) ?? null,
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

/** The requested model, where it may set the price: another one would be a price that the first one was not. */
export function requestModelOf(call: LlmCall): string | undefined {
  const { provider, providerGuessed, responseModel, requestModel } = call
  return responseModel === undefined || requestMayPrice(provider, providerGuessed === true) ? requestModel : undefined
}

/** The start under which a call's line stands. */
export function startOf({ startedAt }: Pick<LlmCall, 'startedAt'>): number {
  return Number.isSafeInteger(startedAt) ? startedAt : 0
}

/** A call as the ledger keeps it: what a price may depend on, and what it was first priced at. */
export interface KeptCall {
  /** 32 hex digits. */
  readonly id: string
  readonly startedAt: number
  readonly durationMs: number
  readonly kind: KeptKind
  readonly usage: Usage
  readonly lines: readonly { model?: string; usage: Usage; prompt?: number }[] | undefined
  /** Its lines are sums of more lines than are kept: they cannot be priced again. */
  readonly merged: boolean
  readonly reportedPicoUsd: number | undefined
  /** pico-USD, as first priced. */
  readonly cost: number
}

/** What it has in common with others. */
export interface KeptKind {
  labels: CallLabels
  tenant: string
  provider: string
  /** The response's model, then the request's. */
  models: string[]
  serviceTier: string | undefined
  attributes: PriceAttributes | undefined
  usageSource: UsageSource
  state: Cost['state']
  priceId: string | null
  reason: string | null
  book: string
}

export type KindRow = Record<(typeof KIND_COLUMNS)[number], string | null>
export type LineRow = {
  [Name in (typeof LINE_COLUMNS)[number]]: Name extends 'id' ? Uint8Array : Name extends 'usage' ? string : number
} & { kind: number; billed: string | null; reported: number | null }

export function keptKind(row: KindRow): KeptKind {
  return {
    labels: { tenant: row.tenant!, provider: row.provider!, model: row.model! },
    tenant: row.tenant_name ?? row.tenant!,
    provider: row.provider_name ?? row.provider!,
    models: [row.response_model, row.request_model].filter((model) => model !== null),
    serviceTier: row.service_tier ?? undefined,
    attributes: row.attributes === null ? undefined : (JSON.parse(row.attributes) as PriceAttributes),
    usageSource: row.usage_source as UsageSource,
    state: row.state as Cost['state'],
    priceId: row.price_id,
    reason: row.reason,
    book: row.book!,
  }
}

export function keptCall(row: LineRow, kind: KeptKind): KeptCall {
  return new KeptLine(row, kind)
}

/** Millions of them are walked through: what few need is read when it is asked for. */
class KeptLine implements KeptCall {
  readonly startedAt: number
  readonly durationMs: number
  readonly kind: KeptKind
  readonly usage: Usage
  readonly lines: KeptCall['lines']
  readonly merged: boolean
  readonly reportedPicoUsd: number | undefined
  readonly cost: number
  readonly #id: Uint8Array
  constructor(row: LineRow, kind: KeptKind) {
    this.startedAt = row.started_at
    this.durationMs = row.duration_ms
    this.kind = kind
    this.usage = usageOf(row.usage)
    const { lines, merged } = billedLinesOf(row.billed === null ? undefined : (JSON.parse(row.billed) as BilledText[]))
    this.lines = lines
    this.merged = merged
    this.reportedPicoUsd = row.reported ?? undefined
    this.cost = row.cost
    this.#id = row.id
  }
  get id(): string {
    return Buffer.from(this.#id).toString('hex')
  }
}

/** Model, usage, and of how many lines it is the sum. */
export interface BilledText {
  m?: string | undefined
  u: string
  /** Tokens of the prompt, where a price by prompt size does not go by the usage. */
  p?: number | undefined
  n?: number | undefined
}

export function billedLinesOf(billed: readonly BilledText[] | undefined): Pick<KeptCall, 'lines' | 'merged'> {
  return {
    lines: billed?.map(({ m, u, p }) => ({
      ...(m === undefined ? {} : { model: m }),
      ...(p === undefined ? {} : { prompt: p }),
      usage: usageOf(u),
    })),
    merged: billed?.some(({ n }) => n !== undefined && n > 1) ?? false,
  }
}

export function billedText({ billedLines }: LlmCall): string | null {
  if (billedLines === undefined) return null
  return JSON.stringify(
    billedLines.map(
      ({ model, usage, prompt, merged }): BilledText => ({
        ...(model === undefined ? {} : { m: model }),
        u: usageText(usage),
        ...(prompt === undefined ? {} : { p: prompt }),
        ...(merged === undefined ? {} : { n: merged }),
      }),
    ),
  )
}

function amountOf(value: number | undefined): number | null {
  return value !== undefined && Number.isSafeInteger(value) && value >= 0 ? value : null
}
