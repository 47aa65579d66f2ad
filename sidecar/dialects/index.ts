import { anthropicMessages } from './anthropic-messages.ts'
import { unitsOf } from './counts.ts'
import { membersBeforeCut } from './cut-json.ts'
import type { Dialect, Exchange, Reading, RequestView } from './dialect.ts'
import { asObject, decodeText, type JsonObject, parseJson } from './json-value.ts'
import { openAiChat } from './openai-chat.ts'
import { isRefusal } from './response-view.ts'
import { unknownDialect } from './unknown.ts'

/** One line for each wire format. The first that matches reads; `answers` tells by the response where no path told. */
const DIALECTS: readonly { dialect: Dialect; provider?: string; answers?: RegExp }[] = [
  {
    dialect: openAiChat,
    provider: 'openai',
    answers: /^(?:\{|data: ?\{).*"object"\s*:\s*"chat\.completion(?:\.chunk)?"/s,
  },
  {
    dialect: anthropicMessages,
    provider: 'anthropic',
    answers: /^(?:event: ?message_start\r?\n|\{(?=.*"role"\s*:\s*"assistant").*"type"\s*:\s*"message")/s,
  },
  { dialect: unknownDialect },
]

/** The provider that a format belongs to, for hosts that nobody knows (a proxy, a self-hosted server). */
export function defaultProviderOf(dialectId: string): string | undefined {
  return DIALECTS.find(({ dialect }) => dialect.id === dialectId)?.provider
}

/** Reads an exchange by the first dialect that knows it. Never throws: a defect of a reader is named in `usageReason`. */
export function read(exchange: Exchange): Reading {
  const body = requestJson(exchange)
  const dialect = dialectOf(exchange, body)
  try {
    const reading = dialect.read(exchange, body)
    const { usage, reason } = unitsOf(reading.counts)
    return { dialect: dialect.id, ...(reason === undefined ? {} : { usageReason: reason }), ...reading, usage }
  } catch {
    return {
      dialect: dialect.id,
      operation: 'unknown',
      stream: false,
      counts: {},
      usage: {},
      usageSource: 'unknown',
      usageReason: 'reader_failed',
      guardrails: [],
      billable: true,
    }
  }
}

function dialectOf(exchange: Exchange, body: JsonObject | undefined): Dialect {
  const request: RequestView = { ...exchange, body }
  const byRequest = DIALECTS.find(({ dialect }) => dialect.matches(request))?.dialect ?? unknownDialect
  return byRequest === unknownDialect ? (dialectOfResponse(exchange) ?? unknownDialect) : byRequest
}

const SNIFFED_BYTES = 4096

/** A gateway may have hidden the provider's path: the answer's first bytes tell then. Lists of results are no answer. */
function dialectOfResponse({ method, path, status, responseBody }: Exchange): Dialect | undefined {
  if (method !== 'POST' || isRefusal(status) || responseBody === undefined || path.includes('/batches'))
    return undefined
  const start = decodeText(responseBody.subarray(0, SNIFFED_BYTES)).trimStart()
  const found = DIALECTS.find(({ answers }) => answers?.test(start))?.dialect
  if (found === undefined || !start.startsWith('{')) return found
  const { object, type } = membersBeforeCut(decodeText(responseBody))
  const own = found === openAiChat ? object === 'chat.completion' : type === 'message'
  return own ? found : undefined
}

/** The request's JSON; of one that was cut, the members that stand whole. */
function requestJson({ requestBody, requestTruncated }: Exchange): JsonObject | undefined {
  if (requestBody === undefined || requestBody.length === 0) return undefined
  const text = decodeText(requestBody)
  const whole = parseJson(text)
  if (whole !== undefined || !requestTruncated) return asObject(whole)
  const members = membersBeforeCut(text)
  return Object.keys(members).length > 0 ? members : undefined
}
