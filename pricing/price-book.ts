import type { Cost, Usage } from '../sidecar/call.ts'

export interface PriceKey {
  provider: string
  /** Tried in this order: the response's model, then the request's. */
  models: readonly string[]
  /** Epoch milliseconds of the call's start: the price in force then counts. */
  at: number
  serviceTier?: string
}

/** Who charges what from when. Pure: the same key and usage always give the same cost. */
export interface PriceBook {
  /** Names the data, e.g. `genai-prices@0.1.8`. Kept with each call. */
  version: string
  costOf(key: PriceKey, usage: Usage): Cost
}
