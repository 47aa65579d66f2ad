import { type Budgets, budgetsConfigSchema, makeBudgets } from '../budgets/budgets.ts'
import { asRepeat, type LlmCall } from '../call.ts'
import type { Adjustment } from '../ledger/adjustments.ts'
import { cleanLabel, type LabelLimits } from '../ledger/fold-labels.ts'
import type { RunningTotal } from '../ledger/ledger-tables.ts'
import { makeSpend, type SpendSums, type TenantSpend } from '../ledger/spend.ts'
import { StoreUnavailable, type TransientCause } from './errors.ts'
import { takeLock } from './lock.ts'
import { packCalls, sizeOf } from './packed-calls.ts'
import type { DeadLetterRow, LetterPlace, ReadRequest, ReadRows, StoredRow, StoreStats } from './reader-thread.ts'
import { makeRecentCalls } from './recent-calls.ts'
import { makeSettledNumbers, type SettledNumbers } from './settled-numbers.ts'
import type { Entry, SinkLog } from './sink-log.ts'
import { startThread } from './thread.ts'
import { makeTotals, type Totals } from './totals.ts'
import type { AppendResult, LoadedStore, Moved, NumberedRange, WriterOptions } from './writer.ts'
import { DUPLICATE, LATE_REFUSED, REPEAT } from './writer.ts'
import type { WriteRequest, WriterEvent, Written } from './writer-thread.ts'

export interface StoreOptions {
  file: string
  /** Sinks that are configured. Undefined: a tool; cursors stay as they are. */
  sinks?: readonly string[]
  /** Of the log's own bytes: at it the oldest calls of sinks that lag are dropped. */
  logLimitBytes?: number
  labelLimits?: LabelLimits
  /** How long a numbered capture may be missing before it counts as lost. */
  gapGraceMs?: number
  /** How long a call's own line is kept, so that it can be recognised and priced again; for ever where not given. */
  callRetentionMs?: number
  /** Calendars and ceilings of tenants; without: UTC, and no ceilings. */
  budgets?: Budgets
  now?: () => number
  /** The store cannot write now; told at each failure, and once when it can again. */
  onTrouble?: (trouble: Trouble | undefined) => void
  /** The same of reads for the sinks: they wait, captures are taken. */
  onReadTrouble?: (trouble: Trouble | undefined) => void
  /** A thread has ended: the process has to end too (law 14). */
  onDeath?: (error: Error) => void
  /** Told after the commit, once for each call that was counted; `repeat` is set. */
  onCounted?: (calls: readonly LlmCall[]) => void
  /** Rows of the log whose checksum was wrong: they are counted as dropped. */
  onDamaged?: (rows: number) => void
}

export interface Trouble {
  cause: TransientCause
  message: string
  /** Failures in a row. */
  attempts: number
}

/** What one request of the plugin brings. It is stored in one transaction, or nothing of it is. */
export interface Incoming {
  calls: readonly LlmCall[]
  /** Numbered captures that are no calls. */
  ignored?: readonly NumberedRange[]
  /** Captures that are lost, and why: a closed list, it is a metric label. */
  lost?: readonly (NumberedRange & { reason: string })[]
  /** What the plugin was acknowledged before, by epoch: what is not here was in a store that is gone. */
  acknowledged?: readonly (readonly [epoch: string, ranges: readonly (readonly [first: number, last: number])[]])[]
  totals?: readonly RunningTotal[]
  /** How many captures an epoch of the tap has had. */
  given?: readonly { node: string; epoch: string; sequence: number }[]
}
export interface Appended {
  stored: number
  duplicate: number
  /** Came for a number that was given up long ago, so that nobody can tell whether it is stored. */
  lateRefused: number
  /** Captures that were told lost, and were not known to be. */
  lost: number
  /** Captures that were acknowledged before and that this store does not know. */
  rolledBack: number
}

export interface DeadLetter extends Omit<DeadLetterRow, 'body'> {
  /** Undefined where it was damaged: put back it is set aside, and counts as dropped. */
  call: LlmCall | undefined
}

