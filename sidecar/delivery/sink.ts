import type { Drop, Exporter, Rejection, Retry, SendResult } from '../exporters/exporter.ts'
import type { LogLimit } from '../log-limit.ts'
import type { Entry, Outcome } from '../store/sink-log.ts'

export interface SinkStats {
  /** Answers after which calls are sent again, by reason. */
  retries: Map<string, number>
  /** Calls of the pushes that are under way. */
  inFlight: number
  /** Epoch ms. */
  lastSuccessAt: number | undefined
  lastError: { reason: string; text: string; at: number } | undefined
  /** Tenants of which calls are held back, with the reason of the last refusal; `since` in epoch ms. */
  held: Map<string, { reason: string; since: number }>
}

export interface Decided {
  entry: Entry
  outcome: Outcome
  deadLetter: boolean
}
export interface Undecided {
  entry: Entry
  failure: Retry
}
/** What became of the calls of one push; each of them stands in one of the three. */
export interface Sent {
  decided: Decided[]
  failed: Undecided[]
  untried: Entry[]
}

/** An exporter as the loop sees it: pushes that are counted and logged, answers by call, permanent refusals found. */
export interface Sink {
  /** What the sink keeps apart: a tenant's own project or organisation, or '' for all others. */
  partitionOf(entry: Entry): string
  keepsApart: boolean
  /** `isTrial`: a call that is suspected; how it fares says nothing of the sink. */
  send(entries: readonly Entry[], isTrial?: boolean): Promise<Sent>
  /** The call as a dead letter, told to the log. */
  bury(entry: Entry, reason: string, cause?: string): Decided
  /** Grows with each push. */
  clock(): number
  /** Clock of the last push in which a call of this partition was taken; -1 for none. */
  lastTaken(partition: string): number
  /** Whether calls of this partition were taken in the first push after that clock; undefined where none came. */
  nextAfter(partition: string, clock: number): boolean | undefined
  /** Pushes in a row that were refused, whoever's calls were in them; one tenant's own refusals are not among them. */
  refusedInRow(): number
}

/** Pushes of a partition that are remembered. */
const MAX_PUSHES = 16
/** Beyond this many partitions the one that was taken longest ago is forgotten, and shows no sign of life. */
const MAX_PARTITIONS = 10_000

