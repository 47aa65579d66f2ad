import { anthropicPriceAttributes, billedLinesOf, countAnthropicUsage } from './anthropic-usage.ts'
import { type Counts, sumOfCounts } from './counts.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { asObject, asText, type JsonObject } from './json-value.ts'
import { errorOf } from './provider-error.ts'
import { isRefusal, viewResponse } from './response-view.ts'
import { batchOfSums, billedLinesOfSums, type UsageLines } from './usage-lines.ts'

/** Results of Anthropic's batches: one message a line. The batch's id tells when they are read again. */
export const anthropicBatchResults: Dialect = {
  id: 'anthropic-batch-results',
  matches: ({ path, method }) => method === 'GET' && /\/messages\/batches\/[^/]+\/results$/.test(path),
  read: readBatchResults,
}

function readBatchResults(exchange: Exchange): DialectReading {
  if (exchange.usageLines !== undefined && !isRefusal(exchange.status)) return readSums(exchange, exchange.usageLines)
  const view = viewResponse(exchange)
  const items = view.form === 'json_lines' ? view.items : view.form === 'json' ? [view.value] : []
  const error = view.form === 'json' ? errorOf(view.value, exchange.status) : undefined
  const lines = items.flatMap((item) => lineOf(item) ?? [])
  const id = /\/batches\/([^/]+)\/results$/.exec(exchange.path)?.[1]
  const cut = !exchange.responseComplete || (view.form === 'json_lines' && (view.cut || view.gapAt !== undefined))
  const base = {
    operation: 'batch' as const,
    stream: false,
    guardrails: [],
    ...(id === undefined ? {} : { responseId: id }),
    ...(error === undefined ? {} : { error }),
  }
  if (isRefusal(exchange.status)) return { ...base, counts: {}, usageSource: 'none', billable: false }
  if (items.length === 0) {
    const usageReason = view.form === 'none' ? 'no_body' : view.form === 'unreadable' ? 'unreadable_body' : 'body_cut'
    return { ...base, counts: {}, usageSource: 'unknown', usageReason, billable: true }
  }
  // Every request may have failed.
  if (lines.length === 0 && !cut) return { ...base, counts: {}, usageSource: 'none', billable: false }
  if (lines.length === 0)
    return { ...base, counts: {}, usageSource: 'unknown', usageReason: 'body_cut', billable: true }
  const model = lines[0]?.model
  return {
    ...base,
    ...(model === undefined ? {} : { responseModel: model }),
    serviceTier: 'batch',
    priceAttributes: { ...commonAttributes(lines), batch: 'true' },
    counts: sumOfCounts(lines.map(({ counts }) => counts)),
    billedLines: lines.flatMap(({ billed }) => billed),
    usageSource: cut ? 'partial' : 'provider',
    ...(cut ? { usageReason: 'body_cut' } : {}),
    billable: true,
  }
}

/** Every line of a file of any length, as the tap summed them up. */
function readSums(exchange: Exchange, sums: UsageLines): DialectReading {
  const billedLines = billedLinesOfSums(sums, countAnthropicUsage)
  const id = /\/batches\/([^/]+)\/results$/.exec(exchange.path)?.[1]
  return batchOfSums(id, sums, billedLines)
}

interface Line {
  model: string | undefined
  counts: Counts
  attributes: DialectReading['priceAttributes']
  billed: NonNullable<DialectReading['billedLines']>
}

/** Where the model ran, if all ran in one place. */
function commonAttributes(lines: readonly Line[]): DialectReading['priceAttributes'] {
  const attributes = lines[0]?.attributes
  return lines.every((line) => line.attributes?.geo === attributes?.geo && line.attributes?.speed === attributes?.speed)
    ? attributes
    : undefined
}

/** Only what succeeded is billed: errored, canceled and expired requests are not. */
function lineOf(item: JsonObject): Line | undefined {
  const message = asObject(asObject(item.result)?.message)
  const usage = asObject(message?.usage)
  const counts = usage === undefined ? undefined : countAnthropicUsage(usage)
  if (usage === undefined || counts === undefined) return undefined
  const model = asText(message?.model)
  const ofModel = model === undefined ? {} : { model }
  // The passes of an answer that took several, each at its model.
  const passes = billedLinesOf(usage)?.map((pass) => ({ ...ofModel, ...pass }))
  return {
    model,
    counts,
    attributes: anthropicPriceAttributes(usage),
    billed: passes ?? [{ kind: 'batch_request', ...ofModel, counts }],
  }
}
