import type { Content, GuardrailEvent, MessagePart } from '../call.ts'
import {
  addDelta,
  anthropicParameters,
  anthropicRequestContent,
  assembledParts,
  type BlockAssembly,
  partsOfBlocks,
  startBlock,
} from './anthropic-content.ts'
import {
  anthropicPriceAttributes,
  billedLinesOf,
  countAnthropicUsage,
  hasFallback,
  overwriteUsage,
} from './anthropic-usage.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { asCount, asList, asObject, asText, type JsonObject, parseJson, withoutUndefined } from './json-value.ts'
import { errorOf } from './provider-error.ts'
import { reportedBeside } from './reported-cost.ts'
import { type ResponseView, viewResponse } from './response-view.ts'
import { type UsageOutcome, usageOutcome } from './usage-outcome.ts'
import { watchUsage } from './watched-usage.ts'

/** Anthropic's messages, whole or streamed. Counting tokens and batches are not messages. */
export const anthropicMessages: Dialect = {
  id: 'anthropic-messages',
  matches: ({ path }) => path.endsWith('/v1/messages'),
  read: readAnthropicMessages,
}

interface Answer {
  model?: string
  id?: string
  role: string
  stopReason?: string
  stopCategory?: string
  usage?: JsonObject
  /** The last word on usage was heard. */
  whole: boolean
  parts: MessagePart[]
  started: boolean
  /** The last message or event that a gateway added its metadata to. */
  metadata?: JsonObject
  /** Code ran in a container of Anthropic's. */
  container: boolean
  error?: DialectReading['error']
}

function readAnthropicMessages(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const view = viewResponse(exchange)
  const answer = view.form === 'events' ? answerOfEvents(view, exchange.status) : answerOfBody(view, exchange.status)
  const tier = asText(answer.usage?.service_tier)
  const refused = answer.stopReason === 'refusal'
  const cut = exchange.requestTruncated || !exchange.responseComplete || exchange.responseTail !== undefined
  const finishReason = answer.stopReason === undefined ? {} : { finishReason: answer.stopReason }
  const content: Content = {
    ...(body === undefined ? {} : anthropicRequestContent(body)),
    ...(answer.parts.length > 0 || answer.stopReason !== undefined
      ? { output: [{ role: answer.role, parts: answer.parts, ...finishReason }] }
      : {}),
    ...(cut ? { truncated: true } : {}),
  }
  return {
    operation: 'chat',
    stream: view.form === 'events' || body?.stream === true,
    ...withoutUndefined({
      requestModel: asText(body?.model),
      responseModel: answer.model,
      responseId: answer.id,
      serviceTier: tier,
      parameters: body === undefined ? undefined : anthropicParameters(body),
      finishReasons: answer.stopReason === undefined ? undefined : [answer.stopReason],
      error: answer.error,
      reportedPicoUsd: answer.metadata === undefined ? undefined : reportedBeside(answer.metadata, {}),
    }),
    ...outcomeOf(exchange.status, view, answer),
    guardrails: refused ? [refusal(answer.stopCategory)] : [],
    billable: true,
    content,
  }
}

function refusal(category: string | undefined): GuardrailEvent {
  const reason = category === undefined ? {} : { reason: category.slice(0, 64) }
  return { guardrail: 'anthropic.refusal', stage: 'output', action: 'blocked', ...reason }
}

function answerOfBody(view: ResponseView, status: number): Answer {
  const answer: Answer = { role: 'assistant', whole: true, parts: [], started: false, container: false }
  if (view.form !== 'json' && view.form !== 'cut_json') return answer
  const message = view.value
  addMessage(answer, message)
  const usage = view.form === 'cut_json' ? view.usage : asObject(message.usage)
  if (usage !== undefined) answer.usage = usage
  answer.parts = partsOfBlocks(message.content)
  answer.container = asList(message.content).some((block) => runsCode(asObject(block)))
  const error = errorOf(message, status)
  if (error !== undefined) answer.error = error
  return answer
}

