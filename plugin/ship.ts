import { setTimeout as sleep } from 'node:timers/promises'
import type { CaptureBatch, PluginDropReason } from '../sidecar/capture.ts'
import { type Drops, makeDrops } from './drops.ts'
import type { Notices } from './notices.ts'
import { type Item, makeQueue, type Numbered } from './queue.ts'
import { type Answer, MAX_CONNECTIONS, type Sender } from './send.ts'

export interface ShipSettings {
  queueBytes: number
  batchMaxCalls: number
  batchMaxBytes: number
  lingerMs: number
  sendTimeoutMs: number
}

/**
 * Ships captures to one sidecar, in order: one batch in flight, the next straight after while a full one waits or the
 * oldest capture has lingered long enough. What the sidecar does not take now is kept and sent again; what it never
 * takes is dropped and counted; the running totals travel with every batch, and alone if nothing else is to be sent.
 */
export interface Shipper {
  push(json: Buffer, numbered: Numbered | undefined): void
  /** A capture that never came into being. */
  drop(reason: PluginDropReason, numbered?: Numbered): void
  configure(settings: ShipSettings): void
  /** Delivers all that waits, over several connections, without linger. Without `retry` each failure ends an attempt. */
  handOver(deadline: number, retry: boolean): Promise<void>
  /** Moves all that waits, captures and untold drops, to another shipper. */
  moveTo(other: Shipper): void
  close(): Promise<void>
  readonly drops: Drops
  /** Captures that wait or are in flight. */
  readonly held: number
  /** Nothing is held, nothing is untold. */
  readonly idle: boolean
  readonly lastUsedAt: number
}

export interface ShipperOptions {
  /** Says whose totals they are: random per process and shipper. */
  instance: string
  version: string
  /** Where it ships to, for notices. */
  address: string
  sender: Sender
  settings: ShipSettings
  notices: Notices
  random?: () => number
}

const BACKOFF_BASE_MS = 100
const BACKOFF_CAP_MS = 5000
/** Between attempts at a sidecar that refuses us: an operator has to act first. */
const REFUSED_MS = 5000
const WIRE_VERSION: CaptureBatch['v'] = 1
const COMMA = Buffer.from(',')
const END = Buffer.from(']}')

