import { hash } from 'node:crypto'
import { costOfBill, REPORTED } from '../../pricing/cost-of-bill.ts'
import { requestMayPrice } from '../../pricing/names-may-price.ts'
import type { PriceBook } from '../../pricing/price-book.ts'
import type {
  AnswerIdentity,
  CacheStatus,
  CallReason,
  Cost,
  FreeReason,
  Usage,
  UsageSource,
  UsageUnit,
} from '../call.ts'
import { unitsOf } from '../dialects/counts.ts'
import type { Reading } from '../dialects/dialect.ts'

export interface PricedReading {
  usage: Usage
  usageSource: UsageSource
  usageReason?: string
  cost: Cost
  savedPicoUsd?: number
  /** What the reading says, and what pricing found; each once. */
  reasons: CallReason[]
  /** Design law 10. */
  answer?: AnswerIdentity
}

export interface PriceContext {
  book: PriceBook
  tenant: string
  provider: string
  /** Nobody named the provider: it is whose wire format the answer has. */
  providerGuessed?: boolean
  startedAt: number
  durationMs: number
  httpStatus: number
  /** A guard refused the answer after the model had given it. */
  answerBlocked?: boolean
  /** The gateway itself gave up waiting: the provider may have answered. */
  gatewayTimeout?: boolean
  cache: CacheStatus | undefined
}

/** A provider of this name is a gateway of ours (`providers`): it bills the call itself. */
export const DECLARED_GATEWAY = 'gateway'

/** What the call costs, by the price in force when it started. Undefined usage is not zero: it is unpriced. */
export function price(reading: Reading, context: PriceContext): PricedReading {
  const { usageSource } = reading
  const usage = billedUsage(reading)
  const { book } = context
  const reasons = new Set<CallReason>(reading.reasons)
  const free = (reason: FreeReason): Cost => ({ state: 'free', picoUsd: 0, reason, book: book.version })
  const as = (source: UsageSource, counted: Usage, cost: Cost): PricedReading => ({
    usage: counted,
    usageSource: source,
    cost,
    reasons: [],
  })

  // A cached answer carries the tokens of the first one: they were billed then, and now they are what was saved.
  if (context.cache === 'hit') {
    const { cost: avoided } = costOf(reading, context)
    const saved = avoided.state === 'priced' ? { savedPicoUsd: avoided.picoUsd } : {}
    return { ...as('none', {}, free('cache_hit')), ...saved }
  }
  if (!reading.billable) return as('none', {}, free('not_billable'))
  // An error answers nothing and costs nothing. 499 is no such error: the provider may have answered, nobody listened.
  const refused = (context.httpStatus >= 400 && context.httpStatus !== 499) || reading.error !== undefined
  const failed = refused && context.answerBlocked !== true
  const counted = usageSource !== 'none' && usageSource !== 'unknown'
  const reported = reading.reportedPicoUsd !== undefined && reading.reportedPicoUsd > 0
  if (failed && !counted && context.gatewayTimeout === true)
    return {
      ...as('unknown', {}, { state: 'unpriced', reason: 'no_usage', book: book.version }),
      usageReason: 'gateway_timeout',
      reasons: ['gateway_timeout'],
    }
  if (failed && !counted) return as('none', {}, free('error'))
  if (usageSource === 'none' && !reported) return as(usageSource, usage, free('not_billable'))
  const answer = answerOf(reading)
  const identity = answer === undefined ? {} : { answer }
  if (context.provider === DECLARED_GATEWAY) return { ...as(usageSource, usage, free('gateway')), ...identity }
  if (usageSource === 'unknown' && !reported)
    return {
      ...as(usageSource, usage, { state: 'unpriced', reason: 'no_usage', book: book.version }),
      reasons: [...reasons],
      ...identity,
    }
  const { cost, byRequestModel } = costOf(reading, context)
  // The provider's own sum holds its tier, its fees and whatever else is billed.
  if (cost.state === 'priced' && cost.priceId.startsWith(REPORTED))
    for (const reason of HELD_IN_BILL) reasons.delete(reason)
  else if (cost.state === 'priced') {
    if (cost.unpricedFees !== undefined) reasons.add('tool_fee_unknown')
    // A tool of the provider makes the model read again what it found: the sum of such prompts is no prompt.
    const passes =
      (reading.counts.webSearches ?? 0) + (reading.counts.toolCalls ?? 0) + (reading.counts.mapsSearches ?? 0)
    if (cost.tiered === true && passes > 0 && reading.billedLines === undefined) reasons.add('summed_prompts')
    if (byRequestModel) reasons.add('request_model_priced')
    if (context.providerGuessed === true) reasons.add('provider_guessed')
    // Government and China have prices of their own; where a list has them, the price id names the place.
    const region = reading.priceAttributes?.region ?? ''
    if (/^(?:us-gov|cn)(?:-|$)/.test(region) && !cost.priceId.includes('us-gov') && !cost.priceId.includes('/cn-'))
      reasons.add('place_not_priced')
  }
  if (cost.state === 'free' && cost.reason === 'plan') {
    reasons.clear()
    reasons.add('plan')
  }
  return {
    usage,
    usageSource,
    cost,
    reasons: [...reasons],
    ...identity,
  }
}

