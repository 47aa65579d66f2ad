import type { LlmCall } from '../call.ts'

export interface BatchLimits {
  calls: number
  bytes: number
}

/**
 * sent: the sink has the batch, but for `rejected` (it said which it will never take).
 * retry: the sink may take the same batch later. drop: it will never take this batch as it is; the caller bisects.
 * Reasons are short words from a closed list (`http_400`, `timeout`, `connection`), never a credential, never a body.
 */
export type SendResult =
  | { sent: number; rejected: readonly Rejection[] }
  | { retry: string; afterMs?: number }
  | { drop: string }
export interface Rejection {
  /** Index into the batch; -1 where the sink only said how many. */
  index: number
  reason: string
}

/** One push. It never loops, sleeps or retries: `deliver` does. */
export interface Exporter {
  id: string
  limits: BatchLimits
  /** Which calls this sink wants at all (sampling); the rest are settled as `sampled_out`. */
  wants?(call: LlmCall): boolean
  send(batch: readonly LlmCall[], signal: AbortSignal): Promise<SendResult>
  /** What became of the scores of guardrail events, where the sink takes any: `refused` will never be taken. */
  readonly scores?: { readonly sent: number; readonly refused: number }
  close(): Promise<void>
}
