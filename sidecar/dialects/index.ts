import { anthropicBatchResults } from './anthropic-batch-results.ts'
import { anthropicComplete } from './anthropic-complete.ts'
import { anthropicMessages } from './anthropic-messages.ts'
import { bedrockApplyGuardrail } from './bedrock-apply-guardrail.ts'
import { bedrockConverse } from './bedrock-converse.ts'
import { bedrockCountTokens } from './bedrock-count-tokens.ts'
import { bedrockInvoke } from './bedrock-invoke.ts'
import { bedrockRerank } from './bedrock-rerank.ts'
import { cohereChat } from './cohere-chat.ts'
import { cohereEmbed } from './cohere-embed.ts'
import { unitsOf } from './counts.ts'
import { membersBeforeCut } from './cut-json.ts'
import type { Dialect, Exchange, Reading, RequestView } from './dialect.ts'
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
import { regionOfHost } from './provider-of-host.ts'
import { rerank } from './rerank.ts'
import { isRefusal } from './response-view.ts'
import { unknownDialect } from './unknown.ts'
import { vertexAnthropic } from './vertex-anthropic.ts'
import { vertexMistral } from './vertex-mistral.ts'
import { vertexPredict } from './vertex-predict.ts'
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
  { dialect: vertexPredict, provider: 'gcp.vertex_ai' },
  { dialect: geminiBatchResults, provider: 'gcp.gemini' },
  { dialect: vertexAnthropic, provider: 'gcp.vertex_ai' },
  { dialect: vertexMistral, provider: 'gcp.vertex_ai' },
  { dialect: bedrockConverse, provider: 'aws.bedrock' },
  { dialect: bedrockInvoke, provider: 'aws.bedrock' },
  { dialect: bedrockApplyGuardrail, provider: 'aws.bedrock' },
  { dialect: bedrockCountTokens, provider: 'aws.bedrock' },
  { dialect: bedrockRerank, provider: 'aws.bedrock' },
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
  ...hostedModels.map((dialect) => ({ dialect })),
  { dialect: unknownDialect },
]

/** The provider that a format belongs to, for hosts that nobody knows (a proxy, a self-hosted server). */
export function defaultProviderOf(dialectId: string): string | undefined {
  return DIALECTS.find(({ dialect }) => dialect.id === dialectId)?.provider
}

/** Reads an exchange by the first dialect that knows it. Never throws: a defect of a reader is named in `usageReason`. */
export function read(exchange: Exchange, requestBody = requestBodyOf(exchange)): Reading {
  const body = requestBody?.members
  const dialect = dialectOf(exchange, body)
  try {
    const reading = dialect.read(exchange, body)
    const { usage, reason } = unitsOf(reading.counts)
    const region = regionOfHost(exchange.host)
    return {
      dialect: dialect.id,
      ...(reason === undefined ? {} : { usageReason: reason }),
      ...reading,
      ...(region === undefined ? {} : { priceAttributes: { region, ...reading.priceAttributes } }),
      usage,
    }
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
  const whole = parseJson(text)
  if (whole !== undefined || !requestTruncated) return { members: asObject(whole), cut: false }
  const members = membersBeforeCut(text)
  return { members: Object.keys(members).length > 0 ? members : undefined, cut: true }
}
