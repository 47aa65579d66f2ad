import type { LlmCall } from '../call.ts'

export interface ReadLimit {
  calls: number
  /** Of the rows' bodies; one row is read even if it is larger. */
  bytes: number
}

export interface Entry {
  /** Strictly increasing over the life of the store, also over restarts. */
  position: number
  call: LlmCall
}

export interface Batch {
  /** In order of position. Empty where every row was dropped or set aside: `upTo` is settled all the same. */
  entries: readonly Entry[]
  /** Settle up to and including this position. */
  upTo: number
  /** The limit ended the batch and more rows are there already: a sink that lags need not wait for company. */
  more?: boolean
}

/** What became of a call at one sink. Counted per tenant, durable, moved in the same transaction as the cursor. */
export interface Outcome {
  position: number
  tenant: string
  outcome: 'sent' | 'sampled_out' | 'dropped' | 'rejected'
  /** From a closed list for dropped and rejected; '' otherwise. */
  reason: string
}

export interface Settlement {
  /** The cursor moves here, if it stands before it. Absent: it stays. */
  upTo?: number
  /** Calls that are done, at or before the cursor. A position counts once: told again, or dropped meanwhile, it is ignored. */
  outcomes: readonly Outcome[]
  /** Calls that the cursor passes and that are to be sent later: their rows stay in the log. */
  held?: readonly { position: number; tenant: string }[]
  /** Calls that the sink will never take, kept to be listed and replayed; each has an outcome `rejected` too. */
  deadLetters?: readonly { entry: Entry; reason: string }[]
}

/**
 * The log as a sink sees it: one cursor, and calls of single tenants that are held back behind it. What is transient is
 * tried again inside, for ever; it rejects where time mends nothing.
 */
export interface SinkLog {
  /** The next rows after the cursor; waits until there are some, or until the signal aborts (then undefined). */
  read(sink: string, limit: ReadLimit, signal: AbortSignal): Promise<Batch | undefined>
  /** One transaction. Resolves when it is durable. */
  settle(sink: string, settlement: Settlement): Promise<void>
  /** Tenants of which calls are held back. */
  heldTenants(sink: string): Promise<string[]>
  /** Held calls of one tenant, oldest first; empty where there are none (any more). */
  readHeld(sink: string, tenant: string, limit: ReadLimit): Promise<Entry[]>
}
