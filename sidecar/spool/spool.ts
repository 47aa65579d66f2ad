import type { LlmCall } from '../call.ts'

/** The readers of the one log. The ledger is special (design law 3): rows it has not read are never dropped. */
export const LEDGER_READER = 'ledger'

export interface Limit {
  calls: number
  bytes: number
}

export interface Entry {
  /** Strictly increasing over the life of the spool, also over restarts. */
  position: number
  call: LlmCall
}

export interface Batch {
  entries: readonly Entry[]
  /** Commit up to and including this position. */
  upTo: number
}

export interface Appended {
  stored: number
  duplicate: number
}

/** What became of a call at one reader. Counted per tenant, durable, moved in the same transaction as the cursor. */
export interface Settlement {
  position: number
  tenant: string
  outcome: 'sent' | 'sampled_out' | 'dropped' | 'rejected'
  /** From a closed list for dropped and rejected; '' otherwise. */
  reason: string
}

export interface DeadLetter {
  reader: string
  position: number
  id: string
  tenant: string
  reason: string
  at: number
  call: LlmCall
}

export interface OutcomeCount {
  reader: string
  tenant: string
  /** replayed: a dead letter was put back in front of the reader. discarded: a dead letter was not kept, for want of room. */
  outcome: Settlement['outcome'] | 'replayed' | 'discarded'
  reason: string
  count: bigint
}

export interface ReaderStats {
  reader: string
  position: number
  /** Calls appended and not yet committed by this reader, per tenant. */
  waiting: Record<string, number>
  /** Epoch ms of the oldest call that waits; undefined if none does. */
  oldestAt: number | undefined
  deadLetters: number
}

export interface SpoolStats {
  /** Names this store: another one starts its positions again. */
  identity?: string
  /** Database and write-ahead log. */
  bytes: number
  limitBytes: number
  rows: number
  lastPosition: number
  /** Call ids forgotten before their time for want of room, since the process started. */
  idsForgottenEarly?: number
  readers: ReaderStats[]
  outcomes: OutcomeCount[]
}

/**
 * One durable log, N cursors.
 * `append` returns after fsync; it de-duplicates by id (ids outlive their rows by 7 days) and claims billing keys.
 */
export interface Spool {
  append(calls: readonly LlmCall[]): Promise<Appended | 'full'>
  /** Waits until there is something to read, or the signal aborts (then undefined). Starts after the last commit unless `after` is given. */
  read(reader: string, limit: Limit, signal: AbortSignal, after?: number): Promise<Batch | undefined>
  /** Moves the reader's cursor and counts the settlements in one transaction. Idempotent for a position already passed. */
  commit(reader: string, upTo: number, settled: readonly Settlement[]): Promise<void>
  /** Stores calls that the sink will never take, together with their settlements when committed. */
  bury(reader: string, entries: readonly { entry: Entry; reason: string }[]): Promise<void>
  deadLetters(reader?: string): Promise<DeadLetter[]>
  /** Puts dead letters back in front of their reader. Returns how many. */
  replay(reader: string, positions?: readonly number[]): Promise<number>
  stats(): Promise<SpoolStats>
  close(): Promise<void>
}
