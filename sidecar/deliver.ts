import { setTimeout as sleep } from 'node:timers/promises'
import type { LlmCall } from './call.ts'
import type { Exporter, Rejection, SendResult } from './exporters/exporter.ts'
import type { Logger } from './logger.ts'
import type { Entry, Settlement, Spool } from './spool/spool.ts'

export interface SinkStats {
  retries: Map<string, number>
  /** Calls of the push that is under way. */
  inFlight: number
  /** Epoch ms. */
  lastSuccessAt: number | undefined
}
export type DeliverStats = Map<string, SinkStats>
export const newDeliverStats = (): DeliverStats => new Map()

export interface DeliverOptions {
  logger: Logger
  signal: AbortSignal
  stats: DeliverStats
  random?: () => number
  pause?: (ms: number, signal: AbortSignal) => Promise<void>
  now?: () => number
}

const BASE_MS = 200
const CAP_MS = 30_000
const RETRY_AFTER_CAP_MS = 10 * 60_000

/**
 * The only retry loop: reads a batch, sends it, settles it.
 *
 *   read ─▶ wants? ─no─▶ sampled_out ─────────────────────────────┐
 *             │ yes                                               ▼
 *             ▼                                                 commit ─▶ read …
 *           send ── sent, rejected ──────────────────────────────▲
 *             │ ├── retry: wait (full jitter, Retry-After), send ─┘ until it is taken: no budget but the spool's size
 *             └──── drop: halve; a single call is buried (dead letter) and settled as rejected
 *
 * What the spool drops for want of room while the sink is away is not sent any more; only a push that is under way at
 * that moment can bring a call to the sink that is counted as dropped.
 *
 * Ends when the signal aborts: what is not committed is sent again at the next start, with the same ids.
 */
export async function deliver(spool: Spool, exporter: Exporter, options: DeliverOptions): Promise<void> {
  const { logger, signal } = options
  const random = options.random ?? Math.random
  const pause = options.pause ?? waitFor
  const now = options.now ?? Date.now
  const stats: SinkStats = { retries: new Map(), inFlight: 0, lastSuccessAt: undefined }
  options.stats.set(exporter.id, stats)
  let failures = 0
  /** Position of the first call that was still to be sent when we last looked. */
  let oursFrom = 0

  async function push(calls: readonly LlmCall[]): Promise<SendResult> {
    stats.inFlight = calls.length
    try {
      return await exporter.send(calls, signal)
    } catch (error) {
      // An exporter that cannot even write a call would stop at it for ever: the call is found and set aside instead.
      logger.error({ sink: exporter.id, error: (error as Error).name }, 'the exporter failed on a batch')
      return { drop: 'exporter_error' }
    } finally {
      stats.inFlight = 0
    }
  }

  /** Sends until the sink has decided; undefined when the signal ended it before. */
  async function sendUntilDecided(
    given: readonly Entry[],
  ): Promise<{ entries: readonly Entry[]; result: Decision } | undefined> {
    while (!signal.aborted) {
      const entries = given.filter(({ position }) => position >= oursFrom)
      if (entries.length === 0) return { entries, result: { sent: 0, rejected: [] } }
      const result = await push(entries.map(({ call }) => call))
      if (!('retry' in result)) {
        if (failures > 0) logger.info({ sink: exporter.id, failures }, 'the sink takes calls again')
        failures = 0
        return { entries, result }
      }
      if (signal.aborted) return undefined
      failures++
      stats.retries.set(result.retry, (stats.retries.get(result.retry) ?? 0) + 1)
      if (failures === 1)
        logger.warn(
          { sink: exporter.id, reason: result.retry },
          'the sink does not take calls now; they wait in the spool',
        )
      const jitter = random() * Math.min(CAP_MS, BASE_MS * 2 ** Math.min(failures - 1, 20))
      await pause(Math.min(result.afterMs ?? 0, RETRY_AFTER_CAP_MS) + jitter, signal)
      await lookWhatIsStillOurs()
    }
    return undefined
  }

  /** A full spool moves its readers on while they wait, and counts what it passed as dropped: that is not sent as well. */
  async function lookWhatIsStillOurs(): Promise<void> {
    const next = await spool.read(exporter.id, { calls: 1, bytes: 1 }, signal)
    if (next !== undefined) oursFrom = next.entries[0]!.position
  }

  async function bury(entry: Entry, reason: string): Promise<Settlement> {
    const { requestId, trace } = entry.call
    await spool.bury(exporter.id, [{ entry, reason }])
    logger.warn(
      { sink: exporter.id, reason, request_id: requestId, trace_id: trace.traceId },
      'the sink will never take this call; it is kept as a dead letter',
    )
    return settlement(entry, 'rejected', reason)
  }

  while (!signal.aborted) {
    const batch = await spool.read(exporter.id, exporter.limits, signal)
    if (batch === undefined) return
    const wanted: Entry[] = []
    const sampledOut: Settlement[] = []
    for (const entry of batch.entries) {
      if (exporter.wants === undefined || exporter.wants(entry.call)) wanted.push(entry)
      else sampledOut.push(settlement(entry, 'sampled_out'))
    }
    // Pieces of the batch in their order. Each is committed as soon as it is settled, so that what is settled stays so.
    const pieces: (readonly Entry[])[] = [wanted]
    for (let piece = pieces.shift(); piece !== undefined; piece = pieces.shift()) {
      const decided = await sendUntilDecided(piece)
      if (decided === undefined) return
      const { entries, result } = decided
      if ('drop' in result && entries.length > 1) {
        const middle = entries.length >> 1
        pieces.unshift(entries.slice(0, middle), entries.slice(middle))
        continue
      }
      let settled: Settlement[]
      if ('drop' in result) settled = [await bury(entries[0]!, result.drop)]
      else {
        if (entries.length > 0) stats.lastSuccessAt = now()
        settled = settlementsOf(entries, result.rejected)
      }
      const upTo = pieces.length === 0 ? batch.upTo : (entries.at(-1)?.position ?? piece.at(-1)!.position)
      while (sampledOut.length > 0 && sampledOut[0]!.position <= upTo) settled.push(sampledOut.shift()!)
      await spool.commit(exporter.id, upTo, settled)
    }
  }
}

type Decision = Exclude<SendResult, { retry: string }>

function settlement({ position, call }: Entry, outcome: Settlement['outcome'], reason = ''): Settlement {
  return { position, tenant: call.tenant, outcome, reason }
}

function settlementsOf(entries: readonly Entry[], rejections: readonly Rejection[]): Settlement[] {
  const rejected = rejectedByIndex(rejections, entries.length)
  return entries.map((entry, index) => {
    const reason = rejected.get(index)
    return reason === undefined ? settlement(entry, 'sent') : settlement(entry, 'rejected', reason)
  })
}

/** A sink may say how many it refused and not which: the last ones are taken for them, so that the count is right. */
function rejectedByIndex(rejections: readonly Rejection[], size: number): Map<number, string> {
  const reasons = new Map<number, string>()
  for (const { index, reason } of rejections) if (index >= 0) reasons.set(index, reason)
  let last = size - 1
  for (const { index, reason } of rejections) {
    if (index >= 0) continue
    while (reasons.has(last)) last--
    if (last < 0) break
    reasons.set(last, reason)
  }
  return reasons
}

async function waitFor(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {})
}
