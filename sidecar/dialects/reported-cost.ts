import { asList, asNumber, asObject, asText, type JsonObject } from './json-value.ts'
import { unwatched } from './watched-usage.ts'

const PICO_PER_USD = 1e12

/** The provider's own bill in a usage object (`pricing/reported-bills.ts`), in pico-USD. Undefined where it tells none. */
export function reportedInUsage(given: JsonObject | undefined, host: string): number | undefined {
  if (given === undefined) return undefined
  const usage = unwatched(given)
  const ticks = asNumber(usage.cost_in_usd_ticks)
  if (ticks !== undefined && ticks > 0) return picoUsd(ticks / 1e10) // Azure's grok always says 0
  const cost = dollars(usage.cost)
  if (cost !== undefined) {
    // With the customer's own key OpenRouter takes its fee, and the upstream provider its price.
    const upstream = usage.is_byok === true ? dollars(asObject(usage.cost_details)?.upstream_inference_cost) : undefined
    return picoUsd(cost + (upstream ?? 0))
  }
  const parts = asObject(usage.cost)
  const total = dollars(parts?.total_cost)
  if (total !== undefined) return picoUsd(total)
  const estimated = dollars(usage.estimated_cost)
  return estimated !== undefined && host.endsWith('deepinfra.com') ? picoUsd(estimated) : undefined
}

/** The bill that stands beside the usage: in a header, or in a gateway's metadata of the answer or its messages. */
export function reportedBeside(
  answer: JsonObject | undefined,
  headers: Readonly<Record<string, string>>,
): number | undefined {
  // LiteLLM says 0 of a model whose price it does not know.
  const litellm = dollars(headers['x-litellm-response-cost'])
  if (litellm !== undefined && litellm > 0) return picoUsd(litellm)
  if (answer === undefined) return undefined
  const choice = asObject(asList(answer.choices)[0])
  const response = asObject(answer.response)
  for (const place of [
    answer,
    asObject(choice?.message),
    asObject(choice?.delta),
    choice,
    response,
    asObject(answer.usage),
  ]) {
    if (place === undefined) continue
    const metadata = asObject(place.provider_metadata) ?? asObject(place.providerMetadata)
    const gateway = asObject(metadata?.gateway) ?? asObject(asObject(place.usage)?.gateway)
    const cost = dollars(gateway?.cost)
    const market = dollars(gateway?.marketCost)
    if (cost !== undefined) return picoUsd(cost === 0 ? (market ?? 0) : cost)
  }
  return undefined
}

function dollars(value: unknown): number | undefined {
  const text = asText(value)
  const number =
    text !== undefined && /^\d{1,9}(?:\.\d{1,30})?(?:e-\d{1,2})?$/i.test(text) ? Number(text) : asNumber(value)
  return number !== undefined && number >= 0 ? number : undefined
}

/** A reported amount is a float64 in dollars: the nearest pico-dollar is what it says. */
function picoUsd(amount: number): number | undefined {
  const rounded = Math.round(amount * PICO_PER_USD)
  return Number.isSafeInteger(rounded) ? rounded : undefined
}
