import type { Content, Message } from '../call.ts'
import { lastObjectNamed } from './cut-json.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { appendParts, geminiParameters, geminiParts, geminiRequestContent } from './gemini-content.ts'
import { endOfCutAnswer } from './gemini-cut-answer.ts'
import { blockReasonOf, finishReasonOf, geminiGuardrails } from './gemini-outcomes.ts'
import {
  billedSearches,
  countGeminiUsage,
  geminiPriceAttributes,
  geminiServiceTier,
  modelInGooglePath,
  verbOfGooglePath,
} from './gemini-usage.ts'
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
import { mayBillTools } from './provider-tools.ts'
import { type ResponseView, viewResponse } from './response-view.ts'
import { usageOutcome } from './usage-outcome.ts'
import { watchUsage } from './watched-usage.ts'

/** Gemini's generateContent, whole or streamed (events, or one JSON array), at Google AI and on Vertex. */
export const geminiGenerateContent: Dialect = {
  id: 'gemini-generate-content',
  matches: ({ path }) => /^(?:stream)?generateContent$/i.test(verbOfGooglePath(path) ?? ''),
  read: readGenerateContent,
}

interface Candidate {
  message: Message
  finishReason?: string
  /** What was searched for: each text once, over all chunks. */
  queries: Set<string>
  maps: boolean
}
interface Answer {
  provider: string
  /** How many candidates were asked for. */
  wanted: number
  model?: string
  id?: string
  usage?: JsonObject
  candidates: Map<number, Candidate>
  blockReason?: string
  error?: DialectReading['error']
  /** Every candidate has its finish reason, or it was said why there is none. */
  finished: boolean
  /** Nothing that is still to come can change the usage. */
  whole: boolean
  /** No part of the answer was cut out. */
  allSeen: boolean
}

function readGenerateContent(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const view = viewResponse(exchange)
  const parameters = body === undefined ? undefined : geminiParameters(body)
  const answer = answerOf(view, exchange, parameters?.choiceCount ?? 1)
  const requestModel = modelInGooglePath(exchange.path)
  const candidates = [...answer.candidates].sort(([left], [right]) => left - right).map(([, candidate]) => candidate)
  const usage = watchUsage(answer.usage)
  const tokens = usage === undefined ? undefined : countGeminiUsage(usage)
  const queries = candidates.reduce((sum, { queries: texts }) => sum + texts.size, 0)
  const webSearches = billedSearches(queries, answer.model ?? requestModel)
  // How often the maps were asked nobody says: at least once.
  const mapsSearches = candidates.some(({ maps }) => maps) ? 1 : undefined
  const unseen =
    tokens !== undefined && !answer.allSeen && mayBillTools(body, exchange.requestTruncated)
      ? ['fees_not_seen' as const]
      : []
  const reasons = [...unseen, ...(mapsSearches === undefined ? [] : ['fee_counted' as const])]
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
    stream: verbOfGooglePath(exchange.path)?.toLowerCase() === 'streamgeneratecontent' || view.form === 'events',
    ...withoutUndefined({
      requestModel,
      responseModel: answer.model,
      responseId: answer.id,
      serviceTier: geminiServiceTier(usage, exchange.responseHeaders),
      parameters,
      finishReasons: finishReasons.length > 0 ? finishReasons : undefined,
      priceAttributes: geminiPriceAttributes(usage, exchange.host, exchange.path),
      error: answer.error,
      reasons: reasons.length > 0 ? reasons : undefined,
    }),
    ...usageOutcome({
      status: exchange.status,
      form: view.form,
      counts: tokens && withoutUndefined({ ...tokens, webSearches, mapsSearches }),
      raw: usage,
      whole: answer.whole,
      ended: answer.finished,
      failed: answer.error !== undefined,
      started: candidates.length > 0,
    }),
    guardrails: geminiGuardrails(answer.blockReason, finishReasons, answer.provider),
    billable: true,
    content,
  }
}

