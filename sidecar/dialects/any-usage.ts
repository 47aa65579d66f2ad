import { countAnthropicUsage } from './anthropic-usage.ts'
import { countConverseUsage } from './bedrock-usage.ts'
import { countCohere } from './cohere-usage.ts'
import { type Counts, reportsUsage } from './counts.ts'
import { countGeminiUsage } from './gemini-usage.ts'
import { asObject, type JsonObject } from './json-value.ts'
import { countEmbeddings } from './openai-embeddings.ts'
import { countOpenAiUsage } from './openai-usage.ts'

/** Where answers keep their usage, of formats that have no reader of their own. */
const PLACES = [
  'usage',
  'usageMetadata',
  'usage_metadata',
  'model_usage',
  'token_usage',
  'usage_info',
  'meta',
  'metrics',
]
const WRAPPERS = ['result', 'response', 'data', 'output', 'message', 'body']

/** The usage object of an answer in any format: its own, or of what wraps it. */
export function usageAnywhere(answer: JsonObject): JsonObject | undefined {
  for (const place of [answer, ...WRAPPERS.map((name) => asObject(answer[name]))]) {
    if (place === undefined) continue
    for (const name of PLACES) {
      const usage = asObject(place[name])
      if (usage !== undefined && countAnyUsage(usage, '') !== undefined) return usage
    }
  }
  return undefined
}

/** By the vocabulary of the object itself. */
export function countAnyUsage(usage: JsonObject, host: string): Counts | undefined {
  // A sum alone, as some say it of embeddings: all of it is prompt.
  const counts = reader(usage)(usage, host) ?? countEmbeddings(usage)
  return counts !== undefined && reportsUsage(counts) ? counts : undefined
}

function reader(usage: JsonObject): (usage: JsonObject, host: string) => Counts | undefined {
  const has = (...names: string[]) => names.some((name) => name in usage)
  if (has('promptTokenCount', 'candidatesTokenCount', 'candidates_token_count')) return countGeminiUsage
  if (has('billed_units')) return countCohere
  if (has('inputTokens') && has('cacheReadInputTokens', 'cacheWriteInputTokens', 'cacheDetails'))
    return countConverseUsage
  // Anthropic's own counts leave cached tokens out, and have no total.
  if (has('input_tokens') && !has('total_tokens') && has('cache_read_input_tokens', 'cache_creation_input_tokens'))
    return countAnthropicUsage
  return countOpenAiUsage
}
