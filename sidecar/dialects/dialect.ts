import type { Content, GuardrailEvent, LlmCall, RequestParameters, Usage, UsageSource } from '../call.ts'

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
export interface Reading {
  operation: LlmCall['operation']
  stream: boolean
  requestModel?: string
  responseModel?: string
  responseId?: string
  serviceTier?: string
  systemFingerprint?: string
  parameters?: RequestParameters
  finishReasons?: string[]
  usage: Usage
  usageSource: UsageSource
  usageReason?: string
  rawUsage?: unknown
  /**
   * Passes of a model that `usage` leaves out as the provider's own totals do, but that are billed, each at its own
   * model (absent: the answer's): Anthropic's compaction and advisor iterations.
   */
  otherPasses?: { kind: string; model?: string; usage: Usage }[]
  /** An error in the body, or an error event inside a 200 stream. */
  error?: { type: string; message?: string }
  guardrails: GuardrailEvent[]
  /** False for what a provider never bills (count_tokens, polls without an answer). */
  billable: boolean
  content?: Content
}

export interface Dialect {
  id: string
  matches(request: RequestView): boolean
  /** Never throws; truncated input gives a partial Reading that says so. */
  read(exchange: Exchange, body: Readonly<Record<string, unknown>> | undefined): Reading
}
