import type { Cost, PriceAttributes, Usage } from '../sidecar/call.ts'

export interface PriceKey {
  provider: string
  /** Tried in this order: the response's model, then the request's. */
  models: readonly string[]
  /** Epoch milliseconds of the call's start: the price in force then counts. */
  at: number
  /** The tier that served the call, as the provider names it. */
  serviceTier?: string
  attributes?: PriceAttributes
  /** Whose call it is: tenants may have rates of their own. */
  tenant?: string
  /** How long the call took: self-hosted models may be priced by the time of a GPU. */
  durationMs?: number
}

/** Who charges what from when. Pure: the same key and usage always give the same cost. */
export interface PriceBook {
  /** Names the data, e.g. `genai-prices@0.1.8`. Kept with each call. */
  version: string
  costOf(key: PriceKey, usage: Usage): Cost
}
