import type { CallReason, PriceAttributes } from '../call.ts'
import { a2a, mcp } from './agent-protocols.ts'
import { answerOf } from './answer-identity.ts'
import { anthropicBatchResults } from './anthropic-batch-results.ts'
import { anthropicComplete } from './anthropic-complete.ts'
import { anthropicMessages } from './anthropic-messages.ts'
import { anthropicSessions } from './anthropic-sessions.ts'
import { bedrockApplyGuardrail } from './bedrock-apply-guardrail.ts'
import { bedrockConverse } from './bedrock-converse.ts'
import { bedrockCountTokens } from './bedrock-count-tokens.ts'
import { bedrockInvoke } from './bedrock-invoke.ts'
import { bedrockRerank } from './bedrock-rerank.ts'
import { boundExchange } from './bound-exchange.ts'
import { cohereChat } from './cohere-chat.ts'
import { cohereEmbed } from './cohere-embed.ts'
import { unitsOf } from './counts.ts'
import { membersBeforeCut } from './cut-json.ts'
import type { Dialect, DialectReading, Exchange, Reading, RequestView } from './dialect.ts'
import { geminiBatchResults } from './gemini-batch-results.ts'
import { geminiEmbeddings } from './gemini-embeddings.ts'
import { geminiGenerateContent } from './gemini-generate-content.ts'
import { geminiInteractions } from './gemini-interactions.ts'
import { hostedModels } from './hosted-models.ts'
import { asObject, decodeText, type JsonObject, parseJson } from './json-value.ts'
import { mistralConversations } from './mistral-conversations.ts'
import { mistralOcr } from './mistral-ocr.ts'
import { multipartFields } from './multipart-fields.ts'
import { ollama } from './ollama.ts'
import { openAiSpeech, openAiTranscription } from './openai-audio.ts'
import { openAiBatchResults } from './openai-batch-results.ts'
import { openAiChat, openAiCompletions } from './openai-chat.ts'
import { openAiEmbeddings } from './openai-embeddings.ts'
import { openAiImages } from './openai-images.ts'
import { openAiModerations } from './openai-moderations.ts'
import { openAiResponses } from './openai-responses.ts'
import { openAiThreads } from './openai-threads.ts'
import { priceListOf, providerOfHost, regionOfHost } from './provider-of-host.ts'
import { reportedBeside, reportedInUsage } from './reported-cost.ts'
import { rerank } from './rerank.ts'
import { isRefusal } from './response-view.ts'
import { speechServices } from './speech-services.ts'
import { planOf } from './subscription-plan.ts'
import { unknownDialect } from './unknown.ts'
import { vertexAnthropic } from './vertex-anthropic.ts'
import { vertexMistral } from './vertex-mistral.ts'
import { vertexPredict } from './vertex-predict.ts'
import { googleVideos, openAiVideos } from './videos.ts'
import { unreadKeys, unwatched } from './watched-usage.ts'
import { watsonx } from './watsonx.ts'
import { xAiVoice } from './x-ai-voice.ts'

interface Entry {
  dialect: Dialect
  /** Whose format it is, for hosts that nobody knows. */
  provider?: string
  /** Tells the format by the answer, where a gateway has hidden the path: the start of a stream, the members of a body. */
  answers?: { stream: RegExp; body: (members: JsonObject) => boolean }
}

