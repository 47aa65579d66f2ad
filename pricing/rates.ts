import type { ModelPrice } from '@pydantic/genai-prices'
import { TOKEN_TYPES, type TokenType } from '../sidecar/call.ts'

/** pico-USD per token; above `above` prompt tokens the whole call is charged at the tier's rate. */
export interface Rate {
  base: number
  /** Ascending. */
  tiers: readonly { above: number; rate: number }[]
}

/** A token type without a rate has no price. */
export type Rates = Readonly<Partial<Record<TokenType, Rate>>>

/**
 * Where each token type's price stands, best first. A type that the provider does not list apart is charged as what
 * it is a kind of, where that is never cheaper than the truth: reasoning is output, a cached token costs at most a
 * fresh one. Sound has no such stand-in (its price is many times that of text), nor has a generated image.
 */
const PRICE_KEYS: Readonly<Record<TokenType, readonly string[]>> = {
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

export function ratesOf(prices: ModelPrice): Rates {
  const rates: Partial<Record<TokenType, Rate>> = {}
  for (const type of TOKEN_TYPES) {
    const key = PRICE_KEYS[type].find((candidate) => prices[candidate] !== undefined)
    if (key !== undefined) rates[type] = rateOf(prices[key]!)
  }
  // Who writes a five-minute cache at a surcharge (Anthropic: 1.25 × input) writes the one-hour cache at 2 × input.
  if (prices.cache_write_1h_mtok === undefined && prices.cache_write_mtok !== undefined && rates.input !== undefined)
    rates.cache_write_1h = doubled(rates.input)
  return rates
}

export function rateFor({ base, tiers }: Rate, promptTokens: number): number {
  let rate = base
  for (const tier of tiers) if (promptTokens > tier.above) rate = tier.rate
  return rate
}

function rateOf(price: NonNullable<ModelPrice[string]>): Rate {
  if (typeof price === 'number') return { base: picoUsdPerToken(price), tiers: [] }
  const tiers = price.tiers
    .map((tier) => ({ above: tier.start, rate: picoUsdPerToken(tier.price) }))
    .sort((one, other) => one.above - other.above)
  return { base: picoUsdPerToken(price.base), tiers }
}

function doubled({ base, tiers }: Rate): Rate {
  return { base: base * 2, tiers: tiers.map(({ above, rate }) => ({ above, rate: rate * 2 })) }
}

/**
 * USD per million tokens → pico-USD per token: × 1,000,000, exactly, by moving the point of the number's shortest
 * decimal. What is left below one pico-USD (a list price that is itself a rounded fraction) is rounded half up.
 */
export function picoUsdPerToken(usdPerMillion: number): number {
  const parts = /^(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(usdPerMillion))
  if (parts === null) throw new RangeError(`not a price: ${usdPerMillion}`)
  const [, whole, fraction = '', exponent = '0'] = parts
  const digits = BigInt(`${whole}${fraction}`)
  const shift = 6 + Number(exponent) - fraction.length
  if (shift >= 0) return Number(digits * 10n ** BigInt(shift))
  const divisor = 10n ** BigInt(-shift)
  return Number((digits + divisor / 2n) / divisor)
}
