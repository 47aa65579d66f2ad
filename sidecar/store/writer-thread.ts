import { workerData } from 'node:worker_threads'
import type { Adjustment } from '../ledger/adjustments.ts'
import { configureSinks } from './configure-sinks.ts'
import { markDamaged, markingDamage } from './data-folder.ts'
import { causeOf, faultOf, type TransientCause } from './errors.ts'
import type { SettleRequest } from './log.ts'
import { migrateStore } from './migrations.ts'
import { openForWriting } from './open-database.ts'
import { type Asked, serveThread } from './thread.ts'
import {
  type AppendRequest,
  type LoadedStore,
  type Moved,
  makeWriter,
  type Writer,
  type WriterOptions,
} from './writer.ts'

/** `now`: epoch milliseconds by the clock of the event loop. */
export type WriteRequest = { now: number } & (
  | { op: 'append'; request: AppendRequest }
  | { op: 'settle'; request: SettleRequest }
  | { op: 'adjust'; adjustments: readonly Adjustment[] }
  | { op: 'replay'; sink: string; positions: readonly number[] | undefined }
  | { op: 'dropOldest'; rows: number }
  | { op: 'setAside'; positions: readonly number[] }
  | { op: 'confirmGaps'; until: number }
  | { op: 'confirmRollback' }
  | { op: 'trim' }
  | { op: 'close' }
)
export interface Written<T = unknown> {
  result: T
  moved: Moved
}
/** The store cannot write now, and says so once for each failure; `attempts`: how often in a row. */
export type WriterEvent =
  | { kind: 'trouble'; cause: TransientCause; message: string; attempts: number }
  | { kind: 'recovered'; attempts: number }

/** Waiting appends share a transaction up to this size: a larger one would only grow the write-ahead log. */
const GROUP_BYTES = 2 * 1024 * 1024
const TRIM_AFTER_MS = 100
/** So long a settlement waits for an append that it can share a transaction with. */
const SETTLE_AFTER_MS = 20
const RETRY_BASE_MS = 100
const RETRY_CAP_MS = 2000

type Ask = Asked<WriteRequest>

