import type { LlmCall } from '../call.ts'

const MAX_KEPT = 4096

/**
 * Two calls of one trace with one answer id: a chain of gateways that nobody declared (`providers`) shows so. Both are billed;
 * the later one bears `same_answer_id`. Of the last calls only, in memory: a mark, never an amount.
 */
export function makeSameAnswers(kept = MAX_KEPT): (call: LlmCall) => boolean {
  const callOf = new Map<string, string>()
  return ({ id, responseId, trace }) => {
    if (responseId === undefined) return false
    const key = `${trace.traceId} ${responseId}`
    const known = callOf.get(key)
    // The same call again: its transaction was rolled back.
    if (known !== undefined) return known !== id
    if (callOf.size >= kept) callOf.delete(callOf.keys().next().value!)
    callOf.set(key, id)
    return false
  }
}
