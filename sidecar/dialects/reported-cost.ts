import { asNumber, asObject, type JsonObject } from './json-value.ts'

const PICO_PER_USD = 1e12

/**
 * What the provider says it takes for the answer, in pico-USD: OpenRouter's `cost`, xAI's ticks of 10^-10 dollars,
 * Perplexity's `cost.total_cost`. It is kept as a check on our own number.
 */
export function reportedCost(usage: JsonObject | undefined): number | undefined {
  if (usage === undefined) return undefined
  const ticks = asNumber(usage.cost_in_usd_ticks)
  if (ticks !== undefined && ticks > 0) return amount(ticks / 1e10) // Azure's grok always says 0
  const cost = asNumber(usage.cost)
  if (cost !== undefined) {
    // With the customer's own key OpenRouter itself takes nothing: the upstream provider does.
    const upstream =
      usage.is_byok === true ? asNumber(asObject(usage.cost_details)?.upstream_inference_cost) : undefined
    return amount(upstream ?? cost)
  }
  const total = asNumber(asObject(usage.cost)?.total_cost)
  return total === undefined ? undefined : amount(total)
}

/** A reported amount is a float64 in dollars: the nearest pico-dollar is what it says. */
function amount(dollars: number): number | undefined {
  const picoUsd = Math.round(dollars * PICO_PER_USD)
  return Number.isSafeInteger(picoUsd) && picoUsd >= 0 ? picoUsd : undefined
}
