import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LossReason, Tombstone } from '../sidecar/capture.ts'
import type { CaptureBatch, PluginError } from '../sidecar/capture-batch.ts'
import { type AcknowledgedNumbers, makeAcknowledgedNumbers } from './acknowledged.ts'
import { type ErrorKind, type Errors, makeErrors } from './errors.ts'
import { type Loss, type Losses, makeLosses } from './losses.ts'
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
 * oldest capture has lingered long enough. A number that was given is acknowledged, told lost by a tombstone, or held.
 *
 * What the sidecar does not take now is kept and sent again. A batch that got no answer, or was refused, is halved; a
 * capture that fails alone goes behind all others, and is given up only if it fails again right after others passed.
 */
export interface Shipper {
  /** The number of a capture that the tap has not numbered, at its birth. */
  number(): Numbered
  push(json: Buffer, number: Numbered, node?: string): void
  /** A numbered capture that will never come. */
  lose(reason: LossReason, number: Numbered, node?: string): void
  /** An error of the plugin, to be told to the sidecar. */
  fail(kind: ErrorKind, message?: string): void
  configure(settings: ShipSettings): void
  /** Delivers all that waits, over several connections, without linger. Without `retry` each failure ends an attempt. */
  handOver(deadline: number, retry: boolean): Promise<void>
  /** Gives up what waits and tells so, in one attempt: the process ends. What is in flight is left alone. */
  abandon(timeoutMs: number): Promise<void>
  /** Moves all that waits, captures and what is untold, to another shipper. */
  moveTo(other: Shipper): void
  close(): Promise<void>
  /** Sends what another shipper has put into `state`. */
  wake(): void
  readonly state: { losses: Losses; acknowledged: AcknowledgedNumbers; errors: Errors }
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

const WIRE_VERSION: CaptureBatch['v'] = 2
const BACKOFF_BASE_MS = 100
const BACKOFF_CAP_MS = 5000
/** Between attempts at a sidecar that refuses us: an operator has to act first. */
const REFUSED_MS = 5000
/** Ranges of lost numbers that one batch tells. */
const MAX_TOMBSTONES = 1000
/** A batch of 10,000 is down to one capture by then. */
const MAX_HALVINGS = 16
const COMMA = Buffer.from(',')
const END = Buffer.from(']}')

interface Sent {
  items: readonly Item[]
  losses: readonly Loss[]
  errors: readonly PluginError[]
}

export function makeShipper(options: ShipperOptions): Shipper {
  const { sender, notices } = options
  const random = options.random ?? Math.random
  const plugin = JSON.stringify({ version: options.version, instance: options.instance })
  let settings = options.settings
  const losses = makeLosses()
  const acknowledged = makeAcknowledgedNumbers()
  const errors = makeErrors()
  const queue = makeQueue(settings.queueBytes, (item, reason) => lose(reason, item.number, item.node))
  const epoch = randomBytes(16).toString('hex')
  let sequence = 0

  let inFlight: Promise<unknown> | undefined
  let callsInFlight = 0
  let timer: NodeJS.Timeout | undefined
  let timerAt = Number.POSITIVE_INFINITY
  let untoldSince: number | undefined
  /** The time before which no batch is sent, after a failure. */
  let notBefore = 0
  let failures = 0
  /** Calls a batch, after a larger one failed. */
  let maxCalls = Number.POSITIVE_INFINITY
  /** Batches with captures that were stored, and whether the last answer was such a one. */
  let passes = 0
  let passedLast = false
  let handingOver = false
  let closed = false
  let lastUsedAt = performance.now()

  const untold = () => losses.waiting > 0 || errors.untold

  function lose(reason: LossReason, number: Numbered, node: string | undefined): void {
    if (!losses.add(reason, number, node)) errors.note('losses_untold', 'too many ranges of lost numbers are waiting')
  }

  /** When the next batch is due; undefined when there is nothing to send. */
  function dueAt(now: number): number | undefined {
    if (queue.waiting >= settings.batchMaxCalls || queue.waitingBytes >= settings.batchMaxBytes) return notBefore
    if (queue.oldest !== undefined) return Math.max(notBefore, queue.oldest.queuedAt + settings.lingerMs)
    if (!untold()) return undefined
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
  async function sendOne(timeoutMs = settings.sendTimeoutMs): Promise<Answer> {
    const sent: Sent = {
      items: queue.take(Math.min(settings.batchMaxCalls, maxCalls), settings.batchMaxBytes),
      losses: losses.take(MAX_TOMBSTONES),
      errors: errors.report(),
    }
    untoldSince = undefined
    callsInFlight += sent.items.length
    const attempt = sender.send(bodyOf(sent), timeoutMs)
    inFlight = attempt
    const answer = await attempt
    callsInFlight -= sent.items.length
    settle(answer, sent)
    if (inFlight === attempt) inFlight = undefined
    schedule()
    return answer
  }

  function bodyOf({ items, losses, errors }: Sent): Buffer {
    const epochs = [...losses.map(({ epoch }) => epoch), ...items.map(({ number }) => number[0])]
    const head = JSON.stringify({ acknowledged: acknowledged.of(epochs), errors })
    const parts: Buffer[] = [Buffer.from(`{"v":${WIRE_VERSION},"plugin":${plugin},${head.slice(1, -1)},"captures":[`)]
    for (const loss of losses) parts.push(Buffer.from(JSON.stringify(tombstoneOf(loss))), COMMA)
    for (const { json } of items) parts.push(json, COMMA)
    if (parts.length > 1) parts.pop()
    return Buffer.concat([...parts, END])
  }

  function settle(answer: Answer, sent: Sent): void {
    const { items } = sent
    const passedBefore = passedLast
    passedLast = answer.kind === 'stored' && (items.length > 0 || passedLast)
    if (answer.kind === 'stored') {
      stored(answer, sent)
      return
    }
    losses.giveBack(sent.losses)
    const [alone] = items
    const faulty = answer.kind === 'never' || answer.kind === 'unanswered'
    if (faulty && items.length > 1) maxCalls = Math.floor(items.length / 2)
    if (!faulty || items.length !== 1) queue.giveBack(items)
    else if (passedBefore && alone!.suspectAt !== undefined && passes > alone!.suspectAt) giveUp(alone!, answer)
    else {
      alone!.suspectAt = passes
      queue.putLast(alone!)
    }
    failed(answer, items.length)
  }

  function stored(answer: Answer & { kind: 'stored' }, { items, losses, errors: told }: Sent): void {
    if (failures > 0) notices.say('info', 'the sidecar takes captures again', { address: options.address })
    queue.settle(items)
    for (const { epoch, sequence, count } of losses) acknowledged.add(epoch, sequence, sequence + count - 1)
    for (const { number } of items) acknowledged.add(...number)
    errors.acknowledged(told)
    if (items.length > 0) passes++
    failures = 0
    notBefore = 0
    maxCalls = maxCalls < settings.batchMaxCalls ? maxCalls * 2 : Number.POSITIVE_INFINITY
    for (const { message } of answer.rejected) {
      errors.note('capture_invalid', message)
      notices.say('warn', 'the sidecar counts a capture as lost: it is not valid', { reason: message })
    }
  }

  function giveUp(item: Item, answer: Answer & { kind: 'never' | 'unanswered' }): void {
    queue.settle([item])
    lose(answer.kind === 'never' ? answer.reason : 'timed_out', item.number, item.node)
    errors.note('capture_given_up', answer.reason)
    notices.say('warn', 'the sidecar will never take a capture: dropped', { reason: answer.reason })
  }

  function failed(answer: Answer & { kind: 'later' | 'unanswered' | 'never' | 'refused' }, calls: number): void {
    if (answer.kind === 'never' && calls > 1) {
      notBefore = 0
      return
    }
    failures++
    notBefore = performance.now() + pauseAfter(answer)
    const { address } = options
    const fields = { address, reason: answer.reason, waiting: queue.waiting, bytes: queue.bytes }
    if (answer.kind === 'refused') {
      errors.note('sidecar_refuses', answer.reason)
      notices.say('error', 'the sidecar refuses us (token, address or version): kept, sent again slowly', fields)
    } else if (answer.kind === 'never') {
      notices.say('warn', 'the sidecar refuses a capture: kept, sent again after others', fields)
    } else {
      errors.note('sidecar_away', answer.reason)
      notices.say('warn', 'the sidecar does not take captures now: kept, sent again', fields)
    }
  }

  /** Full jitter, so that many gateways do not come back at once; never earlier than the sidecar asked for. */
  function pauseAfter(answer: Answer): number {
    if (answer.kind === 'refused') return REFUSED_MS * (1 + random())
    const ceiling = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** Math.min(failures - 1, 16))
    return (answer.kind === 'later' ? answer.afterMs : 0) + random() * ceiling
  }

  async function handOverOne(deadline: number, retry: boolean): Promise<void> {
    let halvings = 0
    while ((queue.waiting > 0 || untold()) && performance.now() < deadline) {
      const answer = await sendOne()
      if (answer.kind === 'stored') halvings = 0
      else if (answer.kind !== 'never' || ++halvings > MAX_HALVINGS) {
        if (!retry) return
        await sleep(Math.max(0, Math.min(notBefore, deadline) - performance.now()))
      }
    }
  }

  function takeAll(): Item[] {
    const all: Item[] = []
    while (queue.waiting > 0) all.push(...queue.take(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY))
    queue.settle(all)
    return all
  }

  return {
    state: { losses, acknowledged, errors },
    number: () => [epoch, ++sequence],
    push(json, number, node) {
      lastUsedAt = performance.now()
      queue.push({ json, number, node, queuedAt: lastUsedAt })
      schedule()
    },
    lose(reason, number, node) {
      lastUsedAt = performance.now()
      lose(reason, number, node)
      schedule()
    },
    fail(kind, message) {
      errors.note(kind, message)
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
    async abandon(timeoutMs) {
      handingOver = true
      disarm()
      for (const { number, node } of takeAll()) lose('shutdown', number, node)
      while (losses.waiting > 0 && (await sendOne(timeoutMs)).kind === 'stored');
    },
    moveTo(other) {
      acknowledged.moveTo(other.state.acknowledged)
      errors.moveTo(other.state.errors)
      other.state.losses.giveBack(losses.take(Number.POSITIVE_INFINITY))
      for (const { json, number, node } of takeAll()) other.push(json, number, node)
      other.wake()
    },
    wake: schedule,
    async close() {
      closed = true
      disarm()
      await sender.close()
    },
    get held() {
      return callsInFlight + queue.waiting
    },
    get idle() {
      return inFlight === undefined && queue.waiting === 0 && !untold()
    },
    get lastUsedAt() {
      return lastUsedAt
    },
  }
}

function tombstoneOf({ reason, epoch, sequence, count, node }: Loss): Omit<Tombstone, 'count'> & { count?: number } {
  return {
    v: WIRE_VERSION,
    tombstone: reason,
    epoch,
    sequence,
    ...(count > 1 && { count }),
    ...(node !== undefined && { node }),
  }
}
