import type { DatabaseSync } from 'node:sqlite'
import { asRepeat, billedPicoUsd } from '../call.ts'
import type { AdjustmentTotal } from '../ledger/adjustment-totals.ts'
import { type Adjustment, makeAdjustments } from '../ledger/adjustments.ts'
import { makeCallLineStore } from '../ledger/call-line-store.ts'
import { type CountDelta, type Delta, type DeltaBuilder, makeDelta } from '../ledger/delta.ts'
import { type CallLabels, type LabelFold, type LabelLimits, makeLabelFold } from '../ledger/fold-labels.ts'
import { type LoadedLedger, makeLedgerTables, type RunningTotal } from '../ledger/ledger-tables.ts'
import { DAY_MS } from '../ledger/period.ts'
import { makeAnswers, type Verdict } from './answers.ts'
import { makeEpochs } from './epochs.ts'
import { makeLog, type SettleRequest } from './log.ts'
import { answerKey } from './open-database.ts'
import { type PackedCalls, unpackCall } from './packed-calls.ts'
import { DELTAS } from './schema.ts'

export interface WriterOptions {
  file: string
  /** Sinks that are configured; undefined: those that are there. */
  sinks: readonly string[] | undefined
  /** Of the log's own bytes. */
  logLimitBytes: number
  /** How long a numbered capture may be missing before it counts as lost. */
  gapGraceMs: number
  /** How long a call's own line is kept; for ever where not given. */
  callRetentionMs?: number | undefined
  labelLimits: LabelLimits
  /** Tenants that keep a label of their own, however many there are (law 13). */
  reservedTenants: readonly string[]
}

/** What one request of the plugin brings: stored in one transaction, or not at all. */
export interface AppendRequest {
  calls: PackedCalls
  /** Numbered captures that are no calls. */
  ignored: readonly NumberedRange[]
  /** Captures that are lost, and why. */
  lost: readonly (NumberedRange & { reason: string })[]
  /** What the plugin was acknowledged before. */
  acknowledged: readonly (readonly [epoch: string, ranges: readonly (readonly [first: number, last: number])[]])[]
  totals: readonly RunningTotal[]
  /** How many captures an epoch of the tap has had, told by its timer. */
  given: readonly { node: string; epoch: string; sequence: number }[]
}
export interface NumberedRange {
  epoch: string
  sequence: number
  /** Consecutive numbers from `sequence`; 1 where not given. */
  count?: number | undefined
  node?: string | undefined
}

export const STORED = 1
export const REPEAT = 2
export const DUPLICATE = 0
export const LATE_REFUSED = -1
export interface AppendResult {
  /** Of each call: one of the constants above. */
  codes: number[]
  /** Of each call: where it stands in the log; 0 where it does not. */
  positions: number[]
  /** Captures that were told lost, and were not known to be. */
  lost: number
  /** Captures that were acknowledged before and that this store does not know. */
  rolledBack: number
}

/** `number`: of the deltas of this store, in the order of their commits; it stands in the file too. */
export interface StoredDelta extends Delta {
  number: number
}

/** The store's state that the event loop keeps a copy of; sent with each answer of a write. */
export interface Moved {
  delta?: StoredDelta
  cursors: [string, number][]
  lastPosition: number
}

export interface LoadedStore {
  ledger: LoadedLedger
  identity: string
  cursors: [string, number][]
  lastPosition: number
  /** Captures that were acknowledged and are not in this store; 0 where none are, or an operator has confirmed it. */
  rolledBack: number
}

/** How often a look is taken for what is past its retention. */
const TIDY_EVERY_MS = 60_000
/** Without a call for so long, what is old goes no further: nothing new would take its place. */
const MOST_AHEAD_MS = 7 * DAY_MS
/** How many dead letters one transaction puts back. */
const REPLAY_SLICE = 200
/** Share of the log's limit that dead letters may take beside it. */
const LETTER_SHARE = 8

