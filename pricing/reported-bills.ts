/*
 * Who tells its bill for an answer, and where. What stands here is the cost of the call; our list price stands beside it.
 * An amount that is not here (a price of a list that another product computed) is kept as `reportedPicoUsd` and no more.
 */

export interface ReportedBill {
  /** Named in the price id: `reported:openrouter`. */
  id: string
  /** What the number is. */
  unit: 'usd' | 'usd_ticks'
  where: string
  source: string
}

/**
 * Providers that round the parts of their sum: where the list price is as near as this (pico-USD), it is the more exact
 * number, and counts. Perplexity rounds three parts to 10^-5 dollars each.
 */
export const ROUNDED_BILLS: Readonly<Record<string, number>> = { perplexity: 15_000_000 }

export const REPORTED_BILLS = {
  openrouter: {
    id: 'openrouter',
    unit: 'usd',
    where: 'usage.cost (credits, 1 = 1 USD); with the own key of a customer plus cost_details.upstream_inference_cost',
    source: 'openrouter.ai/docs, Usage Accounting',
  },
  xai: {
    id: 'xai',
    unit: 'usd_ticks',
    where: 'usage.cost_in_usd_ticks, 10^10 ticks a dollar, tool fees in it; Azure says 0 there, which is none',
    source: 'docs.x.ai, Cost tracking; in recorded answers tokens plus exactly 0.005 USD a search',
  },
  perplexity: {
    id: 'perplexity',
    unit: 'usd',
    where: 'usage.cost.total_cost',
    source:
      'docs.perplexity.ai, Chat Completions; in recorded answers each part is rounded to 10^-5 USD (ROUNDED_BILLS)',
  },
  vercel: {
    id: 'vercel',
    unit: 'usd',
    where:
      'provider_metadata.gateway.cost of the message, the delta or the answer; with the own key of a customer that is 0, and marketCost counts',
    source: 'vercel.com/docs/ai-gateway, Usage & billing',
  },
  litellm: {
    id: 'litellm',
    unit: 'usd',
    where: 'header x-litellm-response-cost',
    source: 'docs.litellm.ai, Response headers',
  },
  deepinfra: {
    id: 'deepinfra',
    unit: 'usd',
    where: 'usage.estimated_cost',
    source: 'deepinfra.com/docs, OpenAI API: "estimated_cost" of the request',
  },
  gateway_cost: {
    id: 'gateway',
    unit: 'usd',
    where: 'usage.cost of another gateway that speaks OpenRouter’s format',
    source: 'the format of OpenRouter’s usage accounting',
  },
} as const satisfies Record<string, ReportedBill>
export type ReportedBillName = keyof typeof REPORTED_BILLS