/** One durable store: the log with a cursor for each sink, the ledger, and what was seen. Layout: schema.ts. */
export interface Store extends SinkLog, Totals {
  /** Names this store; another file has another name. */
  readonly identity: string
  /** Resolves after fsync. Rejects with StoreUnavailable where nothing of it is stored and the same may be sent again. */
  append(incoming: Incoming): Promise<Appended>
  /** What is known of captures now: one that is stored or told lost needs no look. An optimisation; `append` decides. */
  settledNumbers: SettledNumbers['now']
  /** What every tenant with calls or a ceiling has spent of its current day, week and month; exact. */
  readSpend(): Promise<TenantSpend[]>
  /**
   * Turns what has been missing for too long into losses. Called before each scrape. Time in which the store was closed, or
   * in which captures were refused, does not count as time in which one could have come.
   */
  confirmGaps(): Promise<void>
  /** Captures were refused for now: the plugin keeps them and sends them again. */
  capturesRefused(): void
  /** Writes adjusting entries; false where one of them is stale, and nothing is written. */
  adjust(adjustments: readonly Adjustment[]): Promise<boolean>
  /** In the order of sink and position, at most `limit` and some megabytes; empty where none is left. */
  deadLetters(sink: string | undefined, after: LetterPlace | undefined, limit: number): Promise<DeadLetter[]>
  /** Puts a slice of dead letters back in front of their sink. Returns how many; 0: none is left. */
  replay(sink: string, positions?: readonly number[]): Promise<number>
  /** What the limit does, by count: the oldest rows that a sink waits for are dropped. */
  dropOldest(rows: number): Promise<void>
  stats(): Promise<StoreStats>
  /** Captures that were acknowledged and are not in this store; 0 once an operator has confirmed it. */
  readonly rolledBack: number
  confirmRollback(): Promise<void>
  /** Undefined while the store can write. */
  readonly trouble: Trouble | undefined
  /** Milliseconds since a thread last said that it runs, for the one that has been silent longest. */
  silentFor(): number
  close(): Promise<void>
}

const GIBIBYTE = 1024 ** 3
export const DEFAULT_LIMITS: LabelLimits = { tenants: 1000, models: 500, series: 200_000 }
const GAP_GRACE_MS = 60_000
/** Of 1,000 epochs each. */
const CONFIRM_SLICES = 20
const RETRY_BASE_MS = 100
const RETRY_CAP_MS = 2000
/** Fresh calls kept in memory, so that sinks that keep up cost no query and no JSON.parse. */
const RECENT_BYTES = 16 * 1024 * 1024

/** Tenants that keep a label of their own: those that the budgets name. */
export function reservedTenantsOf({ budgets }: Pick<StoreOptions, 'budgets'>): string[] {
  return (budgets?.tenants ?? []).map(cleanLabel)
}

