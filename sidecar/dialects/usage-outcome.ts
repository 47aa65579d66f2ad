import { type Counts, reportsUsage } from './counts.ts'
import type { DialectReading } from './dialect.ts'
import type { JsonObject } from './json-value.ts'
import { boundedRawUsage } from './raw-usage.ts'
import { isRefusal, type ResponseView } from './response-view.ts'
import { unwatched } from './watched-usage.ts'

export type UsageOutcome = Pick<DialectReading, 'counts' | 'usageSource' | 'usageReason' | 'rawUsage' | 'usageSeen'>

export interface UsageFound {
  status: number
  form: ResponseView['form']
  /** What the provider reported, and the object that it stood in. */
  counts: Counts | undefined
  raw: JsonObject | undefined
  /** The provider's last word on usage was heard: nothing that is still to come can change it. */
  whole: boolean
  /** The answer's own end was heard, with or without usage. */
  ended: boolean
  /** An error came in the answer. */
  failed: boolean
  /** A word of the answer came: something was generated. */
  started: boolean
}

/** Where the usage comes from, by the same rules for every format. */
export function usageOutcome(found: UsageFound): UsageOutcome {
  const { counts, form, failed } = found
  const without = (usageSource: 'none' | 'unknown', usageReason?: string): UsageOutcome => ({
    counts: {},
    usageSource,
    ...(usageReason === undefined ? {} : { usageReason }),
    ...(found.raw === undefined ? {} : { usageSeen: found.raw }),
  })
  if (isRefusal(found.status)) return without('none')
  if (form === 'none') return without('unknown', 'no_body')
  const stream = form === 'events' || form === 'json_lines' || form === 'json_list'
  if (counts !== undefined && reportsUsage(counts)) {
    const usageReason = found.whole ? undefined : failed ? 'stream_error' : stream ? 'stream_cut' : 'body_cut'
    return {
      counts,
      usageSource: found.whole ? 'provider' : 'partial',
      ...(usageReason === undefined ? {} : { usageReason }),
      ...(found.raw === undefined ? {} : { rawUsage: boundedRawUsage(unwatched(found.raw)), usageSeen: found.raw }),
    }
  }
  if (form === 'unreadable') return without('unknown', 'unreadable_body')
  // An error before the first word: nothing was generated, nothing is billed.
  if (failed && !found.started) return without('none')
  if (failed) return without('unknown', 'stream_error')
  if (stream) return without('unknown', found.ended ? 'stream_without_usage' : 'stream_cut')
  return without('unknown', found.ended ? 'body_without_usage' : 'body_cut')
}
