import type { LlmCall } from './call.ts'
import { type Capture, captureSchema, type Totals } from './capture.ts'
import type { Batch, BatchAnswer } from './capture-batch.ts'
import type { RunningTotal } from './ledger/ledger-tables.ts'
import type { LogLimit } from './log-limit.ts'
import { plainCapture } from './plain-capture.ts'
import type { Appended, Incoming, Store } from './store/store.ts'

/** What became of captures. `refused` ones come again: the plugin keeps them. `not_llm`: other requests, see is-llm-call.ts. */
export const CAPTURE_RESULTS = ['stored', 'duplicate', 'invalid', 'refused', 'late_refused', 'not_llm'] as const
export type CaptureResult = (typeof CAPTURE_RESULTS)[number]

export interface IntakeOptions {
  store: Pick<Store, 'append' | 'settledNumbers' | 'capturesRefused' | 'identity'>
  /** Takes time only where tokens must be estimated. Undefined: the request was no LLM call. */
  observe: (capture: Capture) => LlmCall | Promise<LlmCall> | undefined
  log: LogLimit
  counters: Record<CaptureResult, number>
}

/** How many faulty captures of a batch are described in the answer. */
const MAX_DESCRIBED = 20

/**
 * One batch of a plugin, into the store.
 *
 *   entry ─▶ its number is settled? ─yes─▶ duplicate, nothing else
 *              │ no
 *              ▼
 *            valid? observe ─▶ a call, or none ─▶ Store.append: all of the batch in one transaction
 *
 * A batch that comes again while the first is still worked on waits for it: a capture that takes long is read once.
 */
export function makeIntake({ store, observe, log, counters }: IntakeOptions) {
  /** Captures that are worked on, by epoch and number, until their transaction is done. */
  const inFlight = new Map<string, Promise<unknown>>()
  const underWay = new Set<Promise<unknown>>()

  async function take(batch: Batch): Promise<BatchAnswer> {
    const taken = takeOnce(batch)
    underWay.add(taken)
    try {
      return await taken
    } finally {
      underWay.delete(taken)
    }
  }

  async function takeOnce(batch: Batch): Promise<BatchAnswer> {
    await othersWith(batch.entries)
    const work = work_(batch)
    const keys = batch.entries.flatMap((entry) => {
      const number = numberOf(entry)
      return number === undefined ? [] : [keyOf(number)]
    })
    for (const key of keys) inFlight.set(key, work)
    try {
      return await work
    } finally {
      for (const key of keys) if (inFlight.get(key) === work) inFlight.delete(key)
    }
  }

  /** Waits until no capture of these is worked on. Whether they were stored is looked up after that. */
  async function othersWith(entries: readonly unknown[]): Promise<void> {
    if (inFlight.size === 0) return
    for (;;) {
      const others = new Set<Promise<unknown>>()
      for (const entry of entries) {
        const number = numberOf(entry)
        const other = number === undefined ? undefined : inFlight.get(keyOf(number))
        if (other !== undefined) others.add(other)
      }
      if (others.size === 0) return
      await Promise.allSettled(others)
    }
  }

  async function work_(batch: Batch): Promise<BatchAnswer> {
    const seen = await look(batch.entries)
    const incoming: Incoming = {
      calls: seen.calls,
      ignored: seen.ignored,
      lost: [
        ...seen.lost,
        ...batch.tombstones.map(({ tombstone, epoch, sequence, count, node }) => ({
          epoch,
          sequence,
          count,
          node,
          reason: tombstone,
        })),
      ],
      acknowledged: batch.acknowledged,
      totals: [...seen.totals, ...pluginTotals(batch)],
    }
    const appended = isEmpty(incoming) ? NOTHING : await appendOrSay(incoming, batch.entries.length)
    counters.stored += appended.stored
    counters.duplicate += appended.duplicate + seen.duplicate
    counters.late_refused += appended.lateRefused
    counters.invalid += seen.rejected.length
    counters.not_llm += seen.ignored.length + seen.ignoredUnnumbered
    if (appended.rolledBack > 0)
      log.error(
        'store_rolled_back',
        { calls: appended.rolledBack },
        'the store does not know captures that were acknowledged before: an older one was put back, or it is another file. They are lost; `kong-llm-observer confirm-rollback` makes the sidecar ready again',
      )
    for (const { kind, total, message } of batch.errors)
      log.warn(
        `plugin ${batch.plugin.instance} ${kind}`,
        { kind, total, error: message },
        'the plugin tells of an error',
      )
    for (const { message } of seen.rejected)
      log.warn(
        `invalid ${message.slice(0, 40)}`,
        { plugin: batch.plugin.version, error: message },
        'a capture is not valid',
      )
    return {
      stored: appended.stored,
      duplicate: appended.duplicate + seen.duplicate,
      lost: appended.lost,
      rejected: seen.rejected.slice(0, MAX_DESCRIBED),
      store: store.identity,
    }
  }

  async function appendOrSay(incoming: Incoming, captures: number): Promise<Appended> {
    try {
      return await store.append(incoming)
    } catch (error) {
      counters.refused += captures
      store.capturesRefused()
      throw error
    }
  }

  async function look(entries: readonly unknown[]): Promise<Seen> {
    const seen: Seen = {
      calls: [],
      ignored: [],
      lost: [],
      totals: [],
      rejected: [],
      duplicate: 0,
      ignoredUnnumbered: 0,
    }
    const isSettled = store.settledNumbers()
    const observed: (LlmCall | Promise<LlmCall | undefined>)[] = []
    let waits = false
    for (const [index, entry] of entries.entries()) {
      if (entry === undefined) continue
      const number = numberOf(entry)
      if (number !== undefined && isSettled(number.epoch, number.sequence)) {
        seen.duplicate++
        continue
      }
      const reject = (message: string) => {
        seen.rejected.push({ index, message })
        if (number !== undefined) seen.lost.push({ ...number, reason: 'invalid' })
        return undefined
      }
      const capture = plainCapture(entry) ?? checked(entry, reject)
      if (capture === undefined) continue
      if (capture.tap_errors != null && capture.tap_errors > 0)
        seen.totals.push(tapErrors(capture.node, capture.epoch ?? '', capture.tap_errors))
      // A defect of ours must not cost the other calls of the batch, nor go unseen.
      const unreadable = (error: unknown) => {
        log.error(
          'unreadable',
          { call_request_id: capture.log.request.id, error: (error as Error).message },
          'a capture could not be read',
        )
        return reject('the capture could not be read (see the log)')
      }
      try {
        const call = observe(capture)
        if (call === undefined) {
          if (number === undefined) seen.ignoredUnnumbered++
          else seen.ignored.push({ ...number, node: capture.node })
          continue
        }
        waits ||= call instanceof Promise
        observed.push(call instanceof Promise ? call.catch(unreadable) : call)
      } catch (error) {
        unreadable(error)
      }
    }
    const calls = waits ? await Promise.all(observed) : (observed as LlmCall[])
    seen.calls = calls.filter((call) => call !== undefined)
    return seen
  }

  return {
    take,
    /** When nothing is worked on any more. */
    async idle(): Promise<void> {
      while (underWay.size > 0) await Promise.allSettled(underWay)
    },
    /** What the tap's timer tells: captures up to that number exist, whether they came or not. */
    async takeTotal({ node, epoch, sequence, tap_errors }: Totals): Promise<void> {
      const totals = tap_errors !== undefined && tap_errors > 0 ? [tapErrors(node, epoch, tap_errors)] : []
      await appendOrSay({ calls: [], given: [{ node, epoch, sequence }], totals }, 0)
    },
  }
}
export type Intake = ReturnType<typeof makeIntake>

