import type { Content, MessagePart } from '../call.ts'
import type { Counts } from './counts.ts'
import { levelsAtEnd } from './cut-json.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import {
  addStepEvent,
  type InteractionAssembly,
  interactionOutput,
  interactionParameters,
  interactionRequestContent,
} from './gemini-interactions-content.ts'
import { billedSearches, geminiPriceAttributes, geminiServiceTier, tokensOfModality } from './gemini-usage.ts'
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
import { countOf } from './openai-usage.ts'
import { errorOf } from './provider-error.ts'
import { isRefusal, type ResponseView, viewResponse } from './response-view.ts'
import { endOfCutEvent } from './server-sent-events.ts'
import { usageOutcome } from './usage-outcome.ts'
import { watchUsage } from './watched-usage.ts'

const PATH = /\/v\d[a-z0-9]*\/(?:.+\/)?interactions(\/[^/:]+(?:\/cancel)?)?$/

/** Gemini's interactions: whole, streamed, in the background and polled (`GET /interactions/{id}`). */
export const geminiInteractions: Dialect = {
  id: 'gemini-interactions',
  matches: ({ path, method }) => {
    const found = PATH.exec(path)
    return found !== null && (method === 'POST' || (method === 'GET' && found[1] !== undefined))
  },
  read: readInteraction,
}

/** At work in the background; any other status is the last one. */
const PENDING = new Set(['queued', 'in_progress'])

interface Answer {
  interaction: JsonObject
  usage?: JsonObject
  /** The usage is the last word, not a count so far. */
  whole: boolean
  ended: boolean
  started: boolean
  parts: MessagePart[]
  error?: DialectReading['error']
}

function readInteraction(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const view = viewResponse(exchange)
  const answer = view.form === 'events' ? answerOfEvents(view, exchange) : answerOfBody(view, exchange)
  const { interaction } = answer
  const usage = watchUsage(answer.usage)
  const model = asText(interaction.model)
  const requestModel = asText(body?.model) ?? asText(body?.agent)
  const id = asText(interaction.id) ?? PATH.exec(exchange.path)?.[1]?.split('/')[1]
  const created = exchange.method === 'POST' && PATH.exec(exchange.path)?.[1] === undefined
  const cut = exchange.requestTruncated || !exchange.responseComplete || exchange.responseTail !== undefined
  const content: Content = {
    ...(body === undefined ? {} : interactionRequestContent(body)),
    ...(answer.parts.length > 0 ? { output: [{ role: 'assistant', parts: answer.parts }] } : {}),
    ...(cut ? { truncated: true } : {}),
  }
  const outcome = usageOutcome({
    status: exchange.status,
    form: view.form,
    counts: usage === undefined ? undefined : countInteraction(usage, model ?? requestModel),
    raw: usage,
    whole: answer.whole,
    ended: answer.ended,
    failed: answer.error !== undefined,
    started: answer.started,
  })
  // At work in the background: the poll that sees its end bills it, with whatever was counted so far.
  const pending = view.form === 'json' && PENDING.has(asText(interaction.status) ?? '') && !isRefusal(exchange.status)
  // Who only looks, or cancels, is billed for nothing where no usage is said.
  const idle = !created && outcome.usageSource === 'unknown'
  return {
    operation: 'generate_content',
    stream: view.form === 'events' || body?.stream === true,
    ...withoutUndefined({
      requestModel,
      responseModel: model,
      responseId: isRefusal(exchange.status) ? undefined : id,
      serviceTier: asText(interaction.service_tier) ?? geminiServiceTier(undefined, exchange.responseHeaders),
      parameters: body === undefined ? undefined : interactionParameters(body),
      priceAttributes: geminiPriceAttributes(undefined, exchange.host, exchange.path),
      error: answer.error,
    }),
    ...(pending ? { counts: {}, usageSource: 'none' as const, usageReason: 'pending' } : outcome),
    ...(idle && !pending ? { usageSource: 'none' as const } : {}),
    guardrails: [],
    billable: created || !(idle || pending),
    content,
  }
}

function answerOfBody(view: ResponseView, exchange: Exchange): Answer {
  const interaction = view.form === 'json' || view.form === 'cut_json' ? view.value : {}
  const answer: Answer = {
    interaction,
    whole: !PENDING.has(asText(interaction.status) ?? ''), // usage is said once
    ended: view.form === 'json',
    started: false,
    parts: interactionOutput(interaction),
  }
  const usage = view.form === 'cut_json' ? view.usage : asObject(interaction.usage)
  if (usage !== undefined) answer.usage = usage
  addError(answer, interaction, exchange.status)
  return answer
}

