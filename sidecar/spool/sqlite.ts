import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { asRepeat, type LlmCall } from '../call.ts'
import { makeRecentCalls } from './recent-calls.ts'
import type { Appended, Batch, DeadLetter, Entry, Spool, SpoolStats } from './spool.ts'
import type { AppendResult, StoredRow, StoreOptions } from './sqlite-store.ts'
import type { Answer, Request } from './sqlite-worker.ts'

export interface SqliteSpoolOptions {
  file: string
  limitBytes?: number
  readers?: readonly string[]
  /** How long an id is remembered. */
  idRetentionMs?: number
  /** Open beside a running sidecar: for dead letters only. */
  tool?: true
}

const GIBIBYTE = 1024 ** 3
const WEEK_MS = 7 * 24 * 3600 * 1000
/** Fresh calls kept in memory, so that readers that keep up cost no query and no JSON.parse. */
const RECENT_BYTES = 16 * 1024 * 1024

/** The embedded spool: SQLite in a worker thread, so that no fsync holds up the event loop. Layout: sqlite-schema.ts. */
export async function openSqliteSpool(options: SqliteSpoolOptions): Promise<Spool> {
  const workerData: StoreOptions = {
    file: options.file,
    limitBytes: options.limitBytes ?? GIBIBYTE,
    readers: options.tool ? undefined : (options.readers ?? []),
    idRetentionMs: options.idRetentionMs ?? WEEK_MS,
  }
  // The same extension as this file: .ts in the checkout, .js in the package.
  const worker = new Worker(new URL(`./sqlite-worker${extname(import.meta.url)}`, import.meta.url), { workerData })
  const pending = new Map<number, { resolve: (answer: Answer) => void; reject: (error: Error) => void }>()
  const recent = makeRecentCalls(RECENT_BYTES)
  let cursors = new Map<string, number>()
  let lastPosition = 0
  let tickets = 0
  let broken: Error | undefined
  const wake = new Set<() => void>()

  const wakeAll = () => {
    for (const waiter of [...wake]) waiter()
  }
  const fail = (error: Error) => {
    broken ??= error
    for (const { reject } of pending.values()) reject(broken)
    pending.clear()
    wakeAll()
  }
  const opened = new Promise<void>((resolve, reject) => {
    worker.on('message', (answer: Answer) => {
      const grown = answer.lastPosition > lastPosition
      cursors = new Map(answer.cursors)
      lastPosition = Math.max(lastPosition, answer.lastPosition)
      if (answer.ticket === 0) {
        if (answer.error === undefined) resolve()
        else reject(new Error(answer.error))
      } else {
        pending.get(answer.ticket)?.resolve(answer)
        pending.delete(answer.ticket)
      }
      if (grown) wakeAll()
    })
    worker.on('error', (error: Error) => {
      fail(error)
      reject(error)
    })
    worker.on('exit', () => fail(new Error('the spool is closed')))
  })

  function ask(request: Request): Promise<Answer> {
    if (broken !== undefined) return Promise.reject(broken)
    const ticket = ++tickets
    return new Promise<Answer>((resolve, reject) => {
      pending.set(ticket, { resolve, reject })
      worker.postMessage({ ...request, ticket })
    })
  }
  async function resultOf<T>(request: Request): Promise<T> {
    const answer = await ask(request)
    if (answer.error !== undefined) throw new Error(answer.error)
    if (answer.full) throw new Error('the disk is full')
    return answer.result as T
  }

  try {
    await opened
  } catch (error) {
    await worker.terminate()
    throw error
  }

  return {
    async append(calls) {
      const bodies = calls.map((call) => JSON.stringify(call))
      const answer = await ask({
        op: 'append',
        calls: calls.map((call, index) => ({
          id: call.id,
          tenant: call.tenant,
          billingKey: call.billingKey,
          body: bodies[index]!,
        })),
      })
      if (answer.full) return 'full'
      if (answer.error !== undefined) throw new Error(answer.error)
      const appended: Appended = { stored: 0, duplicate: 0 }
      ;(answer.result as AppendResult).positions.forEach((position, index) => {
        if (position === 0) {
          appended.duplicate++
          return
        }
        appended.stored++
        const call = calls[index]!
        recent.add({ position: Math.abs(position), call: position < 0 ? asRepeat(call) : call }, bodies[index]!.length)
      })
      return appended
    },
    async read(reader, limit, signal, after) {
      while (!signal.aborted) {
        if (broken !== undefined) throw broken
        const seen = lastPosition
        const from = after ?? cursors.get(reader)
        if (from === undefined) throw new Error(`the spool has no reader ${reader}`)
        const fresh = recent.from(from + 1, limit)
        if (fresh.length > 0) return batchOf(fresh)
        if (lastPosition > from) {
          const rows = await resultOf<StoredRow[]>({ op: 'read', reader, after: from, ...limit })
          if (rows.length > 0) return batchOf(rows.map(entryOf))
        }
        // What came while we asked is read at once; a row for another reader alone is waited past.
        if (lastPosition > seen) continue
        await new Promise<void>((resolve) => {
          if (signal.aborted) return resolve()
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
    async commit(reader, upTo, settled) {
      await resultOf({ op: 'commit', reader, upTo, settled })
    },
    async bury(reader, entries) {
      const calls = entries.map(({ entry: { position, call }, reason }) => ({
        position,
        id: call.id,
        tenant: call.tenant,
        reason,
        body: JSON.stringify(call),
      }))
      await resultOf({ op: 'bury', reader, calls })
    },
    async deadLetters(reader) {
      const letters = await resultOf<(Omit<DeadLetter, 'call'> & { body: string })[]>({ op: 'deadLetters', reader })
      return letters.map(({ body, ...letter }) => ({ ...letter, call: JSON.parse(body) as LlmCall }))
    },
    replay: (reader, positions) => resultOf<number>({ op: 'replay', reader, positions }),
    stats: () => resultOf<SpoolStats>({ op: 'stats' }),
    async close() {
      if (broken === undefined) await resultOf({ op: 'close' })
      await worker.terminate()
    },
  }
}

function entryOf(row: StoredRow): Entry {
  const call = JSON.parse(row.body) as LlmCall
  return { position: row.position, call: row.repeat ? asRepeat(call) : call }
}

function batchOf(entries: readonly Entry[]): Batch {
  return { entries, upTo: entries[entries.length - 1]!.position }
}
