import type { Counts } from './counts.ts'
import { asCount, asObject, type JsonObject, withoutUndefined } from './json-value.ts'
import { countOf } from './openai-usage.ts'

/**
 * Cohere's usage (`usage` of v2, `meta` of v1). What is billed are the billed units; `tokens`, with the prompt that Cohere
 * adds and its cache, are not.
 */
export function countCohere(raw: JsonObject): Counts | undefined {
  const billed = asObject(raw.billed_units)
  if (billed === undefined) return undefined
  // With the prompt that Cohere adds, and what its cache held of it: not billed.
  const tokens = asObject(raw.tokens)
  if (tokens !== undefined) countOf(tokens, ['input_tokens', 'output_tokens', 'image_tokens', 'search_units'])
  countOf(raw, ['cached_tokens'])
  const counts = withoutUndefined({
    input: asCount(billed.input_tokens) ?? (asCount(billed.image_tokens) === undefined ? undefined : 0),
    output: asCount(billed.output_tokens),
    inputImage: asCount(billed.image_tokens),
    reasoning: asCount(billed.reasoning_tokens) ?? asCount(asObject(raw.tokens)?.reasoning_tokens),
    searchUnits: asCount(billed.search_units),
    images: asCount(billed.images),
  })
  // Tokens of images stand beside those of text.
  if ((counts.inputImage ?? 0) > 0) counts.input = (counts.input ?? 0) + (counts.inputImage ?? 0)
  return Object.keys(counts).length > 0 ? counts : undefined
}
