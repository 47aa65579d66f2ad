import { REPORTED } from '../../pricing/cost-of-bill.ts'
import type { PriceBook } from '../../pricing/price-book.ts'
import { TOOL_FEES } from '../../pricing/units.ts'
import { type AnswerIdentity, type CallReason, type Cost, decimalUsd, EXTRA_UNITS, type UsageUnit } from '../call.ts'
import type { Counts } from '../dialects/counts.ts'
import type { Reading } from '../dialects/dialect.ts'
import { defaultProviderOf, read } from '../dialects/index.ts'
import { providerOfHost } from '../dialects/provider-of-host.ts'
import { price } from '../pipeline/price.ts'
import type { ExchangeLine } from './exchange-line.ts'

/** Names of the inclusive counts: `input_tokens` is every prompt token. */
const COUNT_NAMES: Record<keyof Counts, string> = {
  input: 'input_tokens',
  output: 'output_tokens',
  cacheRead: 'cache_read_tokens',
  cacheWrite: 'cache_write_tokens',
  cacheWrite5m: 'cache_write_5m_tokens',
  cacheWrite1h: 'cache_write_1h_tokens',
  reasoning: 'reasoning_tokens',
  inputAudio: 'input_audio_tokens',
  inputImage: 'input_image_tokens',
  cacheReadAudio: 'cache_read_audio_tokens',
  cacheReadImage: 'cache_read_image_tokens',
  toolPrompt: 'tool_prompt_tokens',
  outputAudio: 'output_audio_tokens',
  outputImage: 'output_image_tokens',
  total: 'total_tokens_reported',
  webSearches: 'web_search_requests',
  fileSearches: 'file_search_requests',
  mapsSearches: 'maps_search_requests',
  liveSearchSources: 'live_search_sources',
  toolCalls: 'tool_calls',
  images: 'images',
  videoMilliseconds: 'video_seconds',
  audioMilliseconds: 'audio_seconds',
  searchUnits: 'search_units',
  pages: 'pages',
  characters: 'characters',
  guardrailUnits: 'guardrail_units',
  requests: 'requests',
}

/** Fees of the provider's tools and of the call itself: catalogues that price tokens do not hold them. */
const FEES: ReadonlySet<UsageUnit> = new Set([...TOOL_FEES, 'requests'])

export interface ResultLine {
  id: string | number
  provider: string
  dialect: string
  operation: string
  request_model: string | null
  response_model: string | null
  billable: boolean
  usage_source: string
  /** Why the usage is not plain, and why the amount may lack something: joined by ` + `. */
  usage_reason?: string
  reasons?: CallReason[]
  unread_usage?: string[]
  answer?: AnswerIdentity
  usage: Record<string, number>
  billed?: { kind: string; model: string | null; usage: Record<string, number> }[]
  service_tier?: string
  finish_reasons: string[]
  guardrail: boolean
  guardrails?: Reading['guardrails']
  error: { type: string; message?: string } | null
  /** Decimal dollars of tokens and other units by our list; the fees of tools and calls stand beside. */
  cost_usd: string | null
  fees_usd?: string
  /** What our list says, where the provider's own bill is the amount. */
  list_usd?: string
  total_usd: string | null
  /** What the provider itself says it takes. */
  reported_usd?: string
  cost_lines: { unit: string; quantity: number; usd: string }[]
  price_id: string | null
  unpriced_reason?: string
}

export interface ReadOutcome {
  line: ResultLine
  reading: Reading
  cost: Cost
}

export type Estimate = (reading: Reading) => Promise<Reading>

