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
    entries: readonly Entry[],
  ): Promise<Exclude<SendResult, { retry: string }> | undefined> {
    const calls = entries.map(({ call }) => call)
    while (!signal.aborted) {
      const result = await push(calls)
      if (!('retry' in result)) {
        if (failures > 0) logger.info({ sink: exporter.id, failures }, 'the sink takes calls again')
        failures = 0
        return result
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
    }
    return undefined
  }

  /** Settles every entry of the batch, or returns false when the signal ended it. */
  async function settle(entries: readonly Entry[], settled: Settlement[]): Promise<boolean> {
    if (entries.length === 0) return true
    const result = await sendUntilDecided(entries)
    if (result === undefined) return false
    if ('drop' in result) {
      if (entries.length > 1) {
        const middle = entries.length >> 1
        return (await settle(entries.slice(0, middle), settled)) && settle(entries.slice(middle), settled)
      }
      const entry = entries[0]!
      await spool.bury(exporter.id, [{ entry, reason: result.drop }])
      logger.warn(
        {
          sink: exporter.id,
          reason: result.drop,
          request_id: entry.call.requestId,
          trace_id: entry.call.trace.traceId,
        },
        'the sink will never take this call; it is kept as a dead letter',
      )
      settled.push({ position: entry.position, tenant: entry.call.tenant, outcome: 'rejected', reason: result.drop })
      return true
    }
    stats.lastSuccessAt = now()
    const rejected = rejectedByIndex(result.rejected, entries.length)
    entries.forEach(({ position, call: { tenant } }, index) => {
      const reason = rejected.get(index)
      settled.push(
        reason === undefined
          ? { position, tenant, outcome: 'sent', reason: '' }
          : { position, tenant, outcome: 'rejected', reason },
      )
    })
    return true
  }

  while (!signal.aborted) {
    const batch = await spool.read(exporter.id, exporter.limits, signal)
    if (batch === undefined) return
    const settled: Settlement[] = []
    const wanted: Entry[] = []
    for (const entry of batch.entries) {
      if (exporter.wants === undefined || exporter.wants(entry.call)) wanted.push(entry)
      else settled.push({ position: entry.position, tenant: entry.call.tenant, outcome: 'sampled_out', reason: '' })
    }
    if (!(await settle(wanted, settled))) return
    await spool.commit(exporter.id, batch.upTo, settled)
  }
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
