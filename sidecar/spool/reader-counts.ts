/**
 * Where each reader stands and what waits for it, in memory: a scan for each scrape or refusal would not be cheap.
 * Changes made within a transaction are taken back with it.
 */
export function makeReaderCounts() {
  const cursors = new Map<string, number>()
  const waiting = new Map<string, Map<string, number>>()
  const state = { lastPosition: 0, rows: 0 }
  let undo: (() => void)[] = []

  function add(reader: string, tenant: string, change: number): void {
    const perTenant = waiting.get(reader)
    if (perTenant === undefined || change === 0) return
    const value = (perTenant.get(tenant) ?? 0) + change
    if (value > 0) perTenant.set(tenant, value)
    else perTenant.delete(tenant)
  }

  return {
    cursors: cursors as ReadonlyMap<string, number>,
    get lastPosition() {
      return state.lastPosition
    },
    get rows() {
      return state.rows
    },
    waitingOf: (reader: string): Record<string, number> => Object.fromEntries(waiting.get(reader) ?? []),
    /** Starts anew from what the store holds. */
    load(
      from: ReadonlyMap<string, number>,
      lastPosition: number,
      rows: Iterable<{ position: number; tenant: string; only_reader: string | null }>,
    ): void {
      cursors.clear()
      waiting.clear()
      for (const [reader, position] of from) {
        cursors.set(reader, position)
        waiting.set(reader, new Map())
      }
      state.lastPosition = lastPosition
      state.rows = 0
      undo = []
      for (const { position, tenant, only_reader } of rows) {
        state.rows++
        for (const [reader, cursor] of cursors)
          if (cursor < position && (only_reader === null || only_reader === reader)) add(reader, tenant, 1)
      }
    },
    /** New rows at the end, the last at `position`: for all readers, or for one alone. */
    appended(tenant: string, position: number, onlyReader: string | undefined, rows: number): void {
      const before = state.lastPosition
      const readers = onlyReader === undefined ? [...cursors.keys()] : [onlyReader]
      for (const reader of readers) add(reader, tenant, rows)
      state.rows += rows
      state.lastPosition = Math.max(before, position)
      undo.push(() => {
        for (const reader of readers) add(reader, tenant, -rows)
        state.rows -= rows
        state.lastPosition = before
      })
    },
    settled(reader: string, tenant: string, calls: number): void {
      add(reader, tenant, -calls)
      undo.push(() => add(reader, tenant, calls))
    },
    moved(reader: string, to: number): void {
      const from = cursors.get(reader)!
      cursors.set(reader, to)
      undo.push(() => cursors.set(reader, from))
    },
    deleted(rows: number): void {
      state.rows -= rows
      undo.push(() => {
        state.rows += rows
      })
    },
    keep(): void {
      undo = []
    },
    takeBack(): void {
      for (const step of undo.reverse()) step()
      undo = []
    },
  }
}
