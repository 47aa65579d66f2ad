import type { LlmCall } from '../call.ts'
import type { Entry, ReadLimit } from './sink-log.ts'

/**
 * The newest entries of the log, in memory, bounded in bytes. Correctness never depends on it: a position that is not
 * here is read from the store.
 */
export function makeRecentCalls(limitBytes: number) {
  const entries = new Map<number, { entry: Entry; bytes: number }>()
  let bytes = 0
  return {
    add(entry: Entry, size: number): void {
      entries.set(entry.position, { entry, bytes: size })
      bytes += size
      for (const [position, oldest] of entries) {
        if (bytes <= limitBytes) break
        entries.delete(position)
        bytes -= oldest.bytes
      }
    },
    /** No sink needs them any more: what lives short costs the garbage collector little. */
    dropUpTo(position: number): void {
      for (const [at, oldest] of entries) {
        if (at > position) break
        entries.delete(at)
        bytes -= oldest.bytes
      }
    },
    /** They are read from the store from now on. */
    drop(which: (call: LlmCall) => boolean): void {
      for (const [at, { entry, bytes: size }] of entries) {
        if (!which(entry.call)) continue
        entries.delete(at)
        bytes -= size
      }
    },
    /** What stands here without a gap from `position` on; empty where `position` itself is not here. */
    from(position: number, limit: ReadLimit): Entry[] {
      const found: Entry[] = []
      let size = 0
      for (let at = position; found.length < limit.calls; at++) {
        const held = entries.get(at)
        if (held === undefined) break
        size += held.bytes
        if (found.length > 0 && size > limit.bytes) break
        found.push(held.entry)
      }
      return found
    },
  }
}
