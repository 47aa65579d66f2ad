import { hash } from 'node:crypto'
import type { PriceBook } from '../../pricing/price-book.ts'
import type { CacheStatus, Cost, Usage, UsageSource, UsageUnit } from '../call.ts'
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
  httpStatus: number
  cache: CacheStatus | undefined
}

/** What the call costs, by the price in force when it started. Undefined usage is not zero: it is unpriced. */
export function price(reading: Reading, context: PriceContext): PricedReading {
  const { usage, usageSource } = reading
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
  const failed = (context.httpStatus >= 400 && context.httpStatus !== 499) || reading.error !== undefined
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
    // Of a broken answer a later, whole one must still be billed.
    ...(key !== undefined &&
      key !== '' &&
      usageSource === 'provider' && { billingKey: `${context.tenant}/${context.provider}/${key}` }),
  }
}

const MAX_RESPONSE_ID = 256

/** An id of any length as a key: a long one by its hash, so that two of them never become one. */
function boundedId(id: string): string {
  return id.length <= MAX_RESPONSE_ID ? id : hash('sha256', id)
}

/** The answer, and the model passes that its totals leave out (Anthropic's advisor and compaction), each at its model. */
function costOf(reading: Reading, { book, provider, startedAt }: PriceContext): Cost {
  const models = [reading.responseModel, reading.requestModel].filter((model) => model !== undefined)
  const tier = reading.serviceTier === undefined ? {} : { serviceTier: reading.serviceTier }
  let total = book.costOf({ provider, models, at: startedAt, ...tier }, reading.usage)
  for (const pass of reading.otherPasses ?? []) {
    const own = book.costOf(
      { provider, models: pass.model === undefined ? models : [pass.model], at: startedAt, ...tier },
      pass.usage,
    )
    if (total.state !== 'priced') return total
    if (own.state !== 'priced') return own
    total = add(total, own)
  }
  return total
}

function add(a: Extract<Cost, { state: 'priced' }>, b: Extract<Cost, { state: 'priced' }>): Cost {
  const picoUsd = a.picoUsd + b.picoUsd
  if (!Number.isSafeInteger(picoUsd)) return { state: 'unpriced', reason: 'overflow', book: a.book }
  const byUnit = { ...a.byUnit }
  for (const unit of Object.keys(b.byUnit) as UsageUnit[]) byUnit[unit] = (byUnit[unit] ?? 0) + (b.byUnit[unit] ?? 0)
  return { ...a, picoUsd, byUnit, priceId: a.priceId === b.priceId ? a.priceId : `${a.priceId} + ${b.priceId}` }
}
