import type { LlmCall } from '../call.ts'
import type { Rejection, SendResult } from './exporter.ts'

/** Requests under way at once; as many as the pool of an exporter has connections. */
const AT_ONCE = 4

/**
 * One push for each group of the batch (a Langfuse project, a Loki tenant), and one result for all:
 *   any retry → retry (the latest time that was asked for): the whole batch comes again, and what was taken comes again
 *               with identical ids, which every sink recognises;
 *   else any drop → drop: the caller halves until the call is found;
 *   else sent, each rejection at its index in the whole batch.
 * After a retry no further group is begun: a sink in trouble is not pressed.
 */
export async function sendGroups<K>(
  batch: readonly LlmCall[],
  groupOf: (call: LlmCall) => K,
  push: (group: K, calls: readonly LlmCall[]) => Promise<SendResult>,
): Promise<SendResult> {
  const groups = new Map<K, number[]>()
  batch.forEach((call, index) => {
    const group = groupOf(call)
    const members = groups.get(group)
    if (members === undefined) groups.set(group, [index])
    else members.push(index)
  })
  let retry: { retry: string; afterMs?: number } | undefined
  let drop: { drop: string } | undefined
  const rejected: Rejection[] = []
  const queue = groups.entries()

  async function worker(): Promise<void> {
    for (const [group, indexes] of queue) {
      const result = await push(
        group,
        indexes.map((index) => batch[index]!),
      )
      if ('retry' in result) {
        if (retry === undefined || (result.afterMs ?? 0) > (retry.afterMs ?? 0)) retry = result
      } else if ('drop' in result) drop = result
      else rejected.push(...inBatch(result.rejected, indexes))
      if (retry !== undefined) return
    }
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, groups.size) }, worker))
  return retry ?? drop ?? { sent: batch.length - rejected.length, rejected }
}

/** Where a sink said only how many, the last of its group stand for them, so that they count for the right group. */
function inBatch(rejections: readonly Rejection[], indexes: readonly number[]): Rejection[] {
  const named = new Set(rejections.map(({ index }) => index))
  const free = indexes.map((_, index) => index).filter((index) => !named.has(index))
  return rejections.map(({ index, reason }) => ({ index: indexes[index] ?? indexes[free.pop()!]!, reason }))
}
