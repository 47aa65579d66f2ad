import { z } from 'zod'
import { type LlmCall, PRICE_ATTRIBUTES, type PriceAttributes } from '../call.ts'
import { type BilledText, billedLinesOf, billedText, type KeptCall, requestModelOf } from './call-lines.ts'
import { usageOf, usageText } from './usage-text.ts'

/**
 * What a retrieval brought that a price depends on, as JSON: a call that did not know its final usage is priced by it from
 * then on. Tenant, provider, start and duration stay those of the call that made the answer.
 */
export function basisOf(call: LlmCall): string {
  const billed = billedText(call)
  return JSON.stringify({
    usage: usageText(call.usage),
    models: [call.responseModel, requestModelOf(call)].filter((model) => model !== undefined),
    ...(billed === null ? {} : { billed: JSON.parse(billed) as BilledText[] }),
    tier: call.serviceTier,
    attributes: call.priceAttributes,
    reported: call.reportedPicoUsd,
  } satisfies z.input<typeof basisSchema>)
}

const basisSchema = z.object({
  usage: z.string(),
  models: z.array(z.string()),
  billed: z
    .array(z.object({ m: z.string().optional(), u: z.string(), p: z.number().optional(), n: z.number().optional() }))
    .optional(),
  tier: z.string().optional(),
  attributes: z.partialRecord(z.enum(PRICE_ATTRIBUTES), z.string()).optional(),
  reported: z.number().optional(),
})

/** The call as such a basis has it. Throws where the text is none of `basisOf`. */
export function withBasis(call: KeptCall, basis: string): KeptCall {
  const { usage, models, billed, tier, attributes, reported } = basisSchema.parse(JSON.parse(basis))
  const { id, startedAt, durationMs, cost } = call
  return {
    ...{ id, startedAt, durationMs, cost },
    kind: {
      ...call.kind,
      models: models.length > 0 ? models : call.kind.models,
      serviceTier: tier ?? call.kind.serviceTier,
      attributes: (attributes as PriceAttributes | undefined) ?? call.kind.attributes,
      // The price that it has is the retrieval's, whatever the first one was.
      usageSource: 'provider',
      state: 'priced',
    },
    usage: usageOf(usage),
    ...billedLinesOf(billed),
    reportedPicoUsd: reported,
  }
}
