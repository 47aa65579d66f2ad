import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { geminiParts } from './gemini-content.ts'
import { countGeminiUsage, geminiPriceAttributes, modelInGooglePath, verbOfGooglePath } from './gemini-usage.ts'
import { asObject, type JsonObject, withoutUndefined } from './json-value.ts'
import { errorOf } from './provider-error.ts'
import { viewResponse } from './response-view.ts'
import { usageOutcome } from './usage-outcome.ts'
import { watchUsage } from './watched-usage.ts'

/** Gemini's embedContent and batchEmbedContents: newer models report usage, older ones nothing. */
export const geminiEmbeddings: Dialect = {
  id: 'gemini-embeddings',
  matches: ({ path }) => /^(?:embedContent|batchEmbedContents)$/i.test(verbOfGooglePath(path) ?? ''),
  read: readEmbeddings,
}

function readEmbeddings(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const view = viewResponse(exchange)
  const answer = view.form === 'json' || view.form === 'cut_json' ? view.value : {}
  const usage = watchUsage(asObject(answer.usageMetadata))
  const error = errorOf(answer, exchange.status)
  const requests = Array.isArray(body?.requests) ? body.requests : [body]
  const texts = requests.flatMap((item) => {
    const content = asObject(asObject(item)?.content)
    return content === undefined ? [] : [{ role: 'user', parts: geminiParts(content) }]
  })
  return {
    operation: 'embeddings',
    stream: false,
    ...withoutUndefined({
      requestModel: modelInGooglePath(exchange.path),
      priceAttributes: geminiPriceAttributes(usage, exchange.host, exchange.path),
      error,
    }),
    ...usageOutcome({
      status: exchange.status,
      form: view.form,
      counts: usage === undefined ? undefined : countGeminiUsage(usage),
      raw: usage,
      whole: true, // said once: there or not
      ended: view.form === 'json',
      failed: error !== undefined,
      started: false,
    }),
    guardrails: [],
    billable: true,
    ...(texts.length === 0 ? {} : { content: { input: texts } }),
  }
}