function answerOfEvents(view: Extract<ResponseView, { form: 'events' }>, status: number): Answer {
  const answer: Answer = { role: 'assistant', whole: false, parts: [], started: false, container: false }
  const assembly: BlockAssembly = { blocks: new Map() }
  let final = false
  let told = false
  for (let position = 0; position < view.events.length; position++) {
    if (position === view.gapAt) markGap(assembly)
    const event = asObject(parseJson((view.events[position] as (typeof view.events)[number]).data))
    if (event === undefined) continue
    const index = asCount(event.index) ?? 0
    switch (event.type) {
      case 'message_start': {
        const message = asObject(event.message) ?? {}
        addMessage(answer, message)
        answer.started = true
        addUsage(answer, asObject(message.usage))
        break
      }
      case 'content_block_start':
        startBlock(assembly, index, asObject(event.content_block) ?? {})
        if (runsCode(asObject(event.content_block))) answer.container = true
        break
      case 'content_block_delta':
        addDelta(assembly, index, asObject(event.delta) ?? {})
        break
      case 'message_delta':
        addMessage(answer, asObject(event.delta) ?? {})
        if (event.provider_metadata !== undefined || event.providerMetadata !== undefined) answer.metadata = event
        addUsage(answer, asObject(event.usage))
        if (asObject(event.usage) !== undefined) told = true
        if (answer.stopReason !== undefined && told) final = true
        break
      case 'message_stop':
        // Some say no stop reason; after this nothing is said at all.
        if (told) final = true
        break
      default: {
        const error = errorOf(event, status)
        if (error !== undefined) answer.error = error
      }
    }
  }
  // Old streams name only output tokens at the end, newer ones all but how long a cache write lives: then the start must
  // have been heard as well.
  const written = asCount(answer.usage?.cache_creation_input_tokens) ?? 0
  answer.whole = final && answer.usage?.input_tokens !== undefined && (answer.started || written === 0)
  answer.parts = assembledParts(assembly)
  return answer
}

function runsCode(block: JsonObject | undefined): boolean {
  return block?.type === 'server_tool_use' && /code_execution$/.test(asText(block.name) ?? '')
}

function addMessage(answer: Answer, message: JsonObject): void {
  if (message.provider_metadata !== undefined || message.providerMetadata !== undefined) answer.metadata = message
  const model = asText(message.model)
  if (model !== undefined) answer.model = model
  const id = asText(message.id)
  if (id !== undefined) answer.id = id
  answer.role = asText(message.role) ?? answer.role
  const stopReason = asText(message.stop_reason)
  if (stopReason !== undefined) answer.stopReason = stopReason
  const category = asText(asObject(message.stop_details)?.category)
  if (category !== undefined) answer.stopCategory = category
}

function addUsage(answer: Answer, usage: JsonObject | undefined): void {
  if (usage !== undefined) answer.usage = overwriteUsage(answer.usage ?? {}, usage)
}

function markGap(assembly: BlockAssembly): void {
  for (const block of assembly.blocks.values()) if (block.text !== '') block.text += '[…]'
}

function outcomeOf(
  status: number,
  view: ResponseView,
  answer: Answer,
): UsageOutcome & Pick<DialectReading, 'billedLines' | 'priceAttributes'> {
  const usage = watchUsage(answer.usage)
  const outcome = usageOutcome({
    status,
    form: view.form,
    counts: usage === undefined ? undefined : countAnthropicUsage(usage),
    raw: usage,
    whole: answer.whole,
    ended: view.form === 'events' ? answer.stopReason !== undefined : view.form === 'json',
    failed: answer.error !== undefined,
    started: answer.started || answer.parts.length > 0,
  })
  if (usage === undefined || (outcome.usageSource !== 'provider' && outcome.usageSource !== 'partial')) return outcome
  // Code runs in a container that is billed by the hour, free beside web tools; the answer tells neither time nor price.
  const container = answer.container && (outcome.counts.webSearches ?? 0) === 0
  const counts =
    container && outcome.counts.toolCalls === undefined ? { ...outcome.counts, toolCalls: 1 } : outcome.counts
  const billedLines = billedLinesOf(usage)
  const reason = hasFallback(usage)
    ? 'fallback_billing_unclear'
    : billedLines?.some(({ kind }) => kind !== 'message' && kind !== 'server_tools') === true
      ? 'other_passes'
      : undefined
  return {
    ...(reason === undefined ? {} : { usageReason: reason }),
    ...outcome,
    counts,
    ...withoutUndefined({ billedLines, priceAttributes: anthropicPriceAttributes(usage) }),
  }
}
