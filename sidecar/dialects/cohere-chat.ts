import type { Content, GuardrailEvent, Message, MessagePart, RequestParameters } from '../call.ts'
import { membersFrom } from './answer-end.ts'
import { countCohere } from './cohere-usage.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import {
  asCount,
  asList,
  asNumber,
  asObject,
  asText,
  decodeText,
  type JsonObject,
  parseJson,
  toJson,
  withoutUndefined,
} from './json-value.ts'
import { openAiRequestContent, partsOfContent, partsOfMessage } from './openai-content.ts'
import { errorOf } from './provider-error.ts'
import { objectsOf, type ResponseView, viewResponse } from './response-view.ts'
import { usageOutcome } from './usage-outcome.ts'
import { watchUsage } from './watched-usage.ts'

/** Cohere's chat: v2 (whole, events), v1 (whole, a line for each event, or events), and v1's generate. */
export const cohereChat: Dialect = {
  id: 'cohere-chat',
  // Old clients leave the version out.
  matches: ({ path, host }) => /\/v[12]\/chat$/.test(path) || (/\/(?:chat|generate)$/.test(path) && isCohere(host)),
  read: readCohere,
}

function isCohere(host: string): boolean {
  return /(?:^|\.)cohere\.(?:com|ai)$/.test(host)
}

interface Answer {
  id?: string
  usage?: JsonObject
  finishReason?: string
  message: Message
  toolCalls: Map<number, Extract<MessagePart, { type: 'tool_call' }>>
  ended: boolean
  started: boolean
  error: DialectReading['error']
}

function readCohere(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const view = viewResponse(exchange)
  const answer: Answer = {
    message: { role: 'assistant', parts: [] },
    toolCalls: new Map(),
    ended: false,
    started: false,
    error: undefined,
  }
  if (view.form === 'json' || view.form === 'cut_json') addBody(answer, view, exchange)
  else addStream(answer, view, exchange.status)
  answer.message.parts.push(...answer.toolCalls.values())
  const { finishReason, message } = answer
  const usage = watchUsage(answer.usage)
  const cut = exchange.requestTruncated || !exchange.responseComplete || exchange.responseTail !== undefined
  const finish = finishReason === undefined ? {} : { finishReason }
  const content: Content = {
    ...(body === undefined ? {} : requestContent(body)),
    ...(message.parts.length > 0 ? { output: [{ ...message, ...finish }] } : {}),
    ...(cut ? { truncated: true } : {}),
  }
  return {
    operation: exchange.path.endsWith('/generate') ? 'text_completion' : 'chat',
    stream: view.form === 'events' || view.form === 'json_lines' || body?.stream === true,
    ...withoutUndefined({
      requestModel: asText(body?.model),
      responseId: answer.id,
      finishReasons: finishReason === undefined ? undefined : [finishReason],
      parameters: body === undefined ? undefined : parametersOf(body),
      error: answer.error,
    }),
    ...usageOutcome({
      status: exchange.status,
      form: view.form,
      counts: usage === undefined ? undefined : countCohere(usage),
      raw: usage,
      whole: true, // billed units are said once, in the last event
      ended: answer.ended,
      failed: answer.error !== undefined,
      started: answer.started,
    }),
    guardrails: guardrailsOf(finishReason),
    billable: true,
    content,
  }
}

function parametersOf(body: JsonObject): RequestParameters {
  const stop = asList(body.stop_sequences).filter((text) => typeof text === 'string')
  const format = asText(asObject(body.response_format)?.type)
  return withoutUndefined({
    maxTokens: asCount(body.max_tokens),
    temperature: asNumber(body.temperature),
    topP: asNumber(body.p),
    topK: asNumber(body.k),
    frequencyPenalty: asNumber(body.frequency_penalty),
    presencePenalty: asNumber(body.presence_penalty),
    seed: asNumber(body.seed),
    choiceCount: asCount(body.num_generations),
    stopSequences: stop.length > 0 ? stop : undefined,
    outputType: format === undefined ? undefined : format.startsWith('json') ? 'json' : format,
  })
}

function addBody(answer: Answer, view: Extract<ResponseView, { value: JsonObject }>, exchange: Exchange): void {
  const value = view.form === 'json' ? view.value : { ...view.value, ...endOf(exchange) }
  const error = errorOf(value, exchange.status)
  if (error !== undefined) answer.error = error
  answer.ended = view.form === 'json'
  const id = asText(value.id) ?? asText(value.response_id) ?? asText(value.generation_id)
  if (id !== undefined) answer.id = id
  const generations = asList(value.generations).map(asObject)
  const finishReason = asText(value.finish_reason) ?? asText(generations[0]?.finish_reason)
  if (finishReason !== undefined) answer.finishReason = finishReason
  const usage = asObject(value.usage) ?? asObject(value.meta)
  if (usage !== undefined) answer.usage = usage
  const message = asObject(value.message)
  addText(answer, { thinking: message?.tool_plan })
  if (message !== undefined) answer.message.parts.push(...partsOfMessage(message))
  addText(answer, value)
  for (const generation of generations) addText(answer, generation)
  addWholeToolCalls(answer, value.tool_calls)
  answer.started = answer.message.parts.length > 0 || answer.toolCalls.size > 0
}

