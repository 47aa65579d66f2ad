import { countCohere } from './cohere-usage.ts'
import { lastObjectNamed } from './cut-json.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { asList, asObject, asText, decodeText, type JsonObject, withoutUndefined } from './json-value.ts'
import { errorOf } from './provider-error.ts'
import { viewResponse } from './response-view.ts'
import { usageOutcome } from './usage-outcome.ts'

/** Cohere's embed, v1 and v2; classify answers alike. */
export const cohereEmbed: Dialect = {
  id: 'cohere-embed',
  matches: ({ path }) => /\/v[12]\/(?:embed|classify|summarize)$/.test(path),
  read: readEmbed,
}

function readEmbed(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const view = viewResponse(exchange)
  const answer = view.form === 'json' || view.form === 'cut_json' ? view.value : {}
  // The vectors come first and are long: of a cut answer only the end holds what was billed.
  const tail = view.form === 'cut_json' && exchange.responseTail !== undefined ? decodeText(exchange.responseTail) : ''
  const meta = asObject(answer.meta) ?? lastObjectNamed(tail, 'meta')
  const error = errorOf(answer, exchange.status)
  const texts = asList(body?.texts).filter((text) => typeof text === 'string')
  return {
    operation: 'embeddings',
    stream: false,
    ...withoutUndefined({ requestModel: asText(body?.model), responseId: asText(answer.id), error }),
    ...usageOutcome({
      status: exchange.status,
      form: view.form,
      counts: meta === undefined ? undefined : countCohere(meta),
      raw: meta,
      whole: true,
      ended: view.form === 'json',
      failed: error !== undefined,
      started: false,
    }),
    guardrails: [],
    billable: true,
    ...(texts.length === 0
      ? {}
      : {
          content: { input: texts.map((content) => ({ role: 'user', parts: [{ type: 'text' as const, content }] })) },
        }),
  }
}
