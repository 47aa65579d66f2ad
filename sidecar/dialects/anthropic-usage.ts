import type { Usage } from '../call.ts'
import { asCount, asList, asObject, asText, type JsonObject } from './json-value.ts'
import type { CountedUsage } from './openai-usage.ts'

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

/** Anthropic's usage object in units that do not overlap. `input_tokens` leaves cached tokens out already. */
export function countAnthropicUsage(raw: JsonObject): CountedUsage | undefined {
  const input = asCount(raw.input_tokens)
  const output = asCount(raw.output_tokens)
  if (input === undefined && output === undefined) return undefined
  let consistent = true
  const usage: Usage = {}
  const set = (unit: keyof Usage, amount: number) => {
    if (amount > 0) usage[unit] = amount
  }
  if (input !== undefined) usage.input = input
  set('cache_read', asCount(raw.cache_read_input_tokens) ?? 0)

  const split = asObject(raw.cache_creation)
  const fiveMinutes = asCount(split?.ephemeral_5m_input_tokens) ?? 0
  const oneHour = asCount(split?.ephemeral_1h_input_tokens) ?? 0
  const written = asCount(raw.cache_creation_input_tokens) ?? fiveMinutes + oneHour
  if (fiveMinutes + oneHour > written) consistent = false
  set('cache_write_5m', fiveMinutes)
  set('cache_write_1h', oneHour)
  set('cache_write', Math.max(0, written - fiveMinutes - oneHour))

  if (output !== undefined) {
    const thinking = asCount(asObject(raw.output_tokens_details)?.thinking_tokens) ?? 0
    if (thinking > output) consistent = false
    usage.output = Math.max(0, output - thinking)
    set('output_reasoning', Math.min(thinking, output))
  }
  set('web_searches', asCount(asObject(raw.server_tool_use)?.web_search_requests) ?? 0)
  return { usage, reason: consistent ? undefined : 'inconsistent' }
}

export interface OtherPass {
  /** `compaction`, `advisor_message`, … */
  kind: string
  /** Absent: the model of the answer. */
  model?: string
  usage: Usage
}

/**
 * Passes of a model that the usage object's own totals leave out, though they are billed: `iterations` that are neither
 * plain messages (the totals are their sum) nor a fallback (the totals are its own).
 */
export function otherPassesOf(raw: JsonObject): OtherPass[] {
  const passes: OtherPass[] = []
  for (const item of asList(raw.iterations).slice(0, 64)) {
    const iteration = asObject(item)
    const kind = asText(iteration?.type)
    if (iteration === undefined || kind === undefined || kind === 'message' || kind === 'fallback_message') continue
    const counted = countAnthropicUsage(iteration)
    const model = asText(iteration.model)
    if (counted !== undefined) passes.push({ kind, ...(model === undefined ? {} : { model }), usage: counted.usage })
  }
  return passes
}

/** The first pass was declined and another model answered: whether the declined one is billed nobody says. */
export function hasFallback(raw: JsonObject): boolean {
  return asList(raw.iterations).some((item) => asObject(item)?.type === 'fallback_message')
}
