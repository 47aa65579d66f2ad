import { type Cost, inputTokens, type TokenType, type Usage, type UsageUnit } from '../sidecar/call.ts'
import type { Price, Prices } from './catalogue.ts'
import { costAt, type Rate, rateOf, times } from './rate.ts'
import { type Rule, ratesOf } from './rules.ts'
import { isTokenType, STAND_INS, TOOL_FEES, unitsPerPrice } from './units.ts'

interface TieredRate {
  base: Rate
  /** From the highest down: the whole call is priced by the first one that its prompt exceeds. */
  tiers: readonly { over: number; rate: Rate }[]
}
export type Rates = Partial<Record<UsageUnit, TieredRate>>
export interface PricedModel {
  priceId: string
  rates: Rates
  /** A subscription pays. */
  plan: boolean
}

export function ratesFrom(prices: Prices): Rates {
  const rates: Rates = {}
  for (const [unit, price] of Object.entries(prices) as [UsageUnit, Price][]) rates[unit] = tieredRate(unit, price)
  // Who writes a five-minute cache at a surcharge (Anthropic: 1.25 × input) writes the one-hour cache at 2 × input.
  if (rates.cache_write !== undefined && rates.cache_write_1h === undefined && rates.input !== undefined)
    rates.cache_write_1h = multiplied(rates.input, '2')
  return rates
}

function tieredRate(unit: UsageUnit, price: Price): TieredRate {
  const per = unitsPerPrice(unit)
  if (typeof price === 'string') return { base: rateOf(price, per), tiers: [] }
  const tiers = price.tiers.map((tier) => ({ over: tier.over, rate: rateOf(tier.price, per) }))
  return { base: rateOf(price.base, per), tiers: tiers.sort((a, b) => b.over - a.over) }
}

export function withRule(before: Rates, rule: Rule): Rates {
  const rates: Rates = rule.replace ? {} : { ...before }
  const { prices, computeShare } = ratesOf(rule)
  for (const [unit, price] of Object.entries(prices) as [UsageUnit, Price][]) rates[unit] = tieredRate(unit, price)
  if (rule.gpu_hour !== undefined && computeShare > 1) {
    const { base } = rates.compute_milliseconds!
    rates.compute_milliseconds = {
      base: { numerator: base.numerator, denominator: base.denominator * BigInt(computeShare) },
      tiers: [],
    }
  }
  if (rule.multiply !== undefined)
    for (const unit of Object.keys(rates) as UsageUnit[])
      if (rule.units === undefined || (rule.units as UsageUnit[]).includes(unit))
        rates[unit] = multiplied(rates[unit]!, rule.multiply)
  return rates
}

function multiplied({ base, tiers }: TieredRate, factor: string): TieredRate {
  return { base: times(base, factor), tiers: tiers.map(({ over, rate }) => ({ over, rate: times(rate, factor) })) }
}

function rateFor(rates: Rates, unit: UsageUnit, prompt: number): Rate | undefined {
  // A cached image token is priced as an image where images have a rate of their own, as cached text where they have none.
  if (unit === 'cache_read_image' && rates[unit] === undefined)
    return rateFor(rates, rates.input_image === undefined ? 'cache_read' : 'input_image', prompt)
  const names: readonly UsageUnit[] = isTokenType(unit) ? STAND_INS[unit] : [unit]
  for (const name of names) {
    const rate = rates[name]
    if (rate !== undefined) return rate.tiers.find(({ over }) => prompt > over)?.rate ?? rate.base
  }
  return undefined
}

export function priced(
  { priceId, rates }: PricedModel,
  usage: Usage,
  key: { durationMs?: number; prompt?: number },
  book: string,
): Cost {
  const { durationMs } = key
  const prompt = key.prompt ?? inputTokens(usage)
  let tiered = false
  const byUnit: Partial<Record<UsageUnit, number>> = {}
  const unpricedFees: UsageUnit[] = []
  let total = 0n
  const add = (unit: UsageUnit, picoUsd: bigint) => {
    total += picoUsd
    byUnit[unit] = Number(picoUsd)
  }
  const computed = rates.compute_milliseconds?.base
  if (computed !== undefined && durationMs !== undefined && durationMs > 0)
    add('compute_milliseconds', costAt(computed, durationMs))
  const heard = rates.audio_milliseconds !== undefined && (usage.audio_milliseconds ?? 0) > 0
  for (const [unit, amount] of Object.entries(usage) as [UsageUnit, number | undefined][]) {
    if (amount === undefined || amount === 0) continue
    const rate = rateFor(rates, unit, prompt)
    if (rate !== undefined) {
      add(unit, costAt(rate, amount))
      tiered ||= rate !== rateFor(rates, unit, 0)
    }
    // Whoever pays for the machine, or for the length of the sound, does not pay for the tokens as well; otherwise a unit
    // without a price is no zero.
    else if (TOOL_FEES.has(unit)) unpricedFees.push(unit)
    else if (computed === undefined && !heard) return { state: 'unpriced', reason: 'no_price', book }
  }
  if (total > BigInt(Number.MAX_SAFE_INTEGER)) return { state: 'unpriced', reason: 'overflow', book }
  const saved = savedByCache(rates, usage, prompt)
  return {
    state: 'priced',
    picoUsd: Number(total),
    byUnit,
    priceId,
    book,
    ...(unpricedFees.length > 0 ? { unpricedFees } : {}),
    ...(tiered ? { tiered } : {}),
    ...(saved > 0n && saved <= BigInt(Number.MAX_SAFE_INTEGER) ? { cacheSavedPicoUsd: Number(saved) } : {}),
  }
}

/** What cached tokens would have cost more as fresh ones. */
function savedByCache(rates: Rates, usage: Usage, prompt: number): bigint {
  let saved = 0n
  for (const [cached, fresh] of [
    ['cache_read', 'input'],
    ['cache_read_audio', 'input_audio'],
  ] as const satisfies readonly (readonly [TokenType, TokenType])[]) {
    const amount = usage[cached] ?? 0
    const [paid, full] = [rateFor(rates, cached, prompt), rateFor(rates, fresh, prompt)]
    if (amount > 0 && paid !== undefined && full !== undefined) saved += costAt(full, amount) - costAt(paid, amount)
  }
  return saved
}
