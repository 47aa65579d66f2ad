import type { Counts } from './counts.ts'
import { asCount, asNumber, asObject, asText, type JsonObject, withoutUndefined } from './json-value.ts'

/*
 * One count, many names: OpenAI's own first, then those of providers and gateways that speak its formats (LiteLLM, Bedrock's
 * mantle, Kimi, DeepSeek, Mistral, Together, Writer, new-api, SDKs in camel case). All are read, so that a second name of
 * the same count is not taken for an unread one.
 */
const INPUT = [
  'prompt_tokens',
  'input_tokens',
  'promptTokens',
  'inputTokens',
  'prompt_token_count',
  'input_token_count',
]
const OUTPUT = [
  'completion_tokens',
  'output_tokens',
  'completionTokens',
  'outputTokens',
  'completion_token_count',
  'output_token_count',
  'generated_tokens',
]
const TOTAL = ['total_tokens', 'totalTokens', 'total_token_count']
const INPUT_DETAILS = [
  'prompt_tokens_details',
  'input_tokens_details',
  'prompt_token_details', // Writer, threads
  'input_token_details', // transcriptions
  'promptTokensDetails',
  'inputTokensDetails',
  'inputTokenDetails',
]
const OUTPUT_DETAILS = [
  'completion_tokens_details',
  'output_tokens_details',
  'completion_token_details',
  'output_token_details',
  'completionTokensDetails',
  'outputTokensDetails',
  'outputTokenDetails',
]
const CACHE_READ = [
  'cached_tokens',
  'cache_read_input_tokens', // LiteLLM, Claude behind OpenAI's format
  'cache_read_tokens',
  'prompt_cache_hit_tokens', // DeepSeek
  'num_cached_tokens', // Mistral
  'cached_input_tokens',
  'cached_prompt_tokens',
  'cached_prompt_text_tokens', // xAI
  'cache_hit_tokens',
  'cacheReadInputTokens',
  'cacheReadTokens',
  'cachedTokens',
  'cachedInputTokens',
]
const CACHE_WRITE = [
  'cache_write_tokens',
  'cache_creation_input_tokens', // LiteLLM, Claude behind OpenAI's format
  'cache_creation_tokens',
  'cache_write_input_tokens',
  'cached_creation_tokens', // new-api
  'cacheWriteInputTokens',
  'cacheCreationInputTokens',
  'cacheWriteTokens',
]
const CACHE_WRITE_PARTS = [
  'cache_creation',
  'cache_creation_token_details',
  'cache_creation_tokens_details',
  'cacheCreation',
]
const CACHE_WRITE_5M = ['ephemeral_5m_input_tokens', 'claude_cache_creation_5_m_tokens']
const CACHE_WRITE_1H = ['ephemeral_1h_input_tokens', 'claude_cache_creation_1_h_tokens']
const REASONING = [
  'reasoning_tokens',
  'thinking_tokens',
  'thoughts_tokens',
  'reasoningTokens',
  'completion_thinking_tokens',
]
/** Complements and parts that are billed with their whole. */
const PARTS = ['prompt_cache_miss_tokens', 'cache_miss_tokens', 'video_tokens', 'document_tokens', 'uncached_tokens']

/**
 * The usage object of OpenAI's formats (chat, Responses, completions, embeddings) and of all who speak them. The counts of
 * the prompt hold cached tokens. Undefined where it holds no counts.
 */
