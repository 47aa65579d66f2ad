import type { Counts } from './counts.ts'
import type { DialectReading } from './dialect.ts'
import { asCount, asList, asObject, asText, type JsonObject, withoutUndefined } from './json-value.ts'

/**
 * Counts in a stream are cumulative: a later event overwrites each key that it gives (also inside `cache_creation`),
 * and is never added.
 */
export function overwriteUsage(before: JsonObject, later: JsonObject, depth = 0): JsonObject {
  const merged = new Map(Object.entries(before))
  for (const [key, value] of Object.entries(later)) {
    if (value === null || value === undefined) continue
    const old = asObject(merged.get(key))
    const fresh = asObject(value)
    merged.set(
      key,
      old !== undefined && fresh !== undefined && depth < 2 ? overwriteUsage(old, fresh, depth + 1) : value,
    )
  }
  return Object.fromEntries(merged)
}

/** Anthropic's usage object. Its `input_tokens` leaves cached tokens out: here they are part of the input. */
export function countAnthropicUsage(raw: JsonObject): Counts | undefined {
  const fresh = asCount(raw.input_tokens)
  const output = asCount(raw.output_tokens)
  if (fresh === undefined && output === undefined) return undefined
  const cacheRead = asCount(raw.cache_read_input_tokens)
  const split = asObject(raw.cache_creation)
  const cacheWrite5m = asCount(split?.ephemeral_5m_input_tokens)
  const cacheWrite1h = asCount(split?.ephemeral_1h_input_tokens)
  const written = asCount(raw.cache_creation_input_tokens)
  const parts =
    cacheWrite5m === undefined && cacheWrite1h === undefined ? undefined : (cacheWrite5m ?? 0) + (cacheWrite1h ?? 0)
  const cacheWrite = written ?? parts
  return withoutUndefined({
    input: fresh === undefined ? undefined : fresh + (cacheRead ?? 0) + (cacheWrite ?? 0),
    output,
    cacheRead,
    cacheWrite,
    cacheWrite5m,
    cacheWrite1h,
    reasoning: asCount(asObject(raw.output_tokens_details)?.thinking_tokens),
    webSearches: asCount(asObject(raw.server_tool_use)?.web_search_requests),
  })
}

/**
 * The lines that are billed where the answer took several passes of a model: `iterations`. The usage object's own
 * totals leave out compaction and the advisor's passes, and of a fallback the pass that was declined.
 */
export function billedLinesOf(raw: JsonObject): DialectReading['billedLines'] {
  const lines: NonNullable<DialectReading['billedLines']> = []
  for (const item of asList(raw.iterations).slice(0, 64)) {
    const iteration = asObject(item)
    const kind = asText(iteration?.type)
    if (iteration === undefined || kind === undefined) continue
    const counts = countAnthropicUsage(iteration)
    const model = asText(iteration.model)
    if (counts !== undefined) lines.push({ kind, ...(model === undefined ? {} : { model }), counts })
  }
  // Plain passes alone sum to the totals, which also hold the searches between them.
  if (lines.every(({ kind }) => kind === 'message')) return undefined
  const webSearches = asCount(asObject(raw.server_tool_use)?.web_search_requests) ?? 0
  if (webSearches > 0) lines.push({ kind: 'server_tools', counts: { webSearches } })
  return lines
}

/** The first pass was declined and another model answered: whether the declined one is billed nobody says. */
export function hasFallback(raw: JsonObject): boolean {
  return asList(raw.iterations).some((item) => asObject(item)?.type === 'fallback_message')
}

/** What the price of an answer depends on: where it was computed, and Anthropic's fast mode. */
export function anthropicPriceAttributes(raw: JsonObject): DialectReading['priceAttributes'] {
  const geo = asText(raw.inference_geo)
  const speed = asText(raw.speed)
  const attributes = withoutUndefined({ geo: geo === 'not_available' ? undefined : geo, speed })
  return Object.keys(attributes).length > 0 ? attributes : undefined
}
