import type { Content, GuardrailEvent, Message, MessagePart } from '../call.ts'
import { type AwsMessages, parseAwsEventStream } from './aws-event-stream.ts'
import { bedrockError, bedrockPriceAttributes, countConverseUsage, modelInBedrockPath } from './bedrock-usage.ts'
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
import { viewResponse } from './response-view.ts'
import { usageOutcome } from './usage-outcome.ts'

/** Bedrock's converse: one format for every model, whole or as a binary stream of events. */
export const bedrockConverse: Dialect = {
  id: 'bedrock-converse',
  matches: ({ path }) => /\/model\/[^/]+\/converse(?:-stream)?$/.test(path),
  read: readConverse,
}

interface Answer {
  form: 'none' | 'json' | 'cut_json' | 'events' | 'unreadable'
  usage?: JsonObject
  stopReason?: string
  serviceTier?: string
  trace?: JsonObject
  message: Message
  started: boolean
  error: DialectReading['error']
}

function readConverse(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const stream = exchange.path.endsWith('-stream')
  const answer = stream && exchange.status < 400 ? answerOfStream(exchange) : answerOfBody(exchange)
  const { stopReason, usage, message } = answer
  const finishReason = stopReason === undefined ? {} : { finishReason: stopReason }
  const cut = exchange.requestTruncated || !exchange.responseComplete || exchange.responseTail !== undefined
  const content: Content = {
    ...(body === undefined ? {} : requestContent(body)),
    ...(message.parts.length > 0 ? { output: [{ ...message, ...finishReason }] } : {}),
    ...(cut ? { truncated: true } : {}),
  }
  return {
    operation: 'chat',
    stream,
    ...withoutUndefined({
      requestModel: modelInBedrockPath(exchange.path),
      serviceTier: answer.serviceTier,
      parameters: body === undefined ? undefined : parametersOf(body),
      finishReasons: stopReason === undefined ? undefined : [stopReason],
      priceAttributes: bedrockPriceAttributes(exchange.host),
      error: answer.error,
    }),
    ...usageOutcome({
      status: exchange.status,
      form: answer.form,
      counts: usage === undefined ? undefined : countConverseUsage(usage),
      raw: usage,
      whole: true, // the metadata event is the last one, and the only one with usage
      ended: stopReason !== undefined,
      failed: answer.error !== undefined,
      started: answer.started,
    }),
    guardrails: guardrailsOf(answer),
    billable: true,
    content,
  }
}

function answerOfBody(exchange: Exchange): Answer {
  const view = viewResponse(exchange)
  const answer: Answer = { form: 'none', message: { role: 'assistant', parts: [] }, started: false, error: undefined }
  if (view.form !== 'json' && view.form !== 'cut_json')
    return { ...answer, form: view.form === 'none' ? 'none' : 'unreadable' }
  const { value } = view
  const message = asObject(asObject(value.output)?.message)
  return {
    ...answer,
    form: view.form,
    message: { role: asText(message?.role) ?? 'assistant', parts: asList(message?.content).flatMap(partOf) },
    error: bedrockError(value, exchange),
    ...withoutUndefined({
      usage: view.form === 'cut_json' ? view.usage : asObject(value.usage),
      stopReason: asText(value.stopReason),
      serviceTier: asText(asObject(value.serviceTier)?.type),
      trace: asObject(asObject(value.trace)?.guardrail),
    }),
  }
}

/** Messages of head and tail; the beginning of a tail is found again by its checksums. */
export function messagesOf({ responseBody, responseTail }: Exchange): AwsMessages {
  const head = responseBody === undefined ? { messages: [], leftOver: 0 } : parseAwsEventStream(responseBody)
  if (responseTail === undefined) return head
  const tail = parseAwsEventStream(responseTail)
  return { messages: [...head.messages, ...tail.messages], leftOver: head.leftOver + tail.leftOver }
}