export function countOpenAiUsage(raw: JsonObject, host: string): Counts | undefined {
  let input = countOf(raw, INPUT)
  let output = countOf(raw, OUTPUT)
  const total = countOf(raw, TOTAL)
  if (input === undefined && output === undefined) return undefined

  const inputDetails = objectsNamed(raw, INPUT_DETAILS)
  const outputDetails = objectsNamed(raw, OUTPUT_DETAILS)
  const prompt = [...inputDetails, raw]
  for (const place of [...prompt, ...outputDetails]) countOf(place, PARTS)
  const cacheRead = first(prompt, CACHE_READ)
  const parts = prompt.flatMap((place) => objectsNamed(place, CACHE_WRITE_PARTS))
  const cacheWrite5m = first([...parts, ...prompt], CACHE_WRITE_5M)
  const cacheWrite1h = first([...parts, ...prompt], CACHE_WRITE_1H)
  const written = (cacheWrite5m ?? 0) + (cacheWrite1h ?? 0)
  const cacheWrite = first(prompt, CACHE_WRITE) ?? (written > 0 ? written : undefined)
  const inputAudio = first(inputDetails, ['audio_tokens', 'audioTokens'])
  const cached = inputDetails.flatMap((place) => objectsNamed(place, ['cached_tokens_details', 'cachedTokensDetails']))
  const perplexity = host === 'api.perplexity.ai'
  let reasoning = first(outputDetails, REASONING)
  // Perplexity's deep research bills its thoughts beside the answer.
  const beside = perplexity ? undefined : first([raw], REASONING)

  const unexplained = total === undefined || total === 0 ? 0 : total - (input ?? 0) - (output ?? 0)
  if (input === undefined && total !== undefined && total > 0) input = Math.max(0, unexplained)
  else if (output === undefined && total !== undefined && total > 0) output = Math.max(0, unexplained)
  else if (input !== undefined && output !== undefined && unexplained > 0) {
    const caches = (cacheRead ?? 0) + (cacheWrite ?? 0)
    // xAI: reasoning stands beside completion_tokens.
    if (unexplained === (reasoning ?? beside)) output += unexplained
    // Mistral: audio stands beside prompt_tokens.
    else if (unexplained === inputAudio) input += inputAudio
    // Gateways that pass Claude's counts on: cached tokens stand beside prompt_tokens.
    else if (unexplained === caches || unexplained === cacheWrite || unexplained === cacheRead) input += unexplained
    // Gemini leaves thoughts out of completion_tokens.
    else if (GOOGLE_COMPATIBLE.test(host)) output += unexplained
  }
  // Without a total: more cached than there was prompt can only stand beside it.
  if (total === undefined && input !== undefined && (cacheRead ?? 0) + (cacheWrite ?? 0) > input)
    input += (cacheRead ?? 0) + (cacheWrite ?? 0)
  if (reasoning === undefined && beside !== undefined && beside <= (output ?? 0)) reasoning = beside
  return withoutUndefined({
    input,
    output,
    cacheRead,
    cacheWrite,
    cacheWrite5m,
    cacheWrite1h,
    inputAudio,
    inputImage: first(inputDetails, ['image_tokens', 'imageTokens']),
    cacheReadAudio: first(cached, ['audio_tokens', 'audioTokens']),
    cacheReadImage: first(cached, ['image_tokens', 'imageTokens']),
    reasoning,
    outputAudio: first(outputDetails, ['audio_tokens', 'audioTokens']),
    outputImage: first(outputDetails, ['image_tokens', 'imageTokens']),
    total,
    audioMilliseconds: milliseconds(raw.prompt_audio_seconds), // Mistral bills sound by its length
  })
}

const GOOGLE_COMPATIBLE = /^generativelanguage\.googleapis\.com$|(?:^|-)aiplatform(?:\.[a-z]+\.rep)?\.googleapis\.com$/

/** The first name with a count above zero, else the first with a count. */
export function countOf(raw: JsonObject, names: readonly string[]): number | undefined {
  let found: number | undefined
  for (const name of names) {
    const count = asCount(raw[name])
    if (count !== undefined && (found === undefined || found === 0)) found = count
  }
  return found
}

function first(places: readonly JsonObject[], names: readonly string[]): number | undefined {
  let found: number | undefined
  for (const place of places) {
    const count = countOf(place, names)
    if (count !== undefined && (found === undefined || found === 0)) found = count
  }
  return found
}

function objectsNamed(raw: JsonObject, names: readonly string[]): JsonObject[] {
  const found: JsonObject[] = []
  for (const name of names) {
    const value = asObject(raw[name])
    if (value !== undefined) found.push(value)
  }
  return found
}

export function milliseconds(seconds: unknown): number | undefined {
  const text = asText(seconds)
  const number = text !== undefined && /^\d{1,9}(?:\.\d{1,9})?$/.test(text) ? Number(text) : asNumber(seconds)
  return number === undefined || number < 0 || number > 1e9 ? undefined : Math.round(number * 1000)
}
