import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { asCount, asNumber, asText, type JsonObject, withoutUndefined } from './json-value.ts'
import { errorOf } from './provider-error.ts'
import { objectsOf, viewResponse } from './response-view.ts'
import { usageOutcome } from './usage-outcome.ts'

/** Anthropic's old completions: they report no usage at all. */
export const anthropicComplete: Dialect = {
  id: 'anthropic-complete',
  matches: ({ path }) => path.endsWith('/v1/complete'),
  read: readComplete,
}

function readComplete(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const view = viewResponse(exchange)
  const pieces = objectsOf(view)
  const last = pieces.findLast((piece) => piece.completion !== undefined)
  const stopReason = asText(last?.stop_reason)
  const error = pieces.map((piece) => errorOf(piece, exchange.status)).find((found) => found !== undefined)
  const text = pieces.map((piece) => asText(piece.completion) ?? '').join('')
  const prompt = asText(body?.prompt)
  return {
    operation: 'text_completion',
    stream: view.form === 'events',
    ...withoutUndefined({
      requestModel: asText(body?.model),
      responseModel: asText(last?.model),
      responseId: asText(last?.id),
      finishReasons: stopReason === undefined ? undefined : [stopReason],
      parameters: withoutUndefined({
        maxTokens: asCount(body?.max_tokens_to_sample),
        temperature: asNumber(body?.temperature),
      }),
      error,
    }),
    ...usageOutcome({
      status: exchange.status,
      form: view.form,
      counts: undefined,
      raw: undefined,
      whole: false,
      ended: stopReason !== undefined,
      failed: error !== undefined,
      started: text !== '',
    }),
    guardrails: [],
    billable: true,
    content: {
      ...(prompt === undefined ? {} : { input: [{ role: 'user', parts: [{ type: 'text', content: prompt }] }] }),
      ...(text === '' ? {} : { output: [{ role: 'assistant', parts: [{ type: 'text', content: text }] }] }),
    },
  }
}
