import type { Content, Message, MessagePart } from '../call.ts'

/**
 * Keeps `limit` characters of content: the answer first, then the system text, then the request's messages from the
 * newest back – what a reader of a trace looks for. Says so where something was cut. A cut never splits a character.
 */
export function boundContent(content: Content, limit: number): Content {
  if (sizeOf(content) <= limit) return content
  let left = limit
  const take = (text: string): string => {
    const kept = text.length <= left ? text : cutAt(text, left)
    left -= kept.length
    return kept
  }
  const message = (original: Message): Message => ({
    ...original,
    parts: original.parts.map((part) => boundPart(part, take)),
  })
  const output = content.output?.map(message)
  const system = content.system === undefined ? undefined : take(content.system)
  const input: Message[] = []
  for (const original of [...(content.input ?? [])].reverse()) {
    if (left <= 0) break
    input.unshift(message(original))
  }
  const tools = content.tools === undefined || left <= 0 ? undefined : take(content.tools)
  return {
    truncated: true,
    ...(system !== undefined && { system }),
    ...(content.input !== undefined && { input }),
    ...(output !== undefined && { output }),
    ...(tools !== undefined && { tools }),
  }
}

function boundPart(part: MessagePart, take: (text: string) => string): MessagePart {
  switch (part.type) {
    case 'text':
    case 'reasoning':
      return { ...part, content: take(part.content) }
    case 'tool_call':
      return { ...part, arguments: take(part.arguments) }
    case 'tool_call_response':
      return { ...part, response: take(part.response) }
    case 'other':
      return part
  }
}

function sizeOf(content: Content): number {
  let size = (content.system?.length ?? 0) + (content.tools?.length ?? 0)
  for (const message of [...(content.input ?? []), ...(content.output ?? [])])
    for (const part of message.parts) {
      if (part.type === 'text' || part.type === 'reasoning') size += part.content.length
      else if (part.type === 'tool_call') size += part.arguments.length
      else if (part.type === 'tool_call_response') size += part.response.length
    }
  return size
}

function cutAt(text: string, length: number): string {
  const code = text.charCodeAt(length - 1)
  const splitsPair = code >= 0xd800 && code <= 0xdbff
  return text.slice(0, Math.max(0, splitsPair ? length - 1 : length))
}
