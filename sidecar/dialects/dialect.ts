import type {
  AgentEvent,
  AnswerIdentity,
  CallReason,
  Content,
  GuardrailEvent,
  Operation,
  PriceAttributes,
  RequestParameters,
  Usage,
  UsageSource,
} from '../call.ts'
import type { Counts } from './counts.ts'
import type { JsonObject } from './json-value.ts'
import type { UsageLines } from './usage-lines.ts'

/** One HTTP exchange with a provider as far as it was captured. Bodies are decoded (identity) bytes. */
export interface Exchange {
  method: string
  /** Host that Kong's service names, lower case, without port. */
  host: string
  /** Path sent to the provider, without query string. */
  path: string
  requestHeaders: Readonly<Record<string, string>>
  requestBody: Uint8Array | undefined
  requestTruncated: boolean
  status: number
  /** Names in lower case. */
  responseHeaders: Readonly<Record<string, string>>
  /** All that was kept of the response: the whole, or its head. */
  responseBody: Uint8Array | undefined
  /** The last bytes, where the middle was cut out. */
  responseTail: Uint8Array | undefined
  /** False where the client hung up or the capture was cut before the end. */
  responseComplete: boolean
  /** Sums of the usage objects of every line of the answer, taken as it passed (usage-lines.ts). */
  usageLines?: UsageLines
  /** The body unpacks to more than one capture may cost to read. */
  tooLarge?: boolean
}

export interface RequestView {
  method: string
  host: string
  path: string
  requestHeaders: Readonly<Record<string, string>>
  responseHeaders: Readonly<Record<string, string>>
  /** The request body as JSON, if it is an object. */
  body: Readonly<Record<string, unknown>> | undefined
}

/** What a dialect makes of an exchange. */
export interface DialectReading {
  operation: Operation
  stream: boolean
  requestModel?: string
  responseModel?: string
  responseId?: string
  /** The id under which the answer is kept, where that is another than `responseId`. */
  answerId?: string
  /** Whether the provider says that it keeps the answer. */
  stored?: boolean
  /** Usage so far of an answer that goes on: who retrieves it later may see more. */
  growing?: boolean
  /** As the answer says it was served, not as it was asked for. */
  serviceTier?: string
  systemFingerprint?: string
  parameters?: RequestParameters
  finishReasons?: string[]
  /** What the provider reports; empty where nothing was read. */
  counts: Counts
  usageSource: UsageSource
  /** Why the usage is partial, estimated, unknown or otherwise not plain: words of a closed list, joined by ` + `. */
  usageReason?: string
  rawUsage?: unknown
  /** The usage object that was read, watched (watched-usage.ts): gone from the finished reading. */
  usageSeen?: JsonObject
  reasons?: CallReason[]
  /** Keys of the usage object that hold a count and that no reader took. */
  unreadUsage?: string[]
  /**
   * Where one answer is billed in several lines, each at its own model (absent: the answer's): Anthropic's iterations,
   * the requests of a batch. These are priced then, and not `counts`.
   */
  billedLines?: { kind: string; model?: string; counts: Counts; prompt?: number; merged?: number }[]
  /** What the price depends on besides model, time and service tier. */
  priceAttributes?: PriceAttributes
  /** pico-USD that the provider says it takes for this answer. */
  reportedPicoUsd?: number
  /** An error in the body, or an error event inside a 200 stream. */
  error?: { type: string; message?: string }
  guardrails: GuardrailEvent[]
  /** False for what a provider never bills (count_tokens, moderation, a list, an error). */
  billable: boolean
  /** Where the exchange is no call of a model. */
  agent?: AgentEvent
  content?: Content
}

/** The same with usage in units that do not overlap. */
export interface Reading extends DialectReading {
  dialect: string
  usage: Usage
  /** Which answer this call made or retrieves; absent where the answer has no retrieval (answer-identity.ts). */
  answer?: Pick<AnswerIdentity, 'key' | 'retrieval'>
}

export interface Dialect {
  /** The wire format: kebab-case, `provider-api` (`openai-chat`, `bedrock-converse`). */
  id: string
  matches(request: RequestView): boolean
  /** Never throws; truncated input gives a partial reading that says so. */
  read(exchange: Exchange, body: Readonly<Record<string, unknown>> | undefined): DialectReading
}
