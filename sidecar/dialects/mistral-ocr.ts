import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { asCount, asObject, asText, type JsonObject, withoutUndefined } from './json-value.ts'
import { errorOf } from './provider-error.ts'
import { viewResponse } from './response-view.ts'
import { usageOutcome } from './usage-outcome.ts'
import { watchUsage } from './watched-usage.ts'

/** Mistral's OCR, its own and Azure's: billed by the page. */
export const mistralOcr: Dialect = {
  id: 'mistral-ocr',
  matches: ({ path }) => /\/(?:v1|mistral\/azure)\/ocr$/.test(path),
  read: readOcr,
}

function readOcr(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const view = viewResponse(exchange)
  const answer = view.form === 'json' || view.form === 'cut_json' ? view.value : {}
  const usage = watchUsage(asObject(answer.usage_info))
  const pages = asCount(usage?.pages_processed)
  const error = errorOf(answer, exchange.status)
  return {
    operation: 'ocr',
    stream: false,
    ...withoutUndefined({ requestModel: asText(body?.model), responseModel: asText(answer.model), error }),
    ...usageOutcome({
      status: exchange.status,
      form: view.form,
      counts: pages === undefined ? undefined : { pages },
      raw: usage,
      whole: true,
      ended: view.form === 'json',
      failed: error !== undefined,
      started: false,
    }),
    guardrails: [],
    billable: true,
  }
}
