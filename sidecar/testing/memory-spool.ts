import type { LlmCall } from '../call.ts'
import type { DeadLetter, Entry, Limit, Settlement, Spool } from '../spool/spool.ts'

export interface MemorySpool extends Spool {
  /** What was counted for the reader, in order: settlements at or before its cursor are ignored, as in every spool. */
  settled(reader: string): readonly Settlement[]
  /** As a full spool does it: the reader is moved past these calls, and they count as dropped. */
  moveOn(reader: string, upTo: number): void
  /** The cursor after each commit. */
  commits(reader: string): readonly number[]
}

/** A Spool for tests of those who read one: in memory, without limit, without billing keys. */
export function makeMemorySpool(readers: readonly string[]): MemorySpool {
  const rows: { entry: Entry; bytes: number; only: string | undefined }[] = []
  const ids = new Set<string>()
  const state = new Map(
    readers.map((reader) => [reader, { cursor: 0, settled: [] as Settlement[], commits: [] as number[] }]),
  )
  const letters = new Map<string, DeadLetter>()
  let waiters: (() => void)[] = []

  const of = (reader: string) => {
    const known = state.get(reader)
    if (known === undefined) throw new Error(`the spool has no reader ${reader}`)
    return known
  }
  function store(call: LlmCall, only: string | undefined): void {
    rows.push({ entry: { position: rows.length + 1, call }, bytes: JSON.stringify(call).length, only })
    const woken = waiters
    waiters = []
    for (const wake of woken) wake()
  }
  function select(reader: string, after: number, limit: Limit): Entry[] {
    const selected: Entry[] = []
    let size = 0
    for (const { entry, bytes, only } of rows.slice(after)) {
      if (only !== undefined && only !== reader) continue
      size += bytes
      if (selected.length > 0 && (size > limit.bytes || selected.length >= limit.calls)) break
      selected.push(entry)
    }
    return selected
  }

  return {
    async append(calls) {
      const fresh = calls.filter(({ id }) => !ids.has(id))
      for (const call of fresh) {
        ids.add(call.id)
        store(call, undefined)
      }
      return { stored: fresh.length, duplicate: calls.length - fresh.length }
    },
    async read(reader, limit, signal, after) {
      while (!signal.aborted) {
        const entries = select(reader, after ?? of(reader).cursor, limit)
        if (entries.length > 0) return { entries, upTo: entries[entries.length - 1]!.position }
        await new Promise<void>((resolve) => {
          waiters.push(resolve)
          signal.addEventListener('abort', () => resolve(), { once: true })
        })
      }
      return undefined
    },
    async commit(reader, upTo, settled) {
      const known = of(reader)
      known.settled.push(...settled.filter(({ position }) => position > known.cursor))
      known.cursor = Math.max(known.cursor, upTo)
      known.commits.push(upTo)
    },
    async bury(reader, entries) {
      for (const { entry, reason } of entries) {
        const { position, call } = entry
        letters.set(`${reader} ${position}`, {
          reader,
          position,
          id: call.id,
          tenant: call.tenant,
          reason,
          at: Date.now(),
          call,
        })
      }
    },
    async deadLetters(reader) {
      return [...letters.values()].filter((letter) => reader === undefined || letter.reader === reader)
    },
    async replay(reader, positions) {
      const again = (await this.deadLetters(reader)).filter(
        ({ position }) => positions === undefined || positions.includes(position),
      )
      for (const letter of again) {
        letters.delete(`${reader} ${letter.position}`)
        store(letter.call, reader)
      }
      return again.length
    },
    async stats() {
      return {
        bytes: rows.reduce((sum, { bytes }) => sum + bytes, 0),
        limitBytes: Number.MAX_SAFE_INTEGER,
        rows: rows.length,
        lastPosition: rows.length,
        readers: [],
        outcomes: [],
      }
    },
    async close() {},
    moveOn(reader, upTo) {
      const known = of(reader)
      for (const { entry, only } of rows.slice(known.cursor, upTo))
        if (only === undefined || only === reader) {
          const { position, call } = entry
          known.settled.push({ position, tenant: call.tenant, outcome: 'dropped', reason: 'spool_full' })
        }
      known.cursor = Math.max(known.cursor, upTo)
    },
    settled: (reader) => of(reader).settled,
    commits: (reader) => of(reader).commits,
  }
}
