import { type Counts, sumOfCounts } from './counts.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { countGeminiUsage, modelInGooglePath } from './gemini-usage.ts'
import { asList, asObject, asText, type JsonObject, withoutUndefined } from './json-value.ts'
import { errorOf } from './provider-error.ts'
import { isRefusal, objectsOf, viewResponse } from './response-view.ts'
import { batchOfSums, billedLinesOfSums } from './usage-lines.ts'

/** Results of Gemini's batches: in the batch itself, or a file of one answer a line. The name tells when they are read again. */
export const geminiBatchResults: Dialect = {
  id: 'gemini-batch-results',
  matches: ({ path, method, host }) =>
    method === 'POST'
      ? CREATES.test(path)
      : method === 'GET' &&
        host.endsWith('googleapis.com') &&
        (/\/v1[a-z0-9]*\/batches\/[^/:]+$/.test(path) || /\/files\/[^/:]+:download$/.test(path)),
  read: readBatchResults,
}

/** Handing a batch in bills nothing: its results do. */
const CREATES = /\/models\/[^/]+(?::|%3A)(?:batchGenerateContent|asyncBatchEmbedContent)$/i

function readBatchResults(exchange: Exchange): DialectReading {
  const file = /\/((?:batches|files)\/[^/:]+)(?::download)?$/.exec(exchange.path)?.[1]
  if (exchange.usageLines !== undefined && exchange.method === 'GET' && !isRefusal(exchange.status))
    return batchOfSums(file, exchange.usageLines, billedLinesOfSums(exchange.usageLines, countSums))
  const view = viewResponse(exchange)
  const objects = objectsOf(view)
  const answers = view.form === 'json' ? inlined(objects[0]) : objects
  const lines = answers.flatMap((item) => lineOf(item) ?? [])
  const cut = !exchange.responseComplete || (view.form === 'json_lines' && (view.cut || view.gapAt !== undefined))
  const base = { operation: 'batch' as const, stream: false, guardrails: [] }
  // The results are in there, and nobody can see how many.
  if (view.form === 'cut_json' && lines.length === 0 && exchange.method === 'GET' && !isRefusal(exchange.status))
    return { ...base, counts: {}, usageSource: 'unknown', usageReason: 'body_cut', billable: true }
  if (isRefusal(exchange.status) || lines.length === 0) {
    const error = objects[0] === undefined ? undefined : errorOf(objects[0], exchange.status)
    const requestModel = modelInGooglePath(exchange.path)
    const said = withoutUndefined({ error, requestModel })
    return { ...base, ...said, counts: {}, usageSource: 'none', billable: false }
  }
  const id = /\/((?:batches|files)\/[^/:]+)(?::download)?$/.exec(exchange.path)?.[1]
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

/** Lists by modality come as sums by its name: `promptTokensDetails.AUDIO`. */
function countSums(usage: JsonObject): Counts | undefined {
  const entries = Object.entries(usage).map(([key, value]) => {
    const byModality = asObject(value)
    if (byModality === undefined || !/tokens?_?details$/i.test(key)) return [key, value]
    return [key, Object.entries(byModality).map(([modality, tokenCount]) => ({ modality, tokenCount }))]
  })
  return countGeminiUsage(Object.fromEntries(entries))
}

/** `response.inlinedResponses.inlinedResponses[]`, one list in another. */
function inlined(batch: JsonObject | undefined): JsonObject[] {
  const response = asObject(batch?.response)
  const outer = response?.inlinedResponses
  const list = Array.isArray(outer) ? outer : asList(asObject(outer)?.inlinedResponses)
  return list.map(asObject).filter((item) => item !== undefined)
}

function lineOf(item: JsonObject): { kind: string; model?: string; counts: Counts } | undefined {
  const response = asObject(item.response)
  const usage = asObject(response?.usageMetadata)
  const counts = usage === undefined ? undefined : countGeminiUsage(usage)
  const model = asText(response?.modelVersion)
  return counts === undefined ? undefined : { kind: 'batch_request', ...(model === undefined ? {} : { model }), counts }
}