function answerOfStream(exchange: Exchange): Answer {
  const { messages } = messagesOf(exchange)
  const answer: Answer = {
    form: exchange.responseBody === undefined || exchange.responseBody.length === 0 ? 'none' : 'events',
    message: { role: 'assistant', parts: [] },
    started: false,
    error: undefined,
  }
  const blocks = new Map<number, MessagePart>()
  for (const { headers, payload } of messages) {
    const event = asObject(parseJson(decodeText(payload))) ?? {}
    if (headers[':message-type'] !== undefined && headers[':message-type'] !== 'event') {
      const type = headers[':exception-type'] ?? headers[':error-code'] ?? 'exception'
      const message = asText(event.message) ?? headers[':error-message']
      answer.error = { type: type.slice(0, 64), ...(message === undefined ? {} : { message: message.slice(0, 1024) }) }
      continue
    }
    const index = asCount(event.contentBlockIndex) ?? 0
    switch (headers[':event-type']) {
      case 'messageStart':
        answer.message.role = asText(event.role) ?? 'assistant'
        break
      case 'contentBlockStart': {
        const tool = asObject(asObject(event.start)?.toolUse)
        if (tool !== undefined) blocks.set(index, toolCall(tool, ''))
        answer.started = true
        break
      }
      case 'contentBlockDelta':
        answer.started = true
        addDelta(blocks, index, asObject(event.delta) ?? {})
        break
      case 'messageStop': {
        const stopReason = asText(event.stopReason)
        if (stopReason !== undefined) answer.stopReason = stopReason
        break
      }
      case 'metadata': {
        const usage = asObject(event.usage)
        if (usage !== undefined) answer.usage = usage
        const trace = asObject(asObject(event.trace)?.guardrail)
        if (trace !== undefined) answer.trace = trace
        const tier = asText(asObject(event.serviceTier)?.type)
        if (tier !== undefined) answer.serviceTier = tier
      }
    }
  }
  answer.message.parts = [...blocks].sort(([left], [right]) => left - right).map(([, part]) => part)
  return answer
}

function addDelta(blocks: Map<number, MessagePart>, index: number, delta: JsonObject): void {
  const known = blocks.get(index)
  const thought = asText(asObject(delta.reasoningContent)?.text)
  const given = asText(asObject(delta.toolUse)?.input)
  const text = asText(delta.text)
  if (text !== undefined) {
    if (known?.type === 'text') known.content += text
    else blocks.set(index, { type: 'text', content: text })
  } else if (thought !== undefined) {
    if (known?.type === 'reasoning') known.content += thought
    else blocks.set(index, { type: 'reasoning', content: thought })
  } else if (given !== undefined && known?.type === 'tool_call') known.arguments += given
}

function toolCall(tool: JsonObject, given: string): MessagePart {
  const id = asText(tool.toolUseId)
  return { type: 'tool_call', ...(id === undefined ? {} : { id }), name: asText(tool.name) ?? '', arguments: given }
}

function partOf(item: unknown): MessagePart[] {
  const block = asObject(item)
  if (block === undefined) return []
  if (typeof block.text === 'string') return [{ type: 'text', content: block.text }]
  const tool = asObject(block.toolUse)
  if (tool !== undefined) return [toolCall(tool, toJson(tool.input ?? {}) ?? '')]
  const result = asObject(block.toolResult)
  if (result !== undefined) {
    const id = asText(result.toolUseId)
    return [{ type: 'tool_call_response', ...(id === undefined ? {} : { id }), response: toJson(result.content) ?? '' }]
  }
  const thought = asObject(asObject(block.reasoningContent)?.reasoningText)
  if (thought !== undefined) return [{ type: 'reasoning', content: asText(thought.text) ?? '' }]
  const kind = Object.keys(block)[0]
  return kind === undefined || kind === 'cachePoint' ? [] : [{ type: 'other', kind: kind.slice(0, 64) }]
}

function requestContent(body: JsonObject): Content {
  const system = asList(body.system).flatMap((item) => asText(asObject(item)?.text) ?? [])
  const input = asList(body.messages).flatMap((item) => {
    const message = asObject(item)
    return message === undefined
      ? []
      : [{ role: asText(message.role) ?? 'user', parts: asList(message.content).flatMap(partOf) }]
  })
  const tools = asList(asObject(body.toolConfig)?.tools)
  return withoutUndefined({
    system: system.length > 0 ? system.join('\n\n') : undefined,
    input: input.length > 0 ? input : undefined,
    tools: tools.length > 0 ? toJson(tools) : undefined,
  })
}

function parametersOf(body: JsonObject): DialectReading['parameters'] {
  const config = asObject(body.inferenceConfig) ?? {}
  const stop = asList(config.stopSequences).filter((text) => typeof text === 'string')
  return withoutUndefined({
    maxTokens: asCount(config.maxTokens),
    temperature: asNumber(config.temperature),
    topP: asNumber(config.topP),
    stopSequences: stop.length > 0 ? stop : undefined,
  })
}

function guardrailsOf({ stopReason, trace }: Answer): GuardrailEvent[] {
  if (stopReason === 'content_filtered')
    return [{ guardrail: 'aws.bedrock.content_filter', stage: 'output', action: 'blocked' }]
  if (stopReason !== 'guardrail_intervened') return []
  // The trace is there only where it was asked for.
  const output = Object.keys(asObject(trace?.outputAssessments) ?? {}).length > 0
  const reason = asText(trace?.actionReason)?.slice(0, 200)
  return [
    {
      guardrail: 'aws.bedrock.guardrail',
      stage: output ? 'output' : 'input',
      action: 'blocked',
      ...(reason === undefined ? {} : { reason }),
    },
  ]
}
