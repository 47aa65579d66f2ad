import type { DatabaseSync } from 'node:sqlite'
import type { UsageSource } from '../call.ts'
import { boundsOf, DAY_MS, dayOf, type Period } from './period.ts'

/** How many calls of a day have their usage from where, and how many of them have no price. Labels as in `readUsage`. */
export interface SourceCount {
  day: string
  tenant: string
  provider: string
  model: string
  source: UsageSource
  unpriced: boolean
  calls: bigint
}

/** Of the calls that the ledger still keeps. Throws RangeError for a bad period. */
export function readSources(database: DatabaseSync, period: Period): SourceCount[] {
  const { start, end } = boundsOf(period)
  const counts = database.prepare(
    `SELECT day, tenant, provider, model, usage_source, state = 'unpriced' AS unpriced, count(*) AS calls
     FROM calls JOIN call_kinds USING (kind) WHERE started_at >= ? AND started_at < ?
     GROUP BY day, tenant, provider, model, usage_source, unpriced`,
  )
  return (counts.all(start, end) as unknown as Row[]).map(({ day, usage_source, unpriced, calls, ...labels }) => ({
    ...labels,
    day: dayOf(day * DAY_MS),
    source: usage_source,
    unpriced: unpriced === 1,
    calls: BigInt(calls),
  }))
}

interface Row {
  day: number
  tenant: string
  provider: string
  model: string
  usage_source: UsageSource
  unpriced: 0 | 1
  calls: number
}
