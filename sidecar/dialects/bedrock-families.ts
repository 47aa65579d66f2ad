import type { Content, Message, PriceAttributes } from '../call.ts'
import { converseRequestContent, partsOfConverse } from './bedrock-content.ts'
import { countConverseUsage } from './bedrock-usage.ts'
import { countCohere } from './cohere-usage.ts'
import type { Counts } from './counts.ts'
import type { DialectReading } from './dialect.ts'
import { asCount, asList, asObject, asText, type JsonObject, withoutUndefined } from './json-value.ts'
import { openAiRequestContent } from './openai-content.ts'

/*
 * Model families of Bedrock's invoke whose JSON has no reader of its own: Nova, Titan, Llama, Cohere, Mistral, Jurassic,
 * the first Claudes, TwelveLabs, and those that draw or embed. Each names a few members; none of their names clash.
 * `parts` is the one object of a whole answer, or the chunks of a stream.
 */

export interface PlainCounts {
  counts: Counts
  /** Nothing that is still to come can change them. */
  final: boolean
}

/** The numbers in the body itself. Of a stream the last word counts. */
export function plainCounts(parts: readonly JsonObject[]): PlainCounts | undefined {
  let found: PlainCounts | undefined
  for (const part of parts) {
    const own = countNova(part) ?? countLlama(part, found?.counts) ?? countTitan(part, found?.counts) ?? countMeta(part)
    if (own !== undefined) found = own
  }
  return found
}

/** Nova, in one object: a member of the body, or the metadata that ends a stream. */
function countNova(part: JsonObject): PlainCounts | undefined {
  const usage = asObject(part.usage) ?? asObject(asObject(part.metadata)?.usage)
  const counts = usage === undefined ? undefined : countConverseUsage(usage)
  return counts && { counts, final: true }
}

/** Llama names its prompt in the first chunk, its output so far in each, and in the last why it stopped. */
function countLlama(part: JsonObject, before: Counts | undefined): PlainCounts | undefined {
  const input = asCount(part.prompt_token_count) ?? before?.input
  const output = asCount(part.generation_token_count)
  if (output === undefined) return undefined
  return { counts: withoutUndefined({ input, output }), final: asText(part.stop_reason) !== undefined }
}

/** Titan: of its embeddings the prompt alone, of its streams the output in the chunk that says why it stopped. */
function countTitan(part: JsonObject, before: Counts | undefined): PlainCounts | undefined {
  const total = asCount(part.totalOutputTextTokenCount)
  const input = asCount(part.inputTextTokenCount) ?? (total === undefined ? undefined : before?.input)
  if (input === undefined) return undefined
  const results = asList(part.results).flatMap((item) => asCount(asObject(item)?.tokenCount) ?? [])
  const output = total ?? (results.length > 0 ? results.reduce((sum, count) => sum + count) : undefined)
  const embedded = part.embedding !== undefined || part.embeddingsByType !== undefined
  const final =
    embedded || (output !== undefined && (results.length > 0 || asText(part.completionReason) !== undefined))
  return { counts: withoutUndefined({ input, output }), final }
}

/** Cohere's `meta`, in the body or in the event that ends a stream. */
function countMeta(part: JsonObject): PlainCounts | undefined {
  const meta = asObject(part.meta) ?? asObject(asObject(part.response)?.meta)
  const counts = meta === undefined ? undefined : countCohere(meta)
  return counts && { counts, final: true }
}

export function finishReasonsOf(parts: readonly JsonObject[]): string[] | undefined {
  for (const part of parts.toReversed()) {
    const [first] = [
      ...asList(part.results),
      ...asList(part.outputs),
      ...asList(part.generations),
      ...asList(part.choices),
    ]
    const result = asObject(first) ?? part
    const reason =
      asText(result.completionReason) ??
      asText(result.stop_reason) ??
      asText(result.finish_reason) ??
      asText(part.finish_reason) ??
      asText(part.stopReason) ??
      asText(part.finishReason) ??
      asText(asObject(part.messageStop)?.stopReason) ??
      asText(asObject(asObject(asList(part.completions)[0])?.finishReason)?.reason)
    if (reason !== undefined) return [reason]
  }
  return undefined
}

const EMBEDDING_MEMBERS = ['embedding', 'embeddings', 'embeddingsByType'] as const

/** By the answer where it tells, else by the model's name (an error tells nothing), else by the request. */
export function operationOf(
  parts: readonly JsonObject[],
  body: JsonObject | undefined,
  model: string | undefined,
): DialectReading['operation'] {
  const first = parts[0] ?? {}
  if (EMBEDDING_MEMBERS.some((member) => first[member] !== undefined)) return 'embeddings'
  if (asObject(asList(first.results)[0])?.relevance_score !== undefined) return 'rerank'
  const name = model ?? ''
  if (/embed/.test(name)) return 'embeddings'
  if (/rerank/.test(name)) return 'rerank'
  if (Array.isArray(first.images) || Array.isArray(first.artifacts) || /stability\.|titan-image|nova-canvas/.test(name))
    return 'image_generation'
  const prompted = typeof body?.prompt === 'string' || typeof body?.inputText === 'string'
  return prompted && body?.messages === undefined ? 'text_completion' : 'chat'
}

