import type { Content, GuardrailEvent, Message, PriceAttributes } from '../call.ts'
import type { Counts } from './counts.ts'
import { levelsAtEnd } from './cut-json.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { addGuardrail, type GuardrailEvents } from './guardrail-events.ts'
import {
  asCount,
  asList,
  asNumber,
  asObject,
  asText,
  decodeText,
  type JsonObject,
  parseJson,
  withoutUndefined,
} from './json-value.ts'
import { addFilterResults } from './openai-answer.ts'
import { messagesOfItems, responsesRequestContent } from './openai-responses-content.ts'
import { countOpenAiUsage } from './openai-usage.ts'
import { errorOf } from './provider-error.ts'
import { providerOfHost } from './provider-of-host.ts'
import { mayBillTools, usesByName, usesInItems } from './provider-tools.ts'
import { reportedBeside, reportedInUsage } from './reported-cost.ts'
import { type ResponseView, viewResponse } from './response-view.ts'
import { endOfCutEvent } from './server-sent-events.ts'
import { usageOutcome } from './usage-outcome.ts'
import { watchUsage } from './watched-usage.ts'

/**
 * OpenAI's Responses, also as Azure, xAI, DeepSeek, OpenRouter and Bedrock's mantle speak them: whole, streamed, in the
 * background, polled (`GET /responses/{id}`), cancelled and compacted.
 */
export const openAiResponses: Dialect = {
  id: 'openai-responses',
  matches: ({ path }) =>
    /\/responses(?:\/(?!input_tokens$)[^/]+(?:\/cancel)?)?$/.test(path) && !path.includes('/threads/'),
  read: readResponses,
}

/** After these nothing more is said of the answer. */
const FINAL_STATES = new Set(['completed', 'incomplete', 'failed', 'cancelled'])
const FINAL_EVENTS = new Set([...FINAL_STATES].map((state) => `response.${state}`))
const PENDING_STATES = new Set(['queued', 'in_progress'])

interface Answer {
  response: JsonObject
  usage: JsonObject | undefined
  /** The answer's own end was heard. */
  ended: boolean
  started: boolean
  text: string
  /** Items of the answer, as far as they were seen; `allItems`: there are no others. */
  items: readonly unknown[]
  allItems: boolean
  error: DialectReading['error']
}

function readResponses(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const view = viewResponse(exchange)
  const answer = view.form === 'events' ? answerOfEvents(exchange, view) : answerOfBody(exchange, view)
  const { response } = answer
  const usage = watchUsage(answer.usage)
  const status = asText(response.status)
  const reason = asText(asObject(response.incomplete_details)?.reason)
  const finishReasons = [status, reason].filter((word) => word !== undefined)
  const provider = providerOfHost(exchange.host) ?? 'openai'
  const tools = toolsOf(answer, usage)
  const tokens = usage === undefined ? undefined : countOpenAiUsage(usage, exchange.host)
  // Whose tokens the image tool's are, nobody says: its fee is not known.
  const unnamed = tools.image !== undefined && imageModel(body, response) === undefined
  const toolCalls = (tools.counts.toolCalls ?? 0) + (unnamed ? 1 : 0)
  const counts = tokens && { ...tokens, ...tools.counts, ...(toolCalls > 0 ? { toolCalls } : {}) }
  // A background answer that is still at work is billed once it is done: the poll that sees its usage bills it.
  const pending = counts === undefined && status !== undefined && PENDING_STATES.has(status) && view.form === 'json'
  const outcome = pending
    ? { counts: {}, usageSource: 'none' as const, usageReason: 'pending' }
    : usageOutcome({
        status: exchange.status,
        form: view.form,
        counts,
        raw: usage,
        whole: answer.ended,
        ended: answer.ended,
        failed: answer.error !== undefined,
        started: answer.started,
      })
  // Without `tool_usage` the tokens of a generated image are in no object: the number is right for the model alone.
  const drew = answer.items.some((item) => asObject(item)?.type === 'image_generation_call')
  // Of an answer whose middle was cut out, uses of tools may stand there.
  const unseen = !answer.allItems && !tools.told && mayBillTools(body, exchange.requestTruncated)
  const content = contentOf(exchange, body, answer)
  return {
    operation: 'chat',
    stream: view.form === 'events' || body?.stream === true,
    ...withoutUndefined({
      requestModel: asText(body?.model),
      responseModel: asText(response.model),
      responseId: asText(response.id),
      serviceTier: asText(response.service_tier) ?? asText(exchange.responseHeaders['azureai-processed-tier']),
      parameters: body === undefined ? undefined : parametersOf(body),
      finishReasons: finishReasons.length > 0 ? finishReasons : undefined,
      error: answer.error,
      priceAttributes: priceAttributesOf(body, response),
      stored: typeof response.store === 'boolean' ? response.store : undefined,
      reportedPicoUsd: reportedInUsage(usage, exchange.host) ?? reportedBeside(response, exchange.responseHeaders),
      billedLines: imageLines(counts, tools.image, body, response),
      reasons: reasonsOf(unseen && counts !== undefined, drew && tools.image === undefined && counts !== undefined),
      usageReason:
        outcome.usageSource !== 'provider'
          ? undefined
          : tools.image !== undefined && !unnamed
            ? 'other_passes'
            : drew
              ? 'image_tool_not_reported'
              : undefined,
    }),
    ...outcome,
    guardrails: guardrailsOf(response, reason, provider),
    billable: exchange.method !== 'GET' || outcome.usageSource !== 'unknown',
    content,
  }
}

