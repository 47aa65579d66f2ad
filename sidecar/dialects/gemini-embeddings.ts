import type { Counts } from './counts.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { geminiParts } from './gemini-content.ts'
import { countGeminiUsage, geminiPriceAttributes, modelInGooglePath } from './gemini-usage.ts'
import { asCount, asList, asObject, asText, type JsonObject, withoutUndefined } from './json-value.ts'
import { errorOf } from './provider-error.ts'
import { isRefusal, viewResponse } from './response-view.ts'
import { usageOutcome } from './usage-outcome.ts'

/** Gemini's embedContent and batchEmbedContents: newer models report usage, older ones nothing. */
export const geminiEmbeddings: Dialect = {
  id: 'gemini-embeddings',
  matches: ({ path }) => /:(?:embedContent|batchEmbedContents)$/.test(path),
  read: readEmbeddings,
}

/** Vertex's predict: embeddings with statistics of each text, or pictures. */
export const vertexPredict: Dialect = {
  id: 'vertex-predict',
  matches: ({ path }) => /\/publishers\/google\/models\/[^/:]+:predict$/.test(path),
  read: readPredict,
}

function readEmbeddings(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const view = viewResponse(exchange)
  const answer = view.form === 'json' || view.form === 'cut_json' ? view.value : {}
  const usage = asObject(answer.usageMetadata)
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
      whole: true,
      ended: view.form === 'json',
      failed: error !== undefined,
      started: false,
    }),
    guardrails: [],
    billable: true,
    ...(texts.length === 0 ? {} : { content: { input: texts } }),
  }
}

function readPredict(exchange: Exchange): DialectReading {
  const view = viewResponse(exchange)
  const answer = view.form === 'json' || view.form === 'cut_json' ? view.value : {}
  const predictions = asList(answer.predictions).map(asObject)
  const texts = predictions.flatMap(
    (item) => asCount(asObject(asObject(item?.embeddings)?.statistics)?.token_count) ?? [],
  )
  const images = predictions.filter((item) => asText(item?.bytesBase64Encoded) ?? asText(item?.gcsUri)).length
  const input = texts.reduce((sum, count) => sum + count, 0)
  const counts: Counts | undefined = texts.length > 0 ? { input } : undefined
  const error = errorOf(answer, exchange.status)
  const outcome = usageOutcome({
    status: exchange.status,
    form: view.form,
    counts,
    raw: asObject(answer.metadata),
    whole: view.form === 'json',
    ended: view.form === 'json',
    failed: error !== undefined,
    started: false,
  })
  // Imagen bills the picture and reports nothing.
  const counted = outcome.usageSource === 'unknown' && images > 0 && view.form === 'json' && !isRefusal(exchange.status)
  return {
    operation: images > 0 ? 'image_generation' : 'embeddings',
    stream: false,
    ...withoutUndefined({
      requestModel: modelInGooglePath(exchange.path),
      priceAttributes: geminiPriceAttributes(undefined, exchange.host, exchange.path),
      error,
    }),
    ...(counted ? { counts: { images }, usageSource: 'counted' as const } : outcome),
    guardrails: [],
    billable: true,
  }
}
