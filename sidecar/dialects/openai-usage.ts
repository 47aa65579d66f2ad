import type { Counts } from './counts.ts'
import { asCount, asNumber, asObject, asText, type JsonObject, withoutUndefined } from './json-value.ts'
import { takerOf, unwatched } from './watched-usage.ts'

/*
 * One count, many names: OpenAI's own first, then those of providers and gateways that speak its formats (LiteLLM, Bedrock's
 * mantle, Kimi, DeepSeek, Mistral, Together, Writer, new-api, SDKs in camel case). The object's own keys are walked once and
 * each is looked up here: a key that is not here is unread.
 */
type Count =
  | 'input'
  | 'output'
  | 'total'
  | 'cacheRead'
  | 'cacheWrite'
  | 'cacheWrite5m'
  | 'cacheWrite1h'
  | 'reasoning'
  | 'audio'
  | 'image'
type Place = 'promptDetails' | 'outputDetails' | 'cachedDetails' | 'cacheWriteDetails'
/** A key holds a count, or an object with counts; `part`: it is billed with its whole. */
type Role = { count: Count; rank: number } | { place: Place } | 'part'

function rolesOf(
  counts: Partial<Record<Count, readonly string[]>>,
  places: Partial<Record<Place, readonly string[]>> = {},
): ReadonlyMap<string, Role> {
  const roles = new Map<string, Role>()
  for (const [count, names] of Object.entries(counts) as [Count, readonly string[]][])
    for (const [rank, name] of names.entries()) roles.set(name, { count, rank })
  for (const [place, names] of Object.entries(places) as [Place, readonly string[]][])
    for (const name of names) roles.set(name, { place })
  for (const name of PARTS) roles.set(name, 'part')
  return roles
}

/** Complements, and parts that are billed with their whole. */
const PARTS = ['prompt_cache_miss_tokens', 'cache_miss_tokens', 'video_tokens', 'document_tokens', 'uncached_tokens']
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
const CACHE_WRITE_5M = ['ephemeral_5m_input_tokens', 'claude_cache_creation_5_m_tokens']
const CACHE_WRITE_1H = ['ephemeral_1h_input_tokens', 'claude_cache_creation_1_h_tokens']
const CACHE_WRITE_DETAILS = [
  'cache_creation',
  'cache_creation_token_details',
  'cache_creation_tokens_details',
  'cacheCreation',
]
const REASONING = [
  'reasoning_tokens',
  'thinking_tokens',
  'thoughts_tokens',
  'reasoningTokens',
  'completion_thinking_tokens',
]
const CACHES = {
  cacheRead: CACHE_READ,
  cacheWrite: CACHE_WRITE,
  cacheWrite5m: CACHE_WRITE_5M,
  cacheWrite1h: CACHE_WRITE_1H,
}
const AUDIO = ['audio_tokens', 'audioTokens']
const IMAGE = ['image_tokens', 'imageTokens']

const USAGE = rolesOf(
  {
    input: ['prompt_tokens', 'input_tokens', 'promptTokens', 'inputTokens', 'prompt_token_count', 'input_token_count'],
    output: [
      'completion_tokens',
      'output_tokens',
      'completionTokens',
      'outputTokens',
      'completion_token_count',
      'output_token_count',
      'generated_tokens',
    ],
    total: ['total_tokens', 'totalTokens', 'total_token_count'],
    reasoning: REASONING,
    ...CACHES,
  },
  {
    promptDetails: [
      'prompt_tokens_details',
      'input_tokens_details',
      'prompt_token_details', // Writer, threads
      'input_token_details', // transcriptions
      'promptTokensDetails',
      'inputTokensDetails',
      'inputTokenDetails',
    ],
    outputDetails: [
      'completion_tokens_details',
      'output_tokens_details',
      'completion_token_details',
      'output_token_details',
      'completionTokensDetails',
      'outputTokensDetails',
      'outputTokenDetails',
    ],
    cacheWriteDetails: CACHE_WRITE_DETAILS,
  },
)
const PROMPT_DETAILS = rolesOf(
  { ...CACHES, audio: AUDIO, image: IMAGE },
  { cachedDetails: ['cached_tokens_details', 'cachedTokensDetails'], cacheWriteDetails: CACHE_WRITE_DETAILS },
)
const ROLES_IN: Readonly<Record<Place, ReadonlyMap<string, Role>>> = {
  promptDetails: PROMPT_DETAILS,
  outputDetails: rolesOf({ reasoning: REASONING, audio: AUDIO, image: IMAGE }),
  cachedDetails: rolesOf({ audio: AUDIO, image: IMAGE }),
  cacheWriteDetails: rolesOf({ cacheWrite5m: CACHE_WRITE_5M, cacheWrite1h: CACHE_WRITE_1H }),
}

