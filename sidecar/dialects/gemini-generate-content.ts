import type { Content, GuardrailEvent, Message } from '../call.ts'
import { lastObjectNamed } from './cut-json.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { appendParts, geminiParameters, geminiParts, geminiRequestContent } from './gemini-content.ts'
import { countGeminiUsage, geminiPriceAttributes, geminiServiceTier, modelInGooglePath } from './gemini-usage.ts'
import {
  asCount,
  asList,
  asObject,
  asText,
  decodeText,
  type JsonObject,
  parseJson,
  withoutUndefined,
} from './json-value.ts'
import { errorOf } from './provider-error.ts'
import { providerOfHost } from './provider-of-host.ts'
import { type ResponseView, viewResponse } from './response-view.ts'
import { usageOutcome } from './usage-outcome.ts'

/** Gemini's generateContent, whole or streamed (events, or one JSON array), at Google AI and on Vertex. */
export const geminiGenerateContent: Dialect = {
  id: 'gemini-generate-content',
  matches: ({ path }) => /:(?:streamGenerateContent|generateContent)$/.test(path),
  read: readGenerateContent,
}

/** `enum-encoding=int`: the numbers of google.cloud.aiplatform.v1.Candidate.FinishReason. */
const FINISH_REASONS = [
  'FINISH_REASON_UNSPECIFIED',
  'STOP',
  'MAX_TOKENS',
  'SAFETY',
  'RECITATION',
  'OTHER',
  'BLOCKLIST',
  'PROHIBITED_CONTENT',
  'SPII',
  'MALFORMED_FUNCTION_CALL',
  'MODEL_ARMOR',
  'IMAGE_SAFETY',
]
const BLOCK_REASONS = [
  'BLOCKED_REASON_UNSPECIFIED',
  'SAFETY',
  'OTHER',
  'BLOCKLIST',
  'PROHIBITED_CONTENT',
  'MODEL_ARMOR',
]
const FILTERED =
  /^(?:SAFETY|RECITATION|BLOCKLIST|PROHIBITED_CONTENT|SPII|MODEL_ARMOR|IMAGE_SAFETY|IMAGE_PROHIBITED_CONTENT|LANGUAGE)$/

interface Candidate {
  message: Message
  finishReason: string | undefined
  searches: number
}
interface Answer {
  model?: string
  id?: string
  usage?: JsonObject
  candidates: Map<number, Candidate>
  blockReason?: string
  error: DialectReading['error']
  /** The answer's own end was heard. */
  ended: boolean
}

function readGenerateContent(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const view = viewResponse(exchange)
  const answer = answerOf(view, exchange)
  const provider = providerOfHost(exchange.host) ?? 'gcp.gemini'
  const requestModel = modelInGooglePath(exchange.path)
  const candidates = [...answer.candidates].sort(([left], [right]) => left - right).map(([, candidate]) => candidate)
  const tokens = answer.usage === undefined ? undefined : countGeminiUsage(answer.usage)
  const searches = searchesOf(candidates, answer.model ?? requestModel)
  const finishReasons = candidates.flatMap(({ finishReason }) => finishReason ?? [])
  const cut = exchange.requestTruncated || !exchange.responseComplete || exchange.responseTail !== undefined
  const output = candidates.map(({ message, finishReason }) => ({
    ...message,
    ...(finishReason === undefined ? {} : { finishReason }),
  }))
  const content: Content = {
    ...(body === undefined ? {} : geminiRequestContent(body)),
    ...(output.length > 0 ? { output } : {}),
    ...(cut ? { truncated: true } : {}),
  }
  return {
    operation: 'generate_content',
    stream: exchange.path.endsWith(':streamGenerateContent'),
    ...withoutUndefined({
      requestModel,
      responseModel: answer.model,
      responseId: answer.id,
      serviceTier: geminiServiceTier(answer.usage, exchange.responseHeaders),
      parameters: body === undefined ? undefined : geminiParameters(body),
      finishReasons: finishReasons.length > 0 ? finishReasons : undefined,
      priceAttributes: geminiPriceAttributes(answer.usage, exchange.host, exchange.path),
      error: answer.error,
    }),
    ...usageOutcome({
      status: exchange.status,
      form: view.form,
      counts: tokens && withoutUndefined({ ...tokens, webSearches: searches }),
      raw: answer.usage,
      whole: answer.ended,
      ended: answer.ended,
      failed: answer.error !== undefined,
      started: candidates.length > 0,
    }),
    guardrails: guardrailsOf(answer, candidates, provider),
    billable: true,
    content,
  }
}

