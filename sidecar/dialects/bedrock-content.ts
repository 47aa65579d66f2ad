import type { Content, MessagePart, RequestParameters } from '../call.ts'
import { asCount, asList, asNumber, asObject, asText, type JsonObject, toJson, withoutUndefined } from './json-value.ts'

/** Converse's blocks, which Nova speaks in invoke too. */
export function partsOfConverse(content: unknown): MessagePart[] {
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', content }]
  return asList(content).flatMap(partOf)
}

function partOf(item: unknown): MessagePart[] {
  const block = asObject(item)
  if (block === undefined) return []
  // Text that a guardrail is to look at stands in a block of its own.
  const text = block.text ?? asObject(asObject(block.guardContent)?.text)?.text
  if (typeof text === 'string') return text === '' ? [] : [{ type: 'text', content: text }]
  const tool = asObject(block.toolUse)
  if (tool !== undefined) return [toolCall(tool, toJson(tool.input ?? {}) ?? '')]
  const result = asObject(block.toolResult)
  if (result !== undefined) {
    const id = asText(result.toolUseId)
    return [{ type: 'tool_call_response', ...(id === undefined ? {} : { id }), response: toolResponse(result.content) }]
  }
  const thought = asObject(asObject(block.reasoningContent)?.reasoningText)
  if (thought !== undefined) return [{ type: 'reasoning', content: asText(thought.text) ?? '' }]
  const cited = asObject(block.citationsContent)
  if (cited !== undefined) return partsOfConverse(cited.content)
  const kind = Object.keys(block)[0]
  return kind === undefined || kind === 'cachePoint' ? [] : [{ type: 'other', kind: kind.slice(0, 64) }]
}

function toolCall(tool: JsonObject, given: string): Extract<MessagePart, { type: 'tool_call' }> {
  const id = asText(tool.toolUseId)
  return { type: 'tool_call', ...(id === undefined ? {} : { id }), name: asText(tool.name) ?? '', arguments: given }
}

/** Texts and JSON as they are; of pictures and documents the kind alone. */
function toolResponse(content: unknown): string {
  return asList(content)
    .flatMap((item) => {
      const block = asObject(item)
      if (block === undefined) return []
      return (
        asText(block.text) ?? (block.json === undefined ? `[${Object.keys(block)[0]}]` : (toJson(block.json) ?? ''))
      )
    })
    .join('\n')
}

/** The blocks of a stream as they grow. */
export interface ConverseBlocks {
  parts: Map<number, MessagePart>
}

export function startConverseBlock({ parts }: ConverseBlocks, event: JsonObject): void {
  const index = asCount(event.contentBlockIndex) ?? 0
  const start = asObject(event.start) ?? {}
  const tool = asObject(start.toolUse)
  const kind = Object.keys(start)[0]
  if (tool !== undefined) parts.set(index, toolCall(tool, ''))
  else if (kind !== undefined && kind !== 'p') parts.set(index, { type: 'other', kind: kind.slice(0, 64) })
}

export function addConverseDelta({ parts }: ConverseBlocks, event: JsonObject): void {
  const index = asCount(event.contentBlockIndex) ?? 0
  const delta = asObject(event.delta) ?? {}
  const known = parts.get(index)
  const thought = asText(asObject(delta.reasoningContent)?.text)
  const given = asText(asObject(delta.toolUse)?.input)
  const text = asText(delta.text)
  if (text !== undefined) {
    if (known?.type === 'text') known.content += text
    else parts.set(index, { type: 'text', content: text })
  } else if (thought !== undefined) {
    if (known?.type === 'reasoning') known.content += thought
    else parts.set(index, { type: 'reasoning', content: thought })
  } else if (given !== undefined && known?.type === 'tool_call') known.arguments += given
}

/** Marks the place where the middle of a stream was cut out, so that its two ends are not read as one text. */
export function markConverseGap({ parts }: ConverseBlocks): void {
  for (const part of parts.values()) if (part.type === 'text' || part.type === 'reasoning') part.content += '[…]'
}

export function partsInOrder({ parts }: ConverseBlocks): MessagePart[] {
  return [...parts].sort(([left], [right]) => left - right).map(([, part]) => part)
}

export function converseRequestContent(body: JsonObject): Content {
  const system = asList(body.system).flatMap((item) => asText(asObject(item)?.text) ?? [])
  const input = asList(body.messages).flatMap((item) => {
    const message = asObject(item)
    return message === undefined
      ? []
      : [{ role: asText(message.role) ?? 'user', parts: partsOfConverse(message.content) }]
  })
  const tools = asList(asObject(body.toolConfig)?.tools)
  return withoutUndefined({
    system: system.length > 0 ? system.join('\n\n') : asText(body.system),
    input: input.length > 0 ? input : undefined,
    tools: tools.length > 0 ? toJson(tools) : undefined,
  })
}

/** The same few parameters, as each family spells them. */
const SPELLINGS = {
  maxTokens: ['maxTokens', 'max_new_tokens', 'maxTokenCount', 'max_gen_len', 'max_tokens', 'max_tokens_to_sample'],
  temperature: ['temperature'],
  topP: ['topP', 'top_p', 'p'],
  topK: ['topK', 'top_k', 'k'],
  seed: ['seed'],
  choiceCount: ['num_generations', 'numberOfImages', 'num_images', 'n'],
} as const satisfies Partial<Record<keyof RequestParameters, readonly string[]>>
const STOPS = ['stopSequences', 'stop_sequences', 'stop']

/** The first of the objects that names a parameter says it. */
export function bedrockParameters(...sources: readonly unknown[]): RequestParameters | undefined {
  const objects = sources.map(asObject).filter((source) => source !== undefined)
  const numberNamed = (names: readonly string[]) =>
    objects.flatMap((source) => names.flatMap((name) => asNumber(source[name]) ?? []))[0]
  const numbers = Object.entries(SPELLINGS).flatMap(([parameter, names]) => {
    const value = numberNamed(names)
    return value === undefined ? [] : [[parameter, value] as const]
  })
  const stop = objects
    .flatMap((source) => STOPS.flatMap((name) => asList(source[name])))
    .filter((text) => typeof text === 'string')
  const parameters: RequestParameters = {
    ...Object.fromEntries(numbers),
    ...(stop.length > 0 ? { stopSequences: stop } : {}),
  }
  return Object.keys(parameters).length > 0 ? parameters : undefined
}
