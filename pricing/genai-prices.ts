import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { calcPrice, findProvider, type ModelPrice, type TieredPrices } from '@pydantic/genai-prices'
import {
  type Cost,
  inputTokens,
  TOKEN_TYPES,
  type TokenType,
  type UnpricedReason,
  type Usage,
} from '../sidecar/call.ts'
import { picoUsdPerToken } from './pico-usd.ts'
import type { PriceBook, PriceKey } from './price-book.ts'

/** Provider names of our calls (OpenTelemetry's where it has one) → those of genai-prices; the same where not listed. */
const PROVIDERS: Readonly<Record<string, string>> = {
  'azure.ai.openai': 'azure',
  'azure.ai.inference': 'azure',
  'gcp.gemini': 'google',
  'gcp.vertex_ai': 'google',
  'gcp.gen_ai': 'google',
  'aws.bedrock': 'aws',
  mistral_ai: 'mistral',
  x_ai: 'x-ai',
  z_ai: 'zai',
  moonshot_ai: 'moonshotai',
  voyage: 'voyageai',
  voyage_ai: 'voyageai',
}

/**
 * Which rate prices a kind of token. Where a book has no rate of its own for a kind, the next one counts, as long as
 * that is not cheaper than the truth: reasoning is output, a cached token costs at most a fresh one. Sound has no such
 * stand-in (gpt-4o-audio-preview: 16 times the text that its entry lists), nor has a generated image: `no_price`.
 */
const RATES: Record<TokenType, readonly string[]> = {
  input: ['input_mtok'],
  input_audio: ['input_audio_mtok'],
  input_image: ['input_image_mtok', 'input_mtok'],
  cache_read: ['cache_read_mtok', 'input_mtok'],
  cache_read_audio: ['cache_audio_read_mtok', 'input_audio_mtok'],
  cache_write: ['cache_write_mtok', 'input_mtok'],
  cache_write_5m: ['cache_write_mtok', 'input_mtok'],
  cache_write_1h: ['cache_write_1h_mtok', 'input_mtok'],
  output: ['output_mtok'],
  output_reasoning: ['output_reasoning_mtok', 'output_mtok'],
  output_audio: ['output_audio_mtok'],
  output_image: ['output_image_mtok'],
}

interface Rate {
  base: bigint
  /** From the highest start down: the whole call is priced by the first tier that its prompt exceeds. */
  tiers: readonly { start: number; price: bigint }[]
}
interface PricedModel {
  priceId: string
  rates: Partial<Record<TokenType, Rate>>
}

/** Served tiers that pay the list price. */
const LIST_TIERS = new Set(['', 'auto', 'default', 'standard', 'on_demand'])

/** Models are named by clients: the cache must not grow with their fancy, in number or in length. */
const MAX_CACHED = 2000
const MAX_MODEL_NAME = 256
const HOUR_MS = 3_600_000

/** List prices of `@pydantic/genai-prices`, in integers. Tool fees (web search, …) are not priced yet: token cost only. */
export function openPriceBook(): PriceBook {
  const version = `genai-prices@${packageVersion()}`
  const cache = new Map<string, PricedModel | UnpricedReason>()

  function lookUp(provider: string, model: string, at: number): PricedModel | UnpricedReason {
    if (model.length > MAX_MODEL_NAME) return 'unknown_model'
    // Prices change at dates and times of day, on the half hour at the finest.
    const key = `${provider}\u0000${model}\u0000${Math.floor(at / (HOUR_MS / 2))}`
    const known = cache.get(key)
    if (known !== undefined) return known
    const found = read(provider, model, at, version)
    if (cache.size >= MAX_CACHED) cache.delete(cache.keys().next().value!)
    cache.set(key, found)
    return found
  }

  return {
    version,
    costOf({ provider, models, at, serviceTier }: PriceKey, usage: Usage): Cost {
      const unpriced = (reason: UnpricedReason): Cost => ({ state: 'unpriced', reason, book: version })
      // Flex, priority and batch have rates that this book does not hold: the list price would be a wrong one.
      if (serviceTier !== undefined && !LIST_TIERS.has(serviceTier.toLowerCase())) return unpriced('no_price')
      let reason: UnpricedReason = 'unknown_model'
      for (const model of models) {
        const found = lookUp(Object.hasOwn(PROVIDERS, provider) ? PROVIDERS[provider]! : provider, model, at)
        if (typeof found !== 'string') return priced(found, usage, version) ?? unpriced('no_price')
        reason = found
      }
      return unpriced(reason)
    },
  }
}