/** What was billed stands at the end, which may be all that was kept besides the start. */
function endOf({ responseTail }: Exchange): JsonObject | undefined {
  const tail = responseTail === undefined ? '' : decodeText(responseTail)
  return membersFrom(tail, 'finish_reason') ?? membersFrom(tail, 'usage') ?? membersFrom(tail, 'meta')
}

function addStream(answer: Answer, view: ResponseView, status: number): void {
  const events =
    view.form === 'events' ? view.events.map(({ data }) => asObject(parseJson(data))) : [...objectsOf(view)]
  const gapAt = view.form === 'events' || view.form === 'json_lines' ? view.gapAt : undefined
  for (let position = 0; position < events.length; position++) {
    // The two ends of a text are not read as one.
    const last = answer.message.parts.at(-1)
    if (position === gapAt && (last?.type === 'text' || last?.type === 'reasoning')) last.content += '[…]'
    const event = events[position]
    if (event !== undefined) addEvent(answer, event, status)
  }
}

function addEvent(answer: Answer, event: JsonObject, status: number): void {
  const id = asText(event.id) ?? asText(asObject(event.response)?.response_id)
  if (id !== undefined) answer.id = id
  const delta = asObject(event.delta)
  switch (event.type ?? event.event_type) {
    case 'content-delta':
      addText(answer, asObject(asObject(delta?.message)?.content))
      return
    case 'tool-plan-delta':
      addText(answer, { thinking: asObject(delta?.message)?.tool_plan })
      return
    case 'tool-call-start':
    case 'tool-call-delta':
      addToolCall(answer, asCount(event.index) ?? 0, asObject(asObject(delta?.message)?.tool_calls))
      return
    case 'text-generation':
      addText(answer, event)
      return
    // v1: the plan in pieces, then the calls once more as a whole.
    case 'tool-calls-chunk':
      answer.started = true
      addText(answer, { thinking: event.text })
      return
    case 'tool-calls-generation':
      addWholeToolCalls(answer, event.tool_calls)
      return
    case 'message-end': {
      const usage = asObject(delta?.usage)
      if (usage !== undefined) answer.usage = usage
      finish(answer, delta)
      const failure = asText(delta?.error)
      if (failure !== undefined)
        answer.error = { type: asText(delta?.error_type)?.slice(0, 64) ?? 'error', message: failure.slice(0, 1024) }
      return
    }
    case 'stream-end': {
      const response = asObject(event.response)
      const usage = asObject(response?.meta)
      if (usage !== undefined) answer.usage = usage
      finish(answer, event)
      return
    }
    default: {
      const error = errorOf(event, status)
      if (error !== undefined) answer.error = error
      // v1's generate streams `{text, is_finished, response?}`.
      if (event.event_type === undefined && typeof event.text === 'string') addText(answer, event)
      const meta = asObject(asObject(event.response)?.meta)
      if (meta !== undefined) answer.usage = meta
      if (event.is_finished === true) finish(answer, event)
    }
  }
}

function finish(answer: Answer, event: JsonObject | undefined): void {
  answer.ended = true
  const reason = asText(event?.finish_reason)
  if (reason !== undefined) answer.finishReason = reason
}

function addText(answer: Answer, piece: JsonObject | undefined): void {
  const thought = asText(piece?.thinking)
  const text = thought ?? asText(piece?.text)
  if (text === undefined) return
  answer.started = true
  const type = thought === undefined ? 'text' : 'reasoning'
  const last = answer.message.parts.at(-1)
  if (last?.type === type) last.content += text
  else answer.message.parts.push({ type, content: text })
}

function addToolCall(answer: Answer, index: number, call: JsonObject | undefined): void {
  answer.started = true
  const known = answer.toolCalls.get(index) ?? { type: 'tool_call', name: '', arguments: '' }
  const invoked = asObject(call?.function)
  const id = asText(call?.id)
  if (id !== undefined) known.id = id
  known.name += asText(invoked?.name) ?? ''
  known.arguments += asText(invoked?.arguments) ?? ''
  answer.toolCalls.set(index, known)
}

/** v1's calls: `{name, parameters}`. */
function addWholeToolCalls(answer: Answer, calls: unknown): void {
  for (const item of asList(calls)) {
    const call = asObject(item)
    if (call === undefined) continue
    answer.started = true
    answer.toolCalls.set(answer.toolCalls.size, {
      type: 'tool_call',
      name: asText(call.name) ?? '',
      arguments: toJson(call.parameters ?? {}) ?? '',
    })
  }
}

function requestContent(body: JsonObject): Content {
  if (Array.isArray(body.messages)) return openAiRequestContent(body)
  const system = asText(body.preamble)
  const input: Message[] = asList(body.chat_history).flatMap((item) => {
    const turn = asObject(item)
    return turn === undefined
      ? []
      : [{ role: asText(turn.role)?.toLowerCase() ?? 'user', parts: partsOfContent(turn.message) }]
  })
  const last = asText(body.message) ?? asText(body.prompt)
  if (last !== undefined) input.push({ role: 'user', parts: [{ type: 'text', content: last }] })
  return { ...(system === undefined ? {} : { system }), ...(input.length > 0 ? { input } : {}) }
}

function guardrailsOf(finishReason: string | undefined): GuardrailEvent[] {
  return finishReason === 'ERROR_TOXIC'
    ? [{ guardrail: 'cohere.toxic', stage: 'output', action: 'blocked', reason: finishReason }]
    : []
}
