/**
 * LlmCall: the one record that every stage after `read` speaks. Imports nothing.
 *
 * Units: times are epoch milliseconds, durations milliseconds, money integer pico-USD (1 USD = 10^12),
 * counts non-negative integers. A missing field means "not known", never zero.
 */

/** Token kinds. They never overlap: the sum of all present is the total of the call. */
export const TOKEN_TYPES = [
  'input', // uncached prompt text
  'input_audio',
  'input_image',
  'cache_read',
  'cache_read_audio',
  'cache_read_image',
  'cache_write', // time to live not stated by the provider
  'cache_write_5m',
  'cache_write_1h',
  'output', // visible answer
  'output_reasoning',
  'output_audio',
  'output_image',
] as const
export type TokenType = (typeof TOKEN_TYPES)[number]

/** What is billed besides tokens. */
export const EXTRA_UNITS = [
  'requests', // a fee for the call itself
  'web_searches',
  'file_searches',
  'maps_searches', // Google Maps grounding
  'live_search_sources', // xAI: sources that a live search read
  'tool_calls', // uses of a provider's tool that has no unit of its own here
  'images',
  'video_milliseconds',
  'audio_milliseconds', // sound that is billed by its length, not by tokens
  'search_units', // Cohere: one rerank query over up to 100 documents
  'pages',
  'characters', // text that is spoken
  'guardrail_units', // Bedrock: 1,000 characters looked at by one policy
  'compute_milliseconds', // self-hosted models priced by the hour of a GPU
] as const
export type ExtraUnit = (typeof EXTRA_UNITS)[number]
export type UsageUnit = TokenType | ExtraUnit
export type Usage = Partial<Record<UsageUnit, number>>

/**
 * Where `usage` comes from. provider: body, header or trailer of the provider's answer; counted: units that the provider
 * bills and does not report, seen whole in the request or the answer (images, characters, seconds); gateway: Kong's own
 * number; estimated: tokens counted from text; partial: the provider's, but the answer was cut before its last word;
 * none: the call has no usage to report (an error, a cached answer's own work); unknown: there is some, nobody could read it.
 */
export const USAGE_SOURCES = ['provider', 'counted', 'gateway', 'estimated', 'partial', 'none', 'unknown'] as const
export type UsageSource = (typeof USAGE_SOURCES)[number]

export const CALL_STATUSES = [
  'ok',
  'client_error', // 4xx that is none of the others
  'unauthorized', // 401, 403
  'rate_limited', // 429
  'blocked', // a guardrail refused
  'server_error', // 5xx of the provider or the gateway, or an error event inside a 200 stream
  'timeout', // 408, 504
  'aborted', // the client hung up
] as const
export type CallStatus = (typeof CALL_STATUSES)[number]

export const UNPRICED_REASONS = [
  'no_usage', // usage unknown
  'unknown_provider',
  'unknown_model',
  'no_price', // the model is known, but it has no price for a unit that was used, or had none then
  'overflow', // the amount does not fit an integer that JSON carries exactly
] as const
export type UnpricedReason = (typeof UNPRICED_REASONS)[number]

export type Cost =
  | {
      state: 'priced'
      picoUsd: number
      byUnit: Partial<Record<UsageUnit, number>>
      priceId: string
      book: string
      /** What the provider's cache reads would have cost more as fresh input. */
      cacheSavedPicoUsd?: number
      /** What our list says, where the provider's own bill for this answer is the amount. */
      listPicoUsd?: number
      /** Tool fees of the usage that no rate is known for: not in the amount. */
      unpricedFees?: UsageUnit[]
      /** A price by prompt size was applied: the prompt was larger than the list's first step. */
      tiered?: boolean
    }
  /** Nothing to pay: an error, a cache hit, a repeat of an answer billed before. */
  | { state: 'free'; picoUsd: 0; reason: FreeReason; book: string }
  | { state: 'unpriced'; reason: UnpricedReason; book: string }
export const FREE_REASONS = [
  'error',
  'cache_hit',
  'repeat',
  'not_billable',
  'plan', // paid by a subscription: tokens count, no list price applies
  'gateway', // the upstream is a declared gateway of ours, which bills the call itself
] as const
export type FreeReason = (typeof FREE_REASONS)[number]

/**
 * Why the amount of a call may not be the whole truth, or is not what it seems. A closed list: it is a metric label.
 * `docs/read.md` says for each what it means and what to do.
 */
