import type { Content, Message, MessagePart } from '../call.ts'
import { asList, asObject, asText, type JsonObject, toJson, withoutUndefined } from './json-value.ts'
import { partsOfContent } from './openai-content.ts'

/** What was sent to the Responses API: `instructions`, `input` and `tools`. */
export function responsesRequestContent(body: JsonObject): Content {
  const input = typeof body.input === 'string' ? [textMessage('user', body.input)] : messagesOfItems(body.input)
  return withoutUndefined({
    system: asText(body.instructions),
    input: input.length > 0 ? input : undefined,
    tools: Array.isArray(body.tools) && body.tools.length > 0 ? toJson(body.tools) : undefined,
  })
}

function textMessage(role: string, content: string): Message {
  return { role, parts: [{ type: 'text', content }] }
}

/** Items of `input` or `output`: each becomes a part of a message; neighbours of one role stay together. */
export function messagesOfItems(items: unknown): Message[] {
  const messages: Message[] = []
  for (const entry of asList(items)) {
    const item = asObject(entry)
    if (item === undefined) continue
    const role = asText(item.role) ?? (isOfTool(item) ? 'tool' : 'assistant')
    const parts = partsOfItem(item)
    const last = messages.at(-1)
    if (last !== undefined && last.role === role && item.type !== 'message') last.parts.push(...parts)
    else messages.push({ role, parts })
  }
  return messages
}

function isOfTool(item: JsonObject): boolean {
  return typeof item.type === 'string' && item.type.endsWith('_output')
}

function partsOfItem(item: JsonObject): MessagePart[] {
  const type = asText(item.type) ?? 'message'
  const id = asText(item.call_id) ?? asText(item.id)
  if (type === 'message') return partsOfContent(item.content)
  if (type === 'function_call' || type === 'custom_tool_call') {
    const given = asText(item.arguments) ?? asText(item.input) ?? ''
    return [{ type: 'tool_call', ...(id === undefined ? {} : { id }), name: asText(item.name) ?? '', arguments: given }]
  }
  if (isOfTool(item)) {
    const response = typeof item.output === 'string' ? item.output : (toJson(item.output) ?? '')
    return [{ type: 'tool_call_response', ...(id === undefined ? {} : { id }), response }]
  }
  if (type === 'reasoning') {
    const thoughts = [...partsOfContent(item.summary), ...partsOfContent(item.content)]
    const content = thoughts.map((part) => (part.type === 'text' ? part.content : '')).join('\n')
    return content === '' ? [] : [{ type: 'reasoning', content }]
  }
  // Searches, images, shells of the provider's own tools: that they ran, not what they held.
  return [{ type: 'other', kind: type.slice(0, 64) }]
}