/** undefined where a unit that was used has no price. */
function priced(model: PricedModel, usage: Usage, book: string): Cost | undefined {
  const prompt = inputTokens(usage)
  const byUnit: Partial<Record<TokenType, number>> = {}
  let total = 0n
  for (const type of TOKEN_TYPES) {
    const tokens = usage[type]
    if (tokens === undefined || tokens === 0) continue
    const rate = model.rates[type]
    if (rate === undefined) return undefined
    const price = rate.tiers.find(({ start }) => prompt > start)?.price ?? rate.base
    const picoUsd = price * BigInt(tokens)
    total += picoUsd
    byUnit[type] = Number(picoUsd)
  }
  if (total > BigInt(Number.MAX_SAFE_INTEGER)) return { state: 'unpriced', reason: 'overflow', book }
  return { state: 'priced', picoUsd: Number(total), byUnit, priceId: model.priceId, book }
}

function read(provider: string, model: string, at: number, version: string): PricedModel | UnpricedReason {
  // By its exact id: the package also takes any name that contains `openai` for OpenAI.
  if (findProvider({ providerId: provider })?.id !== provider) return 'unknown_provider'
  const timestamp = new Date(at)
  if (Number.isNaN(timestamp.getTime())) return 'no_price'
  const found = calcPrice({}, model, { providerId: provider, timestamp })
  if (found === null) return 'unknown_model'
  const rates: Partial<Record<TokenType, Rate>> = {}
  for (const type of TOKEN_TYPES) {
    const name = RATES[type].find((candidate) => found.model_price[candidate] !== undefined)
    if (name !== undefined) rates[type] = rateOf(found.model_price[name]!)
  }
  // Who writes a five-minute cache at a surcharge (Anthropic: 1.25 × input) writes the one-hour cache at 2 × input.
  const { cache_write_mtok, cache_write_1h_mtok } = found.model_price
  if (cache_write_mtok !== undefined && cache_write_1h_mtok === undefined && rates.input !== undefined)
    rates.cache_write_1h = doubled(rates.input)
  return {
    priceId: `${version}:${found.provider.id}/${found.model.id}${entryOf(found.model.prices, found.model_price)}`,
    rates,
  }
}

function rateOf(price: number | TieredPrices): Rate {
  if (typeof price === 'number') return { base: picoUsdPerToken(price), tiers: [] }
  const tiers = price.tiers.map(({ start, price: tier }) => ({ start, price: picoUsdPerToken(tier) }))
  return { base: picoUsdPerToken(price.base), tiers: tiers.sort((a, b) => b.start - a.start) }
}

function doubled({ base, tiers }: Rate): Rate {
  return { base: base * 2n, tiers: tiers.map(({ start, price }) => ({ start, price: price * 2n })) }
}

/** Names the entry of a dated price: its date or its hours; nothing where a model has one price. */
function entryOf(prices: ModelPrice | { constraint?: object; prices: ModelPrice }[], inForce: ModelPrice): string {
  if (!Array.isArray(prices)) return ''
  const constraint = prices.find((entry) => entry.prices === inForce)?.constraint as
    | { start_date?: string; start_time?: string; end_time?: string }
    | undefined
  if (constraint?.start_date !== undefined) return `@${constraint.start_date}`
  if (constraint?.start_time !== undefined) return `@${constraint.start_time}-${constraint.end_time}`
  return '@first'
}

function packageVersion(): string {
  const entry = createRequire(import.meta.url).resolve('@pydantic/genai-prices')
  return (JSON.parse(readFileSync(join(dirname(entry), '..', 'package.json'), 'utf8')) as { version: string }).version
}
