import { attempt, dependsOnCall, endTrouble, noTrouble, SEARCH_AFTER, windowOf } from './delivery/attempt.ts'
import { backOff, pauseFor } from './delivery/back-off.ts'
import { type Held, makeHeldTenants } from './delivery/held-tenants.ts'
import { type Decided, decided, makeSink, type SinkStats } from './delivery/sink.ts'
import type { Exporter, Retry } from './exporters/exporter.ts'
import { makeLogLimit } from './log-limit.ts'
import type { Logger } from './logger.ts'
import type { Batch, SinkLog } from './store/sink-log.ts'

export type { SinkStats } from './delivery/sink.ts'
export type DeliverStats = Map<string, SinkStats>
export const newDeliverStats = (): DeliverStats => new Map()

export interface DeliverOptions {
  logger: Logger
  signal: AbortSignal
  stats: DeliverStats
  random?: () => number
  /** Ends after so many ms, or at the signal, without an error. */
  pause?: (ms: number, signal: AbortSignal) => Promise<void>
  now?: () => number
}

const DEFAULTS = { lingerMs: 0, poisonAfterMs: 60_000 }

/**
 * The only loop that retries: reads a batch, sends it, settles it.
 *
 *   read ─▶ wants? ─no─▶ sampled_out ───────────────────────────────────────────────────┐
 *             │ yes                                                                     ▼
 *           blocked? ─yes─▶ held ─────────────────────────────────────────────────────▶ settle ─▶ read …
 *             │ no                                                                      ▲
 *           send ── sent, rejected ─────────────────────────────────────────────────────┤
 *             ├── never (4xx): halve; a single call becomes a dead letter, rejected ────┤
 *             ├── not now, of a tenant alone: held, tried again on its own back-off ────┤
 *             ├── not now, of single calls alone: found by halving, held as suspects ───┘
 *             └── not now: wait (full jitter, Retry-After), read and send again, for ever
 *
 * A batch that is refused for `poisonAfterMs`, with a run of calls behind it that are refused too, is set aside (held): a
 * run of calls that fail cannot hide those behind it, however long it is.
 *
 * Held calls stay in the log; `makeHeldTenants` sends them. A suspect that is refused for `poisonAfterMs` while others are
 * taken becomes a dead letter. Each try reads the log anew: what it dropped meanwhile is not sent, and newcomers join.
 *
 * Ends when the signal aborts: what is not settled is sent again at the next start, with the same ids. Rejects when the
 * log fails; the log retries by itself what is transient.
 */
