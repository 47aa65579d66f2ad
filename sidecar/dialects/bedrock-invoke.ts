import type { Content, GuardrailEvent } from '../call.ts'
import { anthropicMessages } from './anthropic-messages.ts'
import { messagesOf } from './bedrock-converse.ts'
import {
  bedrockError,
  bedrockPriceAttributes,
  countBedrockHeaders,
  countConverseUsage,
  countInvocationMetrics,
  modelInBedrockPath,
} from './bedrock-usage.ts'
import type { Counts } from './counts.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import {
  asCount,
  asList,
  asObject,
  asText,
  decodeText,
  type JsonObject,
  parseJson,
  withoutUndefined,
} from './json-value.ts'
import { readOpenAiChoices } from './openai-chat.ts'
import { isRefusal, viewResponse } from './response-view.ts'
import { usageOutcome } from './usage-outcome.ts'

/**
 * Bedrock's invoke: each model family's own JSON, whole or in the chunks of a binary stream. Bedrock adds token counts of
 * its own: headers to a whole answer, `amazon-bedrock-invocationMetrics` to the last chunk.
 */
export const bedrockInvoke: Dialect = {
  id: 'bedrock-invoke',
  matches: ({ path }) => /\/model\/[^/]+\/invoke(?:-with-response-stream)?$/.test(path),
  read: readInvoke,
}

const METRICS = 'amazon-bedrock-invocationMetrics'

interface Heard {
  form: 'none' | 'json' | 'cut_json' | 'events' | 'unreadable'
  /** The model's own JSON: one object, or one for each chunk. */
  parts: JsonObject[]
  error: DialectReading['error']
}

function readInvoke(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const stream = exchange.path.endsWith('-stream')
  const heard = stream && !isRefusal(exchange.status) ? chunksOf(exchange) : bodyOf(exchange)
  const family = familyReading(exchange, body, heard, stream)
  const metrics = heard.parts.map((part) => asObject(part[METRICS])).find((found) => found !== undefined)
  const byBedrock =
    metrics === undefined ? countBedrockHeaders(exchange.responseHeaders) : countInvocationMetrics(metrics)
  const intervened = heard.parts.some((part) => part['amazon-bedrock-guardrailAction'] === 'INTERVENED')
  // The model's own usage object holds more (how long a cache write lives, thoughts) than Bedrock's counts, which every
  // family has; families without one say their numbers piece by piece. Where a guardrail stepped in, the text that they
  // count is the guardrail's.
  const own = family?.counts
  const plain = intervened ? undefined : plainCounts(heard.parts)
  const counts = own ?? byBedrock ?? plain
  const differs = own?.output !== undefined && byBedrock?.output !== undefined && own.output !== byBedrock.output
  const images = heard.parts.reduce((sum, part) => sum + asList(part.images).length + asList(part.artifacts).length, 0)
  const outcome = usageOutcome({
    status: exchange.status,
    form: heard.form,
    counts,
    raw: metrics ?? (asObject(family?.rawUsage) as JsonObject | undefined),
    whole: !stream || metrics !== undefined || family?.usageSource === 'provider',
    ended: !stream || metrics !== undefined,
    failed: heard.error !== undefined,
    started: heard.parts.length > 0,
  })
  const counted = outcome.usageSource === 'unknown' && images > 0
  return {
    operation: operationOf(heard.parts, images),
    stream,
    ...withoutUndefined({
      requestModel: modelInBedrockPath(exchange.path),
      responseId: family?.responseId,
      serviceTier: asText(exchange.responseHeaders['x-amzn-bedrock-service-tier']) ?? family?.serviceTier,
      parameters: family?.parameters,
      finishReasons: family?.finishReasons ?? finishReasonsOf(heard.parts),
      priceAttributes: bedrockPriceAttributes(exchange.host),
      usageReason: differs && outcome.usageSource === 'provider' ? 'metrics_differ' : undefined,
      error: heard.error ?? family?.error,
    }),
    ...(counted ? { counts: { images }, usageSource: 'counted' as const } : outcome),
    guardrails: [...(family?.guardrails ?? []), ...(intervened ? [intervention(heard.parts)] : [])],
    billable: true,
    content: family?.content ?? contentOf(body, heard.parts),
  }
}

function bodyOf(exchange: Exchange): Heard {
  const view = viewResponse(exchange)
  if (view.form !== 'json' && view.form !== 'cut_json')
    return { form: view.form === 'none' ? 'none' : 'unreadable', parts: [], error: undefined }
  return { form: view.form, parts: [view.value], error: bedrockError(view.value, exchange) }
}

function chunksOf(exchange: Exchange): Heard {
  const heard: Heard = {
    form: exchange.responseBody === undefined || exchange.responseBody.length === 0 ? 'none' : 'events',
    parts: [],
    error: undefined,
  }
  for (const { headers, payload } of messagesOf(exchange).messages) {
    const event = asObject(parseJson(decodeText(payload))) ?? {}
    if (headers[':message-type'] !== undefined && headers[':message-type'] !== 'event') {
      const message = asText(event.message)
      heard.error = {
        type: (headers[':exception-type'] ?? 'exception').slice(0, 64),
        ...(message === undefined ? {} : { message: message.slice(0, 1024) }),
      }
      continue
    }
    const part = asObject(parseJson(decodeText(Buffer.from(asText(event.bytes) ?? '', 'base64'))))
    if (part !== undefined) heard.parts.push(part)
  }
  return heard
}