function answerOf(view: ResponseView, exchange: Exchange, wanted: number): Answer {
  const { status } = exchange
  const provider = providerOfHost(exchange.host) ?? 'gcp.gemini'
  const answer: Answer = { provider, wanted, candidates: new Map(), finished: false, whole: false, allSeen: false }
  const tail = exchange.responseTail === undefined ? undefined : decodeText(exchange.responseTail)
  answer.allSeen = exchange.responseComplete && tail === undefined
  switch (view.form) {
    case 'json':
      addChunk(answer, view.value, status)
      answer.finished = answer.whole = true
      break
    case 'cut_json':
      addChunk(answer, view.value, status)
      // Members stand whole or not at all: with what was answered and its usage, only names can be missing.
      answer.whole = answer.usage !== undefined && (answer.finished || answer.candidates.size > 0)
      if (tail !== undefined) addEnd(answer, tail, 'object', exchange)
      break
    case 'json_list':
      for (const item of view.items) addChunk(answer, item, status)
      // Each chunk has a count so far: that one was the last is said by the bracket after it.
      answer.finished = answer.whole = !view.cut
      if (tail !== undefined) addEnd(answer, tail, 'list', exchange)
      break
    case 'json_lines':
      for (const item of view.items) addChunk(answer, item, status)
      if (view.cut) answer.whole = false
      break
    case 'events': {
      view.events.forEach(({ data }, position) => {
        if (position === view.gapAt) markGap(answer)
        const chunk = asObject(parseJson(data))
        if (chunk !== undefined) addChunk(answer, chunk, status)
        // A chunk that was cut: whatever was heard before, it was not the end.
        else if (data.startsWith('{')) answer.whole = false
      })
      // Nothing came after the cut that can be read: a count from before it is not the last word.
      if (view.gapAt !== undefined && view.gapAt >= view.events.length) answer.whole = answer.finished = false
    }
  }
  return answer
}

function addChunk(answer: Answer, given: JsonObject, status: number): void {
  // Code Assist wraps each chunk: `{response: {candidates, usageMetadata}}`.
  const wrapped = asObject(given.response)
  const chunk = wrapped !== undefined && given.candidates === undefined ? { ...wrapped, error: given.error } : given
  const model = asText(chunk.modelVersion)
  if (model !== undefined) answer.model = model
  const id = asText(chunk.responseId)
  if (id !== undefined) answer.id = id
  const block = blockReasonOf(asObject(chunk.promptFeedback)?.blockReason, answer.provider)
  if (block !== undefined) answer.blockReason = block
  const error = errorOf(chunk, status)
  if (error !== undefined) answer.error = error
  asList(chunk.candidates).forEach((item, position) => {
    const candidate = asObject(item)
    if (candidate !== undefined) addCandidate(answer, candidate, asCount(candidate.index) ?? position)
  })
  const reasons = [...answer.candidates.values()].map(({ finishReason }) => finishReason)
  answer.finished =
    answer.blockReason !== undefined || (reasons.length >= answer.wanted && !reasons.includes(undefined))
  // The last snapshot wins whole: its parts agree with its own total, those of earlier ones do not.
  const usage = asObject(chunk.usageMetadata)
  if (usage === undefined) return
  if (countGeminiUsage(usage) === undefined) answer.usage ??= usage
  else {
    answer.usage = usage
    // Each chunk has a count so far; only one that ends the answer, or comes after that, holds the last word.
    answer.whole = answer.finished
  }
}

/** More than any answer has: each chunk looks at all of them. */
const MAX_CANDIDATES = 128
const MAX_QUERIES = 1000

function addCandidate(answer: Answer, given: JsonObject, index: number): void {
  let candidate = answer.candidates.get(index)
  if (candidate === undefined) {
    if (answer.candidates.size >= MAX_CANDIDATES) return
    candidate = { message: { role: 'assistant', parts: [] }, queries: new Set(), maps: false }
    answer.candidates.set(index, candidate)
  }
  const content = asObject(given.content)
  if (content !== undefined) appendParts(candidate.message, geminiParts(content))
  const finishReason = finishReasonOf(given.finishReason, answer.provider)
  if (finishReason !== undefined) candidate.finishReason = finishReason
  const grounding = asObject(given.groundingMetadata)
  for (const query of asList(grounding?.webSearchQueries)) {
    const text = asText(query)?.trim()
    if (text !== undefined && text !== '' && candidate.queries.size < MAX_QUERIES) candidate.queries.add(text)
  }
  if (grounding?.googleMapsWidgetContextToken !== undefined) candidate.maps = true
  for (const chunk of asList(grounding?.groundingChunks))
    if (asObject(asObject(chunk)?.maps) !== undefined) candidate.maps = true
}

/** What the end says of an answer whose middle was cut out. */
function addEnd(answer: Answer, tail: string, form: 'object' | 'list', exchange: Exchange): void {
  answer.finished = answer.whole = false
  // Of an answer that broke off, the last bracket may be one of a tool call in it.
  const end = exchange.responseComplete ? endOfCutAnswer(tail, form) : undefined
  if (end !== undefined) {
    markGap(answer)
    for (const chunk of end) addChunk(answer, chunk, exchange.status)
    // The end stands whole up to the last bracket: its usage is the last word.
    answer.finished = true
    answer.whole = end.some(({ usageMetadata }) => asObject(usageMetadata) !== undefined)
    return
  }
  const usage = lastObjectNamed(tail, 'usageMetadata')
  if (usage !== undefined) answer.usage = usage
}

function markGap(answer: Answer): void {
  for (const { message } of answer.candidates.values()) {
    const last = message.parts.at(-1)
    if (last?.type === 'text' || last?.type === 'reasoning') last.content += '[…]'
  }
}
