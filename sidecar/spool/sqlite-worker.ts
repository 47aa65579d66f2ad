import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import type { Settlement } from './spool.ts'
import type { BuriedCall } from './sqlite-dead-letters.ts'
import { FullError, openStore, type Store, type StoredCall, type StoreOptions } from './sqlite-store.ts'

/** Requests from sqlite.ts, each answered once by its `ticket`. */
export type Request =
  | { op: 'append'; calls: StoredCall[] }
  | { op: 'commit'; reader: string; upTo: number; settled: readonly Settlement[] }
  | { op: 'bury'; reader: string; calls: BuriedCall[] }
  | { op: 'replay'; reader: string; positions: readonly number[] | undefined }
  | { op: 'read'; reader: string; after: number; calls: number; bytes: number }
  | { op: 'deadLetters'; reader: string | undefined }
  | { op: 'stats' }
  | { op: 'close' }
export type Envelope = Request & { ticket: number }
export interface Answer {
  ticket: number
  result?: unknown
  full?: true
  error?: string
  cursors: [string, number][]
  lastPosition: number
}

type Settled = Omit<Answer, 'cursors' | 'lastPosition'>

/** Waiting appends share a transaction up to this size: a larger one would only grow the write-ahead log. */
const GROUP_BYTES = 2 * 1024 * 1024
/** How often a look is taken for what a tool wrote beside us. */
const LOOK_MS = 1000
const TRIM_AFTER_MS = 20

const port = parentPort!
let store: Store
let trimming: NodeJS.Timeout | undefined
let looking: NodeJS.Timeout | undefined

try {
  store = openStore(workerData as StoreOptions, Date.now)
  port.postMessage({ ticket: 0, cursors: [...store.cursors], lastPosition: store.lastPosition } satisfies Answer)
  looking = setInterval(() => {
    if (store.changedByOthers()) answer({ ticket: 0 })
  }, LOOK_MS)
  looking.unref()
  port.on('message', (first: Envelope) => {
    // All that waits is taken at once: writes share one transaction, and so one fsync.
    const requests = [first]
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port))
      requests.push(next.message as Envelope)
    handle(requests)
  })
} catch (error) {
  const { message } = error as Error
  const { file } = workerData as StoreOptions
  const named = message.includes(file) ? message : `${file}: ${message}`
  port.postMessage({ ticket: 0, error: named, cursors: [], lastPosition: 0 } satisfies Answer)
}

function isWrite(request: Request): boolean {
  return request.op === 'append' || request.op === 'commit' || request.op === 'bury' || request.op === 'replay'
}

function sizeOf(request: Request): number {
  return request.op === 'append' ? request.calls.reduce((sum, { body }) => sum + body.length, 0) : 0
}

function handle(requests: readonly Envelope[]): void {
  let group: Envelope[] = []
  let size = 0
  for (const request of requests) {
    if (!isWrite(request)) continue
    const bytes = sizeOf(request)
    if (group.length > 0 && size + bytes > GROUP_BYTES) {
      writeTogether(group)
      group = []
      size = 0
    }
    group.push(request)
    size += bytes
  }
  if (group.length > 0) writeTogether(group)
  for (const request of requests) if (!isWrite(request)) attempt(request)
}

function writeTogether(writes: readonly Envelope[]): void {
  let answers: Settled[]
  try {
    answers = store.transaction(() => {
      const settled = writes.map((request): Settled => {
        const result = run(request)
        return result === 'full' ? { ticket: request.ticket, full: true } : { ticket: request.ticket, result }
      })
      if (writes.some(({ op }) => op === 'append')) store.checkRoom()
      return settled
    })
  } catch (error) {
    // One that finds no room, or is refused, must not take the others along: each for itself.
    if (writes.length > 1) for (const request of writes) writeTogether([request])
    else answer(failure(writes[0]!.ticket, error as Error))
    return
  }
  for (const settled of answers) answer(settled)
  if (writes.some(({ op }) => op === 'commit')) trimLater()
}

function attempt(request: Envelope): void {
  try {
    answer({ ticket: request.ticket, result: run(request) })
  } catch (error) {
    answer(failure(request.ticket, error as Error))
  }
}

function run(request: Request): unknown {
  switch (request.op) {
    case 'append':
      return store.append(request.calls)
    case 'commit':
      return store.commit(request.reader, request.upTo, request.settled)
    case 'bury':
      return store.bury(request.reader, request.calls)
    case 'replay':
      return store.replay(request.reader, request.positions)
    case 'read':
      return store.read(request.reader, request.after, request.calls, request.bytes)
    case 'deadLetters':
      return store.deadLetters(request.reader)
    case 'stats':
      return store.stats()
    case 'close':
      clearTimeout(trimming)
      clearInterval(looking)
      try {
        store.transaction(() => store.trim())
      } catch (error) {
        // A full disk: the next start trims.
        if (!(error instanceof FullError)) throw error
      } finally {
        store.close()
      }
      port.unref()
  }
}

/** In slices, so that no append waits long behind a trim. */
function trimLater(): void {
  trimming ??= setTimeout(() => {
    trimming = undefined
    try {
      if (store.transaction(() => store.trim())) trimLater()
    } catch (error) {
      // A full disk cannot be trimmed now; the next commit tries again.
      if (!(error instanceof FullError)) throw error
    }
  }, TRIM_AFTER_MS)
}

function failure(ticket: number, error: Error): Settled {
  return error instanceof FullError ? { ticket, full: true } : { ticket, error: error.message }
}

function answer(settled: Settled): void {
  port.postMessage({ ...settled, cursors: [...store.cursors], lastPosition: store.lastPosition } satisfies Answer)
}
