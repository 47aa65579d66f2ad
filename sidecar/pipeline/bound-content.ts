import type { Content, Message, MessagePart } from '../call.ts'

/** What a message and a part weigh besides their text, so that many empty ones are bounded too. */
const OVERHEAD = 16

/**
 * Keeps `limit` bytes of content (UTF-8): the answer first, then the system text, then the request's messages from the
 * newest back – what a reader of a trace looks for – then the tools. Says so where something was cut. A cut never
 * splits a character.
 */
export function boundContent(content: Content, limit: number): Content {
  // A UTF-16 unit is at most three bytes: most content is known to fit without counting.
  if (weigh(content, (text) => text.length * 3) <= limit) return content
  if (weigh(content, Buffer.byteLength) <= limit) return content
  let left = limit
  const take = (text: string): string => {
    const kept = cutToBytes(text, left)
    left -= Buffer.byteLength(kept)
    return kept
  }
  const message = (original: Message): Message => {
    left -= OVERHEAD
    const role = take(original.role)
    const finishReason = original.finishReason === undefined ? {} : { finishReason: take(original.finishReason) }
    const parts: MessagePart[] = []
    for (const part of original.parts) {
      if (left <= OVERHEAD) break
      left -= OVERHEAD
      parts.push(boundPart(part, take))
    }
    return { role, parts, ...finishReason }
  }
  const output: Message[] = []
  for (const original of content.output ?? []) {
    if (left <= OVERHEAD) break
    output.push(message(original))
  }
  const system = content.system === undefined || left <= 0 ? undefined : take(content.system)
  const input: Message[] = []
  for (const original of (content.input ?? []).toReversed()) {
    if (left <= OVERHEAD) break
    input.push(message(original))
  }
  const tools = content.tools === undefined || left <= 0 ? undefined : take(content.tools)
  return {
    truncated: true,
    ...(system !== undefined && { system }),
    ...(content.input !== undefined && { input: input.reverse() }),
    ...(content.output !== undefined && { output }),
    ...(tools !== undefined && { tools }),
  }
}

function boundPart(part: MessagePart, take: (text: string) => string): MessagePart {
  switch (part.type) {
    case 'text':
    case 'reasoning':
      return { ...part, content: take(part.content) }
    case 'tool_call':
      return { ...part, ...idOf(part, take), name: take(part.name), arguments: take(part.arguments) }
    case 'tool_call_response':
      return { ...part, ...idOf(part, take), response: take(part.response) }
    case 'other':
      return { ...part, kind: take(part.kind) }
  }
}

function idOf({ id }: { id?: string }, take: (text: string) => string): { id?: string } {
  return id === undefined ? {} : { id: take(id) }
}

function weigh(content: Content, bytesOf: (text: string) => number): number {
  let weight = bytesOf(content.system ?? '') + bytesOf(content.tools ?? '')
  for (const messages of [content.input, content.output])
    for (const message of messages ?? []) {
      weight += OVERHEAD + bytesOf(message.role) + bytesOf(message.finishReason ?? '')
      for (const part of message.parts) {
        weight += OVERHEAD + ('id' in part ? bytesOf(part.id ?? '') : 0)
        if (part.type === 'text' || part.type === 'reasoning') weight += bytesOf(part.content)
        else if (part.type === 'tool_call') weight += bytesOf(part.name) + bytesOf(part.arguments)
        else if (part.type === 'tool_call_response') weight += bytesOf(part.response)
        else weight += bytesOf(part.kind)
      }
    }
  return weight
}

function cutToBytes(text: string, bytes: number): string {
  if (text.length * 3 <= bytes) return text
  if (bytes <= 0) return ''
  // No more than `bytes` units can fit; what a split pair leaves is dropped.
  const { read } = new TextEncoder().encodeInto(text, scratch(Math.min(bytes, text.length * 3)))
  return text.slice(0, read)
}

let buffer = new Uint8Array(64 * 1024)
function scratch(bytes: number): Uint8Array {
  if (buffer.length < bytes) buffer = new Uint8Array(bytes)
  return buffer.subarray(0, bytes)
}