function answerOf(view: ResponseView, exchange: Exchange): Answer {
  const answer: Answer = { candidates: new Map(), error: undefined, ended: false }
  if (view.form === 'json' || view.form === 'cut_json') addChunk(answer, view.value, exchange.status)
  if (view.form === 'json') answer.ended = true
  if (view.form === 'json_list' || view.form === 'json_lines')
    for (const item of view.items) addChunk(answer, item, exchange.status)
  if (view.form === 'json_list' && !view.cut) answer.ended = true
  if (view.form === 'events')
    for (const { data } of view.events) {
      const chunk = asObject(parseJson(data))
      if (chunk !== undefined) addChunk(answer, chunk, exchange.status)
    }
  // Each chunk has a count so far; only one that ends a candidate, or says why there is none, holds the last word.
  if (view.form !== 'json' && view.form !== 'json_list')
    answer.ended =
      answer.usage !== undefined &&
      (answer.blockReason !== undefined || [...answer.candidates.values()].some(({ finishReason }) => finishReason))
  if (exchange.responseTail !== undefined && (view.form === 'json_list' || view.form === 'cut_json')) {
    const tail = decodeText(exchange.responseTail).trimEnd()
    const usage = lastObjectNamed(tail, 'usageMetadata')
    if (usage !== undefined) {
      answer.usage = usage
      answer.ended = tail.endsWith(view.form === 'json_list' ? ']' : '}')
    }
  } else if (view.form === 'cut_json' && answer.usage !== undefined) answer.ended = true
  return answer
}

function addChunk(answer: Answer, chunk: JsonObject, status: number): void {
  const model = asText(chunk.modelVersion)
  if (model !== undefined) answer.model = model
  const id = asText(chunk.responseId)
  if (id !== undefined) answer.id = id
  // The last snapshot wins whole: its parts agree with its own total, those of earlier ones do not.
  const usage = asObject(chunk.usageMetadata)
  if (usage !== undefined && countGeminiUsage(usage) !== undefined) answer.usage = usage
  else if (usage !== undefined) answer.usage ??= usage
  const block = asObject(chunk.promptFeedback)?.blockReason
  if (block !== undefined) answer.blockReason = enumName(block, BLOCK_REASONS) ?? 'BLOCKED'
  const error = errorOf(chunk, status)
  if (error !== undefined) answer.error = error
  asList(chunk.candidates).forEach((item, position) => {
    const given = asObject(item)
    if (given !== undefined) addCandidate(answer, given, asCount(given.index) ?? position)
  })
}

function addCandidate(answer: Answer, given: JsonObject, index: number): void {
  let candidate = answer.candidates.get(index)
  if (candidate === undefined) {
    candidate = { message: { role: 'assistant', parts: [] }, finishReason: undefined, searches: 0 }
    answer.candidates.set(index, candidate)
  }
  const content = asObject(given.content)
  if (content !== undefined) appendParts(candidate.message, geminiParts(content))
  const finishReason = enumName(given.finishReason, FINISH_REASONS)
  if (finishReason !== undefined) candidate.finishReason = finishReason
  const queries = asList(asObject(given.groundingMetadata)?.webSearchQueries).length
  if (queries > 0) candidate.searches = queries
}

/** Up to Gemini 2.x a grounded prompt is billed once, from Gemini 3 on each query. */
function searchesOf(candidates: readonly Candidate[], model: string | undefined): number | undefined {
  const queries = candidates.reduce((sum, { searches }) => sum + searches, 0)
  if (queries === 0) return undefined
  return /gemini-[12]/.test(model ?? '') ? 1 : queries
}

function enumName(value: unknown, names: readonly string[]): string | undefined {
  return typeof value === 'number' ? (names[value] ?? `${value}`) : asText(value)
}

function guardrailsOf(answer: Answer, candidates: readonly Candidate[], provider: string): GuardrailEvent[] {
  const events: GuardrailEvent[] = []
  const guardrail = (reason: string) => (reason === 'MODEL_ARMOR' ? 'gcp.model_armor' : `${provider}.safety`)
  if (answer.blockReason !== undefined)
    events.push({
      guardrail: guardrail(answer.blockReason),
      stage: 'input',
      action: 'blocked',
      reason: answer.blockReason.slice(0, 64),
    })
  for (const { finishReason } of candidates)
    if (finishReason !== undefined && FILTERED.test(finishReason))
      events.push({ guardrail: guardrail(finishReason), stage: 'output', action: 'blocked', reason: finishReason })
  return events
}
