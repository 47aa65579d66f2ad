import type { Content, PriceAttributes } from '../call.ts'
import { anthropicMessages } from './anthropic-messages.ts'
import { bedrockParameters } from './bedrock-content.ts'
import {
  finishReasonsOf,
  operationOf,
  picturePriceAttributes,
  picturesOf,
  plainContent,
  plainCounts,
} from './bedrock-families.ts'
import { guardrailEvents, guardrailUnitsOf } from './bedrock-guardrail.ts'
import { searchUnitsOf } from './bedrock-rerank.ts'
import { bedrockEvents, isStreamed } from './bedrock-stream.ts'
import {
  bedrockError,
  bedrockPriceAttributes,
  countBedrockHeaders,
  countInvocationMetrics,
  modelInBedrockPath,
} from './bedrock-usage.ts'
import type { Counts } from './counts.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { asList, asObject, asText, decodeText, type JsonObject, parseJson, withoutUndefined } from './json-value.ts'
import { readOpenAiChoices } from './openai-chat.ts'
import { isRefusal, viewResponse } from './response-view.ts'
import { type UsageOutcome, usageOutcome } from './usage-outcome.ts'

/**
 * Bedrock's invoke: each model family's own JSON, whole or in the chunks of a binary stream. Bedrock adds token counts of
 * its own: headers to a whole answer, `amazon-bedrock-invocationMetrics` to the last chunk.
 */
export const bedrockInvoke: Dialect = {
  id: 'bedrock-invoke',
  matches: ({ path }) => /\/model\/.+\/invoke(?:-with-response-stream)?$/.test(path),
  read: readInvoke,
}

const METRICS = 'amazon-bedrock-invocationMetrics'

interface Heard {
  form: 'none' | 'json' | 'cut_json' | 'events' | 'unreadable'
  /** The model's own JSON: one object, or one for each chunk. */
  parts: JsonObject[]
  /** The middle of the stream was cut out before this chunk. */
  gapAt: number | undefined
  cut: boolean
  error: DialectReading['error']
}

function readInvoke(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const { responseHeaders } = exchange
  const model = modelInBedrockPath(exchange.path)
  const heard = isStreamed(exchange) ? chunksOf(exchange) : bodyOf(exchange)
  const { parts } = heard
  const family = familyReading(exchange, body, heard, model)
  const error = heard.error ?? family?.error
  const guardrail = guardrailOf(parts)
  const operation = operationOf(parts, body, model)
  const content: Content = family?.content ?? plainContent(body, parts)
  const latency = asText(responseHeaders['x-amzn-bedrock-performanceconfig-latency'])
  return {
    operation,
    stream: exchange.path.endsWith('-stream'),
    ...withoutUndefined({
      requestModel: model,
      responseId: family?.responseId,
      serviceTier: asText(responseHeaders['x-amzn-bedrock-service-tier']) ?? family?.serviceTier,
      systemFingerprint: family?.systemFingerprint,
      parameters:
        family?.parameters ??
        bedrockParameters(body, body?.inferenceConfig, body?.textGenerationConfig, body?.imageGenerationConfig),
      finishReasons: family?.finishReasons ?? finishReasonsOf(parts),
      billedLines: family?.billedLines,
      priceAttributes: someOf({
        ...family?.priceAttributes,
        ...(operation === 'image_generation' ? picturePriceAttributes(body) : {}),
        ...bedrockPriceAttributes(exchange.host, latency),
      }),
      error,
    }),
    ...outcomeOf(exchange, body, heard, family, guardrail, operation),
    guardrails: [...(family?.guardrails ?? []), ...guardrail.events],
    billable: true,
    content: { ...content, ...(exchange.requestTruncated || heard.cut ? { truncated: true } : {}) },
  }
}

function someOf(attributes: PriceAttributes): PriceAttributes | undefined {
  return Object.keys(attributes).length > 0 ? attributes : undefined
}