function answerOfBody(exchange: Exchange, view: ResponseView): Answer {
  const response = view.form === 'json' || view.form === 'cut_json' ? view.value : {}
  const usage = view.form === 'cut_json' ? view.usage : asObject(response.usage)
  const failure = asObject(response.error)
  return {
    response,
    usage,
    // Usage stands in the body once, when all is said.
    ended: view.form === 'json' || usage !== undefined,
    started: asList(response.output).length > 0,
    text: '',
    items: asList(response.output),
    // Members of a cut body stand whole or not at all.
    allItems: view.form === 'json' || response.output !== undefined,
    error: failure === undefined && exchange.status < 400 ? undefined : errorOf(response, exchange.status),
  }
}

function answerOfEvents(exchange: Exchange, view: Extract<ResponseView, { form: 'events' }>): Answer {
  let ended = false
  const answer: Answer = {
    response: {},
    usage: undefined,
    ended: false,
    started: false,
    text: '',
    items: [],
    allItems: false,
    error: undefined,
  }
  const items: unknown[] = []
  /** The tier and status of an event on the way are what was asked for, not what was served. */
  let last: JsonObject | undefined
  for (let position = 0; position < view.events.length; position++) {
    if (position === view.gapAt && answer.text !== '') answer.text += '[…]'
    const event = asObject(parseJson((view.events[position] as (typeof view.events)[number]).data))
    if (event === undefined) continue
    const response = asObject(event.response)
    if (response !== undefined) {
      answer.response = merged(answer.response, response)
      last = response
      const failure = asObject(response.error)
      if (failure !== undefined) answer.error = errorOf(response, exchange.status)
    }
    const type = asText(event.type)
    if (type !== undefined && FINAL_EVENTS.has(type)) ended = true
    if (type === 'response.output_item.done' && event.item !== undefined) items.push(event.item)
    if (type === 'response.output_text.delta') {
      answer.started = true
      answer.text += asText(event.delta) ?? ''
    } else if (type === 'error')
      answer.error = errorOf(event.error === undefined ? { error: event } : event, exchange.status)
    else if (type?.endsWith('.delta') === true) answer.started = true
  }
  // Earlier events say `usage: null`: only the last one, of a final state, holds it.
  const status = asText(answer.response.status)
  answer.ended = ended || (status !== undefined && FINAL_STATES.has(status))
  answer.usage = asObject(answer.response.usage)
  if (answer.ended && Array.isArray(last?.output)) {
    answer.items = last.output
    answer.allItems = true
    // Some leave the items out of the last event.
    if (last.output.length === 0 && view.gapAt === undefined) answer.items = items
    else if (last.output.length === 0) answer.allItems = false
    return answer
  }
  answer.items = items
  answer.allItems = answer.ended && view.gapAt === undefined && exchange.responseTail === undefined
  if (answer.usage === undefined && exchange.responseTail !== undefined) addEnd(answer, exchange.responseTail)
  // What was asked for is not what was served.
  if (!answer.ended) answer.response = { ...answer.response, service_tier: undefined }
  return answer
}