export function makeShipper(options: ShipperOptions): Shipper {
  const { sender, notices } = options
  const random = options.random ?? Math.random
  const plugin = JSON.stringify({ version: options.version, instance: options.instance })
  let settings = options.settings
  const drops = makeDrops()
  const queue = makeQueue(settings.queueBytes, (item, reason) => drops.count(reason, item.numbered))

  let inFlight: Promise<Answer> | undefined
  let callsInFlight = 0
  let timer: NodeJS.Timeout | undefined
  let timerAt = Number.POSITIVE_INFINITY
  let untoldSince: number | undefined
  /** The time before which no batch is sent, after a failure. */
  let notBefore = 0
  let failures = 0
  /** Calls a batch, after the sidecar refused a larger one. */
  let maxCalls = Number.POSITIVE_INFINITY
  let handingOver = false
  let closed = false
  let lastUsedAt = performance.now()

  /** When the next batch is due; undefined when there is nothing to send. */
  function dueAt(now: number): number | undefined {
    if (queue.waiting >= settings.batchMaxCalls || queue.waitingBytes >= settings.batchMaxBytes) return notBefore
    if (queue.oldest !== undefined) return Math.max(notBefore, queue.oldest.queuedAt + settings.lingerMs)
    if (!drops.untold) return undefined
    untoldSince ??= now
    return Math.max(notBefore, untoldSince + settings.lingerMs)
  }

  function schedule(): void {
    if (inFlight !== undefined || handingOver || closed) return
    const now = performance.now()
    const due = dueAt(now)
    if (due === undefined) return
    if (due <= now) {
      disarm()
      void sendOne()
    } else if (due < timerAt) {
      disarm()
      timerAt = due
      timer = setTimeout(() => {
        disarm()
        schedule()
      }, due - now)
    }
  }

  function disarm(): void {
    clearTimeout(timer)
    timerAt = Number.POSITIVE_INFINITY
  }

  /** Sends one batch and settles it. The answer decides what comes next. */
  async function sendOne(): Promise<Answer> {
    const items = queue.take(Math.min(settings.batchMaxCalls, maxCalls), settings.batchMaxBytes)
    const report = drops.report()
    untoldSince = undefined
    callsInFlight += items.length
    const attempt = sender.send(bodyOf(items, report), settings.sendTimeoutMs)
    inFlight = attempt
    const answer = await attempt
    callsInFlight -= items.length
    if (answer.kind === 'stored') {
      queue.settle(items)
      drops.acknowledged(report)
    } else {
      drops.returned(report)
      const last = items.length === 1 || (answer.kind === 'never' && answer.whole)
      if (answer.kind === 'never' && items.length > 0 && last) {
        for (const item of items) drops.count(answer.reason, item.numbered)
        queue.settle(items)
      } else queue.giveBack(items)
    }
    react(answer, items.length)
    if (inFlight === attempt) inFlight = undefined
    schedule()
    return answer
  }

  function bodyOf(items: readonly Item[], report: CaptureBatch['dropped']): Buffer {
    const head = `{"v":${WIRE_VERSION},"plugin":${plugin},"dropped":${JSON.stringify(report)},"captures":[`
    const captures = items.flatMap((item, index) => (index === 0 ? [item.json] : [COMMA, item.json]))
    return Buffer.concat([Buffer.from(head), ...captures, END])
  }

  function react(answer: Answer, calls: number): void {
    if (answer.kind === 'stored') {
      if (failures > 0) notices.say('info', 'the sidecar takes captures again', { address: options.address })
      failures = 0
      notBefore = 0
      if (maxCalls < settings.batchMaxCalls) maxCalls *= 2
      else maxCalls = Number.POSITIVE_INFINITY
      return
    }
    if (answer.kind === 'never' && calls > 0) {
      maxCalls = Math.max(1, Math.floor(calls / 2))
      notBefore = 0
      if (calls === 1 || answer.whole)
        notices.say('warn', 'the sidecar will never take a capture: dropped', { reason: answer.reason })
      return
    }
    failures++
    notBefore = performance.now() + pauseAfter(answer)
    const fields = { address: options.address, reason: answer.reason, waiting: queue.waiting, bytes: queue.bytes }
    if (answer.kind === 'later') notices.say('warn', 'the sidecar does not take captures now: kept, sent again', fields)
    else notices.say('error', 'the sidecar refuses us (token, address or version): kept, sent again slowly', fields)
  }

  /** Full jitter, so that many gateways do not come back at once; never earlier than the sidecar asked for. */
  function pauseAfter(answer: Answer): number {
    if (answer.kind !== 'later') return REFUSED_MS * (1 + random())
    const ceiling = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** Math.min(failures - 1, 16))
    return answer.afterMs + random() * ceiling
  }

  async function handOverOne(deadline: number, retry: boolean): Promise<void> {
    while ((queue.waiting > 0 || drops.untold) && performance.now() < deadline) {
      const answer = await sendOne()
      if (answer.kind === 'stored' || answer.kind === 'never') continue
      if (!retry) return
      await sleep(Math.max(0, Math.min(notBefore, deadline) - performance.now()))
    }
  }

  return {
    drops,
    push(json, numbered) {
      lastUsedAt = performance.now()
      queue.push({ json, numbered, queuedAt: lastUsedAt })
      schedule()
    },
    drop(reason, numbered) {
      lastUsedAt = performance.now()
      drops.count(reason, numbered)
      schedule()
    },
    configure(next) {
      settings = next
      queue.setLimit(next.queueBytes)
      schedule()
    },
    async handOver(deadline, retry) {
      handingOver = true
      disarm()
      const inTime = new AbortController()
      const batches = Math.max(queue.waiting / settings.batchMaxCalls, queue.waitingBytes / settings.batchMaxBytes)
      const lanes = Math.max(1, Math.min(MAX_CONNECTIONS, Math.ceil(batches)))
      const current = inFlight
      const all = Array.from({ length: lanes }, () => handOverOne(deadline, retry))
      // A batch that was in flight comes back if it failed: its lane goes on with it.
      if (current !== undefined) all.push(current.then(() => handOverOne(deadline, retry)))
      const late = sleep(Math.max(0, deadline - performance.now()), undefined, { signal: inTime.signal }).catch(
        () => {},
      )
      await Promise.race([Promise.all(all), late])
      inTime.abort()
      handingOver = false
      schedule()
    },
    moveTo(other) {
      const items = queue.take(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY)
      queue.settle(items)
      for (const item of items) other.push(item.json, item.numbered)
      drops.moveTo(other.drops)
    },
    async close() {
      closed = true
      disarm()
      await sender.close()
    },
    get held() {
      return callsInFlight + queue.waiting
    },
    get idle() {
      return callsInFlight + queue.waiting === 0 && !drops.untold
    },
    get lastUsedAt() {
      return lastUsedAt
    },
  }
}
