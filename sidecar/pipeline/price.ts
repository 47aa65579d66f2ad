import { hash } from 'node:crypto'
import { costOfBill } from '../../pricing/cost-of-bill.ts'
import type { PriceBook } from '../../pricing/price-book.ts'
import type { CacheStatus, Cost, Usage, UsageSource, UsageUnit } from '../call.ts'
import { unitsOf } from '../dialects/counts.ts'
import type { Reading } from '../dialects/dialect.ts'

export interface PricedReading {
  usage: Usage
  usageSource: UsageSource
  cost: Cost
  savedPicoUsd?: number
  /** The answer whose cost this is, so that it is billed once. */
  billingKey?: string
}

export interface PriceContext {
  book: PriceBook
  tenant: string
  provider: string
  startedAt: number
  durationMs: number
  httpStatus: number
  /** A guard refused the answer after the model had given it. */
  answerBlocked?: boolean
  cache: CacheStatus | undefined
}

/** What the call costs, by the price in force when it started. Undefined usage is not zero: it is unpriced. */
export function price(reading: Reading, context: PriceContext): PricedReading {
  const { usageSource } = reading
  const usage = billedUsage(reading)
  const { book } = context
  const free = (reason: 'error' | 'cache_hit' | 'not_billable'): Cost => ({
    state: 'free',
    picoUsd: 0,
    reason,
    book: book.version,
  })

  // A cached answer carries the tokens of the first one: they were billed then, and now they are what was saved.
  if (context.cache === 'hit') {
    const avoided = costOf(reading, context)
    const saved = avoided.state === 'priced' ? { savedPicoUsd: avoided.picoUsd } : {}
    return { usage: {}, usageSource: 'none', cost: free('cache_hit'), ...saved }
  }
  if (!reading.billable) return { usage: {}, usageSource: 'none', cost: free('not_billable') }
  // An error answers nothing and costs nothing. 499 is no such error: the provider may have answered, nobody listened.
  const refused = (context.httpStatus >= 400 && context.httpStatus !== 499) || reading.error !== undefined
  const failed = refused && context.answerBlocked !== true
  const counted = usageSource !== 'none' && usageSource !== 'unknown'
  if (failed && !counted) return { usage: {}, usageSource: 'none', cost: free('error') }
  if (usageSource === 'none') return { usage, usageSource, cost: free('not_billable') }
  if (usageSource === 'unknown')
    return { usage, usageSource, cost: { state: 'unpriced', reason: 'no_usage', book: book.version } }
  const key = reading.responseId === undefined ? undefined : boundedId(reading.responseId)
  return {
    usage,
    usageSource,
    cost: costOf(reading, context),
    // Of a broken answer a later, whole one must still be billed; one that was whole and only estimated is billed now.
    ...(key !== undefined &&
      key !== '' &&
      claimsAnswer(reading) && { billingKey: `${context.tenant}/${context.provider}/${key}` }),
  }
}

const MAX_RESPONSE_ID = 256

/** An id of any length as a key: a long one by its hash, so that two of them never become one. */
function boundedId(id: string): string {
  return id.length <= MAX_RESPONSE_ID ? id : hash('sha256', id)
}

/** The whole answer is billed with this call: whoever asks for it again does not pay again. */
function claimsAnswer({ usageSource, finishReasons }: Reading): boolean {
  return (
    usageSource === 'provider' ||
    usageSource === 'counted' ||
    (usageSource === 'estimated' && finishReasons !== undefined)
  )
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

/** The answer, or the lines in which it is billed, each at its own model. */
function costOf(reading: Reading, { book, tenant, provider, startedAt, durationMs }: PriceContext): Cost {
  const { usage, billedLines, reportedPicoUsd } = reading
  return costOfBill(
    book,
    {
      tenant,
      provider,
      models: [reading.responseModel, reading.requestModel].filter((model) => model !== undefined),
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
            lines: billedLines.map(({ model, counts }) => ({
              ...(model !== undefined && { model }),
              usage: unitsOf(counts).usage,
            })),
          }),
      ...(reportedPicoUsd === undefined ? {} : { reportedPicoUsd }),
    },
  )
}
