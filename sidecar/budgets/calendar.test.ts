import fc from 'fast-check'
import { DateTime } from 'luxon'
import { describe, expect, it } from 'vitest'
import { type Calendar, isTimeZone, PERIODS, periodAt, WEEK_STARTS } from './calendar.ts'

const HOUR_MS = 3_600_000
const ZONES = Intl.supportedValuesOf('timeZone')
/** Clocks changed at midnight, by half an hour, a day skipped, offsets of 30 and 45 minutes. */
const ODD_ZONES = [
  'Africa/Cairo',
  'America/Havana',
  'America/Sao_Paulo',
  'America/Santiago',
  'Asia/Beirut',
  'Asia/Kathmandu',
  'Asia/Kolkata',
  'Asia/Tehran',
  'Australia/Lord_Howe',
  'Europe/Berlin',
  'America/New_York',
  'Pacific/Apia',
  'Pacific/Chatham',
  'Pacific/Kiritimati',
]
const at = (text: string) => Date.parse(text)
const iso = (instant: number) => new Date(instant).toISOString()
const calendar = (timeZone: string): Calendar => ({ timeZone, weekStart: 'monday' })
const instants = fc.integer({ min: at('2008-01-01T00:00:00Z'), max: at('2036-01-01T00:00:00Z') })
const calendars = fc.record({
  timeZone: fc.oneof(fc.constantFrom(...ODD_ZONES), fc.constantFrom(...ZONES)),
  weekStart: fc.constantFrom(...WEEK_STARTS),
})

describe('calendar', () => {
  it.each([
    ['a day of 23 hours', '2026-03-29T12:00:00Z', 'day', 'Europe/Berlin', '2026-03-28T23:00:00.000Z', 23],
    ['a day of 25 hours', '2026-10-25T12:00:00Z', 'day', 'Europe/Berlin', '2026-10-24T22:00:00.000Z', 25],
    ['half an hour of summer', '2026-10-04T02:00:00Z', 'day', 'Australia/Lord_Howe', '2026-10-03T13:30:00.000Z', 23.5],
    [
      'midnight that does not exist',
      '2018-11-04T12:00:00Z',
      'day',
      'America/Sao_Paulo',
      '2018-11-04T03:00:00.000Z',
      23,
    ],
    ['midnight that exists twice', '2026-11-01T12:00:00Z', 'day', 'America/Havana', '2026-11-01T04:00:00.000Z', 25],
    [
      'the day before one that was skipped',
      '2011-12-30T05:00:00Z',
      'day',
      'Pacific/Apia',
      '2011-12-29T10:00:00.000Z',
      24,
    ],
    [
      'the day after one that was skipped',
      '2011-12-30T12:00:00Z',
      'day',
      'Pacific/Apia',
      '2011-12-30T10:00:00.000Z',
      24,
    ],
    ['a leap day', '2028-02-29T12:00:00Z', 'day', 'UTC', '2028-02-29T00:00:00.000Z', 24],
    ['a leap month', '2028-02-29T12:00:00Z', 'month', 'UTC', '2028-02-01T00:00:00.000Z', 29 * 24],
    ['a short month', '2026-02-28T23:59:59Z', 'month', 'UTC', '2026-02-01T00:00:00.000Z', 28 * 24],
    [
      'a month with the change of clocks',
      '2026-03-31T12:00:00Z',
      'month',
      'Europe/Berlin',
      '2026-02-28T23:00:00.000Z',
      31 * 24 - 1,
    ],
    ['a week from Monday', '2026-11-29T23:00:00Z', 'week', 'UTC', '2026-11-23T00:00:00.000Z', 7 * 24],
    ['three quarters of an hour', '2026-11-23T18:20:00Z', 'day', 'Asia/Kathmandu', '2026-11-23T18:15:00.000Z', 24],
  ] as const)('%s', (_name, instant, period, timeZone, start, hours) => {
    const bounds = periodAt(at(instant), period, calendar(timeZone))
    expect([iso(bounds.start), (bounds.end - bounds.start) / HOUR_MS]).toEqual([start, hours])
  })

  it('weeks begin on the day that is said', () => {
    const sunday = at('2026-11-29T12:00:00Z')
    const starts = WEEK_STARTS.map((weekStart) => iso(periodAt(sunday, 'week', { timeZone: 'UTC', weekStart }).start))
    expect(starts).toEqual(['2026-11-23T00:00:00.000Z', '2026-11-29T00:00:00.000Z', '2026-11-28T00:00:00.000Z'])
  })

  it('periods hold their instants and follow each other without gap or overlap, in every zone', () => {
    fc.assert(
      fc.property(instants, calendars, fc.constantFrom(...PERIODS), (instant, where, period) => {
        const { start, end } = periodAt(instant, period, where)
        expect(start).toBeLessThanOrEqual(instant)
        expect(end).toBeGreaterThan(instant)
        expect(periodAt(start, period, where)).toEqual({ start, end })
        expect(periodAt(end - 1, period, where)).toEqual({ start, end })
        expect(periodAt(end, period, where).start).toBe(end)
        expect(periodAt(start - 1, period, where).end).toBe(start)
      }),
      { numRuns: 3000 },
    )
  })

  it('a day is what the clocks of its zone show, but for an hour that is shown twice over midnight', () => {
    fc.assert(
      fc.property(instants, calendars, (instant, where) => {
        const { start, end } = periodAt(instant, 'day', where)
        const shown = (time: number) => DateTime.fromMillis(time, { zone: where.timeZone }).toISODate()
        expect(shown(start)).not.toBe(shown(start - 1))
        expect([shown(start), shown(instant)]).toContain(shown(end - 1))
      }),
      { numRuns: 2000 },
    )
  })

  it('begins at a quarter of an hour, in every zone of these years: the ledger keeps spend by quarters', () => {
    for (const timeZone of ZONES)
      for (let day = at('2024-01-01T12:00:00Z'); day < at('2030-01-01T00:00:00Z'); day += 29 * 24 * HOUR_MS) {
        const { start, end } = periodAt(day, 'day', calendar(timeZone))
        expect([start % (HOUR_MS / 4), end % (HOUR_MS / 4)], timeZone).toEqual([0, 0])
      }
  })

  it('knows which zones there are', () => {
    expect(['Europe/Berlin', 'UTC', 'Asia/Kathmandu'].every(isTimeZone)).toBe(true)
    expect(['Europe/Bern?', '', 'Mars/Olympus'].some(isTimeZone)).toBe(false)
  })
})
