import type { LlmCall } from '../call.ts'
import type { Failure, Rejection, Retry, SendResult } from './exporter.ts'

/** Requests under way at once; as many as the pool of an exporter has connections. */
const AT_ONCE = 4

/**
 * One push for each group of the batch (a Langfuse project, a Loki tenant); each group's answer is its own.
 * A batch of one group has its answer. Of several: what was taken is sent, what was not stands in `failed`, by group.
 * After a retry that is not of a tenant alone no further group is begun (`untried`): a sink in trouble is not pressed.
 * Where nothing but such retries came, it is a retry of all, at the latest time that was asked for.
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
  if (groups.size === 1) {
    const [[group, indexes]] = [...groups] as [[K, number[]]]
    const result = await push(group, batch)
    return 'sent' in result ? { ...result, rejected: inBatch(result.rejected, indexes) } : result
  }
  /** Answers of a sink in trouble. */
  const away: Retry[] = []
  let sent = 0
  let pushed = 0
  const rejected: Rejection[] = []
  const failed: { indexes: readonly number[]; failure: Failure }[] = []
  const queue = [...groups]
  const untried: number[] = []

  async function worker(): Promise<void> {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [group, indexes] = next
      if (away.length > 0) {
        untried.push(...indexes)
        continue
      }
      pushed++
      const result = await push(
        group,
        indexes.map((index) => batch[index]!),
      )
      if ('sent' in result) {
        sent += result.sent
        rejected.push(...inBatch(result.rejected, indexes))
        continue
      }
      failed.push({ indexes, failure: result })
      if ('retry' in result && result.scope !== 'tenant') away.push(result)
    }
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, groups.size) }, worker))
  if (away.length > 0 && away.length === pushed)
    return away.reduce((latest, one) => ((one.afterMs ?? 0) > (latest.afterMs ?? 0) ? one : latest))
  return {
    sent,
    rejected,
    ...(failed.length > 0 && { failed }),
    ...(untried.length > 0 && { untried }),
  }
}

/** Where a sink said only how many, the last of its group stand for them, so that they count for the right group. */
function inBatch(rejections: readonly Rejection[], indexes: readonly number[]): Rejection[] {
  const named = new Set(rejections.map(({ index }) => index))
  const free = indexes.map((_, index) => index).filter((index) => !named.has(index))
  return rejections.map(({ index, reason }) => ({ index: indexes[index] ?? indexes[free.pop()!]!, reason }))
}

/** A group with a key and a limit of its own: what is refused for these is no sign of the sink's state. */
export function tenantsOwn<R extends SendResult>(result: R): R | Retry {
  return 'retry' in result && (result.retry === 'unauthorized' || result.retry === 'http_429')
    ? { ...result, scope: 'tenant' }
    : result
}
