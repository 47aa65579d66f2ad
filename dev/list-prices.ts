import type { BilledUnit } from './provider/answer.ts'

/** pico-USD per token, by model as the mock bills it. */
export type ListPrices = Readonly<Record<string, Readonly<Partial<Record<BilledUnit, bigint>>>>>

/**
 * The public list prices of the mock's models, typed by hand on purpose: the demo and the conservation test compare what
 * the observer computes from its own price book with this. 1 USD per million tokens is 1,000,000 pico-USD per token.
 */
export const LIST_PRICES: ListPrices = {
  // $ per million tokens: input 2.50, cached input 1.25, output 10.00
  'gpt-4o-2024-08-06': {
    input: 2_500_000n,
    cache_read: 1_250_000n,
    output: 10_000_000n,
    output_reasoning: 10_000_000n,
  },
  // input 0.15, cached input 0.075, output 0.60
  'gpt-4o-mini-2024-07-18': { input: 150_000n, cache_read: 75_000n, output: 600_000n, output_reasoning: 600_000n },
  // input 2.00, cached input 0.50, output 8.00
  'o3-2025-04-16': { input: 2_000_000n, cache_read: 500_000n, output: 8_000_000n, output_reasoning: 8_000_000n },
  // input 1.10, cached input 0.275, output 4.40
  'o4-mini-2025-04-16': { input: 1_100_000n, cache_read: 275_000n, output: 4_400_000n, output_reasoning: 4_400_000n },
  // input 3.00, cache read 0.30, cache write 3.75 (5 minutes) and 6.00 (1 hour), output 15.00; prompts up to 200,000 tokens
  'claude-sonnet-4-5-20250929': {
    input: 3_000_000n,
    cache_read: 300_000n,
    cache_write_5m: 3_750_000n,
    cache_write_1h: 6_000_000n,
    output: 15_000_000n,
    output_reasoning: 15_000_000n,
  },
  // input 1.00, cache read 0.10, cache write 1.25 and 2.00, output 5.00
  'claude-haiku-4-5-20251001': {
    input: 1_000_000n,
    cache_read: 100_000n,
    cache_write_5m: 1_250_000n,
    cache_write_1h: 2_000_000n,
    output: 5_000_000n,
    output_reasoning: 5_000_000n,
  },
  // input 5.00, cache read 0.50, cache write 6.25 and 10.00, output 25.00
  'claude-opus-4-5-20251101': {
    input: 5_000_000n,
    cache_read: 500_000n,
    cache_write_5m: 6_250_000n,
    cache_write_1h: 10_000_000n,
    output: 25_000_000n,
    output_reasoning: 25_000_000n,
  },
}
