import type { PriceBook } from '../../pricing/price-book.ts'
import { totalTokens, type Usage, type UsageUnit } from '../call.ts'

/** A price book for tests: pico-USD for a token of a model (`tenant/model` counts first); other models have no price. */
export function tableBook(version: string, rates: Readonly<Record<string, number>>): PriceBook {
  return {
    version,
    updated: '2026-01-01',
    costOf({ tenant, models }, usage: Usage) {
      for (const model of models) {
        const name = [`${tenant}/${model}`, model].find((candidate) => Object.hasOwn(rates, candidate))
        if (name === undefined) continue
        const byUnit: Partial<Record<UsageUnit, number>> = {}
        for (const [unit, amount] of Object.entries(usage) as [UsageUnit, number][])
          byUnit[unit] = amount * rates[name]!
        const picoUsd = totalTokens(usage) * rates[name]!
        return { state: 'priced', picoUsd, byUnit, priceId: `${version}:${name}`, book: version }
      }
      return { state: 'unpriced', reason: 'unknown_model', book: version }
    },
  }
}