function bodyOf(exchange: Exchange): Heard {
  const view = viewResponse(exchange)
  const cut = !exchange.responseComplete || exchange.responseTail !== undefined
  if (view.form !== 'json' && view.form !== 'cut_json')
    return { form: view.form === 'none' ? 'none' : 'unreadable', parts: [], gapAt: undefined, cut, error: undefined }
  const usage = view.form === 'cut_json' && view.usage !== undefined ? { usage: view.usage } : {}
  return {
    form: view.form,
    parts: [{ ...view.value, ...usage }],
    gapAt: undefined,
    cut: cut || view.form === 'cut_json',
    error: bedrockError(view.value, exchange),
  }
}

function chunksOf(exchange: Exchange): Heard {
  const { form, events, gapAt, broken } = bedrockEvents(exchange)
  const heard: Heard = {
    form,
    parts: [],
    gapAt: undefined,
    cut: broken || gapAt !== undefined || !exchange.responseComplete,
    error: undefined,
  }
  for (let position = 0; position < events.length; position++) {
    if (position === gapAt) heard.gapAt = heard.parts.length
    const { value, error } = events[position] as (typeof events)[number]
    if (error !== undefined) heard.error = error
    const part = asObject(parseJson(decodeText(Buffer.from(asText(value.bytes) ?? '', 'base64'))))
    if (part?.type === 'error') heard.error = bedrockError(part, exchange)
    else if (part !== undefined) heard.parts.push(part)
  }
  return heard
}

/** Families whose format has a reader of its own: Claude's messages, and OpenAI's chat as many models speak it. */
function familyReading(
  exchange: Exchange,
  body: JsonObject | undefined,
  heard: Heard,
  model: string | undefined,
): DialectReading | undefined {
  const { parts, form } = heard
  if (parts.length === 0 || isRefusal(exchange.status)) return undefined
  const claude =
    parts.some(({ type }) => typeof type === 'string' && /^(?:message|content_block)(?:_|$)/.test(type)) ||
    // Of a body that was cut the first members may be lost; the oldest Claudes speak another format.
    (form === 'cut_json' && /claude-(?!v\d|instant)/.test(model ?? '') && parts[0]?.completion === undefined)
  const inner = form === 'events' ? asServerSentEvents(exchange, heard) : exchange
  if (claude) return anthropicMessages.read(inner, body)
  const choices = parts.some((part) => Array.isArray(part.choices) || /^chat\.completion/.test(String(part.object)))
  return choices ? readOpenAiChoices(inner, body, 'chat') : undefined
}

function asServerSentEvents(exchange: Exchange, { parts, gapAt }: Heard): Exchange {
  const text = (some: readonly JsonObject[]) => some.map((part) => `data: ${JSON.stringify(part)}\n\n`).join('')
  return {
    ...exchange,
    responseHeaders: { 'content-type': 'text/event-stream' },
    responseBody: Buffer.from(`:\n\n${text(parts.slice(0, gapAt))}`),
    responseTail: gapAt === undefined ? undefined : Buffer.from(`\n\n${text(parts.slice(gapAt))}`),
  }
}

interface Guarded {
  intervened: boolean
  /** The prompt was blocked: the model was never asked. */
  refused: boolean
  /** Units of text that the guardrail looked at, where a trace was asked for. */
  units: number | undefined
  events: DialectReading['guardrails']
}

function guardrailOf(parts: readonly JsonObject[]): Guarded {
  const intervened = parts.some((part) => part['amazon-bedrock-guardrailAction'] === 'INTERVENED')
  const traces = parts
    .map((part) => asObject(asObject(part['amazon-bedrock-trace'])?.guardrail))
    .filter((trace) => trace !== undefined)
  const assessed = {
    input: traces.map((trace) => trace.input ?? trace.inputAssessment),
    output: traces.map((trace) => trace.outputs ?? trace.output ?? trace.outputAssessments),
    stage: 'input' as const,
    reason: traces.map((trace) => asText(trace.actionReason)).find((reason) => reason !== undefined),
  }
  const told = guardrailEvents({ ...assessed, intervened: false })
  return {
    intervened,
    refused: intervened && told.some(({ stage, action }) => stage === 'input' && action === 'blocked'),
    units: guardrailUnitsOf(assessed.input),
    events: guardrailEvents({ ...assessed, intervened }),
  }
}

