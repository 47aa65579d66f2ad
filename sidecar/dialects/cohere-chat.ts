import type { Content, GuardrailEvent, Message, MessagePart } from '../call.ts'
import { countCohere } from './cohere-usage.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { asCount, asList, asNumber, asObject, asText, type JsonObject, withoutUndefined } from './json-value.ts'
import { openAiRequestContent, partsOfContent, partsOfMessage } from './openai-content.ts'
import { errorOf } from './provider-error.ts'
import { objectsOf, type ResponseView, viewResponse } from './response-view.ts'
import { usageOutcome } from './usage-outcome.ts'

/** Cohere's chat: v2 (whole, events), v1 (whole, a line for each event, or events), and v1's generate. */
export const cohereChat: Dialect = {
  id: 'cohere-chat',
  matches: ({ path, host }) => /\/v[12]\/chat$/.test(path) || (/\/v1\/generate$/.test(path) && isCohere(host)),
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
  if (view.form === 'json' || view.form === 'cut_json') addBody(answer, view, exchange.status)
  else for (const event of objectsOf(view)) addEvent(answer, event, exchange.status)
  answer.message.parts.push(...answer.toolCalls.values())
  const { finishReason, message } = answer
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
      parameters:
        body === undefined
          ? undefined
          : withoutUndefined({
              maxTokens: asCount(body.max_tokens),
              temperature: asNumber(body.temperature),
              topP: asNumber(body.p),
              topK: asNumber(body.k),
              seed: asNumber(body.seed),
            }),
      error: answer.error,
    }),
    ...usageOutcome({
      status: exchange.status,
      form: view.form,
      counts: answer.usage === undefined ? undefined : countCohere(answer.usage),
      raw: answer.usage,
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

function addBody(answer: Answer, view: Extract<ResponseView, { value: JsonObject }>, status: number): void {
  const { value } = view
  const error = errorOf(value, status)
  if (error !== undefined) answer.error = { ...error, type: asText(value.error_type) ?? error.type }
  answer.ended = view.form === 'json'
  const id = asText(value.id) ?? asText(value.response_id)
  if (id !== undefined) answer.id = id
  const finishReason = asText(value.finish_reason)
  if (finishReason !== undefined) answer.finishReason = finishReason
  const usage = (view.form === 'cut_json' ? view.usage : undefined) ?? asObject(value.usage) ?? asObject(value.meta)
  if (usage !== undefined) answer.usage = usage
  const message = asObject(value.message)
  const generation = asText(asObject(asList(value.generations)[0])?.text)
  if (message !== undefined) answer.message.parts.push(...partsOfMessage(message))
  else if (typeof value.text === 'string') answer.message.parts.push({ type: 'text', content: value.text })
  else if (generation !== undefined) answer.message.parts.push({ type: 'text', content: generation })
  answer.started = answer.message.parts.length > 0
}

function addEvent(answer: Answer, event: JsonObject, status: number): void {
  const id = asText(event.id) ?? asText(asObject(event.response)?.response_id)
  if (id !== undefined) answer.id = id
  const delta = asObject(event.delta)
  switch (event.type ?? event.event_type) {
    case 'content-delta':
      addText(answer, asObject(asObject(delta?.message)?.content))
      return
    case 'tool-call-start':
    case 'tool-call-delta':
      addToolCall(answer, asCount(event.index) ?? 0, asObject(asObject(delta?.message)?.tool_calls))
      return
    case 'text-generation':
      addText(answer, event)
      return
    case 'message-end': {
      const usage = asObject(delta?.usage)
      if (usage !== undefined) answer.usage = usage
      finish(answer, delta)
      const failure = asText(delta?.error)
      if (failure !== undefined) answer.error = { type: 'error', message: failure.slice(0, 1024) }
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