interface Seen {
  calls: LlmCall[]
  ignored: { epoch: string; sequence: number; node: string }[]
  lost: { epoch: string; sequence: number; node?: string; reason: string }[]
  totals: RunningTotal[]
  rejected: { index: number; message: string }[]
  duplicate: number
  ignoredUnnumbered: number
}
const NOTHING: Appended = { stored: 0, duplicate: 0, lateRefused: 0, lost: 0, rolledBack: 0 }

function isEmpty({ calls, ignored = [], lost = [], acknowledged = [], totals = [] }: Incoming): boolean {
  return calls.length + ignored.length + lost.length + acknowledged.length + totals.length === 0
}

interface Numbered {
  epoch: string
  sequence: number
}
function keyOf({ epoch, sequence }: Numbered): string {
  return `${epoch} ${sequence}`
}

/** Which capture it would be, also where it is not valid otherwise. */
function numberOf(entry: unknown): Numbered | undefined {
  if (entry === null || typeof entry !== 'object') return undefined
  const { epoch, sequence } = entry as { epoch?: unknown; sequence?: unknown }
  if (typeof epoch !== 'string' || epoch === '' || epoch.length > 64) return undefined
  return Number.isSafeInteger(sequence) && (sequence as number) > 0
    ? { epoch, sequence: sequence as number }
    : undefined
}

function tapErrors(node: string, epoch: string, total: number): RunningTotal {
  return { source: `tap ${node} ${epoch}`, name: 'tap_error', total, counter: { name: 'tap_errors', labels: [] }, node }
}

/** Losses that an older plugin tells as totals, and errors of the plugin itself. */
function pluginTotals({ plugin: { instance }, legacyDrops, errors }: Batch): RunningTotal[] {
  return [
    ...legacyDrops.map(({ reason, total, named }) => ({
      source: instance,
      name: reason,
      total,
      counted: named,
      counter: { name: 'lost', labels: ['', reason] },
    })),
    ...errors.map(({ kind, total }) => ({
      source: instance,
      name: `error ${kind}`,
      total,
      counter: { name: 'plugin_errors', labels: [kind] },
    })),
  ]
}

/** What is not plain, zod decides: it is the contract's definition. */
function checked(entry: unknown, reject: (message: string) => undefined): Capture | undefined {
  const parsed = captureSchema.safeParse(entry)
  return parsed.success ? parsed.data : reject(describe(parsed.error))
}

function describe(error: { issues: { path: PropertyKey[]; message: string }[] }): string {
  return error.issues
    .slice(0, 3)
    .map((issue) => `${issue.path.join('.') || '(root)'}: ${issue.message}`)
    .join('; ')
}