export const CALL_REASONS = [
  'unread_usage', // a counted key of the provider's usage that no reader took; `unreadUsage` names it
  'tier_not_seen', // the part of the answer that names the served tier was cut out
  'fees_not_seen', // tool fees may stand in the part that was cut out
  'tool_fee_unknown', // a tool that the provider bills was used, and no price is known
  'fee_counted', // a fee's unit was counted from the answer; the provider reports no number
  'read_limit', // the answer is larger than what one capture may cost to read
  'attempts_unseen', // Kong tried several targets; nobody saw whether the earlier ones are billed
  'request_model_priced', // the served model has no price or no name: the requested name set it
  'provider_guessed', // an unknown host, priced as the owner of the wire format
  'zero_usage', // the provider reports zero beside an answer that is there
  'plan', // paid by a subscription
  'gateway_timeout', // the gateway gave up; the provider may have answered and billed
  'summed_prompts', // several passes reported as one: a tier by prompt size may not apply to the sum
  'place_not_priced', // it ran in a place whose price is not known: the list price of another one counts
  'same_answer_id', // another call of this trace has the same answer id; both are billed
] as const
export type CallReason = (typeof CALL_REASONS)[number]

export const CACHE_STATUSES = ['hit', 'miss', 'bypass', 'refresh'] as const
export type CacheStatus = (typeof CACHE_STATUSES)[number]

export const OPERATIONS = [
  'chat',
  'text_completion',
  'embeddings',
  'generate_content',
  'image_generation',
  'video_generation',
  'speech',
  'transcription',
  'rerank',
  'moderation',
  'ocr',
  'guardrail',
  'count_tokens',
  'batch',
  'realtime',
  'mcp', // Model Context Protocol: a call of a tool server, not of a model
  'a2a', // Agent2Agent protocol
  'unknown',
] as const
export type Operation = (typeof OPERATIONS)[number]

/**
 * One line of the bill of an answer for which a provider bills several: passes of several models, the requests of a
 * batch. Where a call has such lines, their sum is its cost.
 */
export interface BilledLine {
  /** `message`, `compaction`, `advisor_message`, `batch_request`, … */
  kind: string
  /** Absent: the call's model. */
  model?: string
  usage: Usage
  /** Tokens of the prompt that a price by prompt size goes by, where the usage does not say it. */
  prompt?: number
  /** Of how many lines of the bill this one is the sum, where there were too many to keep each. */
  merged?: number
}

/** What a price may depend on besides model, time and service tier. */
export const PRICE_ATTRIBUTES = [
  'region', // of the endpoint: `us`, `eu`, `us-east-1`, …
  'geo', // where the provider says it ran the model (Anthropic `inference_geo`)
  'speed', // Anthropic's fast mode
  'batch', // `true`: asked for as part of a batch
  'image_size', // `1024x1024`
  'image_quality', // `standard`, `hd`, `low`, `medium`, `high`
  'search_context_size', // Perplexity, OpenAI: `low`, `medium`, `high`
  'traffic', // Vertex: `on_demand`, `provisioned_throughput`, …
  'search_tool', // OpenAI: `web_search_preview` has a price of its own
  'plan', // the subscription that pays: `glm-coding`, `chatgpt`, …
  'price_list', // which of a provider's lists: Hugging Face's host behind the router, OpenAI's decisions
] as const
export type PriceAttribute = (typeof PRICE_ATTRIBUTES)[number]
export type PriceAttributes = Partial<Record<PriceAttribute, string>>

export interface GuardrailEvent {
  /** e.g. `openai.content_filter`, `kong.ai-prompt-guard` */
  guardrail: string
  stage: 'input' | 'output'
  action: 'blocked' | 'flagged' | 'masked'
  reason?: string
  /** What it looked for → how much of it there was, as the guard says it: `hate` → `medium`, `prompt_attack` → `0.93`. At most 16. */
  categories?: Record<string, string>
  /** How many things it found or masked; never what they are. */
  count?: number
  latencyMs?: number
}

/** One of several targets that a gateway asked for one call, in order; the last one gave the answer. */
export interface Attempt {
  provider?: string
  model?: string
  /** `host:port` or `ip:port`. */
  address?: string
  startedAt?: number
  durationMs?: number
  /** Absent where the target was never heard (no connection, a time-out) or Kong does not tell. */
  httpStatus?: number
  failed: boolean
  /** pico-USD, of the attempt whose answer was seen. Of the others nobody tells whether the provider billed them. */
  picoUsd?: number
}