serveThread<WriteRequest, WriterEvent, LoadedStore>((tell) => {
  const options = workerData as WriterOptions
  const { database, writer, loaded } = markingDamage(options.file, () => {
    const database = openForWriting(options.file)
    migrateStore(database, options.file)
    if (options.sinks !== undefined) configureSinks(database, options.sinks)
    const writer = makeWriter(database, options)
    writer.reserve(options.reservedTenants)
    return { database, writer, loaded: writer.load() }
  })

  /** Settlements that are to be written: with the next append, or soon without one. They are never given up. */
  let waiting: Ask[] = []
  let attempts = 0
  let retry: NodeJS.Timeout | undefined
  let trimming: NodeJS.Timeout | undefined
  let settling: NodeJS.Timeout | undefined

  function succeeded(): void {
    if (attempts === 0) return
    tell({ kind: 'recovered', attempts })
    attempts = 0
  }
  /** Ends the thread where time mends nothing (law 14). */
  function failed(error: unknown): void {
    const fault = faultOf(error)
    if (fault === 'corrupt') markDamaged(options.file)
    if (fault !== 'transient') throw error
    attempts++
    tell({ kind: 'trouble', cause: causeOf(error), message: (error as Error).message, attempts })
    retry ??= setTimeout(
      () => {
        retry = undefined
        if (waiting.length > 0) settleNow()
        else probe()
      },
      Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** Math.min(attempts - 1, 10)),
    )
  }
  function probe(): void {
    try {
      writer.probe(Date.now())
      succeeded()
    } catch (error) {
      failed(error)
    }
  }

  function handle(asked: readonly Ask[]): void {
    const appends: Ask[] = []
    const others: Ask[] = []
    // In order: settlements of a sink build on one another.
    for (const each of asked)
      if (each.request.op === 'settle') waiting.push(each)
      else (each.request.op === 'append' ? appends : others).push(each)
    appendAll(appends)
    if (others.length > 0) settleNow()
    for (const each of others) attempt(each)
    if (waiting.length > 0 && retry === undefined) settling ??= setTimeout(settleNow, SETTLE_AFTER_MS)
  }

  /** Settlements for which no append came. */
  function settleNow(): void {
    clearTimeout(settling)
    settling = undefined
    const settles = waiting
    waiting = []
    if (settles.length > 0) settleAll(settles)
  }

  function appendAll(appends: readonly Ask[]): void {
    let group: Ask[] = []
    let size = 0
    for (const each of appends) {
      const bytes = writer.sizeOf((each.request as { request: AppendRequest }).request)
      if (group.length > 0 && size + bytes > GROUP_BYTES) {
        appendTogether(group, size)
        group = []
        size = 0
      }
      group.push(each)
      size += bytes
    }
    if (group.length > 0) appendTogether(group, size)
  }

  function appendTogether(group: readonly Ask[], size: number): void {
    let written: ReturnType<Writer['append']>
    const settles = waiting
    waiting = []
    try {
      const requests = group.map(({ request }) => (request as { request: AppendRequest }).request)
      const settlements = settles.map(({ request }) => (request as { request: SettleRequest }).request)
      written = writer.append(requests, settlements, size, group[0]!.request.now)
    } catch (error) {
      const fault = faultOf(error)
      waiting = settles
      // Which of the two was refused shows when they are apart.
      if (fault === 'defect' && settles.length > 0) {
        settleNow()
        appendTogether(group, size)
        return
      }
      if (fault === 'defect' && group.length > 1) {
        // One that is refused must not take the others along: each for itself.
        for (const each of group)
          appendTogether([each], writer.sizeOf((each.request as { request: AppendRequest }).request))
        return
      }
      // The plugin keeps them and sends them again.
      for (const each of group) each.fail(error)
      if (fault !== 'defect') failed(error)
      return
    }
    succeeded()
    // The first answer carries what all have moved, so that it is known before any of them is answered.
    for (const [index, result] of written.results.entries())
      group[index]!.answer({ result, moved: writer.moved(index === 0 ? written.delta : undefined) } satisfies Written)
    answerSettled(settles)
  }

  function settleAll(settles: readonly Ask[]): void {
    try {
      writer.settle(
        settles.map(({ request }) => (request as { request: SettleRequest }).request),
        settles[0]!.request.now,
      )
    } catch (error) {
      const fault = faultOf(error)
      if (fault !== 'defect') {
        waiting = [...settles, ...waiting]
        failed(error)
      } else if (settles.length > 1) for (const each of settles) settleAll([each])
      else settles[0]!.fail(error)
      return
    }
    succeeded()
    answerSettled(settles)
  }

  function answerSettled(settles: readonly Ask[]): void {
    if (settles.length === 0) return
    for (const each of settles) each.answer({ result: undefined, moved: writer.moved() } satisfies Written)
    trimLater()
  }

  function attempt(each: Ask): void {
    try {
      each.answer(run(each.request))
      succeeded()
    } catch (error) {
      each.fail(error)
      if (faultOf(error) !== 'defect') failed(error)
    }
  }

  function run(request: WriteRequest): Written {
    switch (request.op) {
      case 'adjust': {
        const delta = writer.adjust(request.adjustments, request.now)
        return { result: delta !== undefined, moved: writer.moved(delta) }
      }
      case 'replay':
        return { result: writer.replay(request.sink, request.positions, request.now), moved: writer.moved() }
      case 'dropOldest':
        writer.dropOldest(request.rows)
        return { result: undefined, moved: writer.moved() }
      case 'setAside':
        writer.setAside(request.positions)
        return { result: undefined, moved: writer.moved() }
      case 'confirmGaps': {
        const { delta, more } = writer.confirmGaps(request.until)
        trimLater()
        return { result: more, moved: writer.moved(delta) }
      }
      case 'confirmRollback':
        writer.confirmRollback()
        return { result: undefined, moved: writer.moved() }
      case 'trim':
        return { result: writer.trim(request.now), moved: writer.moved() }
      case 'close':
        clearTimeout(trimming)
        clearTimeout(retry)
        clearTimeout(settling)
        trimming = undefined
        try {
          while (writer.trim(request.now));
        } finally {
          // A full disk: the next start trims.
          database.close()
        }
        return { result: undefined, moved: { cursors: [], lastPosition: 0 } }
      case 'append':
      case 'settle':
        throw new Error(`${request.op} is handled with its kind`)
    }
  }

  /** In slices, so that no append waits long behind one. */
  function trimLater(): void {
    trimming ??= setTimeout(() => {
      trimming = undefined
      try {
        if (writer.trim(Date.now())) trimLater()
      } catch (error) {
        failed(error)
      }
    }, TRIM_AFTER_MS)
  }

  return { opened: loaded, handle }
})
