import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { CountJob, CountOutcome } from './estimate.ts'
import type { CountAnswer, CountRequest } from './tokens-worker.ts'

export interface TokenCounterOptions {
  workers: number
  /** Text that may wait; beyond it a call goes on without an estimate. */
  queueBytes: number
  /** A job that takes longer is given up and its worker replaced. */
  timeoutMs: number
}

/** What became of the jobs. */
export interface TokenCounterStats {
  counted: number
  queue_full: number
  failed: number
  waitingBytes: number
}

export interface TokenCounter {
  count(job: CountJob): Promise<CountOutcome>
  readonly stats: Readonly<TokenCounterStats>
  close(): Promise<void>
}

interface Job {
  request: CountRequest
  bytes: number
  settle: (outcome: CountOutcome) => void
}

/**
 * Counts tokens in worker threads, which load the encodings (some 50 MB each) when the first job comes. Never rejects and
 * never hangs: a worker that dies or dawdles costs its job and is replaced.
 */
export function openTokenCounter({ workers, queueBytes, timeoutMs }: TokenCounterOptions): TokenCounter {
  const stats: TokenCounterStats = { counted: 0, queue_full: 0, failed: 0, waitingBytes: 0 }
  const waiting: Job[] = []
  const slots: Slot[] = Array.from({ length: workers }, () => ({ worker: undefined, job: undefined, timer: undefined }))
  let tickets = 0
  let closed = false

  interface Slot {
    worker: Worker | undefined
    job: Job | undefined
    timer: NodeJS.Timeout | undefined
  }

  function settle(slot: Slot, outcome: CountOutcome): void {
    const { job } = slot
    clearTimeout(slot.timer)
    slot.job = undefined
    if (job === undefined) return
    stats.waitingBytes -= job.bytes
    stats[typeof outcome === 'string' ? outcome : 'counted']++
    job.settle(outcome)
  }

  function start(slot: Slot): Worker {
    const worker = new Worker(new URL(`./tokens-worker${extname(import.meta.url)}`, import.meta.url))
    slot.worker = worker
    worker.unref()
    worker.on('message', (answer: CountAnswer) => {
      if (slot.job?.request.ticket !== answer.ticket) return
      settle(slot, 'counts' in answer ? answer.counts : 'failed')
      next()
    })
    const lost = () => {
      if (slot.worker !== worker) return
      slot.worker = undefined
      settle(slot, 'failed')
      if (!closed) next()
    }
    worker.on('error', lost)
    worker.on('exit', lost)
    return worker
  }

  function next(): void {
    for (const slot of slots) {
      if (slot.job !== undefined) continue
      const job = waiting.shift()
      if (job === undefined) return
      slot.job = job
      const worker = slot.worker ?? start(slot)
      slot.timer = setTimeout(() => {
        // It may never come back: another one takes its place.
        slot.worker = undefined
        void worker.terminate()
        settle(slot, 'failed')
        next()
      }, timeoutMs)
      worker.postMessage(job.request)
    }
  }

  return {
    stats,
    count({ encoding, texts }) {
      const bytes = texts.reduce((sum, text) => sum + 2 * text.length, 0)
      if (closed || stats.waitingBytes + bytes > queueBytes) {
        stats.queue_full++
        return Promise.resolve('queue_full')
      }
      stats.waitingBytes += bytes
      return new Promise((resolve) => {
        waiting.push({ request: { ticket: ++tickets, encoding, texts }, bytes, settle: resolve })
        next()
      })
    },
    async close() {
      closed = true
      for (const job of waiting.splice(0)) job.settle('failed')
      const running = slots.flatMap(({ worker }) => worker ?? [])
      for (const slot of slots) {
        slot.worker = undefined
        settle(slot, 'failed')
      }
      await Promise.all(running.map((worker) => worker.terminate()))
    },
  }
}