/** What a limiter says is left, and who refused the call with a 429. */
export interface RateLimit {
  refusedBy?: 'gateway' | 'provider'
  retryAfterSeconds?: number
  /** At most 16. */
  budgets: RateLimitBudget[]
}
export interface RateLimitBudget {
  by: 'gateway' | 'provider'
  /** As the limiter names it: `requests`, `tokens`, `input-tokens`, `30-openai` (window in seconds, provider), … */
  name: string
  limit?: number
  remaining?: number
  resetSeconds?: number
}

/** What a semantic cache did for this call besides its status. */
export interface CacheLookup {
  /** Until the cache had its answer. */
  lookupMs?: number
  /** The model that turned the prompt into a vector, asked by the gateway. */
  embeddingsProvider?: string
  embeddingsModel?: string
  embeddingsTokens?: number
  embeddingsMs?: number
  /** pico-USD of the embedding: an amount of its own, never part of `cost`. Absent where nobody tells its tokens, or its price. */
  picoUsd?: number
}

export interface Message {
  role: string
  /** Text, or the provider's own parts (OpenTelemetry `gen_ai.input.messages` parts). */
  parts: MessagePart[]
  finishReason?: string
}
export type MessagePart =
  | { type: 'text'; content: string }
  | { type: 'reasoning'; content: string }
  | { type: 'tool_call'; id?: string; name: string; arguments: string }
  | { type: 'tool_call_response'; id?: string; response: string }
  /** An image, a sound, a file …: its kind only, never its bytes. */
  | { type: 'other'; kind: string }

export interface Content {
  system?: string
  input?: Message[]
  output?: Message[]
  /** JSON text of the tool definitions. */
  tools?: string
  /** True where the capture was cut: what is here is not all. */
  truncated?: boolean
  /** The policy of a tenant or route lets it rest as it came (docs/privacy.md). */
  unredacted?: true
}

/**
 * Which answer a call made or retrieves. A call that made an answer is always billed. A retrieval of an answer that this
 * gateway billed is a repeat (cost 0); where the earlier amount was not final and this one is, the difference becomes an
 * adjustment of the earlier call. The first retrieval of an answer that nobody billed yet is billed.
 */
export interface AnswerIdentity {
  /** Provider account (host, consumer-independent), kind of object and id; unique over all providers. */
  key: string
  retrieval: boolean
  /** The usage is the provider's own and complete: not estimated, not partial, not in progress. */
  final: boolean
}

/** What an application's Langfuse SDK says of its own trace (W3C `baggage`), believed on trusted routes alone. Bounded, masked. */
export interface TraceBaggage {
  version?: string
  traceName?: string
  /** At most 16. */
  tags?: string[]
  /** At most 16. */
  metadata?: Record<string, string>
  prompt?: { name: string; version?: number }
}

/** A call of MCP or A2A: what was asked for and how it went. Never content. */
export interface AgentEvent {
  protocol: 'mcp' | 'a2a'
  /** JSON-RPC method: `tools/call`, `message/send`, … */
  method?: string
  /** MCP: the tool, prompt or resource that was named. */
  target?: string
  session?: string
  /** A2A: `submitted`, `working`, `completed`, … */
  taskState?: string
  taskId?: string
  /** JSON-RPC error code, or `tool_error` where a tool answered with an error. */
  error?: string
  requestBytes?: number
  responseBytes?: number
}

export interface RequestParameters {
  maxTokens?: number
  temperature?: number
  topP?: number
  topK?: number
  frequencyPenalty?: number
  presencePenalty?: number
  seed?: number
  choiceCount?: number
  stopSequences?: string[]
  outputType?: string
}

export interface LlmCall {
  v: 1
  /** 32 hex digits, a function of (Kong node, request id, start): a resend is the same call. */
  id: string
  requestId: string
  startedAt: number
  durationMs: number
  /** From the request's start to the first byte of the answer's body, where it was seen. */
  timeToFirstByteMs?: number
  operation: Operation
  /** Which dialect read it; `unknown` where none did. */
  dialect: string
  stream: boolean
  /** OpenTelemetry `gen_ai.provider.name`, or `unknown`. */
  provider: string
  /** The provider was taken from the wire format: nobody knows its host. */
  providerGuessed?: true
  /** Host of the provider as Kong's service names it. */
  serverAddress?: string
  serverPort?: number
  requestModel?: string
  responseModel?: string
  /** The model to price and to label: the response's, else the request's, else `unknown`. */
  model: string
  responseId?: string
  serviceTier?: string
  systemFingerprint?: string
  parameters?: RequestParameters
  finishReasons?: string[]

