import type { LlmCall } from '../call.ts'
import type { Entry, Outcome, ReadLimit, SinkLog } from '../store/sink-log.ts'

export interface KeptDeadLetter {
  position: number
  reason: string
  call: LlmCall
}

export interface MemorySinkLog extends SinkLog {
  append(calls: readonly LlmCall[]): Promise<void>
  /** As the log does at its limit: the oldest rows that any sink waits for go, and count as dropped at these sinks. */
  dropOldest(rows: number): Promise<void>
  /** What was counted, in the order of the settlements. */
  outcomes(sink: string): readonly Outcome[]
  deadLetters(sink: string): readonly KeptDeadLetter[]
  held(sink: string): readonly number[]
  /** Position after each settlement. */
  cursors(sink: string): readonly number[]
}

interface SinkState {
  cursor: number
  done: Map<number, Outcome>
  held: Map<number, string>
  deadLetters: KeptDeadLetter[]
  cursors: number[]
}

/**
 * A SinkLog for tests, in memory. It is stricter than the contract: it refuses an outcome beyond the cursor, and a
 * cursor that passes a row of which nothing is told.
 */
export function makeMemorySinkLog(sinks: readonly string[]): MemorySinkLog {
  const rows: { entry: Entry; bytes: number }[] = []
  const states = new Map<string, SinkState>(
    sinks.map((sink) => [sink, { cursor: 0, done: new Map(), held: new Map(), deadLetters: [], cursors: [] }]),
  )
  let waiters: (() => void)[] = []

  const of = (sink: string): SinkState => {
    const known = states.get(sink)
    if (known === undefined) throw new Error(`the log has no sink ${sink}`)
    return known
  }
  const upTo = (selected: readonly { entry: Entry; bytes: number }[], { calls, bytes }: ReadLimit) => {
    let size = 0
    let count = 0
    for (const row of selected) {
      size += row.bytes
      if (count > 0 && (size > bytes || count >= calls)) break
      count++
    }
    return selected.slice(0, count)
  }

  return {
    async append(calls) {
      for (const call of calls)
        rows.push({ entry: { position: rows.length + 1, call }, bytes: JSON.stringify(call).length })
      const woken = waiters
      waiters = []
      for (const wake of woken) wake()
    },
    async read(sink, limit, signal) {
      const { cursor, done } = of(sink)
      while (!signal.aborted) {
        const ahead = rows.slice(cursor)
        const waiting = ahead.filter(({ entry }) => !done.has(entry.position))
        const batch = upTo(waiting, limit)
        if (ahead.length > 0)
          return {
            entries: batch.map(({ entry }) => entry),
            upTo: batch.at(-1)?.entry.position ?? rows.length,
            more: batch.length < waiting.length,
          }
        await new Promise<void>((resolve) => {
          waiters.push(resolve)
          signal.addEventListener('abort', () => resolve(), { once: true })
        })
      }
      return undefined
    },
    async settle(sink, { upTo, outcomes, held = [], deadLetters = [] }) {
      const state = of(sink)
      const before = state.cursor
      state.cursor = Math.max(before, upTo ?? before)
      for (const { position, tenant } of held) {
        if (position > state.cursor) throw new Error(`position ${position} is held beyond the cursor ${state.cursor}`)
        if (!state.done.has(position)) state.held.set(position, tenant)
      }
      for (const outcome of outcomes) {
        const { position } = outcome
        if (position > state.cursor) throw new Error(`an outcome of ${position} beyond the cursor ${state.cursor}`)
        if (state.done.has(position)) continue
        state.done.set(position, outcome)
        state.held.delete(position)
        const letter = deadLetters.find(({ entry }) => entry.position === position)
        if (letter !== undefined) state.deadLetters.push({ position, reason: letter.reason, call: letter.entry.call })
      }
      for (let position = before + 1; position <= state.cursor; position++)
        if (!state.done.has(position) && !state.held.has(position))
          throw new Error(`the cursor passes ${position}, of which nothing is told`)
      state.cursors.push(state.cursor)
    },
    async heldTenants(sink) {
      return [...new Set(of(sink).held.values())]
    },
    async readHeld(sink, tenant, limit) {
      const { held } = of(sink)
      return upTo(
        rows.filter(({ entry }) => held.get(entry.position) === tenant),
        limit,
      ).map(({ entry }) => entry)
    },
    async dropOldest(count) {
      const waits = ({ done }: SinkState, position: number) => !done.has(position)
      const oldest = rows
        .map(({ entry }) => entry)
        .filter(({ position }) => [...states.values()].some((state) => waits(state, position)))
        .slice(0, count)
      for (const state of states.values())
        for (const { position, call } of oldest) {
          if (!waits(state, position)) continue
          state.done.set(position, { position, tenant: call.tenant, outcome: 'dropped', reason: 'log_full' })
          state.held.delete(position)
        }
    },
    outcomes: (sink) => [...of(sink).done.values()],
    deadLetters: (sink) => of(sink).deadLetters,
    held: (sink) => [...of(sink).held.keys()].sort((a, b) => a - b),
    cursors: (sink) => of(sink).cursors,
  }
}
