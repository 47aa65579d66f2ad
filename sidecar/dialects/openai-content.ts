import type { Content, Message, MessagePart, RequestParameters } from '../call.ts'
import { asCount, asList, asNumber, asObject, asText, type JsonObject, toJson, withoutUndefined } from './json-value.ts'

/**
 * What was sent: `messages` and `tools` of a chat completion request, or the `prompt` of a completion. System messages
 * at the start are the system prompt.
 */
export function openAiRequestContent(body: JsonObject): Content {
  const system: string[] = []
  const input: Message[] = []
  for (const item of asList(body.messages)) {
    const message = asObject(item)
    if (message === undefined) continue
    const role = asText(message.role) ?? 'unknown'
    const parts = partsOfMessage(message)
    const onlyText = parts.every((part) => part.type === 'text')
    if ((role === 'system' || role === 'developer') && input.length === 0 && onlyText)
      for (const part of parts) system.push(part.type === 'text' ? part.content : '')
    else input.push({ role, parts })
  }
  for (const prompt of Array.isArray(body.prompt) ? body.prompt : [body.prompt])
    if (typeof prompt === 'string') input.push({ role: 'user', parts: [{ type: 'text', content: prompt }] })
  const tools = Array.isArray(body.tools) ? body.tools : Array.isArray(body.functions) ? body.functions : undefined
  return withoutUndefined({
    system: system.length > 0 ? system.join('\n\n') : undefined,
    input: input.length > 0 ? input : undefined,
    tools: tools === undefined ? undefined : toJson(tools),
  })
}

/** The parts of one message, sent or received. */
export function partsOfMessage(message: JsonObject): MessagePart[] {
  if (message.role === 'tool' || message.role === 'function') {
    const response = typeof message.content === 'string' ? message.content : (toJson(message.content) ?? '')
    const id = asText(message.tool_call_id) ?? asText(message.name)
    return [{ type: 'tool_call_response', ...(id === undefined ? {} : { id }), response }]
  }
  const parts: MessagePart[] = []
  const reasoning = asText(message.reasoning_content) ?? asText(message.reasoning)
  if (reasoning !== undefined) parts.push({ type: 'reasoning', content: reasoning })
  parts.push(...partsOfContent(message.content))
  const refusal = asText(message.refusal)
  if (refusal !== undefined) parts.push({ type: 'text', content: refusal })
  if (asObject(message.audio) !== undefined) parts.push({ type: 'other', kind: 'audio' })
  for (const item of asList(message.tool_calls)) {
    const call = asObject(item)
    if (call !== undefined) parts.push(toolCall(asText(call.id), asObject(call.function) ?? asObject(call.custom)))
  }
  const functionCall = asObject(message.function_call)
  if (functionCall !== undefined) parts.push(toolCall(undefined, functionCall))
  return parts
}

/** `content`: a text, or a list of typed parts. */
export function partsOfContent(content: unknown): MessagePart[] {
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', content }]
  const parts: MessagePart[] = []
  for (const item of asList(content)) {
    const part = asObject(item)
    if (part === undefined) {
      if (typeof item === 'string') parts.push({ type: 'text', content: item })
    } else if (typeof part.text === 'string') parts.push({ type: 'text', content: part.text })
    else if (typeof part.refusal === 'string') parts.push({ type: 'text', content: part.refusal })
    else if (part.type === 'thinking') {
      // Mistral: the thoughts are text parts of their own.
      const thoughts = partsOfContent(part.thinking)
      const content = thoughts.map((thought) => (thought.type === 'text' ? thought.content : '')).join('')
      parts.push({ type: 'reasoning', content })
    } else parts.push({ type: 'other', kind: kindOf(part.type) })
  }
  return parts
}

const KINDS: Readonly<Record<string, string>> = { image_url: 'image', input_audio: 'audio', video_url: 'video' }

function kindOf(type: unknown): string {
  const name = asText(type)?.slice(0, 64) ?? 'unknown'
  return Object.hasOwn(KINDS, name) ? (KINDS[name] as string) : name
}

function toolCall(id: string | undefined, call: JsonObject | undefined): MessagePart {
  const given = call?.arguments ?? call?.input
  return {
    type: 'tool_call',
    ...(id === undefined ? {} : { id }),
    name: asText(call?.name) ?? '',
    arguments: typeof given === 'string' ? given : (toJson(given) ?? ''),
  }
}

export function openAiParameters(body: JsonObject): RequestParameters {
  const format = asText(asObject(body.response_format)?.type)
  const stop =
    typeof body.stop === 'string' ? [body.stop] : asList(body.stop).filter((text) => typeof text === 'string')
  return withoutUndefined({
    maxTokens: asCount(body.max_completion_tokens) ?? asCount(body.max_tokens),
    temperature: asNumber(body.temperature),
    topP: asNumber(body.top_p),
    topK: asNumber(body.top_k),
    frequencyPenalty: asNumber(body.frequency_penalty),
    presencePenalty: asNumber(body.presence_penalty),
    seed: asNumber(body.seed),
    choiceCount: asCount(body.n),
    stopSequences: stop.length > 0 ? stop : undefined,
    outputType: format === undefined ? undefined : format.startsWith('json') ? 'json' : format,
  })
}
