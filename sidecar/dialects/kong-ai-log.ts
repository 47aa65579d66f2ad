import type { Usage } from '../call.ts'
import { type Counts, unitsOf } from './counts.ts'
import type { Exchange, Reading } from './dialect.ts'
import { read } from './index.ts'
import { asCount, asNumber, asObject, asText, type JsonObject, parseJson, withoutUndefined } from './json-value.ts'
import { countOpenAiUsage } from './openai-usage.ts'
import { boundedRawUsage } from './raw-usage.ts'

/**
 * `ai` of Kong's log document, for captures without bodies. Kong's own numbers are estimates for streams (words × 1.8,
 * characters / 4, or 0) and for answers that are not 200: such numbers are not passed on as usage.
 */
export interface KongAiReading {
  /** OpenTelemetry's name; absent where Kong reached no provider. */
  provider?: string
  requestModel?: string
  responseModel?: string
  responseId?: string
  serviceTier?: string
  stream: boolean
  counts: Counts
  usage: Usage
  usageSource: Reading['usageSource']
  usageReason?: string
  rawUsage?: unknown
  llmLatencyMs?: number
  finishReasons?: string[]
  error?: NonNullable<Reading['error']>
  guardrails: Reading['guardrails']
  content?: NonNullable<Reading['content']>
}

const PROVIDERS: Readonly<Record<string, string>> = {
  azure: 'azure.ai.openai',
  bedrock: 'aws.bedrock',
  gemini: 'gcp.gemini',
  mistral: 'mistral_ai',
  xai: 'x_ai',
  dashscope: 'alibaba_cloud',
}

/** Kong translates these formats to OpenAI's: the counts in such a body are Kong's reading, not the provider's. */
const TRANSLATED = new Set(['anthropic', 'cohere', 'gcp.gemini', 'aws.bedrock', 'llama2'])

export function readKongAiLog(
  ai: unknown,
  seen: {
    status: number
    source: string | null | undefined
    stream: boolean
    /** A guard of Kong's refused the answer: the model had answered, whatever the client was told. */
    answerBlocked?: boolean
  },
): KongAiReading | undefined {
  const root = rootOf(asObject(ai))
  if (root === undefined) return undefined
  const meta = asObject(root.meta) ?? {}
  const numbers = asObject(root.usage)
  const payload = asObject(root.payload)
  const request = typeof payload?.request === 'string' ? payload.request : undefined
  const response = typeof payload?.response === 'string' ? payload.response : undefined
  const provider = providerOfKong(meta.provider_name)
  const status = seen.answerBlocked ? 200 : seen.status
  const body = bodyReading(request, response, status)
  const stream = seen.stream || meta.request_mode === 'stream' || body?.stream === true || isKongsOwnAnswer(response)

  return {
    ...withoutUndefined({
      provider,
      requestModel: specified(meta.request_model) ?? body?.requestModel,
      responseModel: body?.responseModel ?? specified(meta.response_model),
      responseId: body?.responseId,
      serviceTier: body?.serviceTier,
      llmLatencyMs: provider === undefined ? undefined : asNumber(meta.llm_latency),
      finishReasons: body?.finishReasons,
      error: body?.error,
      content: payload === undefined ? undefined : body?.content,
    }),
    stream,
    ...usageOf({ ...seen, status, provider, numbers, body, stream }),
    guardrails: body?.guardrails ?? [],
  }
}

/** OpenTelemetry's name for what Kong calls a provider; undefined where it chose none. */
export function providerOfKong(name: unknown): string | undefined {
  const named = specified(name)?.toLowerCase()
  return named !== undefined && Object.hasOwn(PROVIDERS, named) ? PROVIDERS[named] : named
}

