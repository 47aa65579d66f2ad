import { hash } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'

const ID = /^[0-9a-f]{32}$/
/** Rows that one slice of forgetting removes. */
const SLICE = 2000
/** What a claim takes on disk, its index included (measured: 58 to 66). */
export const CLAIM_BYTES = 66

/** 16 bytes: a call id as it is, anything else by its hash. */
export function claimKey(text: string): Uint8Array {
  return ID.test(text) ? Buffer.from(text, 'hex') : hash('sha256', text, 'buffer').subarray(0, 16)
}

/**
 * Ids of calls and billing keys, each claimed by the first that brings it. They are remembered for `retentionMs`,
 * at most `limit` of them: a memory without bound would in time leave no room for calls.
 */
export function makeClaims(database: DatabaseSync, options: { retentionMs: number; limit: number }) {
  const statements = (table: 'ids' | 'billing_keys') => ({
    claim: database.prepare(`INSERT OR IGNORE INTO ${table} VALUES (?, ?)`),
    forget: database.prepare(
      `DELETE FROM ${table} WHERE key IN (SELECT key FROM ${table} WHERE at < ? ORDER BY at LIMIT ?)`,
    ),
    count: database.prepare(`SELECT count(*) AS count FROM ${table}`),
  })
  const tables = [statements('ids'), statements('billing_keys')] as const
  const [ids, billingKeys] = tables
  let held = 0
  let atBegin = 0
  let forgottenEarly = 0
  function claim(table: (typeof tables)[number], text: string, at: number): boolean {
    if (table.claim.run(claimKey(text), at).changes === 0) return false
    held++
    return true
  }
  const claims = {
    /** False where the call is known. */
    id: (id: string, at: number): boolean => claim(ids, id, at),
    billingKey: (key: string, at: number): boolean => claim(billingKeys, key, at),
    /**
     * One slice: what is past its time, and the oldest beyond the limit; never the id of a row that is still kept
     * (`oldestRowAt`). True where more waits.
     */
    forget(now: number, oldestRowAt: number): boolean {
      let more = false
      const forget = (before: number, limit: number) => {
        let gone = 0
        for (const table of tables) gone += Number(table.forget.run(before, limit).changes)
        held -= gone
        return gone
      }
      if (forget(Math.min(now - options.retentionMs, oldestRowAt), SLICE) >= SLICE) more = true
      const excess = held - options.limit
      if (excess > 0) {
        const early = forget(Math.min(now, oldestRowAt), Math.min(SLICE, Math.ceil(excess / 2)))
        forgottenEarly += early
        if (early > 0 && excess > early) more = true
      }
      return more
    },
    /** Since the process started: forgotten before their time, for want of room. */
    get forgottenEarly() {
      return forgottenEarly
    },
    get held() {
      return held
    },
    begin(): void {
      atBegin = held
    },
    takeBack(): void {
      held = atBegin
    },
    recount(): void {
      held = 0
      for (const table of tables) held += (table.count.get() as { count: number }).count
    },
  }
  claims.recount()
  return claims
}
