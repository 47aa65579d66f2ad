import type { PriceAttributes } from '../call.ts'
import type { Counts } from './counts.ts'
import type { DialectReading } from './dialect.ts'
import { asCount, asList, asObject, asText, type JsonObject } from './json-value.ts'
import { countOpenAiUsage } from './openai-usage.ts'

const MAX_LINES = 64

/** The lines of the bill where a usage object of OpenAI's format says more than its totals. */
export function openAiBilledLines(
  raw: JsonObject,
  counts: Counts,
  provider: string,
  breakdown: JsonObject | undefined,
): DialectReading['billedLines'] {
  // Groq's compound systems: each model that worked has its own usage, at its own price.
  const models = asList((asObject(raw.usage_breakdown) ?? breakdown)?.models).slice(0, MAX_LINES)
  if (models.length > 0) {
    const lines = models.flatMap((item) => {
      const pass = asObject(item)
      const usage = asObject(pass?.usage)
      const own = usage === undefined ? undefined : countOpenAiUsage(usage, '')
      const model = asText(pass?.model)
      return own === undefined ? [] : [{ kind: 'model_pass', ...(model === undefined ? {} : { model }), counts: own }]
    })
    if (lines.length > 0) return lines
  }
  // Perplexity's deep research bills thoughts and what it cites besides the tokens of prompt and answer.
  const reasoning = provider === 'perplexity' ? (asCount(raw.reasoning_tokens) ?? 0) : 0
  const cited = provider === 'perplexity' ? (asCount(raw.citation_tokens) ?? 0) : 0
  if (reasoning > 0 || cited > 0)
    return [
      { kind: 'message', counts },
      { kind: 'deep_research', counts: { input: cited, output: reasoning, reasoning } },
    ]
  return undefined
}

/** What is billed for the call itself, beside its tokens. */
export function openAiFees(
  raw: JsonObject,
  provider: string,
  model: string | undefined,
): Pick<Counts, 'webSearches' | 'requests'> {
  // OpenRouter's and others' own search tool.
  const tools = asObject(raw.server_tool_use_details) ?? asObject(raw.server_tool_use)
  const searches = asCount(tools?.web_search_requests)
  if (searches !== undefined) return { webSearches: searches }
  if (provider === 'perplexity') {
    // Deep research bills each query, the other models a fee for the request.
    const queries = asCount(raw.num_search_queries)
    return queries === undefined ? { requests: 1 } : { webSearches: queries }
  }
  // OpenAI's search models search once for each call.
  if (provider === 'openai' && /-search-(?:preview|api)/.test(model ?? '')) return { webSearches: 1 }
  return {}
}

/** Perplexity's fee depends on how much of the web is looked at; it says so in the answer. */
export function openAiPriceAttributes(
  raw: JsonObject | undefined,
  body: JsonObject | undefined,
): PriceAttributes | undefined {
  const size = asText(raw?.search_context_size) ?? asText(asObject(body?.web_search_options)?.search_context_size)
  return size === undefined ? undefined : { search_context_size: size }
}