type Found = Partial<Record<Count, number>>

/** Of several names of one count the first in rank with a count above zero, else one with a count. */
function walk(
  value: JsonObject,
  roles: ReadonlyMap<string, Role>,
  path: string,
  take: ((path: string) => void) | undefined,
  into: Found,
  inside: Partial<Record<Place, Found>>,
): void {
  let ranks: Partial<Record<Count, number>> | undefined
  for (const key of Object.keys(value)) {
    const role = roles.get(key)
    if (role === undefined) continue
    const at = path === '' ? key : `${path}.${key}`
    take?.(at)
    if (role === 'part') continue
    if ('place' in role) {
      const object = asObject(value[key])
      if (object === undefined) continue
      inside[role.place] ??= {}
      walk(object, ROLES_IN[role.place], at, take, inside[role.place]!, inside)
      continue
    }
    const count = asCount(value[key])
    if (count === undefined) continue
    const known = into[role.count]
    const rank = ranks?.[role.count] ?? Number.POSITIVE_INFINITY
    if (known === undefined || known === 0 || (count > 0 && role.rank < rank)) {
      into[role.count] = count
      ranks ??= {}
      ranks[role.count] = role.rank
    }
  }
}

/**
 * The usage object of OpenAI's formats (chat, Responses, completions, embeddings) and of all who speak them. The counts of
 * the prompt hold cached tokens. Undefined where it holds no counts.
 */
export function countOpenAiUsage(raw: JsonObject, host: string): Counts | undefined {
  const own: Found = {}
  const inside: Partial<Record<Place, Found>> = {}
  const plain = unwatched(raw)
  walk(plain, USAGE, '', takerOf(raw), own, inside)
  let { input, output } = own
  const { total } = own
  if (input === undefined && output === undefined) return undefined

  const { promptDetails, outputDetails, cachedDetails, cacheWriteDetails } = inside
  const either = (name: 'cacheRead' | 'cacheWrite' | 'cacheWrite5m' | 'cacheWrite1h') =>
    promptDetails?.[name] || cacheWriteDetails?.[name] || own[name] || (promptDetails?.[name] ?? own[name])
  const cacheRead = either('cacheRead')
  const cacheWrite5m = either('cacheWrite5m')
  const cacheWrite1h = either('cacheWrite1h')
  const written = (cacheWrite5m ?? 0) + (cacheWrite1h ?? 0)
  const cacheWrite = either('cacheWrite') ?? (written > 0 ? written : undefined)
  const inputAudio = promptDetails?.audio
  let reasoning = outputDetails?.reasoning
  // Perplexity's deep research bills its thoughts beside the answer.
  const beside = host === 'api.perplexity.ai' ? undefined : own.reasoning

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
    inputImage: promptDetails?.image,
    cacheReadAudio: cachedDetails?.audio,
    cacheReadImage: cachedDetails?.image,
    reasoning,
    outputAudio: outputDetails?.audio,
    outputImage: outputDetails?.image,
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

export function milliseconds(seconds: unknown): number | undefined {
  const text = asText(seconds)
  const number = text !== undefined && /^\d{1,9}(?:\.\d{1,9})?$/.test(text) ? Number(text) : asNumber(seconds)
  return number === undefined || number < 0 || number > 1e9 ? undefined : Math.round(number * 1000)
}