function usageOf(given: {
  provider: string | undefined
  numbers: JsonObject | undefined
  body: Reading | undefined
  stream: boolean
  status: number
  source: string | null | undefined
}): Pick<KongAiReading, 'counts' | 'usage' | 'usageSource' | 'usageReason' | 'rawUsage'> {
  const { provider, numbers, body, stream, status, source } = given
  // Refused by Kong before a provider was chosen.
  if (provider === undefined && (source === 'kong' || numbers !== undefined))
    return { counts: {}, usage: {}, usageSource: 'none' }
  if (status !== 200) {
    if (body?.error !== undefined) return { counts: {}, usage: {}, usageSource: 'none' } // the provider's own refusal, seen
    return { counts: {}, usage: {}, usageSource: 'unknown', usageReason: 'kong_error_estimate' }
  }
  // What Kong puts together from a stream has its own numbers and no id; an answer with an id is the provider's.
  if (stream && body?.responseId === undefined)
    return { counts: {}, usage: {}, usageSource: 'unknown', usageReason: 'kong_stream_numbers' }
  if (body?.usageSource === 'provider') {
    // With `llm_format` Kong passes the provider's own body through.
    const translated = provider !== undefined && TRANSLATED.has(provider) && body.dialect === 'openai-chat'
    return {
      counts: body.counts,
      usage: body.usage,
      usageSource: translated ? 'gateway' : 'provider',
      ...withoutUndefined({ usageReason: body.usageReason, rawUsage: body.rawUsage }),
    }
  }
  if (stream) return { counts: {}, usage: {}, usageSource: 'unknown', usageReason: 'kong_stream_numbers' }
  const counts = numbers === undefined ? undefined : countKongUsage(numbers)
  if (numbers === undefined || counts === undefined)
    return { counts: {}, usage: {}, usageSource: 'unknown', usageReason: 'kong_without_usage' }
  const { usage, reason } = unitsOf(counts)
  return {
    counts,
    usage,
    usageSource: 'gateway',
    ...withoutUndefined({ usageReason: reason }),
    rawUsage: boundedRawUsage(numbers),
  }
}

/** 3.7 wrote `prompt_token` and `completion_token`; 3.11 added OpenAI's details. */
function countKongUsage(numbers: JsonObject) {
  const prompt_tokens = asCount(numbers.prompt_tokens) ?? asCount(numbers.prompt_token)
  const completion_tokens = asCount(numbers.completion_tokens) ?? asCount(numbers.completion_token)
  return countOpenAiUsage({ ...numbers, prompt_tokens, completion_tokens }, '')
}

/**
 * `ai.proxy` (3.9, EE 3.10+), `ai.<plugin>` (3.7, 3.8, EE 3.9), or `ai` itself (3.6). The calls of other plugins
 * (a judge, a transformer) stand beside it; one of them is read only where it is the only one.
 */
function rootOf(ai: JsonObject | undefined): JsonObject | undefined {
  if (ai === undefined) return undefined
  for (const key of ['proxy', 'ai-proxy', 'ai-proxy-advanced']) {
    const root = asObject(ai[key])
    if (root !== undefined) return root
  }
  if (asObject(ai.meta) !== undefined || asObject(ai.usage) !== undefined) return ai
  const others = Object.values(ai)
    .map(asObject)
    .filter((root) => asObject(root?.meta) && asObject(root?.usage))
  return others.length === 1 ? others[0] : severalCalls(others as JsonObject[])
}

/** Two plugins each called a model for one request (both transformers): tokens add up where the models are the same. */
function severalCalls(roots: readonly JsonObject[]): JsonObject | undefined {
  const [first] = roots
  if (first === undefined) return undefined
  const model = (root: JsonObject) => {
    const meta = asObject(root.meta)
    return JSON.stringify([meta?.provider_name, meta?.response_model])
  }
  if (roots.some((root) => model(root) !== model(first))) return { meta: first.meta }
  const sum = { prompt_tokens: 0, completion_tokens: 0 }
  for (const root of roots) {
    const usage = asObject(root.usage)
    sum.prompt_tokens += asCount(usage?.prompt_tokens) ?? 0
    sum.completion_tokens += asCount(usage?.completion_tokens) ?? 0
  }
  return { meta: first.meta, usage: sum }
}

function specified(value: unknown): string | undefined {
  const text = asText(value)
  return text === 'UNSPECIFIED' ? undefined : text
}

/** What Kong puts together from a stream: the text beside numbers of its own, and no id. */
function isKongsOwnAnswer(response: string | undefined): boolean {
  if (response === undefined || !response.includes('"response"')) return false
  const answer = asObject(parseJson(response))
  return answer !== undefined && typeof answer.response === 'string' && answer.id === undefined
}

const CHAT_PATH = '/v1/chat/completions'

/** Kong logs OpenAI's chat format, or with `llm_format` the provider's own: the answer itself tells which. */
function bodyReading(request: string | undefined, response: string | undefined, status: number): Reading | undefined {
  if (request === undefined && response === undefined) return undefined
  const readAs = (path: string) => {
    const exchange: Exchange = {
      method: 'POST',
      host: '',
      path,
      requestHeaders: {},
      requestBody: request === undefined ? undefined : Buffer.from(request),
      requestTruncated: false,
      status,
      responseHeaders: {},
      responseBody: response === undefined ? undefined : Buffer.from(response),
      responseTail: undefined,
      responseComplete: true,
    }
    return read(exchange)
  }
  if (response === undefined || response.includes('"choices"')) return readAs(CHAT_PATH)
  const native = readAs('/')
  return native.dialect === 'unknown' ? readAs(CHAT_PATH) : native
}