/** Pictures of an answer that was seen whole: those that a filter took away are empty, or say so. */
export function picturesOf(part: JsonObject): number | undefined {
  const images = asList(part.images).filter((image) => asText(image) !== undefined)
  const artifacts = asList(part.artifacts).filter((item) => {
    const artifact = asObject(item)
    return asText(artifact?.base64) !== undefined && artifact?.finishReason !== 'CONTENT_FILTERED'
  })
  return images.length + artifacts.length || undefined
}

/** What the price of a picture depends on. */
export function picturePriceAttributes(body: JsonObject | undefined): PriceAttributes {
  const config = asObject(body?.imageGenerationConfig) ?? {}
  const [width, height] = [asCount(config.width), asCount(config.height)]
  return withoutUndefined({
    image_size: width === undefined || height === undefined ? undefined : `${width}x${height}`,
    image_quality: asText(config.quality),
  })
}

/** What was asked and answered. */
export function plainContent(body: JsonObject | undefined, parts: readonly JsonObject[]): Content {
  const text = parts.map(textOf).join('')
  const finishReason = finishReasonsOf(parts)?.[0]
  const kind = parts.some((part) => picturesOf(part) !== undefined) ? 'image' : undefined
  const output: Message = {
    role: 'assistant',
    parts: [
      ...(text === '' ? [] : [{ type: 'text' as const, content: text }]),
      ...(kind === undefined ? [] : [{ type: 'other' as const, kind }]),
      ...(text === '' ? parts.flatMap((part) => toolCallsOf(part)) : toolCallsOf(parts.at(-1) ?? {})),
    ],
    ...(finishReason === undefined ? {} : { finishReason }),
  }
  return {
    ...(body === undefined ? {} : requestContent(body)),
    ...(output.parts.length > 0 || finishReason !== undefined ? { output: [output] } : {}),
  }
}

function toolCallsOf(part: JsonObject): Message['parts'] {
  return partsOfConverse(asObject(asObject(part.output)?.message)?.content).filter(({ type }) => type === 'tool_call')
}

function requestContent(body: JsonObject): Content {
  if (Array.isArray(body.messages)) {
    const converse = body.schemaVersion !== undefined || body.inferenceConfig !== undefined || speaksConverse(body)
    return converse ? converseRequestContent(body) : openAiRequestContent(body)
  }
  const prompts = [
    ...promptsOf(body.prompt, body.inputText, body.message, body.inputPrompt, body.query),
    ...promptsOf(asObject(body.textToImageParams)?.text, ...asList(body.texts), ...asList(body.text_prompts)),
  ]
  const system = asText(body.preamble)
  const history = asList(body.chat_history).flatMap((item) => {
    const turn = asObject(item)
    const content = asText(turn?.message)
    const role = asText(turn?.role)?.toLowerCase() === 'user' ? 'user' : 'assistant'
    return content === undefined ? [] : [{ role, parts: [{ type: 'text' as const, content }] }]
  })
  const input: Message[] = [
    ...history,
    ...prompts.map((content) => ({ role: 'user', parts: [{ type: 'text' as const, content }] })),
  ]
  return { ...(system === undefined ? {} : { system }), ...(input.length > 0 ? { input } : {}) }
}

function promptsOf(...values: readonly unknown[]): string[] {
  return values.flatMap((value) => asText(value) ?? asText(asObject(value)?.text) ?? [])
}

/** Converse's blocks name no type. */
function speaksConverse(body: JsonObject): boolean {
  const block = asObject(asList(asObject(asList(body.messages)[0])?.content)[0])
  return block !== undefined && block.type === undefined
}

function textOf(part: JsonObject): string {
  const delta = asText(asObject(asObject(part.contentBlockDelta)?.delta)?.text)
  const message = partsOfConverse(asObject(asObject(part.output)?.message)?.content).flatMap((piece) =>
    piece.type === 'text' ? piece.content : [],
  )
  // The end of a Cohere stream says the whole once more.
  if (asObject(part.response) !== undefined) return ''
  const listed = [...asList(part.results), ...asList(part.outputs), ...asList(part.generations)].flatMap((item) => {
    const one = asObject(item)
    return asText(one?.outputText) ?? asText(one?.text) ?? []
  })
  const jurassic = asText(asObject(asObject(asList(part.completions)[0])?.data)?.text)
  const plain = asText(part.outputText) ?? asText(part.completion) ?? asText(part.generation) ?? asText(part.text)
  const prompted = asText(part.message) // TwelveLabs
  return delta ?? plain ?? jurassic ?? ([...message, ...listed].join('') || (prompted ?? ''))
}
