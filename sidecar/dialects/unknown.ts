import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { asList, asObject, asText, type JsonObject, parseJson, withoutUndefined } from './json-value.ts'
import { errorOf } from './provider-error.ts'
import { isRefusal, type ResponseView, viewResponse } from './response-view.ts'

/** A format that nobody reads: models and ids where they are easily seen, usage honestly unknown. */
export const unknownDialect: Dialect = {
  id: 'unknown',
  matches: () => true,
  read: readUnknown,
}

/** Counting tokens: the answer has `input_tokens`, and nobody bills them. */
const COUNTING =
  /(?:\/count[_-]tokens|:(?:count|compute)Tokens|\/responses\/input_tokens|\/(?:de)?tokenize)(?::rawPredict)?$/

/** Providers bill none of these by the call: lists, files, batches as objects, fine-tuning, stores, threads. */
const FREE_PATHS =
  /\/(?:models(?:\/[^/:]+)?|files(?:\/[^/]+)*|(?:messages\/)?batches(?:\/[^/]+)*|fine[_-]tuning\/.*|vector_stores(?:\/.*)?|assistants(?:\/[^/]+)?|threads(?:\/.*)?|conversations\/[^/]+\/items|containers(?:\/.*)?|uploads(?:\/.*)?|organization\/.*|cachedContents(?:\/[^/]+)?|check-api-key|embed-jobs(?:\/.*)?|datasets(?:\/.*)?|predictions\/[^/]+\/cancel)$/

const OPERATIONS: readonly (readonly [RegExp, DialectReading['operation']])[] = [
  [COUNTING, 'count_tokens'],
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
  const billable = method === 'POST' && !FREE_PATHS.test(path) && !COUNTING.test(path)
  const error = answer === undefined ? undefined : errorOf(answer, status)
  const usageReason =
    view.form === 'none' ? 'no_body' : view.form === 'unreadable' ? 'unreadable_body' : 'unknown_format'
  return {
    operation: OPERATIONS.find(([pattern]) => pattern.test(path))?.[1] ?? 'unknown',
    stream: view.form === 'events' || body?.stream === true,
    ...withoutUndefined({
      requestModel: asText(body?.model) ?? asText(body?.modelId) ?? modelInPath(path),
      responseModel: asText(answer?.model) ?? asText(answer?.modelVersion),
      responseId: asText(answer?.id) ?? asText(answer?.responseId),
      error,
    }),
    counts: {},
    ...(isRefusal(status) || !billable
      ? { usageSource: 'none' as const }
      : { usageSource: 'unknown' as const, usageReason }),
    guardrails: [],
    billable,
  }
}

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
  const found = /\/models?\/([^/]+?)(?::[a-zA-Z]+|\/(?:converse|invoke)[a-z-]*)$/.exec(path)?.[1]
  if (found === undefined) return undefined
  try {
    return decodeURIComponent(found)
  } catch {
    return found
  }
}
