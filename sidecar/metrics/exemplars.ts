import type { LlmCall } from '../call.ts'
import type { CallLabels } from '../ledger/fold-labels.ts'
import { bucketOf, type HistogramName } from '../ledger/series.ts'

export interface Exemplar {
  traceId: string
  spanId: string
  seconds: number
  /** Epoch milliseconds. */
  at: number
}
/** For each bucket of a histogram the call that fell into it last: from a point on a board to its trace. */
export interface Exemplars {
  /** Calls that the ledger has counted. */
  note(calls: readonly LlmCall[]): void
  of(histogram: HistogramName, labels: readonly string[], bucket: number): Exemplar | undefined
}

/**
 * In memory only: after a restart a bucket has none until its next call. As many as there are buckets, which the ledger's
 * label limits bound.
 * @param isTraced whether some sink keeps the call's span; a link that leads nowhere is worse than none.
 * @param labelsOf the labels under which a call is counted.
 */
export function makeExemplars(
  isTraced: (call: LlmCall) => boolean,
  labelsOf: (call: LlmCall) => CallLabels,
): Exemplars {
  const found: Record<HistogramName, Map<string, Exemplar>> = { latency: new Map(), first_token: new Map() }
  const keyOf = (labels: readonly string[], bucket: number) => `${labels.join('\u0000')}\u0000${bucket}`

  function note(histogram: HistogramName, labels: readonly string[], milliseconds: number, call: LlmCall): void {
    const { traceId, spanId } = call.trace
    const exemplar = { traceId, spanId, seconds: milliseconds / 1000, at: call.startedAt + call.durationMs }
    found[histogram].set(keyOf(labels, bucketOf(histogram, milliseconds)), exemplar)
  }
  return {
    note(calls) {
      for (const call of calls) {
        if (call.repeat === true || !Number.isFinite(call.startedAt + call.durationMs) || !isTraced(call)) continue
        const { tenant, provider, model } = labelsOf(call)
        const labels = [tenant, provider, model]
        note('latency', labels, call.durationMs, call)
        if (call.timeToFirstByteMs !== undefined && call.status === 'ok')
          note('first_token', labels, call.timeToFirstByteMs, call)
      }
    },
    of: (histogram, labels, bucket) => found[histogram].get(keyOf(labels, bucket)),
  }
}
