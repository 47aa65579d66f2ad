import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { CountJob, CountOutcome } from './estimate.ts'
import type { WorkerMessage } from './tokens-worker.ts'

export interface TokenCounterOptions {
  workers: number
  /** Text that may wait or be worked on at one time; a call with more goes on without an estimate. */
  queueBytes: number
  /** From asking to the answer, and for a worker from the job to its count. */
  timeoutMs: number
  /** A worker that could not be started is tried again after this time. */
  retryStartMs?: number
  workerFile?: URL
}

/** What became of the jobs. */
export interface TokenCounterStats {
  counted: number
  queue_full: number
  failed: number
  waitingBytes: number
}

export interface TokenCounter {
  /** Never rejects, and never takes longer than `timeoutMs`. */
  count(job: CountJob): Promise<CountOutcome>
  /** Starts the first worker. Resolves when it has its encodings, or could not be started; never rejects. */
  warm(): Promise<void>
  readonly stats: Readonly<TokenCounterStats>
  close(): Promise<void>
}

interface Job {
  job: CountJob
  settle: (outcome: CountOutcome) => void
}
interface Slot {
  worker: Worker
  ready: boolean
  running: Job | undefined
  /** Ends a worker that hangs, in its start or in a job. */
  limit: NodeJS.Timeout | undefined
}

const START_LIMIT_MS = 15_000

/**
 * Counts tokens in worker threads, of which each takes some 100 MB: the first is started by `warm`, others as jobs wait. A job that a worker dies of
 * or hangs on costs that call its estimate and nothing else: the worker is replaced, the others go on.
 */
export function openTokenCounter(options: TokenCounterOptions): TokenCounter {
  const { workers, queueBytes, timeoutMs, retryStartMs = 10_000 } = options
  // The same extension as this file: .ts in the checkout, .js in the package.
  const file = options.workerFile ?? new URL(`./tokens-worker${extname(import.meta.url)}`, import.meta.url)
  const stats: TokenCounterStats = { counted: 0, queue_full: 0, failed: 0, waitingBytes: 0 }
  const slots = new Set<Slot>()
  const queue: Job[] = []
  const warming: (() => void)[] = []
  let startAgainAt = 0
  let closed = false

  function start(): void {
    let worker: Worker
    try {
      worker = new Worker(file)
    } catch {
      cannotStart()
      return
    }
    const slot: Slot = { worker, ready: false, running: undefined, limit: undefined }
    slots.add(slot)
    slot.limit = setTimeout(() => lose(slot), START_LIMIT_MS)
    worker.on('message', (message: WorkerMessage) => {
      if (!slots.has(slot)) return
      clearTimeout(slot.limit)
      slot.ready = true
      for (const warm of warming.splice(0)) warm()
      const { running } = slot
      slot.running = undefined
      running?.settle('counts' in message ? message.counts : 'failed')
      work()
    })
    worker.on('error', () => lose(slot))
    worker.on('exit', () => lose(slot))
  }

  function lose(slot: Slot): void {
    if (!slots.delete(slot)) return
    clearTimeout(slot.limit)
    slot.running?.settle('failed')
    void slot.worker.terminate()
    if (!slot.ready) cannotStart()
    work()
  }

  function cannotStart(): void {
    startAgainAt = Date.now() + retryStartMs
    for (const warm of warming.splice(0)) warm()
    if (slots.size === 0) for (const { settle } of queue.splice(0)) settle('failed')
  }

  function work(): void {
    for (const slot of slots) {
      if (!slot.ready || slot.running !== undefined) continue
      const next = queue.shift()
      if (next === undefined) return
      slot.running = next
      slot.limit = setTimeout(() => lose(slot), timeoutMs)
      slot.worker.postMessage(next.job)
    }
    if (!closed && queue.length > 0 && slots.size < workers && Date.now() >= startAgainAt) start()
  }

  return {
    stats,
    count(job) {
      const bytes = job.texts.reduce((sum, text) => sum + 2 * text.length, 0)
      if (stats.waitingBytes + bytes > queueBytes) {
        stats.queue_full++
        return Promise.resolve('queue_full')
      }
      if (closed || (slots.size === 0 && Date.now() < startAgainAt)) {
        stats.failed++
        return Promise.resolve('failed')
      }
      return new Promise((resolve) => {
        stats.waitingBytes += bytes
        let settled = false
        const entry: Job = {
          job,
          settle(outcome) {
            if (settled) return
            settled = true
            clearTimeout(deadline)
            stats.waitingBytes -= bytes
            stats[typeof outcome === 'string' ? outcome : 'counted']++
            resolve(outcome)
          },
        }
        const deadline = setTimeout(() => {
          const at = queue.indexOf(entry)
          if (at >= 0) queue.splice(at, 1)
          entry.settle('failed')
        }, timeoutMs)
        queue.push(entry)
        work()
      })
    },
    warm() {
      if (closed || [...slots].some(({ ready }) => ready)) return Promise.resolve()
      return new Promise((resolve) => {
        warming.push(resolve)
        if (slots.size === 0) start()
      })
    },
    async close() {
      closed = true
      for (const warm of warming.splice(0)) warm()
      for (const { settle } of queue.splice(0)) settle('failed')
      const ending = [...slots]
      slots.clear()
      await Promise.all(
        ending.map((slot) => {
          clearTimeout(slot.limit)
          slot.running?.settle('failed')
          return slot.worker.terminate()
        }),
      )
    },
  }
}