export async function deliver(log: SinkLog, exporter: Exporter, options: DeliverOptions): Promise<void> {
  const { random = Math.random, pause = pauseFor, now = Date.now } = options
  const { id, limits } = exporter
  const { lingerMs, poisonAfterMs } = exporter.delivery ?? DEFAULTS
  const stats: SinkStats = {
    retries: new Map(),
    inFlight: 0,
    lastSuccessAt: undefined,
    lastError: undefined,
    held: new Map(),
  }
  options.stats.set(id, stats)
  const stop = new AbortController()
  const { signal } = stop
  const onAbort = () => stop.abort()
  if (options.signal.aborted) return
  options.signal.addEventListener('abort', onAbort, { once: true })

  const limit = makeLogLimit(options.logger, now)
  const sink = makeSink(exporter, { stats, limit, signal, now })
  const held = makeHeldTenants({
    ...{ log, sink, sinkId: id, limits, poisonAfterMs, stats, limit, signal, now, random, pause },
    settle: (done) => (done.length === 0 ? Promise.resolve() : log.settle(id, settlementOf(done))),
  })

  /** What is known of calls after the cursor that others, still unsettled, stand before. */
  const ahead = new Map<number, Decided | Held>()
  const trouble = noTrouble()
  /** Since when nothing at the front of the log was decided; ms of `now`. */
  let stuckSince = now()

  /** Settles from the batch's start as far as everything is known. */
  async function settleKnown(batch: Batch): Promise<void> {
    const done: Decided[] = []
    const toHold: Held[] = []
    let upTo: number | undefined
    let whole = true
    for (const { position } of batch.entries) {
      const known = ahead.get(position)
      if (known === undefined) {
        whole = false
        break
      }
      upTo = position
      if ('outcome' in known) done.push(known)
      else toHold.push(known)
    }
    if (whole) upTo = batch.upTo
    if (upTo === undefined) return
    await log.settle(id, { upTo, ...settlementOf(done), held: toHold.map(({ entry }) => keyOf(entry)) })
    for (const position of ahead.keys()) if (position <= upTo) ahead.delete(position)
    if (toHold.length > 0) held.add(toHold)
  }

  /** Waits until there is a call, and a little longer for others. */
  async function linger(): Promise<void> {
    if (lingerMs === 0) return
    const first = await log.read(id, { calls: 1, bytes: 1 }, signal)
    if (first !== undefined) await pause(lingerMs, signal)
  }

  async function wait(failure: Retry): Promise<void> {
    trouble.last = failure
    await pause(backOff(trouble.failures, failure.afterMs, random), signal)
  }

  async function readWindow() {
    const window = await log.read(id, windowOf(limits, trouble.searches), signal)
    return (window?.entries ?? []).filter(
      ({ position, call }) => !ahead.has(position) && (exporter.wants === undefined || exporter.wants(call)),
    )
  }

  async function follow(): Promise<void> {
    let isBehind = false
    while (!signal.aborted) {
      if (!isBehind) await linger()
      const batch = await log.read(id, limits, signal)
      if (batch === undefined) return
      isBehind = batch.more ?? batch.entries.length >= limits.calls
      const toSend = batch.entries.filter((entry) => {
        if (ahead.has(entry.position)) return false
        if (exporter.wants !== undefined && !exporter.wants(entry.call)) {
          ahead.set(entry.position, decided(entry, 'sampled_out', ''))
          return false
        }
        const failure = held.blocks(sink.partitionOf(entry))
        if (failure !== undefined) ahead.set(entry.position, { entry, failure })
        return failure === undefined
      })
      if (toSend.length === 0) {
        await settleKnown(batch)
        continue
      }
      const result = await attempt(sink, toSend, trouble, { window: readWindow, random, now, signal })
      for (const done of result.decided) ahead.set(done.entry.position, done)
      for (const one of [...result.refused, ...result.suspects]) ahead.set(one.entry.position, one)
      await settleKnown(batch)
      if (signal.aborted) return
      const isProgress = result.decided.length + result.refused.length + result.suspects.length > 0
      const failure = result.left.at(-1)?.failure
      if (isProgress || trouble.failures === 0) stuckSince = now()
      else if (failure !== undefined && dependsOnCall(failure) && isBehind && now() - stuckSince >= poisonAfterMs) {
        for (const entry of toSend) ahead.set(entry.position, { entry, failure, aside: true })
        await settleKnown(batch)
        stuckSince = now()
      }
      if (failure === undefined && (result.untried.length === 0 || isProgress)) {
        if (result.untried.length > 0) continue
        if (trouble.failures > 0)
          limit.info(`${id} again`, { sink: id, failures: trouble.failures }, 'the sink takes calls again')
        endTrouble(trouble)
        continue
      }
      isBehind = true
      trouble.failures = isProgress ? Math.min(trouble.failures + 1, SEARCH_AFTER) : trouble.failures + 1
      await wait(failure ?? trouble.last ?? { retry: 'connection' })
    }
  }

  const failures: unknown[] = []
  const run = (work: Promise<void>) =>
    work.catch((error: unknown) => {
      failures.push(error)
      stop.abort()
    })
  await Promise.all([run(follow()), run(held.run())])
  options.signal.removeEventListener('abort', onAbort)
  if (failures.length > 0) throw failures[0]
}

const keyOf = ({ position, call }: Held['entry']) => ({ position, tenant: call.tenant })

function settlementOf(done: readonly Decided[]) {
  return {
    outcomes: done.map(({ outcome }) => outcome),
    deadLetters: done
      .filter(({ deadLetter }) => deadLetter)
      .map(({ entry, outcome }) => ({ entry, reason: outcome.reason })),
  }
}
