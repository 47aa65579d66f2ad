import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { asCount, asList, asNumber, asText, type JsonObject, withoutUndefined } from './json-value.ts'
import { errorOf } from './provider-error.ts'
import { objectsOf, type ResponseView, viewResponse } from './response-view.ts'
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
  const text = textOf(pieces, view)
  const prompt = asText(body?.prompt)
  const stop = asList(body?.stop_sequences).filter((sequence) => typeof sequence === 'string')
  return {
    operation: 'text_completion',
    stream: view.form === 'events' || body?.stream === true,
    ...withoutUndefined({
      requestModel: asText(body?.model),
      responseModel: asText(last?.model),
      responseId: asText(last?.id),
      finishReasons: stopReason === undefined ? undefined : [stopReason],
      parameters: withoutUndefined({
        maxTokens: asCount(body?.max_tokens_to_sample),
        temperature: asNumber(body?.temperature),
        topP: asNumber(body?.top_p),
        topK: asNumber(body?.top_k),
        stopSequences: stop.length > 0 ? stop : undefined,
      }),
      error,
    }),
    ...usageOutcome({
      status: exchange.status,
      form: view.form,
      counts: undefined,
      raw: undefined,
      whole: false,
      ended: view.form === 'json' || stopReason !== undefined,
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

/** In the API's first version each event says all of the text so far; in later ones what is new. */
function textOf(pieces: readonly JsonObject[], view: ResponseView): string {
  const texts = pieces.map((piece) => asText(piece.completion) ?? '')
  const said = texts.filter((text) => text !== '')
  if (said.length > 1 && said.every((text, at) => at === 0 || text.startsWith(said[at - 1] as string)))
    return said.at(-1) as string
  const gapAt = view.form === 'events' ? view.gapAt : undefined
  return texts.map((text, at) => (at > 0 && at === gapAt ? `[…]${text}` : text)).join('')
}
