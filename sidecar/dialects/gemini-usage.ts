import type { PriceAttributes } from '../call.ts'
import type { Counts } from './counts.ts'
import { asCount, asList, asObject, asText, type JsonObject, withoutUndefined } from './json-value.ts'
import { countOf } from './openai-usage.ts'

/** `enum-encoding=int`: the numbers of Google's enums, the same at Google AI and on Vertex. */
const MODALITIES = ['UNSPECIFIED', 'TEXT', 'IMAGE', 'VIDEO', 'AUDIO', 'DOCUMENT']
const TRAFFIC = [undefined, 'on_demand', 'provisioned_throughput', 'on_demand_priority', 'on_demand_flex']

/** `usageMetadata` of one answer, or of the last chunk that has one: each is a snapshot of the whole. */
export function countGeminiUsage(raw: JsonObject): Counts | undefined {
  const prompt = countOf(raw, ['promptTokenCount', 'prompt_token_count'])
  const toolPrompt = countOf(raw, ['toolUsePromptTokenCount', 'tool_use_prompt_token_count'])
  const candidates = countOf(raw, ['candidatesTokenCount', 'responseTokenCount', 'candidates_token_count'])
  const thoughts = countOf(raw, ['thoughtsTokenCount', 'thoughts_token_count'])
  const total = countOf(raw, ['totalTokenCount', 'total_token_count'])
  // Part of the prompt, or text that is billed as such.
  countOf(raw, ['billablePromptTokenCount', 'textCount', 'billableCharacterCount'])
  // Some answers give no prompt count: then nobody knows it, and the total is no substitute.
  const input = prompt === undefined ? undefined : prompt + (toolPrompt ?? 0)
  // Where the total holds the thoughts only once, they stand in the candidates' count already.
  const inclusive =
    thoughts !== undefined &&
    candidates !== undefined &&
    thoughts > 0 &&
    thoughts <= candidates &&
    input !== undefined &&
    total === input + candidates
  const output =
    candidates === undefined && thoughts === undefined
      ? undefined
      : (candidates ?? 0) + (inclusive ? 0 : (thoughts ?? 0))
  if (input === undefined && output === undefined) return undefined
  const promptDetails = raw.promptTokensDetails ?? raw.promptTokenDetails ?? raw.prompt_tokens_details // embeddings: singular
  const outputDetails = raw.candidatesTokensDetails ?? raw.responseTokensDetails ?? raw.candidates_tokens_details
  // What tools added to the prompt is text.
  tokensOfModality(raw.toolUsePromptTokensDetails, 'audio')
  return withoutUndefined({
    input,
    output,
    cacheRead: countOf(raw, ['cachedContentTokenCount', 'cached_content_token_count']),
    toolPrompt,
    inputAudio: tokensOfModality(promptDetails, 'audio'),
    inputImage: tokensOfModality(promptDetails, 'image'),
    cacheReadAudio: tokensOfModality(raw.cacheTokensDetails ?? raw.cache_tokens_details, 'audio'),
    reasoning: thoughts,
    outputAudio: tokensOfModality(outputDetails, 'audio'),
    outputImage: tokensOfModality(outputDetails, 'image'),
    total,
  })
}

/** `[{modality, tokenCount}]`, of interactions `[{modality, tokens}]`. */
export function tokensOfModality(details: unknown, wanted: 'audio' | 'image'): number | undefined {
  let sum: number | undefined
  for (const item of asList(details)) {
    const detail = asObject(item)
    const modality = typeof detail?.modality === 'number' ? MODALITIES[detail.modality] : asText(detail?.modality)
    const count = asCount(detail?.tokenCount) ?? asCount(detail?.tokens) ?? asCount(detail?.token_count)
    if (modality?.toLowerCase() === wanted && count !== undefined) sum = (sum ?? 0) + count
  }
  return sum
}

/** Up to Gemini 2.x a prompt that was grounded is billed once, from Gemini 3 on each query. */
export function billedSearches(queries: number, model: string | undefined): number | undefined {
  if (queries === 0) return undefined
  return /gemini-[12]/.test(model ?? '') ? 1 : queries
}

/** Where it ran, and whether it came out of throughput that was paid for before (then its tokens have no price). */
export function geminiPriceAttributes(
  usage: JsonObject | undefined,
  host: string,
  path: string,
): PriceAttributes | undefined {
  const type = usage?.trafficType
  const word = typeof type === 'number' ? TRAFFIC[type] : asText(type)?.toLowerCase()
  const traffic = word === 'traffic_type_unspecified' ? undefined : word
  const region = /\/locations\/([a-z0-9-]{1,40})\//.exec(path)?.[1] ?? /^([a-z0-9-]+)-aiplatform\./.exec(host)?.[1]
  const attributes: PriceAttributes = withoutUndefined({ region, traffic })
  return Object.keys(attributes).length > 0 ? attributes : undefined
}

/** Google's own tier of the answer: in its usage, or in a header. */
export function geminiServiceTier(
  usage: JsonObject | undefined,
  headers: Readonly<Record<string, string>>,
): string | undefined {
  return asText(usage?.serviceTier) ?? asText(headers['x-gemini-service-tier'])
}

/** What a path asks of a model: `…/models/gemini-2.5-flash:generateContent`. Some clients write the colon as %3A. */
export function verbOfGooglePath(path: string): string | undefined {
  return /\/[^/:]+(?::|%3A)([A-Za-z]+)$/i.exec(path)?.[1]
}

export function modelInGooglePath(path: string): string | undefined {
  const found = /\/(?:models|tunedModels|endpoints)\/([^/:]+?)(?::|%3A)[A-Za-z]+$/i.exec(path)?.[1]
  if (found === undefined) return undefined
  try {
    return decodeURIComponent(found)
  } catch {
    return found
  }
}
