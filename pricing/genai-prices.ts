import { readFileSync } from 'node:fs'
import { calcPrice, type ModelInfo, type ModelPrice } from '@pydantic/genai-prices'
import {
  type Cost,
  inputTokens,
  TOKEN_TYPES,
  type UnpricedReason,
  type Usage,
  type UsageUnit,
} from '../sidecar/call.ts'
import type { PriceBook, PriceKey } from './price-book.ts'
import { priceProviderId } from './provider-ids.ts'
import { type Rates, rateFor, ratesOf } from './rates.ts'

/** Model names come from clients: what is remembered of them is bounded, in number and in length. */
const MODELS_REMEMBERED = 4096
const MODEL_NAME_LIMIT = 256

/**
 * Tiers with prices of their own, which the data does not have. Such a call is `unpriced`, not charged at the
 * standard price. Spellings: OpenAI, Azure, Anthropic, Groq, Gemini, Vertex, Bedrock.
 */
const OTHER_TIERS = new Set([
  'flex',
  'priority',
  'batch',
  'scale',
  'reserved',
  'performance',
  'on_demand_flex',
  'on_demand_priority',
  'provisioned_throughput',
])

/** A model that the data knows; `inForce` is what was found for the last second that was asked for. */
interface KnownModel {
  providerId: string
  name: string
  model: ModelInfo
  prices: Map<ModelPrice, Price>
  inForce: { second: number; price: Price } | undefined
}
interface Price {
  id: string
  rates: Rates
}

/**
 * The PriceBook on genai-prices: its data say which price is in force, the arithmetic here is in integers. Token cost
 * only: fees per search, page, image or request are not part of it.
 */
export function openPriceBook(): PriceBook {
  const version = `genai-prices@${dataVersion()}`
  const models = new Map<string, KnownModel | undefined>()

  function findModel(providerId: string, name: string): KnownModel | undefined {
    const key = `${providerId}\0${name}`
    if (models.has(key)) return models.get(key)
    const model = name.length > MODEL_NAME_LIMIT ? undefined : calcPrice({}, name, { providerId })?.model
    if (models.size >= MODELS_REMEMBERED) models.delete(models.keys().next().value!)
    const known = model === undefined ? undefined : { providerId, name, model, prices: new Map(), inForce: undefined }
    if (name.length <= MODEL_NAME_LIMIT) models.set(key, known)
    return known
  }

  function priceInForce(known: KnownModel, at: number): Price | undefined {
    const { model } = known
    if (!Array.isArray(model.prices)) return compile(known, model.prices)
    const second = Math.floor(at / 1000)
    if (known.inForce?.second === second) return known.inForce.price
    const timestamp = new Date(second * 1000)
    if (Number.isNaN(timestamp.getTime())) return undefined
    const found = calcPrice({}, known.name, { providerId: known.providerId, timestamp })
    if (found === null) return undefined
    const price = compile(known, found.model_price)
    known.inForce = { second, price }
    return price
  }

  function compile({ providerId, model, prices }: KnownModel, entry: ModelPrice): Price {
    let price = prices.get(entry)
    if (price === undefined) {
      price = { id: `${version}:${providerId}/${model.id}${entryName(model, entry)}`, rates: ratesOf(entry) }
      prices.set(entry, price)
    }
    return price
  }

  function costOf(key: PriceKey, usage: Usage): Cost {
    const unpriced = (reason: UnpricedReason): Cost => ({ state: 'unpriced', reason, book: version })
    const providerId = priceProviderId(key.provider)
    if (providerId === undefined) return unpriced('unknown_provider')
    let known: KnownModel | undefined
    for (const name of key.models) {
      known = findModel(providerId, name)
      if (known !== undefined) break
    }
    if (known === undefined) return unpriced('unknown_model')
    if (key.serviceTier !== undefined && OTHER_TIERS.has(key.serviceTier.toLowerCase())) return unpriced('no_price')
    const price = priceInForce(known, key.at)
    if (price === undefined) return unpriced('no_price')

    const promptTokens = inputTokens(usage)
    const byUnit: Partial<Record<UsageUnit, number>> = {}
    let picoUsd = 0
    for (const type of TOKEN_TYPES) {
      const count = usage[type]
      if (count === undefined || count === 0) continue
      const rate = price.rates[type]
      if (rate === undefined) return unpriced('no_price')
      // Exact as long as it is safe: a product of two integers beyond 2^53 never rounds back below it.
      const amount = count * rateFor(rate, promptTokens)
      picoUsd += amount
      if (!Number.isSafeInteger(amount) || !Number.isSafeInteger(picoUsd)) return unpriced('overflow')
      byUnit[type] = amount
    }
    return { state: 'priced', picoUsd, byUnit, priceId: price.id, book: version }
  }

  return { version, costOf }
}

/** `@2026-08-17` for an entry with a start, `@01:00:00Z/04:00:00Z` for one of a time of day, else nothing. */
function entryName(model: ModelInfo, prices: ModelPrice): string {
  if (!Array.isArray(model.prices)) return ''
  const constraint = model.prices.find((entry) => entry.prices === prices)?.constraint
  if (constraint === undefined) return ''
  return constraint.type === 'start_date'
    ? `@${constraint.start_date}`
    : `@${constraint.start_time}/${constraint.end_time}`
}

function dataVersion(): string {
  const file = new URL('../package.json', import.meta.resolve('@pydantic/genai-prices'))
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}