/**
 * Who says the usage. A reader of the family says most (how long a cache write lives, thoughts), if it heard all; then
 * Bedrock, which counts for every family; then the few numbers of a plain body.
 */
function outcomeOf(
  exchange: Exchange,
  body: JsonObject | undefined,
  { form, parts, error }: Heard,
  family: DialectReading | undefined,
  guardrail: Guarded,
  operation: DialectReading['operation'],
): UsageOutcome {
  const metrics = parts.map((part) => asObject(part[METRICS])).findLast((found) => found !== undefined)
  const byBedrock =
    metrics === undefined ? countBedrockHeaders(exchange.responseHeaders) : countInvocationMetrics(metrics)
  // Where a guardrail stepped in, the text that a plain body counts is the guardrail's.
  const plain = guardrail.intervened ? undefined : plainCounts(parts)
  const own = family?.usageSource === 'provider' ? family.counts : undefined
  // Its beginning was cut out, the model's last word was not.
  const last = own === undefined && family?.finishReasons !== undefined ? family.counts.output : undefined
  const pictures = form === 'json' ? picturesOf(parts[0] ?? {}) : undefined
  const outcome = usageOutcome({
    status: exchange.status,
    form,
    ...chosen(),
    ended: form === 'events' ? metrics !== undefined || family?.finishReasons !== undefined : form === 'json',
    failed: error !== undefined || family?.error !== undefined,
    started: parts.length > 0 && (form === 'events' || error === undefined),
  })
  // A picture is billed as one, whatever tokens its prompt had; an error beside it names others that were taken away.
  if (pictures !== undefined && !isRefusal(exchange.status))
    return outcome.usageSource === 'provider'
      ? { ...outcome, counts: { ...outcome.counts, images: pictures } }
      : { counts: { images: pictures }, usageSource: 'counted' }
  if (outcome.usageSource === 'unknown' && guardrail.refused)
    // The model did no work; the guardrail did.
    return guardrail.units === undefined
      ? { counts: {}, usageSource: 'none', usageReason: 'blocked_prompt' }
      : { counts: { guardrailUnits: guardrail.units }, usageSource: 'counted', usageReason: 'blocked_prompt' }
  const units =
    operation === 'rerank' && form === 'json' && !exchange.requestTruncated
      ? searchUnitsOf(body?.query, asList(body?.documents))
      : undefined
  if (outcome.usageSource === 'unknown' && units !== undefined)
    return { counts: { searchUnits: units }, usageSource: 'counted' }
  // Recorded of tools of Claude 3.5: which of the two is billed AWS does not say.
  if (outcome.usageSource === 'provider' && byBedrock !== undefined && differ(outcome.counts, byBedrock))
    return { ...outcome, usageReason: 'metrics_differ' }
  return outcome

  function chosen(): { counts: Counts | undefined; raw: JsonObject | undefined; whole: boolean } {
    const raw = metrics ?? asObject(family?.rawUsage)
    if (own !== undefined) return { counts: own, raw: family?.usageSeen ?? asObject(family?.rawUsage), whole: true }
    if (byBedrock !== undefined) {
      const counts = { ...plain?.counts, ...byBedrock, ...(last === undefined ? {} : { output: last }) }
      // Only the model itself says how long a cache write lives and what it thought: these are missing in its last word.
      const thinks = body?.thinking !== undefined || body?.reasoning_effort !== undefined
      const finer = thinks || (byBedrock.cacheWrite ?? 0) > 0
      // Of a stream whose middle was cut out the model's own last word, which may differ, is to be heard as well.
      const unheard = form === 'events' && family !== undefined && family.finishReasons === undefined
      const told = plain !== undefined || form === 'json'
      return { counts, raw, whole: told || !(finer || unheard) }
    }
    if (family !== undefined) return { counts: family.counts, raw, whole: false }
    return { counts: plain?.counts, raw, whole: form === 'json' || plain?.final === true }
  }
}

function differ(own: Counts, byBedrock: Counts): boolean {
  return (['input', 'output'] as const).some(
    (name) => own[name] !== undefined && byBedrock[name] !== undefined && own[name] !== byBedrock[name],
  )
}
