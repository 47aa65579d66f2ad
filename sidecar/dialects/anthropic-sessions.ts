import { countAnthropicUsage } from './anthropic-usage.ts'
import { type Counts, sumOfCounts } from './counts.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { asList, asObject, asText, type JsonObject, withoutUndefined } from './json-value.ts'
import { errorOf } from './provider-error.ts'
import { isRefusal, objectsOf, viewResponse } from './response-view.ts'
import { watchUsage } from './watched-usage.ts'

/**
 * Anthropic's managed agents: a session works on its own, and tells its model calls in events (`span.model_request_end`),
 * streamed or listed. Posting an event bills nothing itself; nor does the session object, whose usage is the sum of all.
 */
export const anthropicSessions: Dialect = {
  id: 'anthropic-sessions',
  matches: ({ path }) =>
    /\/v1\/sessions(?:\/[^/]+(?:\/(?:threads\/[^/]+\/)?events(?:\/stream)?|\/stream)?)?$/.test(path),
  read: readSession,
}

const MAX_SPANS = 1000

function readSession(exchange: Exchange): DialectReading {
  const view = viewResponse(exchange)
  const objects = objectsOf(view)
  const events = objects.flatMap((object) =>
    Array.isArray(object.data) ? asList(object.data).map(asObject) : [object],
  )
  const spans = new Map<string, { counts: Counts; model: string | undefined }>()
  let seen: JsonObject | undefined
  let summed = false
  let error: DialectReading['error']
  for (const event of events) {
    if (event === undefined || spans.size >= MAX_SPANS) continue
    error = errorOf(event, exchange.status) ?? error
    // The session itself: the sum of what its events tell one by one, and without the models.
    if (countAnthropicUsage(asObject(event.usage) ?? {})?.output) summed = true
    const usage = asObject(event.model_usage)
    if (usage === undefined) continue
    seen = watchUsage(usage)
    const counts = seen === undefined ? undefined : countAnthropicUsage(seen)
    const model = asText(event.model) ?? asText(asObject(event.model)?.id)
    if (counts !== undefined) spans.set(asText(event.id) ?? String(spans.size), { counts, model })
  }
  const base = { operation: 'chat' as const, stream: view.form === 'events', guardrails: [] }
  if (isRefusal(exchange.status) || spans.size === 0)
    return {
      ...base,
      ...withoutUndefined({ error }),
      ...(summed && spans.size === 0 ? { reasons: ['session_sum_not_billed'] } : {}),
      counts: {},
      usageSource: 'none',
      billable: false,
    }
  const lines = [...spans.values()]
  const model = lines.find((line) => line.model !== undefined)?.model
  const whole = exchange.responseTail === undefined
  return {
    ...base,
    ...withoutUndefined({
      responseModel: model,
      // Seen again from the same event on, they are the same calls, and those that came since.
      answerId: `${/\/sessions\/([^/]+)/.exec(exchange.path)?.[1]}/${[...spans.keys()][0]}`,
      responseId: [...spans.keys()][0],
      error,
    }),
    growing: true,
    counts: sumOfCounts(lines.map(({ counts }) => counts)),
    billedLines:
      lines.length > 1
        ? lines.map(({ counts, model: own }) => ({
            kind: 'model_request',
            ...(own === undefined ? {} : { model: own }),
            counts,
          }))
        : undefined,
    usageSource: whole ? 'provider' : 'partial',
    ...(whole ? {} : { usageReason: 'stream_cut' }),
    ...(seen === undefined ? {} : { usageSeen: seen }),
    // The session's own time is billed besides, and no event tells it.
    reasons: ['tool_fee_unknown'],
    billable: true,
  } as DialectReading
}
