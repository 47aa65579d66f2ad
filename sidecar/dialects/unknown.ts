import { countAnyUsage, usageAnywhere } from './any-usage.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { asList, asObject, asText, type JsonObject, parseJson, withoutUndefined } from './json-value.ts'
import { errorOf } from './provider-error.ts'
import { isRefusal, objectsOf, type ResponseView, viewResponse } from './response-view.ts'
import { usageOutcome } from './usage-outcome.ts'
import { watchUsage } from './watched-usage.ts'

/** A format that nobody reads: models and ids where they are easily seen, usage honestly unknown. */
export const unknownDialect: Dialect = {
  id: 'unknown',
  matches: () => true,
  read: readUnknown,
}

/** Counting tokens: the answer has `input_tokens`, and nobody bills them. */
const COUNTING =
  /(?:\/count[_-]tokens|:(?:count|compute)Tokens|\/responses\/input_tokens|\/(?:de)?tokenize)(?::rawPredict)?$/

/**
 * What providers bill nothing for by the call: lists, files, batches as objects, fine-tuning, stores, threads, polls of what
 * was billed when it was made. Nothing else is free.
 */
const FREE_PATHS =
  /\/(?:models(?:\/[^/:]+)?|files(?:\/[^/]+)*|(?:messages\/)?batches(?:\/[^/]+)*|fine[_-]tuning\/.*|vector_stores(?:\/.*)?|assistants(?:\/[^/]+)?|threads(?:\/.*)?|conversations(?:\/[^/]+)?(?:\/items)?|containers(?:\/.*)?|uploads(?:\/.*)?|organization\/.*|cachedContents(?:\/[^/]+)?|check-api-key|embed-jobs(?:\/.*)?|datasets(?:\/.*)?|predictions\/[^/]+\/cancel|realtime\/(?:client_secrets|sessions|transcription_sessions)|input_items|credits|key|auth\/.*|voices(?:\/.*)?|agents(?:\/[^/]+)?|environments(?:\/.*)?|sessions(?:\/[^/]+)?(?:\/resources.*)?)$|:fetchPredictOperation$/

/** Sessions whose sound and text pass beside the gateway. */
const REALTIME = /\/realtime\/(?:calls|client_secrets|sessions|transcription_sessions)(?:\/.*)?$/

const OPERATIONS: readonly (readonly [RegExp, DialectReading['operation']])[] = [
  [COUNTING, 'count_tokens'],
  [REALTIME, 'realtime'],
  [/\/(?:text-to-speech|tts|speech)(?:\/.*)?$/, 'speech'],
  [/\/(?:speech-to-text|stt|listen|transcribe)(?:\/.*)?$/, 'transcription'],
  [/\/(?:videos|video\/generations)(?:\/.*)?$|:predictLongRunning$/, 'video_generation'],
  [/\/(?:images?|text-to-image|image-to-image)(?:\/.*)?$/, 'image_generation'],
  [/\/(?:embeddings|embed)$|:(?:batch)?[eE]mbedContents?$/, 'embeddings'],
  [/:(?:stream)?[gG]enerateContent$/, 'generate_content'],
  [/\/(?:responses|chat|converse|converse-stream)$/, 'chat'],
  [/\/(?:completions|complete|generate)$/, 'text_completion'],
  [/\/rerank$/, 'rerank'],
]

function readUnknown(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const { path, method, status } = exchange
  const view = viewResponse(exchange)
  const answer = visibleAnswer(view)
  const told = toldUsage(view)
  const usage = watchUsage(told?.usage)
  // OpenRouter tells of an answer what it billed then.
  const free = FREE_PATHS.test(path) || COUNTING.test(path) || (method === 'GET' && path.endsWith('/generation'))
  // Who only looks is billed for nothing, unless what is looked at tells of usage that nobody reads.
  const looks = method !== 'POST' && usage === undefined && view.form !== 'events'
  const billable = !free && !looks
  const error = answer === undefined ? undefined : errorOf(answer, status)
  const operation = OPERATIONS.find(([pattern]) => pattern.test(path))?.[1] ?? 'unknown'
  const counts = usage === undefined ? undefined : countAnyUsage(usage, exchange.host)
  const reasonless =
    view.form === 'none'
      ? 'no_body'
      : operation === 'realtime'
        ? 'beside_the_gateway'
        : view.form === 'unreadable'
          ? 'unreadable_body'
          : 'unknown_format'
  const said = told?.holder ?? answer
  return {
    operation,
    stream: view.form === 'events' || body?.stream === true,
    ...withoutUndefined({
      requestModel: asText(body?.model) ?? asText(body?.modelId) ?? asText(body?.model_id) ?? modelInPath(path),
      responseModel: asText(said?.model) ?? asText(said?.modelVersion),
      responseId: asText(said?.id) ?? asText(said?.responseId) ?? asText(said?.request_id),
      error,
    }),
    ...(isRefusal(status) || !billable
      ? { counts: {}, usageSource: 'none' as const }
      : counts !== undefined
        ? usageOutcome({
            status,
            form: view.form,
            counts,
            raw: usage,
            // A running count may come in any event: the last one, of a stream that came whole, is the whole.
            whole: view.form === 'json' || (exchange.responseComplete && exchange.responseTail === undefined),
            ended: true,
            failed: error !== undefined,
            started: true,
          })
        : { counts: {}, usageSource: 'unknown' as const, usageReason: reasonless }),
    guardrails: [],
    billable,
  }
}

/** The last usage object that the answer tells, and the object that it stands in. */
function toldUsage(view: ResponseView): { usage: JsonObject; holder: JsonObject } | undefined {
  const objects = objectsOf(view)
  for (let at = objects.length - 1; at >= Math.max(0, objects.length - MAX_LOOKED_AT); at--) {
    const holder = objects[at] as JsonObject
    const usage = usageAnywhere(holder)
    if (usage !== undefined) return { usage, holder: asObject(holder.response) ?? asObject(holder.message) ?? holder }
  }
  return undefined
}

/** Events at the end of a stream that may hold the usage. */
const MAX_LOOKED_AT = 64

/** The answer, or what an event of the stream calls so (`message`, `response`). */
function visibleAnswer(view: ResponseView): JsonObject | undefined {
  if (view.form === 'json' || view.form === 'cut_json') return view.value
  if (view.form !== 'events') return undefined
  for (const { data } of asList(view.events.slice(0, 3)) as readonly { data: string }[]) {
    const event = asObject(parseJson(data))
    const answer = asObject(event?.response) ?? asObject(event?.message) ?? event
    if (asText(answer?.model) !== undefined || asText(answer?.modelVersion) !== undefined) return answer
    if (asObject(event?.error) !== undefined) return event
  }
  return undefined
}

/** Gemini's `…/models/<model>:generateContent`, Bedrock's `/model/<model>/converse`. */
function modelInPath(path: string): string | undefined {
  const found =
    /\/ai\/run\/(.+)$/.exec(path)?.[1] ?? // Cloudflare
    /\/serving-endpoints\/([^/]+)\/invocations$/.exec(path)?.[1] ?? // Databricks
    /\/endpoints\/([^/]+)\/invocations$/.exec(path)?.[1] ?? // SageMaker
    /\/models?\/([^/]+?)(?::[a-zA-Z]+|\/(?:converse|invoke)[a-z-]*)$/.exec(path)?.[1]
  if (found === undefined) return undefined
  try {
    return decodeURIComponent(found)
  } catch {
    return found
  }
}
