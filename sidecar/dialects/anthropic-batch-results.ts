import { countAnthropicUsage } from './anthropic-usage.ts'
import { type Counts, sumOfCounts } from './counts.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { asObject, asText, type JsonObject } from './json-value.ts'
import { isRefusal, viewResponse } from './response-view.ts'

/** Results of Anthropic's batches: one message a line. The batch's id tells when they are read again. */
export const anthropicBatchResults: Dialect = {
  id: 'anthropic-batch-results',
  matches: ({ path, method }) => method === 'GET' && /\/messages\/batches\/[^/]+\/results$/.test(path),
  read: readBatchResults,
}

function readBatchResults(exchange: Exchange): DialectReading {
  const view = viewResponse(exchange)
  const items = view.form === 'json_lines' ? view.items : view.form === 'json' ? [view.value] : []
  const lines = items.flatMap((item) => lineOf(item) ?? [])
  const id = /\/batches\/([^/]+)\/results$/.exec(exchange.path)?.[1]
  const cut = !exchange.responseComplete || (view.form === 'json_lines' && (view.cut || view.gapAt !== undefined))
  const base = { operation: 'batch' as const, stream: false, guardrails: [] }
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

/** Only what succeeded is billed: errored, canceled and expired requests are not. */
function lineOf(item: JsonObject): { kind: string; model?: string; counts: Counts } | undefined {
  const message = asObject(asObject(item.result)?.message)
  const usage = asObject(message?.usage)
  const counts = usage === undefined ? undefined : countAnthropicUsage(usage)
  const model = asText(message?.model)
  return counts === undefined ? undefined : { kind: 'batch_request', ...(model === undefined ? {} : { model }), counts }
}
