/** A range of whole days in UTC, both included, as `2026-11-01`. */
export interface Period {
  from: string
  to: string
}

export const HOUR_MS = 3_600_000
export const DAY_MS = 86_400_000

/** Epoch milliseconds of the first instant of `from` and of the first instant after `to`. Throws RangeError. */
export function boundsOf({ from, to }: Period): { start: number; end: number } {
  const start = startOfDay(from)
  const end = startOfDay(to) + DAY_MS
  if (end <= start) throw new RangeError(`${from} is after ${to}`)
  return { start, end }
}

/** `2026-11-01` of an instant, in UTC. */
export function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10)
}

function startOfDay(day: string): number {
  const at = /^\d{4}-\d\d-\d\d$/.test(day) ? Date.parse(`${day}T00:00:00Z`) : Number.NaN
  // Date.parse takes 31 February for a day in March.
  if (Number.isNaN(at) || dayOf(at) !== day) throw new RangeError(`${day} is no day: write it as 2026-11-30`)
  return at
}