export function makeSink(
  exporter: Exporter,
  { stats, limit, signal, now }: { stats: SinkStats; limit: LogLimit; signal: AbortSignal; now: () => number },
): Sink {
  let clock = 0
  let refused = 0
  /** By partition, the clocks of its last pushes: negative where it was refused. */
  const pushes = new Map<string, number[]>()
  const partitionOf = ({ call }: Entry) => (exporter.apart?.(call.tenant) ? call.tenant : '')

  async function push(entries: readonly Entry[]): Promise<SendResult> {
    stats.inFlight += entries.length
    try {
      return await exporter.send(
        entries.map(({ call }) => call),
        signal,
      )
    } catch (error) {
      // An exporter that cannot even write a call would stop at it for ever: the call is found and set aside instead.
      const { name } = error as Error
      limit.error(`${exporter.id} exporter_error`, { sink: exporter.id, error: name }, 'the exporter failed on a batch')
      return { drop: 'exporter_error', cause: name }
    } finally {
      stats.inFlight -= entries.length
    }
  }

  function note(failure: Retry | Drop, entries: readonly Entry[]): void {
    const reason = 'retry' in failure ? failure.retry : failure.drop
    if (reason === 'aborted') return
    const text = failure.cause ?? reason
    stats.lastError = { reason, text, at: now() }
    if ('drop' in failure) return
    stats.retries.set(reason, (stats.retries.get(reason) ?? 0) + 1)
    const fields = { sink: exporter.id, reason, cause: text, calls: entries.length }
    if (failure.scope === 'tenant')
      limit.warn(
        `${exporter.id} ${reason} of a tenant`,
        { ...fields, tenant: entries[0]?.call.tenant },
        'the sink does not take this tenant’s calls now; they wait in the log, the others go on',
      )
    else limit.warn(`${exporter.id} ${reason}`, fields, 'the sink does not take these calls now; they wait in the log')
  }

  /** Sorts the answers of one push by call; parts that the sink will never take as they are stand in `dropped`. */
  function sortAnswers(entries: readonly Entry[], result: SendResult) {
    const sent: Sent = { decided: [], failed: [], untried: [] }
    const dropped: { part: readonly Entry[]; failure: Drop }[] = []
    const refusedPart = (part: readonly Entry[], failure: Retry | Drop) => {
      note(failure, part)
      if ('drop' in failure) dropped.push({ part, failure })
      else sent.failed.push(...part.map((entry) => ({ entry, failure })))
    }
    if (!('sent' in result)) {
      refusedPart(entries, result)
      return { sent, dropped }
    }
    const elsewhere = new Set<number>(result.untried)
    sent.untried.push(...(result.untried ?? []).map((index) => entries[index]!))
    for (const { indexes, failure } of result.failed ?? []) {
      for (const index of indexes) elsewhere.add(index)
      refusedPart(
        indexes.map((index) => entries[index]!),
        failure,
      )
    }
    const reasons = rejectedByIndex(result.rejected, entries.length, elsewhere)
    entries.forEach((entry, index) => {
      if (elsewhere.has(index)) return
      const reason = reasons.get(index)
      sent.decided.push(reason === undefined ? decided(entry, 'sent', '') : decided(entry, 'rejected', reason))
    })
    return { sent, dropped }
  }

  function notePushes({ decided: done, failed }: Sent): void {
    const answers = new Map<string, number>()
    for (const { entry } of failed) answers.set(partitionOf(entry), -clock)
    for (const { entry, outcome } of done) if (outcome.outcome === 'sent') answers.set(partitionOf(entry), clock)
    for (const [partition, answer] of answers) {
      const known = pushes.get(partition) ?? []
      pushes.delete(partition)
      pushes.set(partition, [...known.slice(1 - MAX_PUSHES), answer])
    }
    if (pushes.size > MAX_PARTITIONS) pushes.delete(pushes.keys().next().value!)
  }

  async function send(entries: readonly Entry[], isTrial = false): Promise<Sent> {
    const result = await push(entries)
    clock++
    const { sent, dropped } = sortAnswers(entries, result)
    if (sent.decided.length > 0) stats.lastSuccessAt = now()
    if (!isTrial || sent.decided.length > 0) notePushes(sent)
    if (sent.decided.length > 0 || dropped.length > 0) refused = 0
    else if (!isTrial && sent.failed.some(({ failure }) => failure.scope !== 'tenant')) refused++
    for (const { part, failure } of dropped) {
      if (part.length === 1) {
        sent.decided.push(bury(part[0]!, failure.drop, failure.cause))
        continue
      }
      const middle = part.length >> 1
      for (const half of [part.slice(0, middle), part.slice(middle)]) {
        if (signal.aborted || sent.failed.some(({ failure }) => failure.scope !== 'tenant')) {
          sent.untried.push(...half)
          continue
        }
        const { decided, failed, untried } = await send(half)
        sent.decided.push(...decided)
        sent.failed.push(...failed)
        sent.untried.push(...untried)
      }
    }
    return sent
  }

  function bury(entry: Entry, reason: string, cause = reason): Decided {
    const { requestId, trace, tenant } = entry.call
    limit.warn(
      `${exporter.id} dead letter ${reason}`,
      { sink: exporter.id, reason, cause, tenant, request_id: requestId, trace_id: trace.traceId },
      'the sink will never take this call; it is kept as a dead letter',
    )
    return { ...decided(entry, 'rejected', reason), deadLetter: true }
  }

  return {
    partitionOf,
    keepsApart: exporter.apart !== undefined,
    send,
    bury,
    clock: () => clock,
    lastTaken: (partition) => pushes.get(partition)?.findLast((answer) => answer > 0) ?? -1,
    nextAfter(partition, after) {
      const next = pushes.get(partition)?.find((answer) => Math.abs(answer) > after)
      return next === undefined ? undefined : next > 0
    },
    refusedInRow: () => refused,
  }
}

export function decided(entry: Entry, outcome: Outcome['outcome'], reason: string): Decided {
  const { position, call } = entry
  return { entry, outcome: { position, tenant: call.tenant, outcome, reason }, deadLetter: false }
}

/** A sink may say how many it refused and not which: the last ones are taken for them, so that the count is right. */
function rejectedByIndex(
  rejections: readonly Rejection[],
  size: number,
  elsewhere: ReadonlySet<number>,
): Map<number, string> {
  const reasons = new Map<number, string>()
  for (const { index, reason } of rejections) if (index >= 0) reasons.set(index, reason)
  let last = size - 1
  for (const { index, reason } of rejections) {
    if (index >= 0) continue
    while (reasons.has(last) || elsewhere.has(last)) last--
    if (last < 0) break
    reasons.set(last, reason)
  }
  return reasons
}