/** Members that are read: an event may hold any number of others. */
const MEMBERS = [
  'id',
  'model',
  'status',
  'service_tier',
  'usage',
  'output',
  'error',
  'incomplete_details',
  'tools',
  'tool_usage',
  'store',
  'background',
  'content_filters',
  'provider_metadata',
  'providerMetadata',
]

function merged(before: JsonObject, later: JsonObject): JsonObject {
  const result: Record<string, unknown> = { ...before }
  for (const name of MEMBERS) if (later[name] !== undefined) result[name] = later[name]
  return result
}

/** The last event repeats the whole answer: of it what stands whole in the tail counts. */
function addEnd(answer: Answer, tail: Uint8Array): void {
  const [event, ...inner] = levelsAtEnd(endOfCutEvent(decodeText(tail)))
  const members = asObject(event?.members?.response) ?? inner[0]?.members
  const usage = asObject(members?.usage)
  if (members === undefined || usage === undefined || countOpenAiUsage(usage, '') === undefined) return
  answer.usage = usage
  answer.ended = true
  // Tier and status of an event on the way would be those of the request: only the last one's count.
  const { service_tier: _tier, status: _status, ...before } = answer.response
  answer.response = { ...before, ...members }
  const cutItems = members.output === undefined ? (inner[1]?.items ?? []) : asList(members.output)
  answer.items = unionById([...answer.items, ...cutItems])
  answer.allItems = members.output !== undefined
}

function unionById(items: readonly unknown[]): unknown[] {
  const seen = new Map<unknown, unknown>()
  for (const item of items) seen.set(asObject(item)?.id ?? item, item)
  return [...seen.values()]
}

interface ToolsUsed {
  counts: Pick<Counts, 'webSearches' | 'fileSearches' | 'mapsSearches' | 'liveSearchSources' | 'toolCalls'>
  /** Tokens of the image tool. */
  image: Counts | undefined
  /** The answer itself says how often each was used. */
  told: boolean
}

/** OpenAI's `tool_usage` beside the usage, xAI's details in it, else the items. */
function toolsOf({ items, response }: Answer, usage: JsonObject | undefined): ToolsUsed {
  const told = watchUsage(asObject(response.tool_usage))
  const byName = asObject(usage?.server_side_tool_usage_details) ?? asObject(usage?.server_side_tool_usage)
  const inUsage = byName === undefined ? asObject(usage?.tool_usage) : byName
  const image = asObject(told?.image_gen) ?? asObject(told?.image_generation)
  const imageCounts = image === undefined ? undefined : countOpenAiUsage(image, '')
  const drawn = imageCounts !== undefined && ((imageCounts.input ?? 0) > 0 || (imageCounts.output ?? 0) > 0)
  const seen = usesInItems(items)
  const counts = {
    ...seen,
    ...usesByName(inUsage),
    ...(told === undefined ? {} : usesByName(told)),
  }
  // xAI counts searches of the web and of X under their own names; live search by what it read.
  const sources = asCount(usage?.num_sources_used)
  return {
    counts: { ...counts, ...(sources === undefined || sources === 0 ? {} : { liveSearchSources: sources }) },
    image: drawn ? imageCounts : undefined,
    told: told !== undefined || inUsage !== undefined,
  }
}

/** The image tool's tokens are another model's: a line of their own where the request or the answer names it. */
function imageLines(
  counts: Counts | undefined,
  image: Counts | undefined,
  body: JsonObject | undefined,
  response: JsonObject,
): DialectReading['billedLines'] {
  const model = imageModel(body, response)
  if (counts === undefined || image === undefined || model === undefined) return undefined
  const output = image.output ?? 0
  return [
    { kind: 'message', counts },
    {
      kind: 'image_generation',
      model,
      counts: { ...image, outputImage: image.outputImage ?? output },
    },
  ]
}

