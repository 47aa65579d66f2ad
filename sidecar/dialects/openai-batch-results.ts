import { type Counts, sumOfCounts } from './counts.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { asObject, asText, decodeText, type JsonObject } from './json-value.ts'
import { countEmbeddings } from './openai-embeddings.ts'
import { countResponsesUsage } from './openai-responses.ts'
import { countOpenAiUsage } from './openai-usage.ts'
import { isRefusal, viewResponse } from './response-view.ts'
import { batchOfSums, billedLinesOfSums } from './usage-lines.ts'

/**
 * Results of a batch of OpenAI (Azure, Mistral, Groq, Together …): a file of one answer a line. The requests were made
 * outside of the gateway; this is where their usage is seen, and the file's id tells when it is read again.
 */
export const openAiBatchResults: Dialect = {
  id: 'openai-batch-results',
  matches: ({ path, method }) => method === 'GET' && /\/files\/[^/]+\/content$/.test(path),
  read: readBatchResults,
}

function readBatchResults(exchange: Exchange): DialectReading {
  const path = /\/files\/([^/]+)\/content$/.exec(exchange.path)?.[1]
  if (exchange.usageLines !== undefined && !isRefusal(exchange.status))
    return batchOfSums(path, exchange.usageLines, billedLinesOfSums(exchange.usageLines, countAnyBody))
  const view = viewResponse(exchange)
  const items = view.form === 'json_lines' ? view.items : view.form === 'json' ? [view.value] : []
  const lines = items.flatMap((item) => lineOf(item) ?? [])
  const id = /\/files\/([^/]+)\/content$/.exec(exchange.path)?.[1]
  // A file has no end of its own: that it is whole, only the transport can tell.
  const cut =
    !exchange.responseComplete ||
    exchange.responseTail !== undefined ||
    (view.form === 'json_lines' && (view.cut || view.gapAt !== undefined))
  const base = { operation: 'batch' as const, stream: false, guardrails: [] }
  // Results are in there, and nobody can see how many.
  if (lines.length === 0 && cut && !isRefusal(exchange.status) && looksLikeResults(exchange))
    return {
      ...base,
      ...(id === undefined ? {} : { responseId: id }),
      counts: {},
      usageSource: 'unknown',
      usageReason: 'body_cut',
      billable: true,
    }
  // Any other file: what is in it is nobody's usage.
  if (isRefusal(exchange.status) || lines.length === 0)
    return { ...base, counts: {}, usageSource: 'none', billable: false }
  const model = lines[0]?.model
  return {
    ...base,
    ...(model === undefined ? {} : { responseModel: model }),
    ...(id === undefined ? {} : { responseId: id }),
    serviceTier: 'batch',
    priceAttributes: { batch: 'true' },
    counts: sumOfCounts(lines.map(({ counts }) => counts)),
    billedLines: lines,
    usageSource: cut ? 'partial' : 'provider',
    ...(cut ? { usageReason: 'body_cut' } : {}),
    billable: true,
  }
}

function countAnyBody(usage: JsonObject): Counts | undefined {
  return countOpenAiUsage(usage, '') ?? countEmbeddings(usage)
}

function looksLikeResults({ responseBody }: Exchange): boolean {
  const start = responseBody === undefined ? '' : decodeText(responseBody.subarray(0, 512))
  return start.trimStart().startsWith('{') && /"custom_id"\s*:/.test(start)
}

/** `{custom_id, response: {status_code, body}, error}`; a line that failed has a body without usage. */
function lineOf(item: JsonObject): { kind: string; model?: string; counts: Counts } | undefined {
  const body = asObject(asObject(item.response)?.body)
  const usage = asObject(body?.usage)
  if (body === undefined || usage === undefined || item.custom_id === undefined) return undefined
  const counts =
    countResponsesUsage(usage) ??
    (body.object === 'list' ? countEmbeddings(usage) : countOpenAiUsage(usage, '')) ??
    countEmbeddings(usage)
  const model = asText(body.model)
  return counts === undefined ? undefined : { kind: 'batch_request', ...(model === undefined ? {} : { model }), counts }
}
