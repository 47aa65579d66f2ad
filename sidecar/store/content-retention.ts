import type { DatabaseSync } from 'node:sqlite'
import { type ContentPolicyConfig, policyFor } from '../redaction/policy.ts'
import type { Log } from './log.ts'
import { hasContent, withoutContent } from './person.ts'
import { type BodyPlace, bodyOf, makeBodyWalk } from './rewrite-bodies.ts'

const DAY_MS = 86_400_000
/** A pass over the log and the dead letters. What is due meanwhile waits for the next. */
const PASS_EVERY_MS = 600_000

/**
 * Drops the content of calls that are older than their tenant's `retentionDays` and that still wait for a sink or are dead
 * letters; the call itself stays. Legal hold keeps. Runs inside the caller's transactions, a slice each.
 */
export function makeContentRetention(database: DatabaseSync, log: Log) {
  const walk = makeBodyWalk(database)
  let place: (BodyPlace & { upTo: number }) | undefined
  let passedAt = Number.NEGATIVE_INFINITY

  return {
    /** The rules are others: a pass begins at once. */
    forget(): void {
      place = undefined
      passedAt = Number.NEGATIVE_INFINITY
    },
    /** A slice. `expired`: of each tenant, how many calls lost their content. */
    slice(policy: ContentPolicyConfig | undefined, now: number): { expired: Map<string, number>; more: boolean } {
      const expired = new Map<string, number>()
      const leastDays = policy === undefined ? Number.POSITIVE_INFINITY : leastDaysOf(policy)
      if (policy === undefined || leastDays === Number.POSITIVE_INFINITY) return { expired, more: false }
      if (place === undefined) {
        if (now - passedAt < PASS_EVERY_MS && now >= passedAt) return { expired, more: false }
        passedAt = now
        place = { table: 'log', after: 0, upTo: log.lastPosition }
      }
      const { upTo } = place
      const next = walk(place, upTo, (table, found) => {
        // A letter, and one that was put back, are written later than the call came: only the call tells how old it is.
        if (table === 'log' && !found.isReplayed && now - found.at < leastDays * DAY_MS) return
        const call = found.call()
        if (call === undefined || !hasContent(call)) return
        const { retentionDays, legalHold } = policyFor(call, undefined, policy)
        const came = Math.min(found.at, call.startedAt)
        if (legalHold || retentionDays === undefined || now - came < retentionDays * DAY_MS) return
        log.rewrite(table, found.id, bodyOf(withoutContent(call)))
        expired.set(call.tenant, (expired.get(call.tenant) ?? 0) + 1)
      })
      place = next === undefined ? undefined : { ...next, upTo }
      return { expired, more: place !== undefined }
    },
  }
}

function leastDaysOf({ default: otherwise, rules }: ContentPolicyConfig): number {
  return Math.min(...[otherwise, ...rules].map(({ retentionDays }) => retentionDays ?? Number.POSITIVE_INFINITY))
}