/** `input_tokens` holds the cached ones, `output_tokens` the reasoning. */
export function countResponsesUsage(raw: JsonObject): Counts | undefined {
  return raw.input_tokens === undefined && raw.output_tokens === undefined ? undefined : countOpenAiUsage(raw, '')
}

function imageModel(body: JsonObject | undefined, response: JsonObject): string | undefined {
  const tools = [...asList(response.tools), ...asList(body?.tools)].map(asObject)
  return asText(tools.find((tool) => tool?.type === 'image_generation' && asText(tool.model) !== undefined)?.model)
}

function reasonsOf(feesCut: boolean, imageUntold: boolean): DialectReading['reasons'] {
  const reasons: NonNullable<DialectReading['reasons']> = []
  if (feesCut) reasons.push('fees_not_seen')
  // Without `tool_usage` nobody tells what a picture took.
  if (imageUntold) reasons.push('tool_fee_unknown')
  return reasons.length > 0 ? reasons : undefined
}

/** What a search costs depends on the tool and, at some providers, on how much of the web is looked at. */
function priceAttributesOf(body: JsonObject | undefined, response: JsonObject): PriceAttributes | undefined {
  const attributes: PriceAttributes = {}
  for (const entry of [...asList(response.tools), ...asList(body?.tools)]) {
    const tool = asObject(entry)
    const type = asText(tool?.type)
    if (type?.startsWith('web_search') !== true) continue
    const size = asText(tool?.search_context_size)
    if (size !== undefined) attributes.search_context_size ??= size
    if (type.startsWith('web_search_preview')) attributes.search_tool = 'web_search_preview'
  }
  return Object.keys(attributes).length > 0 ? attributes : undefined
}

function guardrailsOf(response: JsonObject, reason: string | undefined, provider: string): GuardrailEvent[] {
  const guardrails: GuardrailEvents = new Map()
  if (reason === 'content_filter')
    addGuardrail(guardrails, { guardrail: `${provider}.content_filter`, stage: 'output', action: 'blocked' })
  for (const item of asList(response.output))
    for (const part of asList(asObject(item)?.content))
      if (asObject(part)?.type === 'refusal')
        addGuardrail(guardrails, { guardrail: `${provider}.refusal`, stage: 'output', action: 'blocked' })
  // Azure: one result for the prompt, one for the completion.
  for (const entry of asList(response.content_filters)) {
    const filter = asObject(entry)
    const stage = filter?.source_type === 'prompt' ? 'input' : 'output'
    addFilterResults({ guardrails }, asObject(filter?.content_filter_results), stage, provider)
  }
  return [...guardrails.values()]
}

function parametersOf(body: JsonObject): DialectReading['parameters'] {
  const format = asText(asObject(asObject(body.text)?.format)?.type)
  return withoutUndefined({
    maxTokens: asCount(body.max_output_tokens),
    temperature: asNumber(body.temperature),
    topP: asNumber(body.top_p),
    outputType: format === undefined ? undefined : format.startsWith('json') ? 'json' : format,
  })
}

function contentOf(exchange: Exchange, body: JsonObject | undefined, answer: Answer): Content {
  const whole = messagesOfItems(answer.response.output)
  const pieces: Message[] =
    answer.text === '' ? [] : [{ role: 'assistant', parts: [{ type: 'text', content: answer.text }] }]
  const output = whole.length > 0 ? whole : pieces
  const finish = asText(asObject(answer.response.incomplete_details)?.reason) ?? asText(answer.response.status)
  const last = output.at(-1)
  if (last !== undefined && finish !== undefined) last.finishReason = finish
  const cut = exchange.requestTruncated || !exchange.responseComplete || exchange.responseTail !== undefined
  return {
    ...(body === undefined ? {} : responsesRequestContent(body)),
    ...(output.length > 0 ? { output } : {}),
    ...(cut ? { truncated: true } : {}),
  }
}
