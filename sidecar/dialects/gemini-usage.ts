import type { PriceAttributes } from '../call.ts'
import type { Counts } from './counts.ts'
import { asCount, asList, asObject, asText, type JsonObject, withoutUndefined } from './json-value.ts'

/** `enum-encoding=int`: the numbers of Google's enums, the same at Google AI and on Vertex. */
const MODALITIES = ['UNSPECIFIED', 'TEXT', 'IMAGE', 'VIDEO', 'AUDIO', 'DOCUMENT']
const TRAFFIC = [undefined, 'on_demand', 'provisioned_throughput', 'on_demand_priority', 'on_demand_flex']

/** `usageMetadata` of one answer, or of the last chunk that has one: each is a snapshot of the whole. */
export function countGeminiUsage(raw: JsonObject): Counts | undefined {
  const prompt = asCount(raw.promptTokenCount)
  const toolPrompt = asCount(raw.toolUsePromptTokenCount)
  const candidates = asCount(raw.candidatesTokenCount) ?? asCount(raw.responseTokenCount)
  const thoughts = asCount(raw.thoughtsTokenCount)
  // Some answers give no prompt count: then nobody knows it, and the total is no substitute.
  const input = prompt === undefined ? undefined : prompt + (toolPrompt ?? 0)
  const output = candidates === undefined && thoughts === undefined ? undefined : (candidates ?? 0) + (thoughts ?? 0)
  if (input === undefined && output === undefined) return undefined
  const promptDetails = raw.promptTokensDetails ?? raw.promptTokenDetails // embeddings: singular
  const outputDetails = raw.candidatesTokensDetails ?? raw.responseTokensDetails
  return withoutUndefined({
    input,
    output,
    cacheRead: asCount(raw.cachedContentTokenCount),
    toolPrompt,
    inputAudio: tokensOfModality(promptDetails, 'audio'),
    inputImage: tokensOfModality(promptDetails, 'image'),
    cacheReadAudio: tokensOfModality(raw.cacheTokensDetails, 'audio'),
    reasoning: thoughts,
    outputAudio: tokensOfModality(outputDetails, 'audio'),
    outputImage: tokensOfModality(outputDetails, 'image'),
    total: asCount(raw.totalTokenCount),
  })
}

/** `[{modality, tokenCount}]`, of interactions `[{modality, tokens}]`. */
export function tokensOfModality(details: unknown, wanted: 'audio' | 'image'): number | undefined {
  let sum: number | undefined
  for (const item of asList(details)) {
    const detail = asObject(item)
    const modality = typeof detail?.modality === 'number' ? MODALITIES[detail.modality] : asText(detail?.modality)
    const count = asCount(detail?.tokenCount) ?? asCount(detail?.tokens)
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