/** What one exchange was and what it costs. */
export async function readLine(input: ExchangeLine, book: PriceBook, estimate: Estimate): Promise<ReadOutcome> {
  const { exchange } = input
  const seen = read(exchange)
  const reading = await estimate(seen)
  const named = providerOfHost(exchange.host)
  const provider = named ?? defaultProviderOf(reading.dialect) ?? 'unknown'
  const context = {
    book,
    tenant: '',
    provider,
    providerGuessed: named === undefined,
    startedAt: input.at,
    durationMs: 0,
    httpStatus: exchange.status,
    cache: undefined,
  }
  const { usage, cost, reasons, answer } = price(reading, context)
  const priced = cost.state === 'priced'
  // What a provider reports is one sum: nobody can tell its fees from its tokens.
  const reported = priced && cost.priceId.startsWith(REPORTED)
  const total = cost.state === 'unpriced' ? undefined : cost.picoUsd
  // Tokens and fees apart, by our list: of a sum that the provider tells nobody knows the parts.
  const { reportedPicoUsd: _, ...unreported } = reading
  const list = reported ? price(unreported, context).cost : cost
  const listed = list.state === 'priced' ? list : undefined
  const fees = listed === undefined ? 0 : sumOf(listed.byUnit, (unit) => FEES.has(unit))
  const withoutFees = listed === undefined ? total : listed.picoUsd - fees
  const said = [...(reading.usageReason === undefined ? [] : [reading.usageReason]), ...reasons]
  const line: ResultLine = {
    id: input.id,
    provider,
    dialect: reading.dialect,
    operation: reading.operation,
    request_model: reading.requestModel ?? null,
    response_model: reading.responseModel ?? null,
    billable: reading.billable && !(cost.state === 'free' && cost.reason !== 'not_billable'),
    usage_source: reading.usageSource,
    ...(said.length === 0 ? {} : { usage_reason: said.join(' + ') }),
    ...(reasons.length === 0 ? {} : { reasons }),
    ...(reading.unreadUsage === undefined ? {} : { unread_usage: reading.unreadUsage }),
    ...(answer === undefined ? {} : { answer }),
    usage: namedCounts(reading.counts),
    ...(reading.billedLines === undefined
      ? {}
      : {
          billed: reading.billedLines.map(({ kind, model, counts }) => ({
            kind,
            model: model ?? null,
            usage: namedCounts(counts),
          })),
        }),
    ...(reading.serviceTier === undefined ? {} : { service_tier: reading.serviceTier }),
    finish_reasons: reading.finishReasons ?? [],
    guardrail: reading.guardrails.length > 0,
    ...(reading.guardrails.length > 0 ? { guardrails: reading.guardrails } : {}),
    error: reading.error ?? null,
    cost_usd: withoutFees === undefined ? null : decimalUsd(withoutFees),
    ...(reported && listed !== undefined ? { list_usd: decimalUsd(listed.picoUsd) } : {}),
    ...(fees > 0 ? { fees_usd: decimalUsd(fees) } : {}),
    total_usd: total === undefined ? null : decimalUsd(total),
    ...(reading.reportedPicoUsd === undefined ? {} : { reported_usd: decimalUsd(reading.reportedPicoUsd) }),
    cost_lines: priced
      ? (Object.entries(cost.byUnit) as [UsageUnit, number][]).map(([unit, picoUsd]) => ({
          unit,
          quantity: usage[unit] ?? 0,
          usd: decimalUsd(picoUsd),
        }))
      : [],
    price_id: priced ? cost.priceId : null,
    ...(cost.state === 'unpriced' ? { unpriced_reason: cost.reason } : {}),
  }
  return { line, reading, cost }
}

function sumOf(byUnit: Partial<Record<UsageUnit, number>>, wanted: (unit: UsageUnit) => boolean): number {
  let sum = 0
  for (const unit of EXTRA_UNITS) if (wanted(unit)) sum += byUnit[unit] ?? 0
  return sum
}

function namedCounts(counts: Counts): Record<string, number> {
  const named: Record<string, number> = {}
  for (const [name, amount] of Object.entries(counts) as [keyof Counts, number | undefined][])
    if (amount !== undefined) named[COUNT_NAMES[name]] = name === 'audioMilliseconds' ? amount / 1000 : amount
  return named
}
