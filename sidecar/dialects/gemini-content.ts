import type { Content, Message, MessagePart } from '../call.ts'
import type { DialectReading } from './dialect.ts'
import { asCount, asList, asNumber, asObject, asText, type JsonObject, toJson, withoutUndefined } from './json-value.ts'

/** What was sent: `systemInstruction`, `contents`, `tools`. Google takes camel and snake case alike. */
export function geminiRequestContent(body: JsonObject): Content {
  const system = asObject(body.systemInstruction) ?? asObject(body.system_instruction)
  const contents = Array.isArray(body.contents) ? body.contents : [body.contents]
  const input = contents.flatMap((item) => {
    const content = asObject(item)
    return content === undefined ? [] : [{ role: asText(content.role) ?? 'user', parts: geminiParts(content) }]
  })
  return withoutUndefined({
    system: system === undefined ? undefined : textOf(geminiParts(system)),
    input: input.length > 0 ? input : undefined,
    tools: Array.isArray(body.tools) && body.tools.length > 0 ? toJson(body.tools) : undefined,
  })
}

/** The parts of one `content`: one object or a list of them. */
export function geminiParts(content: JsonObject): MessagePart[] {
  const items = Array.isArray(content.parts) ? content.parts : [content.parts]
  return items.flatMap((item) => partOf(asObject(item)) ?? [])
}

function partOf(part: JsonObject | undefined): MessagePart | undefined {
  if (part === undefined) return undefined
  if (typeof part.text === 'string') return { type: part.thought === true ? 'reasoning' : 'text', content: part.text }
  const call = asObject(part.functionCall) ?? asObject(part.function_call)
  if (call !== undefined)
    return { type: 'tool_call', ...idOf(call), name: asText(call.name) ?? '', arguments: toJson(call.args ?? {}) ?? '' }
  const answer = asObject(part.functionResponse) ?? asObject(part.function_response)
  if (answer !== undefined)
    return { type: 'tool_call_response', ...idOf(answer), response: toJson(answer.response ?? {}) ?? '' }
  const data =
    asObject(part.inlineData) ?? asObject(part.inline_data) ?? asObject(part.fileData) ?? asObject(part.file_data)
  const mime = asText(data?.mimeType) ?? asText(data?.mime_type)
  if (data !== undefined) return { type: 'other', kind: mime?.split('/')[0]?.slice(0, 64) ?? 'file' }
  const kind = Object.keys(part).find((name) => name !== 'thoughtSignature')
  return kind === undefined ? undefined : { type: 'other', kind: kind.slice(0, 64) }
}

function idOf(value: JsonObject): { id?: string } {
  const id = asText(value.id) ?? asText(value.name)
  return id === undefined ? {} : { id }
}

function textOf(parts: readonly MessagePart[]): string | undefined {
  const text = parts.map((part) => (part.type === 'text' ? part.content : '')).join('\n')
  return text === '' ? undefined : text
}

/** Parts of a stream: neighbours of one kind are one text. */
export function appendParts(message: Message, parts: readonly MessagePart[]): void {
  for (const part of parts) {
    const last = message.parts.at(-1)
    if (last?.type === part.type && (part.type === 'text' || part.type === 'reasoning'))
      (last as { content: string }).content += part.content
    else message.parts.push({ ...part })
  }
}

export function geminiParameters(body: JsonObject): DialectReading['parameters'] {
  const config = asObject(body.generationConfig) ?? asObject(body.generation_config) ?? {}
  const stop = asList(config.stopSequences ?? config.stop_sequences).filter((text) => typeof text === 'string')
  const format = asText(config.responseMimeType) ?? asText(config.response_mime_type)
  return withoutUndefined({
    maxTokens: asCount(config.maxOutputTokens) ?? asCount(config.max_output_tokens),
    temperature: asNumber(config.temperature),
    topP: asNumber(config.topP) ?? asNumber(config.top_p),
    topK: asNumber(config.topK) ?? asNumber(config.top_k),
    frequencyPenalty: asNumber(config.frequencyPenalty),
    presencePenalty: asNumber(config.presencePenalty),
    seed: asNumber(config.seed),
    choiceCount: asCount(config.candidateCount),
    stopSequences: stop.length > 0 ? stop : undefined,
    outputType: format === 'application/json' ? 'json' : undefined,
  })
}
