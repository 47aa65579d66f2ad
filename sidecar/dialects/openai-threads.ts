import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { asObject, asText, type JsonObject, parseJson, withoutUndefined } from './json-value.ts'
import { countOpenAiUsage } from './openai-usage.ts'
import { errorOf } from './provider-error.ts'
import { type ResponseView, viewResponse } from './response-view.ts'
import { usageOutcome } from './usage-outcome.ts'
import { watchUsage } from './watched-usage.ts'

/** Runs of OpenAI's assistants: created, streamed, polled. Each poll of a finished run repeats its usage: its id tells. */
export const openAiThreads: Dialect = {
  id: 'openai-threads',
  matches: ({ path }) => /\/threads(?:\/[^/]+)?\/runs(?:\/[^/]+(?:\/(?:submit_tool_outputs|cancel))?)?$/.test(path),
  read: readRun,
}

const PENDING_STATES = new Set(['queued', 'in_progress', 'requires_action', 'cancelling'])

function readRun(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const view = viewResponse(exchange)
  const run = runOf(view)
  const usage = watchUsage(view.form === 'cut_json' ? view.usage : asObject(run.usage))
  const status = asText(run.status)
  const counts = usage === undefined ? undefined : countOpenAiUsage(usage, exchange.host)
  const error =
    asObject(run.last_error) === undefined ? errorOf(run, exchange.status) : errorOf({ error: run.last_error }, 200)
  // A run that is still at work has no usage yet; a list of runs is none.
  const pending = counts === undefined && (status === undefined || PENDING_STATES.has(status)) && view.form === 'json'
  const outcome = pending
    ? { counts: {}, usageSource: 'none' as const, usageReason: 'pending' }
    : usageOutcome({
        status: exchange.status,
        form: view.form,
        counts,
        raw: usage,
        whole: true, // a run says its usage once, when it is done
        ended: status !== undefined && !PENDING_STATES.has(status),
        failed: error !== undefined,
        started: view.form === 'events',
      })
  return {
    operation: 'chat',
    stream: view.form === 'events' || body?.stream === true,
    ...withoutUndefined({
      requestModel: asText(body?.model),
      responseModel: asText(run.model),
      responseId: asText(run.id),
      finishReasons: status === undefined ? undefined : [status],
      error,
    }),
    ...outcome,
    guardrails: [],
    billable: exchange.method !== 'GET' || outcome.usageSource !== 'unknown',
  }
}

function runOf(view: ResponseView): JsonObject {
  if (view.form === 'json' || view.form === 'cut_json')
    return view.value.object === 'thread.run' ? view.value : withError(view.value)
  let run: JsonObject = {}
  if (view.form === 'events')
    for (const { event, data } of view.events) {
      const value = asObject(parseJson(data))
      // Steps and messages of the run have events of their own; a step's usage is part of the run's.
      if (value?.object === 'thread.run') run = value
      else if (event === 'error' && value !== undefined) run = { ...run, error: value.error ?? value }
    }
  return run
}

function withError({ error }: JsonObject): JsonObject {
  return error === undefined ? {} : { error }
}
