import { setImmediate as nextTurn } from 'node:timers/promises'

export interface VirtualTime {
  now(): number
  /** As `pause` of `deliver`; what it was asked for stands in `pauses`. */
  pause(ms: number, signal: AbortSignal): Promise<void>
  readonly pauses: readonly number[]
  /**
   * Lets time pass, from timer to timer, whenever nothing else is to be done, until the condition is true. Throws where
   * it is not after `withinMs` of virtual time, or where nothing is left that could make it true.
   */
  until(condition: () => boolean, withinMs?: number): Promise<void>
}

/** A clock for tests of what waits: no real time passes. All other work must be done within one turn of the event loop. */
export function makeVirtualTime(start = 1_000_000): VirtualTime {
  let at = start
  const pauses: number[] = []
  const timers = new Set<{ at: number; end: () => void }>()
  return {
    now: () => at,
    pauses,
    pause(ms, signal) {
      pauses.push(ms)
      if (signal.aborted) return Promise.resolve()
      return new Promise((resolve) => {
        const timer = {
          at: at + Math.max(0, ms),
          end() {
            timers.delete(timer)
            signal.removeEventListener('abort', timer.end)
            resolve()
          },
        }
        timers.add(timer)
        signal.addEventListener('abort', timer.end)
      })
    },
    async until(condition, withinMs = 24 * 3600 * 1000) {
      const end = at + withinMs
      for (;;) {
        await nextTurn()
        if (condition()) return
        let next: { at: number; end: () => void } | undefined
        for (const timer of timers) if (next === undefined || timer.at < next.at) next = timer
        if (next === undefined) throw new Error('nothing is left to wait for, and the condition is not true')
        if (next.at > end) throw new Error(`the condition is not true after ${withinMs} ms`)
        at = Math.max(at, next.at)
        next.end()
      }
    },
  }
}
