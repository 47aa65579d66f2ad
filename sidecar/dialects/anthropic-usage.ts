import type { Counts } from './counts.ts'
import type { DialectReading } from './dialect.ts'
import { asCount, asList, asObject, asText, type JsonObject, withoutUndefined } from './json-value.ts'
import { countOf } from './openai-usage.ts'

/**
 * Counts in a stream are cumulative: a later event overwrites each key that it gives (also inside `cache_creation`),
 * and is never added.
 */
export function overwriteUsage(before: JsonObject, later: JsonObject): JsonObject {
  const merged = overwritten(before, later, 0)
  // A cumulative count never falls: some repeat the prompt's keys as 0. Kimi moves a prompt into the cache, so the whole
  // prompts are compared.
  if (wholePrompt(merged) >= wholePrompt(before)) return merged
  return { ...merged, ...Object.fromEntries(PROMPT_KEYS.flatMap((key) => (key in before ? [[key, before[key]]] : []))) }
}

/** More than any usage object has: each event of a stream is laid over all of them. */
const MAX_KEYS = 128
const PROMPT_KEYS = ['input_tokens', 'cache_read_input_tokens', 'cache_creation_input_tokens', 'cache_creation']

function wholePrompt(usage: JsonObject): number {
  return PROMPT_KEYS.reduce((sum, key) => sum + (asCount(usage[key]) ?? 0), 0)
}

function overwritten(before: JsonObject, later: JsonObject, depth: number): JsonObject {
  const merged = new Map(Object.entries(before))
  for (const [key, value] of Object.entries(later)) {
    if (value === null || value === undefined || (merged.size >= MAX_KEYS && !merged.has(key))) continue
    const old = asObject(merged.get(key))
    const fresh = asObject(value)
    merged.set(key, old !== undefined && fresh !== undefined && depth < 2 ? overwritten(old, fresh, depth + 1) : value)
  }
  return Object.fromEntries(merged)
}

/** Kimi and others repeat the counts under OpenAI's names. */
const REPEATED = ['prompt_tokens', 'completion_tokens', 'total_tokens', 'cached_tokens', 'reasoning_tokens']

/** Anthropic's usage object. Its `input_tokens` leaves cached tokens out: here they are part of the input. */
export function countAnthropicUsage(raw: JsonObject): Counts | undefined {
  const fresh = asCount(raw.input_tokens)
  const output = asCount(raw.output_tokens)
  if (fresh === undefined && output === undefined) return undefined
  countOf(raw, REPEATED)
  const cacheRead = asCount(raw.cache_read_input_tokens)
  const split = asObject(raw.cache_creation)
  const cacheWrite5m = asCount(split?.ephemeral_5m_input_tokens) ?? asCount(raw.claude_cache_creation_5_m_tokens)
  const cacheWrite1h = asCount(split?.ephemeral_1h_input_tokens) ?? asCount(raw.claude_cache_creation_1_h_tokens)
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
    ...anthropicFees(asObject(raw.server_tool_use)),
  })
}

/** Fetching a page and searching for tools are free; running code is billed by the hour of a container. */
function anthropicFees(tools: JsonObject | undefined): Pick<Counts, 'webSearches' | 'toolCalls'> {
  if (tools === undefined) return {}
  countOf(tools, ['web_fetch_requests', 'tool_search_requests'])
  const code = asCount(tools.code_execution_requests) ?? 0
  return withoutUndefined({
    webSearches: asCount(tools.web_search_requests),
    toolCalls: code > 0 ? code : undefined,
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
  // One pass is the answer itself. Several plain ones sum to the totals, and each is priced at the size of its own prompt.
  if (lines.length < 2 && lines.every(({ kind }) => kind === 'message')) return undefined
  if (lines.every(({ kind }) => kind === 'message') && !sumToTotals(lines, raw)) return undefined
  const fees = anthropicFees(asObject(raw.server_tool_use))
  if ((fees.webSearches ?? 0) > 0 || (fees.toolCalls ?? 0) > 0) lines.push({ kind: 'server_tools', counts: fees })
  return lines
}

function sumToTotals(lines: NonNullable<DialectReading['billedLines']>, raw: JsonObject): boolean {
  const total = countAnthropicUsage(raw)
  const sum = (name: 'input' | 'output') => lines.reduce((all, { counts }) => all + (counts[name] ?? 0), 0)
  return sum('input') === total?.input && sum('output') === total?.output
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
