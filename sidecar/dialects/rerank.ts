import { countCohere } from './cohere-usage.ts'
import type { Counts } from './counts.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { asCount, asObject, asText, type JsonObject, withoutUndefined } from './json-value.ts'
import { countEmbeddings } from './openai-embeddings.ts'
import { errorOf } from './provider-error.ts'
import { viewResponse } from './response-view.ts'
import { usageOutcome } from './usage-outcome.ts'
import { watchUsage } from './watched-usage.ts'

/** Reranking: Cohere bills search units, Voyage, Together, Jina, Mixedbread, Alibaba, OpenRouter and others tokens. */
export const rerank: Dialect = {
  id: 'rerank',
  // watsonx has a format of its own.
  matches: ({ path }) => /\/(?:text-)?rerank(?:s|ing)?$/.test(path) && !path.startsWith('/ml/v1'),
  read: readRerank,
}

function readRerank(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const view = viewResponse(exchange)
  const answer = view.form === 'json' || view.form === 'cut_json' ? view.value : {}
  const meta = watchUsage(asObject(answer.meta))
  const usage = watchUsage(view.form === 'cut_json' ? view.usage : asObject(answer.usage))
  const counts = (meta === undefined ? undefined : countCohere(meta)) ?? (usage && countRerank(usage))
  const error = errorOf(answer, exchange.status)
  const query = asText(body?.query) ?? asText(asObject(body?.input)?.query)
  return {
    operation: 'rerank',
    stream: false,
    ...withoutUndefined({
      requestModel: asText(body?.model),
      responseModel: asText(answer.model),
      responseId: asText(answer.id) ?? asText(answer.request_id),
      error,
    }),
    ...usageOutcome({
      status: exchange.status,
      form: view.form,
      counts,
      raw: usage ?? meta,
      whole: true,
      ended: view.form === 'json',
      failed: error !== undefined,
      started: false,
    }),
    guardrails: [],
    billable: true,
    ...(query === undefined
      ? {}
      : { content: { input: [{ role: 'user', parts: [{ type: 'text', content: query }] }] } }),
  }
}

function countRerank(usage: JsonObject): Counts | undefined {
  const searchUnits = asCount(usage.search_units) ?? asCount(usage.rerank_units) // Pinecone
  const counts = countEmbeddings(usage)
  // OpenRouter passes Cohere's units on, with a total of 0 tokens.
  if (searchUnits !== undefined && (counts?.input ?? 0) === 0) return { searchUnits }
  return counts
}