/** The synchronous half of the store; it lives in a thread of its own (writer-thread.ts). */
export function makeWriter(database: DatabaseSync, options: WriterOptions) {
  const log = makeLog(database, {
    logBytes: options.logLimitBytes,
    letterBytes: Math.floor(options.logLimitBytes / LETTER_SHARE),
  })
  const epochs = makeEpochs(database)
  const ledger = makeLedgerTables(database)
  const lines = makeCallLineStore(database, options.callRetentionMs ?? Number.POSITIVE_INFINITY)
  const adjustments = makeAdjustments(database)
  const answers = makeAnswers(database)
  const stateOf = database.prepare('SELECT value FROM state WHERE name = ?')
  const setState = database.prepare('INSERT INTO state VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value')
  const carriedId = database.prepare('SELECT 1 FROM carried_ids WHERE key = ?')
  const dropCarried = database.prepare('DELETE FROM carried_ids')
  const anyCarried = database.prepare('SELECT 1 FROM carried_ids LIMIT 1')
  let carriesIds = anyCarried.get() !== undefined
  const newestStart = database.prepare('SELECT max(started_at) AS at FROM calls')
  let tidiedAt = Number.NEGATIVE_INFINITY
  let fold = loadFold()
  let deltas = Number(state(DELTAS) ?? 0)
  /** What is kept in memory may say what was not stored. */
  let stale = false

  function loadFold(): LabelFold {
    return makeLabelFold(options.labelLimits, {
      names: database.prepare('SELECT kind, name FROM labels').all() as { kind: string; name: string }[],
      models: database.prepare('SELECT DISTINCT tenant, provider, model FROM totals').all() as unknown as CallLabels[],
    })
  }
  function state(name: string): string | number | undefined {
    return (stateOf.get(name) as { value: string | number } | undefined)?.value
  }

  /** All or nothing; what is kept in memory is read anew where it is nothing. */
  function transaction<T>(work: () => T): T {
    reload()
    try {
      database.exec('BEGIN IMMEDIATE')
      const result = work()
      database.exec('COMMIT')
      return result
    } catch (error) {
      stale = true
      try {
        reload()
      } catch {
        // A file that cannot be written now may not be readable either: before the next transaction, then.
      }
      throw error
    }
  }
  function reload(): void {
    if (!stale) return
    if (database.isTransaction) database.exec('ROLLBACK')
    log.reload()
    epochs.reload()
    lines.forget()
    carriesIds = anyCarried.get() !== undefined
    fold = loadFold()
    deltas = Number(state(DELTAS) ?? 0)
    stale = false
  }

  function loseNumbers(
    delta: DeltaBuilder,
    { epoch, sequence, count = 1, node, reason }: AppendRequest['lost'][number],
    nowSeconds: number,
  ): number {
    const last = sequence + count - 1
    if (!isNumber(sequence) || !isNumber(last)) return 0
    const { fresh } = epochs.cover(epoch, sequence, last, node, nowSeconds)
    if (fresh > 0) delta.count('lost', [fold.admit('node', node ?? epochs.nodeOf(epoch)), reason], BigInt(fresh))
    return fresh
  }

  /** The verdict comes first: what a call is decides what its line and its cell say. */
  function appendCall(
    delta: DeltaBuilder,
    calls: PackedCalls,
    index: number,
    due: Map<string, number>,
    withRows: boolean,
    now: number,
  ): { code: number; position: number } {
    const nowSeconds = Math.floor(now / 1000)
    const { body, call: told } = unpackCall(calls, index)
    const { epoch, sequence, node } = told.gateway
    let late = false
    if (epoch !== undefined && sequence !== undefined) {
      if (!isNumber(sequence)) delta.count('malformed', ['sequence'], 1n)
      else {
        const closed = epochs.isClosed(epoch, sequence)
        if (!closed && epochs.isSettled(epoch, sequence)) return { code: DUPLICATE, position: 0 }
        const covered = epochs.cover(epoch, sequence, sequence, node, nowSeconds)
        late = covered.late > 0
        // The series is there at 0 from a node's first call, so that its first loss is an increase.
        delta.count('lost', [fold.admit('node', node), 'gap'], 0n)
        if (closed && covered.fresh + covered.late === 0) {
          if (lines.has(told)) return { code: DUPLICATE, position: 0 }
          // The ranges cannot tell any more, and neither can a line that is not kept.
          if (!lines.keeps(told)) {
            delta.count('late_refused', [fold.admit('node', node)], 1n)
            return { code: LATE_REFUSED, position: 0 }
          }
          late = true
        }
      }
    }
    if (carriesIds && carriedId.get(idKey(told.id)) !== undefined) return { code: DUPLICATE, position: 0 }
    const verdict: Verdict = told.answer === undefined ? { repeat: false } : answers.judge(told, told.answer)
    const call = verdict.repeat ? asRepeat(told) : told
    const labels = fold.admitCall(call)
    const cost = delta.amount('cost', billedPicoUsd(call))
    if (!lines.add(call, labels, Number(cost))) return { code: DUPLICATE, position: 0 }
    if (told.answer !== undefined) answers.record(told, told.answer, verdict)
    if (verdict.adjustment !== undefined) delta.adjust(adjustments.write(verdict.adjustment, now))
    if (late) delta.count('late', [fold.admit('node', node)], 1n)
    delta.add(call, labels, cost)
    const { tenant } = call
    if (!withRows) {
      due.set(tenant, (due.get(tenant) ?? 0) + 1)
      return { code: verdict.repeat ? REPEAT : STORED, position: 0 }
    }
    return {
      code: verdict.repeat ? REPEAT : STORED,
      position: log.append({ tenant, repeat: verdict.repeat, body }, now, due),
    }
  }

  function append(delta: DeltaBuilder, request: AppendRequest, withRows: boolean, now: number): AppendResult {
    const nowSeconds = Math.floor(now / 1000)
    const result: AppendResult = { codes: [], positions: [], lost: 0, rolledBack: 0 }
    for (const [epoch, ranges] of request.acknowledged)
      for (const [first, last] of ranges)
        result.rolledBack += loseNumbers(
          delta,
          { epoch, sequence: first, count: last - first + 1, reason: 'store_rolled_back' },
          nowSeconds,
        )
    if (result.rolledBack > 0) setState.run('rolled_back', Number(state('rolled_back') ?? 0) + result.rolledBack)
    for (const { node, epoch, sequence } of request.given)
      if (isNumber(sequence)) {
        epochs.extend(epoch, sequence, node, nowSeconds)
        // The series is there at 0 from a node's first call, so that its first loss is an increase.
        delta.count('lost', [fold.admit('node', node), 'gap'], 0n)
      }
    const due = new Map<string, number>()
    for (let index = 0; index < request.calls.ends.length; index++) {
      const { code, position } = appendCall(delta, request.calls, index, due, withRows, now)
      result.codes.push(code)
      result.positions.push(position)
    }
    if (withRows) log.countDue(due)
    else log.countDropped(due)
    for (const { epoch, sequence, node } of request.ignored)
      if (isNumber(sequence)) epochs.cover(epoch, sequence, sequence, node, nowSeconds)
    for (const each of request.lost) result.lost += loseNumbers(delta, each, nowSeconds)
    for (const { name, labels, value } of ledger.grow(request.totals, (node) => fold.admit('node', node), now))
      delta.count(name, labels, value)
    return result
  }

  /** Ends a transaction that has gathered a delta. */
  function finish(delta: DeltaBuilder): StoredDelta {
    for (const { node, count } of epochs.flush()) delta.count('lost', [fold.admit('node', node), 'gap'], BigInt(count))
    const taken = delta.take()
    ledger.apply(taken)
    setState.run(DELTAS, ++deltas)
    return { ...taken, number: deltas }
  }

  return {
    load: (): LoadedStore => ({
      ledger: ledger.load(),
      identity: String(state('identity')),
      cursors: [...log.cursors],
      lastPosition: log.lastPosition,
      rolledBack: Number(state('rolled_back') ?? 0),
    }),
    moved: (delta?: StoredDelta): Moved => ({
      ...(delta === undefined ? {} : { delta }),
      cursors: [...log.cursors],
      lastPosition: log.lastPosition,
    }),
    /** Bytes of the log that the calls of a request take. */
    sizeOf: ({ calls }: AppendRequest): number =>
      log.hasSinks ? calls.bytes.length + calls.ends.length * log.sizeOf(0) : 0,
    /** One transaction for all of them; what sinks have settled meanwhile goes along. */
    append(
      requests: readonly AppendRequest[],
      settlements: readonly SettleRequest[],
      needed: number,
      now: number,
    ): { results: AppendResult[]; delta: StoredDelta } {
      reload()
      const withRows = needed <= options.logLimitBytes
      // Law 3: a slice a transaction, so that no lock is held for long.
      while (withRows && log.lacksRoom(needed)) transaction(() => log.free(needed))
      return transaction(() => {
        const delta = makeDelta(fold)
        for (const settlement of settlements) log.settle(settlement, now)
        const results = requests.map((request) => append(delta, request, withRows, now))
        return { results, delta: finish(delta) }
      })
    },
    settle: (requests: readonly SettleRequest[], now: number): void =>
      transaction(() => {
        for (const request of requests) log.settle(request, now)
      }),
    /** Undefined where another run was faster: nothing is written. */
    adjust: (all: readonly Adjustment[], now: number): StoredDelta | undefined =>
      transaction(() => {
        if (all.some((adjustment) => adjustments.isStale(adjustment))) return undefined
        const delta = makeDelta(fold)
        for (const adjustment of all) delta.adjust(adjustments.write(adjustment, now) satisfies AdjustmentTotal)
        return finish(delta)
      }),
    replay: (sink: string, positions: readonly number[] | undefined, now: number): number =>
      transaction(() => log.replay(sink, positions, REPLAY_SLICE, now)),
    dropOldest: (rows: number): void => transaction(() => log.dropOldest(rows)),
    setAside: (positions: readonly number[]): void => transaction(() => log.setAside(positions)),
    /** What has been missing since before `until` counts as lost: a slice of it. */
    confirmGaps: (until: number): { delta: StoredDelta; more: boolean } =>
      transaction(() => {
        const delta = makeDelta(fold)
        const { lost, more } = epochs.confirm(Math.floor(until / 1000))
        for (const { node, count } of lost) delta.count('lost', [fold.admit('node', node), 'gap'], BigInt(count))
        return { delta: finish(delta), more }
      }),
    confirmRollback: (): void => transaction(() => void setState.run('rolled_back', 0)),
    /** A slice of what need not be kept. True where more waits. */
    trim: (now: number): boolean =>
      transaction(() => {
        if (now - tidiedAt < TIDY_EVERY_MS && now >= tidiedAt) return log.trim()
        // A clock that jumps ahead must not make what was just written look old: it is judged by the newest call as well.
        const newest = (newestStart.get() as { at: number | null }).at ?? now
        const today = Math.min(now, newest + MOST_AHEAD_MS)
        lines.trim(today)
        ledger.trim(today)
        if (carriesIds && today > Number(state('carried_until') ?? 0)) {
          dropCarried.run()
          carriesIds = false
        }
        const more = epochs.trim(Math.floor(today / 1000)) || lines.hasMore()
        if (!more) tidiedAt = now
        return log.trim() || more
      }),
    /** Whether a write works at all; for a store that could not write. */
    probe: (now: number): void => transaction(() => void setState.run('probed_at', now)),
    reserve: (tenants: readonly string[]): void =>
      transaction(() => {
        for (const tenant of tenants) ledger.admit('tenant', tenant)
        fold = loadFold()
      }),
  }
}
export type Writer = ReturnType<typeof makeWriter>
export type { CountDelta }

/** As the spool of version 0.1 kept ids. */
function idKey(id: string): Uint8Array {
  return /^[0-9a-f]{32}$/.test(id) ? Buffer.from(id, 'hex') : answerKey(id)
}

function isNumber(sequence: number): boolean {
  return Number.isSafeInteger(sequence) && sequence > 0
}
