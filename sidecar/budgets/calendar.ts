import { DateTime, IANAZone } from 'luxon'

export const PERIODS = ['day', 'week', 'month'] as const
export type Period = (typeof PERIODS)[number]
export const WEEK_STARTS = ['monday', 'sunday', 'saturday'] as const
export type WeekStart = (typeof WEEK_STARTS)[number]

export interface Calendar {
  /** IANA name. */
  timeZone: string
  weekStart: WeekStart
}
/** Epoch milliseconds: the first instant of the period, and the first that is no longer in it. */
export interface Bounds {
  start: number
  end: number
}

/** Luxon's numbers of weekdays. */
const FIRST_WEEKDAY: Record<WeekStart, number> = { monday: 1, saturday: 6, sunday: 7 }
const DAY_MS = 86_400_000

export function isTimeZone(name: string): boolean {
  return IANAZone.isValidZone(name)
}

/**
 * The calendar day, week or month of a time zone that an instant falls in. Days have 23 to 25 hours where clocks are
 * changed; a day that a country skipped is in no period. Periods of a zone follow each other without gap or overlap.
 */
export function periodAt(at: number, period: Period, { timeZone, weekStart }: Calendar): Bounds {
  const date = localDate(at, timeZone)
  const first =
    period === 'day'
      ? date
      : period === 'month'
        ? date.set({ day: 1 })
        : date.minus({ days: (date.weekday - FIRST_WEEKDAY[weekStart] + 7) % 7 })
  const next = first.plus(period === 'day' ? { days: 1 } : period === 'week' ? { days: 7 } : { months: 1 })
  return { start: beginning(first, timeZone), end: beginning(next, timeZone) }
}

/** The date on the zone's clocks, as a date of UTC: dates are counted there, where no clock is changed. */
function localDate(at: number, timeZone: string): DateTime {
  const { year, month, day } = DateTime.fromMillis(at, { zone: timeZone })
  return DateTime.utc(year, month, day)
}

/**
 * The first instant at which the zone's clocks show this date or a later one. Midnight may not exist, or exist twice; the
 * date itself may not. A clock that is set back over midnight shows the old date once more: that hour is of the new one.
 */
function beginning(date: DateTime, timeZone: string): number {
  const reached = (at: number) => localDate(at, timeZone) >= date
  // No zone is further than a day from UTC.
  let before = date.toMillis() - 1.5 * DAY_MS
  let after = date.toMillis() + 1.5 * DAY_MS
  const { year, month, day } = date
  const guess = DateTime.fromObject({ year, month, day }, { zone: timeZone }).toMillis()
  if (reached(guess) && !reached(guess - 1) && !reached(guess - 3 * 3_600_000)) return guess
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2)
    if (reached(middle)) after = middle
    else before = middle
  }
  return after
}