export async function openStore(options: StoreOptions): Promise<Store> {
  const { file, sinks } = options
  const now = options.now ?? Date.now
  const gapGraceMs = options.gapGraceMs ?? GAP_GRACE_MS
  const budgets = options.budgets ?? makeBudgets(budgetsConfigSchema.parse({}))
  const lock = takeLock(`${file}.lock`)
  try {
    return await open()
  } catch (error) {
    lock.close()
    const { message } = error as Error
    throw message.includes(file) ? error : new Error(`${file}: ${message}`)
  }

  async function open(): Promise<Store> {
    const writerOptions: WriterOptions = {
      file,
      sinks,
      logLimitBytes: options.logLimitBytes ?? GIBIBYTE,
      gapGraceMs,
      callRetentionMs: options.callRetentionMs,
      labelLimits: options.labelLimits ?? DEFAULT_LIMITS,
      reservedTenants: reservedTenantsOf({ budgets }),
    }
    const { thread: writer, opened: loaded } = await startThread<WriteRequest, WriterEvent, LoadedStore>(
      'writer-thread',
      writerOptions,
    )
    const { thread: reader } = await startThread<ReadRequest, never, undefined>('reader-thread', { file }).catch(
      async (error) => {
        await writer.close()
        throw error
      },
    )
    const settled = makeSettledNumbers(file)
    const totals = makeTotals(writerOptions.labelLimits, loaded.ledger, now())
    const spend = makeSpend(budgets, (ranges) => reader.ask<SpendSums>({ op: 'spend', ranges }))
    const recent = makeRecentCalls(RECENT_BYTES)
    let cursors = new Map(loaded.cursors)
    let { lastPosition, rolledBack } = loaded
    let trouble: Trouble | undefined
    /** Since when captures have been taken without a break. */
    let takingSince = now()
    let closed = false
    const wake = new Set<() => void>()
    const wakeAll = () => {
      for (const waiter of [...wake]) waiter()
    }

    writer.onEvent((event) => {
      if (event.kind === 'trouble') {
        const { cause, message, attempts } = event
        trouble = { cause, message, attempts }
      } else trouble = undefined
      options.onTrouble?.(trouble)
    })
    const died = (error: Error) => {
      if (closed) return
      closed = true
      wakeAll()
      options.onDeath?.(error)
    }
    writer.onDeath(died)
    reader.onDeath(died)

    function moved({ delta, cursors: now_, lastPosition: last }: Moved): void {
      if (delta !== undefined) {
        totals.apply(delta, now())
        if (delta.adjusted.length > 0) spend.forget()
        else spend.add(delta.spend, delta.number)
      }
      cursors = new Map(now_)
      if (cursors.size > 0) recent.dropUpTo(Math.min(...cursors.values()))
      if (last > lastPosition) {
        lastPosition = last
        wakeAll()
      }
    }
    async function write<T>(request: DistributiveOmit<WriteRequest, 'now'>): Promise<T> {
      const written = await writer.ask<Written<T>>({ ...request, now: now() } as WriteRequest)
      moved(written.moved)
      return written.result
    }

    /**
     * For the delivery, which ends with the first error: what is transient is tried again, for ever (law 14), until the
     * store closes or the signal aborts.
     */
    async function untilItWorks<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
      for (let attempts = 1; ; attempts++)
        try {
          const result = await work()
          if (attempts > 1) options.onReadTrouble?.(undefined)
          return result
        } catch (error) {
          if (!(error instanceof StoreUnavailable) || closed || signal?.aborted) throw error
          options.onReadTrouble?.({ cause: error.reason, message: error.message, attempts })
          await new Promise((resolve) =>
            setTimeout(resolve, Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** Math.min(attempts - 1, 10))),
          )
        }
    }
    async function readRows(request: ReadRequest & { op: 'rows' | 'held' }, signal?: AbortSignal): Promise<ReadRows> {
      const read = await untilItWorks(() => reader.ask<ReadRows>(request), signal)
      const { damaged } = read
      if (damaged.length > 0) {
        await untilItWorks(() => write({ op: 'setAside', positions: damaged }), signal)
        options.onDamaged?.(damaged.length)
      }
      return read
    }

    return {
      ...totals,
      get seriesInUse() {
        return totals.seriesInUse
      },
      identity: loaded.identity,
      get rolledBack() {
        return rolledBack
      },
      get trouble() {
        return trouble
      },
      async append({ calls, ignored = [], lost = [], acknowledged = [], totals: told = [], given = [] }) {
        const packed = packCalls(calls)
        const request = { calls: packed, ignored, lost, acknowledged, totals: told, given }
        let written: Written<AppendResult>
        try {
          written = await writer.ask<Written<AppendResult>>({ op: 'append', request, now: now() }, [
            packed.bytes.buffer,
          ])
        } catch (error) {
          takingSince = now()
          throw error
        }
        const { codes, positions, lost: lostNow, rolledBack: wentBack } = written.result
        const appended: Appended = { stored: 0, duplicate: 0, lateRefused: 0, lost: lostNow, rolledBack: wentBack }
        rolledBack += wentBack
        const counted: LlmCall[] = []
        codes.forEach((code, index) => {
          if (code === DUPLICATE) appended.duplicate++
          else if (code === LATE_REFUSED) appended.lateRefused++
          else {
            appended.stored++
            const call = code === REPEAT ? asRepeat(calls[index]!) : calls[index]!
            counted.push(call)
            if (positions[index]! > 0) recent.add({ position: positions[index]!, call }, sizeOf(packed, index))
          }
        })
        moved(written.moved)
        if (counted.length > 0) options.onCounted?.(counted)
        return appended
      },
      settledNumbers: settled.now,
      async read(sink, limit, signal) {
        while (!signal.aborted && !closed) {
          const seen = lastPosition
          const from = cursors.get(sink)
          if (from === undefined) throw new Error(`the store has no sink ${sink}`)
          const fresh = recent.from(from + 1, limit)
          if (fresh.length > 0)
            return { entries: fresh, upTo: fresh.at(-1)!.position, more: fresh.at(-1)!.position < lastPosition }
          if (lastPosition > from) {
            const { rows, upTo } = await readRows({ op: 'rows', sink, after: from, ...limit }, signal)
            if (upTo > from) return { entries: rows.map(entryOf), upTo, more: upTo < lastPosition }
          }
          // What came while we asked is read at once; a row for another sink alone is waited past.
          if (lastPosition > seen) continue
          await new Promise<void>((resolve) => {
            if (signal.aborted || closed) return resolve()
            const waiter = () => {
              signal.removeEventListener('abort', waiter)
              wake.delete(waiter)
              resolve()
            }
            signal.addEventListener('abort', waiter)
            wake.add(waiter)
          })
        }
        return undefined
      },
      async settle(sink, { upTo, outcomes, held = [], deadLetters = [] }) {
        const letters = deadLetters.map(({ entry: { position, call }, reason }) => ({
          position,
          id: call.id,
          tenant: call.tenant,
          reason,
          body: Buffer.from(JSON.stringify(call)),
        }))
        await write({ op: 'settle', request: { sink, upTo, outcomes, held, deadLetters: letters } })
      },
      heldTenants: (sink) => untilItWorks(() => reader.ask<string[]>({ op: 'heldTenants', sink })),
      async readHeld(sink, tenant, limit) {
        const { rows } = await readRows({ op: 'held', sink, tenant, ...limit })
        return rows.map(entryOf)
      },
      async readSpend() {
        const tenants = new Set(budgets.tenants.map((tenant) => totals.labelOf('tenant', tenant)))
        for (const { labels } of totals.series('calls')) tenants.add(labels[0]!)
        return spend.read(tenants, now())
      },
      async confirmGaps() {
        // A clock that was set back.
        takingSince = Math.min(takingSince, now())
        if (trouble !== undefined || now() - takingSince < gapGraceMs) return
        const until = now() - gapGraceMs
        // Slices: captures are stored in between. What is left waits for the next scrape.
        for (let slices = 0, more = true; more && slices < CONFIRM_SLICES; slices++)
          more = await write<boolean>({ op: 'confirmGaps', until })
      },
      capturesRefused() {
        takingSince = now()
      },
      adjust: (adjustments) => write<boolean>({ op: 'adjust', adjustments }),
      async deadLetters(sink, after, limit) {
        const letters = await reader.ask<DeadLetterRow[]>({ op: 'deadLetters', sink, after, limit })
        return letters.map(({ body, ...letter }) => ({ ...letter, call: body === null ? undefined : parsed(body) }))
      },
      replay: (sink, positions) => write<number>({ op: 'replay', sink, positions }),
      dropOldest: (rows) => write<void>({ op: 'dropOldest', rows }),
      stats: () => reader.ask<StoreStats>({ op: 'stats' }),
      async confirmRollback() {
        await write({ op: 'confirmRollback' })
        rolledBack = 0
      },
      silentFor: () => Math.max(writer.silentFor(), reader.silentFor()),
      async close() {
        const isOpen = !closed
        closed = true
        try {
          if (!isOpen) return
          wakeAll()
          await reader.ask({ op: 'close' }).catch(() => {})
          await writer.ask({ op: 'close', now: now() })
        } finally {
          settled.close()
          await reader.close()
          await writer.close()
          lock.close()
        }
      },
    }
  }
}

function parsed(body: Uint8Array): LlmCall {
  return JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.length).toString()) as LlmCall
}

function entryOf(row: StoredRow): Entry {
  const call = parsed(row.body)
  return { position: row.position, call: row.repeat ? asRepeat(call) : call }
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never