/** Families whose format has a reader of its own: Claude's messages, and OpenAI's chat as many models speak it. */
function familyReading(
  exchange: Exchange,
  body: JsonObject | undefined,
  { parts }: Heard,
  stream: boolean,
): DialectReading | undefined {
  const first = parts[0]
  if (first === undefined || isRefusal(exchange.status)) return undefined
  const claude = first.type === 'message_start' || (first.type === 'message' && first.role === 'assistant')
  const choices = Array.isArray(first.choices)
  if (!claude && !choices) return undefined
  const inner: Exchange = stream
    ? {
        ...exchange,
        responseHeaders: { 'content-type': 'text/event-stream' },
        responseBody: Buffer.from(parts.map((part) => `data: ${JSON.stringify(part)}\n\n`).join('')),
        responseTail: undefined,
      }
    : exchange
  return claude ? anthropicMessages.read(inner, body) : readOpenAiChoices(inner, body, 'chat')
}

/** Families that only name a few numbers: Nova, Llama, Titan. Of a stream the last word counts. */
function plainCounts(parts: readonly JsonObject[]): Counts | undefined {
  let counts: Counts | undefined
  for (const part of parts) {
    const nova = asObject(part.usage) ?? asObject(asObject(part.metadata)?.usage)
    const own =
      (nova === undefined ? undefined : countConverseUsage(nova)) ?? countLlama(part, counts) ?? countTitan(part)
    if (own !== undefined) counts = own
  }
  return counts
}

/** Llama names its prompt in the first chunk, and its output so far in each. */
function countLlama(part: JsonObject, before: Counts | undefined): Counts | undefined {
  const input = asCount(part.prompt_token_count) ?? before?.input
  const output = asCount(part.generation_token_count)
  return output === undefined ? undefined : withoutUndefined({ input, output })
}

function countTitan(part: JsonObject): Counts | undefined {
  const input = asCount(part.inputTextTokenCount)
  if (input === undefined) return undefined
  const results = asList(part.results).flatMap((item) => asCount(asObject(item)?.tokenCount) ?? [])
  const output =
    asCount(part.totalOutputTextTokenCount) ?? (results.length > 0 ? results.reduce((a, b) => a + b) : undefined)
  return withoutUndefined({ input, output })
}

function finishReasonsOf(parts: readonly JsonObject[]): string[] | undefined {
  for (const part of [...parts].reverse()) {
    const result = asObject(asList(part.results)[0]) ?? asObject(asList(part.outputs)[0]) ?? part
    const reason =
      asText(result.completionReason) ??
      asText(result.stop_reason) ??
      asText(result.stopReason) ??
      asText(asObject(part.messageStop)?.stopReason)
    if (reason !== undefined) return [reason]
  }
  return undefined
}

function operationOf(parts: readonly JsonObject[], images: number): DialectReading['operation'] {
  const first = parts[0] ?? {}
  if (images > 0) return 'image_generation'
  if (first.embedding !== undefined || first.embeddings !== undefined || first.embeddingsByType !== undefined)
    return 'embeddings'
  if (Array.isArray(first.results) && asObject(first.results[0])?.relevance_score !== undefined) return 'rerank'
  return 'chat'
}

function intervention(parts: readonly JsonObject[]): GuardrailEvent {
  const trace = parts.map((part) => asObject(asObject(part['amazon-bedrock-trace'])?.guardrail)).find(Boolean)
  const output = Object.keys(asObject(trace?.outputs) ?? {}).length > 0 || asList(trace?.outputs).length > 0
  return { guardrail: 'aws.bedrock.guardrail', stage: output ? 'output' : 'input', action: 'blocked' }
}

/** The text of families without a reader of their own. */
function contentOf(body: JsonObject | undefined, parts: readonly JsonObject[]): Content {
  const prompt = asText(body?.prompt) ?? asText(body?.inputText) ?? asText(body?.message)
  const text = parts.map(textOf).join('')
  return {
    ...(prompt === undefined ? {} : { input: [{ role: 'user', parts: [{ type: 'text', content: prompt }] }] }),
    ...(text === '' ? {} : { output: [{ role: 'assistant', parts: [{ type: 'text', content: text }] }] }),
  }
}

function textOf(part: JsonObject): string {
  const delta = asText(asObject(asObject(part.contentBlockDelta)?.delta)?.text)
  const message = asList(asObject(asObject(part.output)?.message)?.content).flatMap(
    (item) => asText(asObject(item)?.text) ?? [],
  )
  const listed = [...asList(part.results), ...asList(part.outputs), ...asList(part.generations)].flatMap((item) => {
    const one = asObject(item)
    return asText(one?.outputText) ?? asText(one?.text) ?? []
  })
  const plain = asText(part.outputText) ?? asText(part.completion) ?? asText(part.generation) ?? asText(part.text)
  return delta ?? plain ?? [...message, ...listed].join('')
}