function answerOfEvents(view: Extract<ResponseView, { form: 'events' }>, exchange: Exchange): Answer {
  const answer: Answer = { interaction: {}, whole: false, ended: false, started: false, parts: [] }
  const assembly: InteractionAssembly = new Map()
  for (const { data } of view.events) {
    const event = asObject(parseJson(data))
    if (event === undefined) continue
    const own = asObject(event.interaction)
    if (own !== undefined) addInteraction(answer, own)
    else if (event.event_type === 'interaction.status_update')
      addInteraction(answer, { status: event.status, id: event.interaction_id })
    addError(answer, event, exchange.status)
    if (asObject(event.delta) !== undefined) answer.started = true
    addStepEvent(assembly, event)
    const running = asObject(asObject(event.metadata)?.usage)
    if (running !== undefined && !answer.whole) answer.usage = running
  }
  answer.parts = [...assembly].sort(([left], [right]) => left - right).map(([, part]) => part)
  if (answer.parts.length === 0) answer.parts = interactionOutput(answer.interaction)
  if (exchange.responseTail !== undefined && !answer.whole) addEnd(answer, decodeText(exchange.responseTail))
  return answer
}

function addInteraction(answer: Answer, own: JsonObject): void {
  // An event may hold any number of members: only so many are laid over each other.
  if (Object.keys(answer.interaction).length < 256)
    answer.interaction = { ...answer.interaction, ...withoutUndefined(own) }
  const usage = asObject(own.usage)
  if (usage !== undefined) answer.usage = usage
  const status = asText(answer.interaction.status)
  answer.ended = status !== undefined && !PENDING.has(status)
  // Events on the way count so far; the one that ends the interaction says what was used in all.
  if (answer.ended && usage !== undefined) answer.whole = true
}

/** The last event repeats the whole interaction: its beginning may lie in the part that was cut out. */
function addEnd(answer: Answer, tail: string): void {
  const [event, inner] = levelsAtEnd(endOfCutEvent(tail))
  const own = asObject(event?.members?.interaction) ?? inner?.members
  const type = asText(event?.members?.event_type)?.replace(/^interaction\./, '')
  const last =
    type === undefined ? asText(own?.status) : /^(?:created|start|status_update)$/.test(type) ? undefined : type
  const usage = asObject(own?.usage)
  if (usage === undefined || last === undefined || PENDING.has(last)) return
  answer.usage = usage
  answer.ended = true
  answer.whole = true
}

function addError(answer: Answer, value: JsonObject, status: number): void {
  const interaction = asObject(value.interaction) ?? value
  const listed = asObject(asList(interaction.errors)[0])
  const error =
    errorOf(value, status) ??
    (interaction === value ? undefined : errorOf(interaction, status)) ??
    (listed === undefined ? undefined : errorOf({ error: listed }, status)) ??
    (interaction.status === 'failed' ? { type: 'failed' } : undefined)
  if (error !== undefined) answer.error = error
}

/** `total_output_tokens` leaves the thoughts out, `total_input_tokens` what tools added. */
function countInteraction(usage: JsonObject, model: string | undefined): Counts | undefined {
  const prompt = asCount(usage.total_input_tokens)
  const generated = asCount(usage.total_output_tokens)
  if (prompt === undefined && generated === undefined) return undefined
  const tools = asCount(usage.total_tool_use_tokens)
  const thoughts = countOf(usage, ['total_thought_tokens', 'total_reasoning_tokens'])
  // What tools added to the prompt is text.
  tokensOfModality(usage.tool_use_tokens_by_modality, 'audio')
  return withoutUndefined({
    input: prompt === undefined ? undefined : prompt + (tools ?? 0),
    output: generated === undefined && thoughts === undefined ? undefined : (generated ?? 0) + (thoughts ?? 0),
    cacheRead: asCount(usage.total_cached_tokens),
    toolPrompt: tools,
    reasoning: thoughts,
    inputAudio: tokensOfModality(usage.input_tokens_by_modality, 'audio'),
    inputImage: tokensOfModality(usage.input_tokens_by_modality, 'image'),
    cacheReadAudio: tokensOfModality(usage.cached_tokens_by_modality, 'audio'),
    outputAudio: tokensOfModality(usage.output_tokens_by_modality, 'audio'),
    outputImage: tokensOfModality(usage.output_tokens_by_modality, 'image'),
    webSearches: billedSearches(searchesOf(usage.grounding_tool_count).web, model),
    mapsSearches: searchesOf(usage.grounding_tool_count).maps,
    toolCalls: searchesOf(usage.grounding_tool_count).others,
    total: asCount(usage.total_tokens),
  })
}

/** `[{type: 'google_search', count}]` */
function searchesOf(list: unknown): { web: number; maps: number | undefined; others: number | undefined } {
  let [web, maps, others] = [0, 0, 0]
  for (const item of asList(list)) {
    const tool = asObject(item)
    const count = asCount(tool?.count) ?? 0
    if (tool?.type === 'google_search') web += count
    else if (tool?.type === 'google_maps') maps += count
    else if (tool?.type !== 'url_context' && tool?.type !== 'code_execution') others += count
  }
  return { web, maps: maps > 0 ? maps : undefined, others: others > 0 ? others : undefined }
}