  /** A key of sidecar/tenant.ts: at most 64 of `[A-Za-z0-9._!-]`. */
  tenant: string
  /** The authenticated name, where the key is not the name itself. */
  tenantName?: string
  /** Which rule found the tenant; `unattributed` where none did. */
  tenantSource: string
  /** Another tenant that the client named itself to be, and was not believed. */
  claimedTenant?: string
  consumer?: string
  user?: string
  session?: string
  team?: string
  app?: string
  environment?: string

  gateway: {
    node: string
    route?: string
    service?: string
    workspace?: string
    /** Milliseconds that Kong itself took, and that it waited for the provider's first byte. */
    kongMs?: number
    upstreamMs?: number
    attempts?: number
    source: 'tap' | 'log'
    /** Numbering by the tap, to know what was lost: one epoch is one Lua chunk in one worker. */
    epoch?: string
    sequence?: number
  }

  usage: Usage
  usageSource: UsageSource
  /** Why the usage is partial, estimated or unknown. */
  usageReason?: string
  /** Why the amount may lack something; each reason once. */
  reasons?: CallReason[]
  /** Keys of the provider's usage object that hold a count and that no reader took; at most 8. */
  unreadUsage?: string[]
  /** The provider's usage object as it came, at most 4 KB of JSON, without content. */
  rawUsage?: unknown
  billedLines?: BilledLine[]
  priceAttributes?: PriceAttributes
  cost: Cost
  /** What a cached answer would have cost. */
  savedPicoUsd?: number
  /** What the provider itself says that the call cost. Where `pricing/reported-bills.ts` lists it as a bill, it is `cost`. */
  reportedPicoUsd?: number

  status: CallStatus
  httpStatus: number
  /** Short, closed vocabulary where the provider has one (`rate_limit_exceeded`), else the HTTP status. */
  errorType?: string
  errorMessage?: string

  /** Where the call is no call of a model. */
  agent?: AgentEvent
  cache?: CacheStatus
  cacheLookup?: CacheLookup
  rateLimit?: RateLimit
  /** Only where there were several. */
  attempts?: Attempt[]
  guardrails: GuardrailEvent[]

  trace: {
    /** 32 hex digits. */
    traceId: string
    /** 16 hex digits. */
    spanId: string
    /** Only on trusted routes: the caller's span; or Kong's own. */
    parentSpanId?: string
    /** Whose span the parent is. */
    parentBy?: 'caller' | 'kong'
    /** The caller's own trace id where it was not trusted. */
    originalTraceId?: string
  }

  /** Present, if empty, where an application that traces to Langfuse sent any. */
  baggage?: TraceBaggage

  /** Design law 10: set where the answer can be retrieved later, or where this call is a retrieval. */
  answer?: AnswerIdentity
  /** Set by the store where the call is a retrieval of an answer that was billed before: cost 0. */
  repeat?: boolean

  content?: Content
}

export function totalTokens(usage: Usage): number {
  let total = 0
  for (const type of TOKEN_TYPES) total += usage[type] ?? 0
  return total
}

/** All prompt tokens, cached ones included (OpenTelemetry's `gen_ai.usage.input_tokens`). */
export function inputTokens(usage: Usage): number {
  let total = 0
  for (const type of TOKEN_TYPES) if (!type.startsWith('output')) total += usage[type] ?? 0
  return total
}

/** All generated tokens, reasoning included (OpenTelemetry's `gen_ai.usage.output_tokens`). */
export function outputTokens(usage: Usage): number {
  let total = 0
  for (const type of TOKEN_TYPES) if (type.startsWith('output')) total += usage[type] ?? 0
  return total
}

/** pico-USD that this call adds to the bill; an unpriced call adds nothing and is counted apart. */
export function billedPicoUsd(call: LlmCall): number {
  return call.cost.state === 'priced' ? call.cost.picoUsd : 0
}

/** The same answer seen again (a poll, a replay): nothing is spent a second time, no token is counted a second time. */
export function asRepeat(call: LlmCall): LlmCall {
  return {
    ...call,
    repeat: true,
    usage: {},
    usageSource: 'none',
    cost: { state: 'free', picoUsd: 0, reason: 'repeat', book: call.cost.book },
  }
}

/** The exact amount in dollars as decimal text, also a JSON number: 12 places, trailing zeros dropped. */
export function decimalUsd(picoUsd: number | bigint): string {
  const digits = String(picoUsd < 0 ? -picoUsd : picoUsd).padStart(13, '0')
  const point = digits.length - 12
  let end = digits.length
  while (end > point && digits.charCodeAt(end - 1) === 0x30) end--
  const whole = digits.slice(0, point)
  const text = end === point ? whole : `${whole}.${digits.slice(point, end)}`
  return picoUsd < 0 ? `-${text}` : text
}