/** One line for each wire format. The first that matches reads. */
const DIALECTS: readonly Entry[] = [
  // JSON-RPC first: its paths are anything.
  { dialect: mcp },
  { dialect: a2a },
  {
    dialect: openAiChat,
    provider: 'openai',
    answers: {
      stream: /^data: ?\{(?:.*"object"\s*:\s*"chat\.completion\.chunk"|[^{[]*"choices"\s*:)/s,
      body: ({ object, choices, usage }) =>
        object === 'chat.completion' || (Array.isArray(choices) && (usage !== undefined || object !== undefined)),
    },
  },
  {
    dialect: anthropicMessages,
    provider: 'anthropic',
    answers: {
      stream: /^event: ?message_start\r?\n/,
      body: ({ type, role }) => type === 'message' && role === 'assistant',
    },
  },
  {
    dialect: openAiResponses,
    provider: 'openai',
    answers: { stream: /^event: ?response\.created\r?\n/, body: ({ object }) => object === 'response' },
  },
  { dialect: openAiCompletions, provider: 'openai' },
  { dialect: openAiEmbeddings, provider: 'openai' },
  { dialect: openAiImages, provider: 'openai' },
  { dialect: openAiTranscription, provider: 'openai' },
  { dialect: openAiSpeech, provider: 'openai' },
  { dialect: openAiModerations, provider: 'openai' },
  { dialect: openAiThreads, provider: 'openai' },
  { dialect: openAiVideos, provider: 'openai' },
  { dialect: openAiBatchResults, provider: 'openai' },
  {
    dialect: geminiGenerateContent,
    provider: 'gcp.gemini',
    answers: {
      stream: /^(?:data: ?|\[\s*)\{\s*"candidates"\s*:/,
      body: ({ candidates, usageMetadata }) => Array.isArray(candidates) && usageMetadata !== undefined,
    },
  },
  { dialect: geminiInteractions, provider: 'gcp.gemini' },
  { dialect: geminiEmbeddings, provider: 'gcp.gemini' },
  { dialect: googleVideos, provider: 'gcp.gemini' },
  { dialect: vertexPredict, provider: 'gcp.vertex_ai' },
  { dialect: geminiBatchResults, provider: 'gcp.gemini' },
  { dialect: vertexAnthropic, provider: 'gcp.vertex_ai' },
  { dialect: vertexMistral, provider: 'gcp.vertex_ai' },
  { dialect: bedrockConverse, provider: 'aws.bedrock' },
  { dialect: bedrockInvoke, provider: 'aws.bedrock' },
  { dialect: bedrockApplyGuardrail, provider: 'aws.bedrock' },
  { dialect: bedrockCountTokens, provider: 'aws.bedrock' },
  { dialect: bedrockRerank, provider: 'aws.bedrock' },
  { dialect: anthropicSessions, provider: 'anthropic' },
  { dialect: anthropicComplete, provider: 'anthropic' },
  { dialect: anthropicBatchResults, provider: 'anthropic' },
  { dialect: cohereChat, provider: 'cohere' },
  { dialect: cohereEmbed, provider: 'cohere' },
  { dialect: rerank },
  { dialect: ollama, provider: 'ollama' },
  { dialect: watsonx, provider: 'ibm.watsonx.ai' },
  { dialect: mistralConversations, provider: 'mistral_ai' },
  { dialect: mistralOcr, provider: 'mistral_ai' },
  { dialect: xAiVoice, provider: 'x_ai' },
  { dialect: speechServices },
  ...hostedModels.map((dialect) => ({ dialect })),
  { dialect: unknownDialect },
]

/** The provider that a format belongs to, for hosts that nobody knows (a proxy, a self-hosted server). */
export function defaultProviderOf(dialectId: string): string | undefined {
  return DIALECTS.find(({ dialect }) => dialect.id === dialectId)?.provider
}

/** Reads an exchange by the first dialect that knows it. Never throws: a defect of a reader is named in `usageReason`. */
export function read(given: Exchange, requestBody = requestBodyOf(given)): Reading {
  const { exchange, limited } = boundExchange(given)
  const body = requestBody?.members
  const dialect = dialectOf(exchange, body)
  try {
    // Nobody bills for asking what is allowed, for headers alone, or for a deletion.
    if (/^(?:OPTIONS|HEAD|DELETE)$/.test(exchange.method)) return freeReading(dialect.id, 'none')
    const { usageSeen, reasons: found, ...reading } = dialect.read(exchange, body)
    const { usage, reason } = unitsOf(reading.counts)
    const unread = unreadKeys(usageSeen) ?? []
    const attributes = placeOf(exchange, reading)
    const reported = reportedOf(exchange, reading, usageSeen)
    const answer = answerOf(exchange, body, dialect.id, reading)
    const reasons = new Set<CallReason>(found)
    if (unread.length > 0) reasons.add('unread_usage')
    if (tierMayBeCut(exchange, reading)) reasons.add('tier_not_seen')
    const told = reading.usageSource === 'provider' || reading.usageSource === 'counted'
    if ((limited || exchange.tooLarge === true) && !told && reading.billable) reasons.add('read_limit')
    if (saysZero(reading)) reasons.add('zero_usage')
    return {
      dialect: dialect.id,
      ...(reason === undefined ? {} : { usageReason: reason }),
      ...reading,
      ...(exchange.tooLarge === true && reading.usageReason === 'no_body' ? { usageReason: 'body_too_large' } : {}),
      ...(attributes === undefined ? {} : { priceAttributes: attributes }),
      ...(reported === undefined ? {} : { reportedPicoUsd: reported }),
      ...(reasons.size === 0 ? {} : { reasons: [...reasons] }),
      ...(unread.length === 0 ? {} : { unreadUsage: unread }),
      ...(answer === undefined ? {} : { answer }),
      usage,
    }
  } catch {
    return { ...freeReading(dialect.id, 'unknown'), usageReason: 'reader_failed', billable: true }
  }
}

function freeReading(dialect: string, usageSource: 'none' | 'unknown'): Reading {
  return {
    dialect,
    operation: 'unknown',
    stream: false,
    counts: {},
    usage: {},
    usageSource,
    guardrails: [],
    billable: false,
  }
}

/** Where it ran by its host, and who pays by its path. */
function placeOf(exchange: Exchange, { priceAttributes, requestModel }: DialectReading): PriceAttributes | undefined {
  const { host, path } = exchange
  const region = regionOfHost(host)
  const plan = planOf(host, path)
  const list = priceListOf(exchange, requestModel)
  if (region === undefined && plan === undefined && list === undefined) return priceAttributes
  return {
    ...(region === undefined ? {} : { region }),
    ...priceAttributes,
    ...(plan === undefined ? {} : { plan }),
    ...(list === undefined ? {} : { price_list: list }),
  }
}

/** The provider's own bill: in its usage, or beside it. */
function reportedOf(
  { host, responseHeaders }: Exchange,
  reading: DialectReading,
  usageSeen: JsonObject | undefined,
): number | undefined {
  return (
    reading.reportedPicoUsd ??
    reportedInUsage(usageSeen === undefined ? asObject(reading.rawUsage) : unwatched(usageSeen), host) ??
    reportedBeside(undefined, responseHeaders)
  )
}

/** Providers that name the served tier beside the usage, in every answer of their own. */
const NAME_TIERS = new Set(['openai', 'azure.ai.openai', 'azure.ai.inference', 'groq'])

/** The middle of the answer was cut out, and nothing that was seen names the tier. */
function tierMayBeCut({ host, responseTail, responseComplete }: Exchange, reading: DialectReading): boolean {
  if (responseTail === undefined && responseComplete) return false
  if (reading.serviceTier !== undefined || Object.keys(reading.counts).length === 0) return false
  if (!TIERED_DIALECTS.has(reading.operation)) return false
  return NAME_TIERS.has(providerOfHost(host) ?? 'openai')
}
const TIERED_DIALECTS = new Set<DialectReading['operation']>(['chat'])

/** The provider says that nothing was used, beside an answer that is there. */
function saysZero({ counts, usageSource, content, operation }: DialectReading): boolean {
  if (usageSource !== 'provider' || counts.input !== 0 || (counts.output ?? 0) !== 0) return false
  if (Object.entries(counts).some(([name, count]) => name !== 'total' && (count ?? 0) > 0)) return false
  return operation === 'embeddings' || content?.output?.some(({ parts }) => parts.length > 0) === true
}

/** Whether a request is one to a model, by method, path and host alone: where no body was seen. */
export function isModelRequest(method: string, host: string, path: string): boolean {
  if (method !== 'POST') return false
  const request: RequestView = { method, host, path, requestHeaders: {}, responseHeaders: {}, body: undefined }
  return DIALECTS.some(
    ({ dialect }) => dialect !== unknownDialect && !LOOSE.has(dialect.id) && dialect.matches(request),
  )
}
/** Formats whose paths are common words. */
const LOOSE = new Set([
  'huggingface-generate',
  'aleph-alpha',
  'replicate',
  'openai-videos',
  'openai-images',
  'mcp',
  'a2a',
  'rerank',
  'anthropic-sessions',
])

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
  const members = start.startsWith('{') ? membersBeforeCut(start) : undefined
  return DIALECTS.find(({ answers }) => (members === undefined ? answers?.stream.test(start) : answers?.body(members)))
    ?.dialect
}

export interface RequestBody {
  /** Of the JSON object, or the fields of a form. Undefined where it is neither. */
  members: JsonObject | undefined
  /** These are not all, or not JSON. */
  cut: boolean
}

/** The request's JSON, or the fields of its form; of one that was cut, the members that stand whole. */
export function requestBodyOf(exchange: Exchange): RequestBody | undefined {
  const { requestBody, requestTruncated, requestHeaders } = exchange
  if (requestBody === undefined || requestBody.length === 0) return undefined
  const contentType = requestHeaders['content-type']
  if (contentType?.toLowerCase().startsWith('multipart/') === true)
    return { members: multipartFields(requestBody, contentType), cut: true }
  const text = decodeText(requestBody)
  // A form whose header was lost on the way.
  const boundary = text.startsWith('--') ? /^--([^\r\n]{1,200})\r?\nContent-Disposition:/i.exec(text)?.[1] : undefined
  if (boundary !== undefined)
    return { members: multipartFields(requestBody, `multipart/form-data; boundary=${boundary}`), cut: true }
  const whole = parseJson(text)
  if (whole !== undefined || !requestTruncated) return { members: asObject(whole), cut: false }
  const members = membersBeforeCut(text)
  return { members: Object.keys(members).length > 0 ? members : undefined, cut: true }
}
