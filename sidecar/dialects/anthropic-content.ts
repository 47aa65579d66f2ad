import type { Content, Message, MessagePart, RequestParameters } from '../call.ts'
import { asCount, asList, asNumber, asObject, asText, type JsonObject, toJson, withoutUndefined } from './json-value.ts'

export function anthropicRequestContent(body: JsonObject): Content {
  const system = textOfBlocks(body.system)
  const input: Message[] = []
  for (const item of asList(body.messages)) {
    const message = asObject(item)
    if (message !== undefined)
      input.push({ role: asText(message.role) ?? 'unknown', parts: partsOfBlocks(message.content) })
  }
  return withoutUndefined({
    system: system === '' ? undefined : system,
    input: input.length > 0 ? input : undefined,
    tools: Array.isArray(body.tools) ? toJson(body.tools) : undefined,
  })
}

export function partsOfBlocks(content: unknown): MessagePart[] {
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', content }]
  const parts: MessagePart[] = []
  for (const item of asList(content)) {
    const block = asObject(item)
    const part = block === undefined ? undefined : partOfBlock(block)
    if (part !== undefined) parts.push(part)
  }
  return parts
}

function partOfBlock(block: JsonObject): MessagePart | undefined {
  const type = asText(block.type) ?? 'unknown'
  if (type === 'text') return { type: 'text', content: asText(block.text) ?? '' }
  if (type === 'thinking') return { type: 'reasoning', content: asText(block.thinking) ?? '' }
  if (type === 'tool_use' || type === 'server_tool_use' || type === 'mcp_tool_use') {
    const id = asText(block.id)
    const input = typeof block.input === 'string' ? block.input : (toJson(block.input) ?? '')
    return { type: 'tool_call', ...(id === undefined ? {} : { id }), name: asText(block.name) ?? '', arguments: input }
  }
  if (type === 'tool_result') {
    const id = asText(block.tool_use_id)
    return { type: 'tool_call_response', ...(id === undefined ? {} : { id }), response: textOfBlocks(block.content) }
  }
  return { type: 'other', kind: type.slice(0, 64) }
}

/** Text of a string or of text blocks; of other blocks only their kind. */
function textOfBlocks(content: unknown): string {
  return partsOfBlocks(content)
    .map((part) => (part.type === 'text' ? part.content : part.type === 'other' ? `[${part.kind}]` : ''))
    .join('\n')
}

/** Content blocks of a streamed answer, put together from their deltas. */
export interface BlockAssembly {
  blocks: Map<number, { type: string; start: JsonObject; text: string }>
}

export function startBlock(assembly: BlockAssembly, index: number, start: JsonObject): void {
  const text = asText(start.text) ?? asText(start.thinking) ?? ''
  assembly.blocks.set(index, { type: asText(start.type) ?? 'unknown', start, text })
}

const TYPE_OF_DELTA: Readonly<Record<string, string>> = {
  text_delta: 'text',
  thinking_delta: 'thinking',
  input_json_delta: 'tool_use',
}

/** A delta whose block's start was cut out of the capture opens the block itself. */
export function addDelta(assembly: BlockAssembly, index: number, delta: JsonObject): void {
  const kind = asText(delta.type) ?? ''
  const type = Object.hasOwn(TYPE_OF_DELTA, kind) ? TYPE_OF_DELTA[kind] : undefined
  if (type === undefined) return // signatures, citations
  let block = assembly.blocks.get(index)
  if (block === undefined) {
    block = { type, start: {}, text: '' }
    assembly.blocks.set(index, block)
  }
  block.text += asText(delta.text) ?? asText(delta.thinking) ?? asText(delta.partial_json) ?? ''
}

export function assembledParts(assembly: BlockAssembly): MessagePart[] {
  const parts: MessagePart[] = []
  for (const [, { type, start, text }] of [...assembly.blocks].sort(([left], [right]) => left - right)) {
    if (type === 'text') {
      if (text !== '') parts.push({ type: 'text', content: text })
    } else if (type === 'thinking') parts.push({ type: 'reasoning', content: text })
    else {
      const part = partOfBlock({ ...start, type, ...(text === '' ? {} : { input: text }) })
      if (part !== undefined) parts.push(part)
    }
  }
  return parts
}

export function anthropicParameters(body: JsonObject): RequestParameters {
  const stop = asList(body.stop_sequences).filter((text) => typeof text === 'string')
  return withoutUndefined({
    maxTokens: asCount(body.max_tokens),
    temperature: asNumber(body.temperature),
    topP: asNumber(body.top_p),
    topK: asNumber(body.top_k),
    stopSequences: stop.length > 0 ? stop : undefined,
  })
}
