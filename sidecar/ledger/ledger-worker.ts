import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import type { TapTotal } from './capture-gaps.ts'
import type { CountDelta, Delta } from './delta.ts'
import { type LedgerStore, type LedgerStoreOptions, openLedgerStore, type RunningTotal } from './ledger-store.ts'
import type { SpendRange, SpendSum } from './spend.ts'

/** Requests from ledger.ts, each answered once by its `ticket`. */
export type Request =
  | { op: 'apply'; delta: Delta; position: number; spool: string | undefined; now: number }
  | { op: 'grow'; totals: RunningTotal[]; dropped: { epoch: string; sequences: number[] }[]; now: number }
  | { op: 'tapTotals'; told: readonly TapTotal[]; now: number }
  | { op: 'confirmGaps'; now: number }
  | { op: 'adjustments' }
  | { op: 'spend'; ranges: readonly SpendRange[] }
  | { op: 'close' }
export interface Answer {
  ticket: number
  counted?: readonly CountDelta[]
  loaded?: ReturnType<LedgerStore['load']>
  /** Undefined where they have not changed. */
  adjustments?: ReturnType<LedgerStore['changedAdjustments']>
  /** For each range that was asked for. */
  sums?: SpendSum[][]
  /** `passing`: time may mend it. */
  error?: { message: string; passing: boolean }
}

/**
 * SQLITE_FULL, and what a full disk makes of a write and of the shared-memory file; SQLITE_BUSY: another program keeps the
 * store locked for longer than any tool of ours does.
 */
const PASSING_CODES: readonly unknown[] = [13, 778, 4874, 5, 261, 517]

const port = parentPort!
let store: LedgerStore

try {
  store = openLedgerStore(workerData as LedgerStoreOptions)
  port.postMessage({ ticket: 0, loaded: store.load() } satisfies Answer)
  port.on('message', (first: Request & { ticket: number }) => {
    // All that waits shares one transaction, and so one fsync.
    const requests = [first]
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port))
      requests.push(next.message as Request & { ticket: number })
    handle(requests)
  })
} catch (error) {
  const { message } = error as Error
  const { file } = workerData as LedgerStoreOptions
  answer({ ticket: 0, error: { message: message.includes(file) ? message : `${file}: ${message}`, passing: false } })
}

function handle(requests: readonly (Request & { ticket: number })[]): void {
  const writes = requests.filter(({ op }) => op !== 'close' && op !== 'adjustments' && op !== 'spend')
  if (writes.length > 0) writeTogether(writes)
  for (const request of requests) {
    const { op, ticket } = request
    if (op === 'adjustments') tell(ticket, () => ({ adjustments: store.changedAdjustments() }))
    else if (op === 'spend') tell(ticket, () => ({ sums: store.sumsOfSpend(request.ranges) }))
    else if (op === 'close') {
      store.close()
      answer({ ticket })
      port.unref()
    }
  }
}

function tell(ticket: number, read: () => Partial<Answer>): void {
  try {
    answer({ ticket, ...read() })
  } catch (error) {
    answer({ ticket, error: errorOf(error) })
  }
}

function writeTogether(writes: readonly (Request & { ticket: number })[]): void {
  try {
    const answers = store.transaction(() =>
      writes.map((request) => ({ ticket: request.ticket, counted: run(request) })),
    )
    for (const settled of answers) answer(settled)
  } catch (error) {
    if (writes.length > 1) {
      for (const request of writes) writeTogether([request])
      return
    }
    answer({ ticket: writes[0]!.ticket, error: errorOf(error) })
  }
}

function run(request: Request): CountDelta[] {
  switch (request.op) {
    case 'apply':
      return store.apply(request.delta, request.position, request.spool, request.now)
    case 'grow':
      return [
        ...store.grow(request.totals, request.now),
        ...request.dropped.flatMap(({ epoch, sequences }) => store.accountDropped(epoch, sequences, request.now)),
      ]
    case 'tapTotals':
      return store.recordTapTotals(request.told, request.now)
    case 'confirmGaps':
      return store.confirmGaps(request.now)
    case 'adjustments':
    case 'spend':
    case 'close':
      return []
  }
}

function errorOf(error: unknown): NonNullable<Answer['error']> {
  const { message, errcode } = error as Error & { errcode?: number }
  return { message, passing: PASSING_CODES.includes(errcode) }
}

function answer(settled: Answer): void {
  port.postMessage(settled)
}
