import { z } from 'zod'
import type { LlmCall } from '../call.ts'

export interface BatchLimits {
  calls: number
  bytes: number
}

/** How `deliver` treats a sink; part of each exporter's configuration. */
export const deliverySettings = {
  /** A batch that is not full waits so long for company: a push of 1 costs ten times a share of 100. */
  lingerMs: z.number().int().min(0).max(60_000).default(200),
  /** A call that alone fails for so long (5xx, time-out, reset) while others are taken becomes a dead letter. */
  poisonAfterMs: z.number().int().positive().default(60_000),
}
export interface DeliverySettings {
  lingerMs: number
  poisonAfterMs: number
}

/**
 * What a sink made of a push; all of it, or of a part.
 * retry: it may take the same calls later. drop: it will never take them as they are; the caller halves.
 * `scope: 'tenant'`: the answer is about the key or the limit of these calls' tenants alone.
 * Reasons are words of a closed list (`http_400`, `timeout`, `refused`). `cause` is text for the log: host, port, code;
 * never a credential, never a body.
 */
export type Failure = Retry | Drop
export interface Retry {
  retry: string
  /** Milliseconds, as the sink asked for. */
  afterMs?: number
  scope?: 'tenant'
  cause?: string
}
export interface Drop {
  drop: string
  cause?: string
}

/**
 * The sink has the batch, but for `rejected` (it said which it will never take), `failed` (parts that have an answer of
 * their own) and `untried` (parts that were not sent, because the sink is in trouble). All indexes are of the batch.
 */
export interface Taken {
  sent: number
  rejected: readonly Rejection[]
  failed?: readonly { indexes: readonly number[]; failure: Failure }[]
  untried?: readonly number[]
}
export type SendResult = Taken | Failure
export interface Rejection {
  /** Index into the batch; -1 where the sink only said how many. */
  index: number
  reason: string
}

/** One push. It never loops, sleeps or retries: `deliver` does. */
export interface Exporter {
  id: string
  limits: BatchLimits
  delivery?: DeliverySettings
  /** Which calls this sink wants at all (sampling); the rest are settled as `sampled_out`. */
  wants?(call: LlmCall): boolean
  /**
   * Whether the sink keeps this tenant apart (a project, an organisation of its own): what it answers there says nothing
   * of other tenants' calls. Absent: it keeps none apart.
   */
  apart?(tenant: string): boolean
  /** Several at once are possible: one for the log, a few for tenants that are held back. */
  send(batch: readonly LlmCall[], signal: AbortSignal): Promise<SendResult>
  /** What became of the scores of guardrail events, where the sink takes any: `refused` will never be taken. */
  readonly scores?: { readonly sent: number; readonly refused: number }
  close(): Promise<void>
}