/** What the sum that a provider tells cannot lack. */
const HELD_IN_BILL: readonly CallReason[] = [
  'unread_usage',
  'tier_not_seen',
  'fees_not_seen',
  'tool_fee_unknown',
  'fee_counted',
  'summed_prompts',
]

/** The amount is final where the usage is the provider's own word, or counted whole. */
function answerOf({ answer, usageSource, growing }: Reading): AnswerIdentity | undefined {
  if (answer === undefined) return undefined
  return {
    key: boundedId(answer.key),
    retrieval: answer.retrieval,
    final: growing !== true && (usageSource === 'provider' || usageSource === 'counted'),
  }
}

const MAX_RESPONSE_ID = 256

/** An id of any length as a key: a long one by its hash, so that two of them never become one. */
function boundedId(id: string): string {
  return id.length <= MAX_RESPONSE_ID ? id : hash('sha256', id)
}

/** What was billed: the provider's own totals may leave lines out. */
function billedUsage({ usage, billedLines }: Reading): Usage {
  if (billedLines === undefined) return usage
  const sum: Usage = {}
  for (const { counts } of billedLines)
    for (const [unit, amount] of Object.entries(unitsOf(counts).usage) as [UsageUnit, number][])
      sum[unit] = (sum[unit] ?? 0) + amount
  return sum
}

/**
 * The answer, or the lines in which it is billed, each at its own model. By the model that served; by the requested one
 * only where the answer names none, or one without a price.
 */
function costOf(reading: Reading, context: PriceContext): { cost: Cost; byRequestModel: boolean } {
  const { book, tenant, provider, startedAt, durationMs, providerGuessed } = context
  const { usage, billedLines, reportedPicoUsd, responseModel, requestModel } = reading
  const chosen = !requestMayPrice(provider, providerGuessed === true)
  const by = (models: readonly string[]) =>
    costOfBill(
      book,
      {
        tenant,
        provider,
        models,
        at: startedAt,
        durationMs,
        ...(reading.serviceTier === undefined ? {} : { serviceTier: reading.serviceTier }),
        ...(reading.priceAttributes === undefined ? {} : { attributes: reading.priceAttributes }),
      },
      {
        usage,
        ...(billedLines === undefined
          ? {}
          : {
              lines: billedLines.map(({ model, counts, prompt }) => ({
                ...(model !== undefined && { model }),
                ...(prompt !== undefined && { prompt }),
                usage: unitsOf(counts).usage,
              })),
            }),
        ...(reportedPicoUsd === undefined ? {} : { reportedPicoUsd }),
      },
    )
  const served = by(responseModel === undefined ? (requestModel === undefined ? [] : [requestModel]) : [responseModel])
  if (responseModel === undefined) return { cost: served, byRequestModel: chosen && requestModel !== undefined }
  const other = requestModel !== undefined && requestModel !== responseModel
  if (served.state !== 'unpriced' || served.reason === 'overflow' || !other || chosen)
    return { cost: served, byRequestModel: false }
  const asked = by([requestModel])
  if (asked.state === 'unpriced' && asked.reason !== 'no_price') return { cost: served, byRequestModel: false }
  return { cost: asked, byRequestModel: true }
}
