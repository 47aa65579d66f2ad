import type { TimeInterval } from './shipped-alertmanager.ts'

const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday']
const MONTHS = 'january february march april may june july august september october november december'.split(' ')

/** Whether a moment lies in one of the intervals: Alertmanager's rule, each field of an interval must hold. */
export function holds(intervals: readonly TimeInterval[], moment: Date): boolean {
  return intervals.some((interval) => {
    const at = inZone(moment, interval.location ?? 'UTC')
    return (
      within(interval.years, at.year, Number) &&
      within(interval.months, at.month, (name) => numbered(MONTHS, name, 1)) &&
      within(interval.days_of_month, at.day, (day) =>
        Number(day) < 0 ? at.daysInMonth + 1 + Number(day) : Number(day),
      ) &&
      within(interval.weekdays, at.weekday, (name) => numbered(WEEKDAYS, name, 0)) &&
      (interval.times ?? [{ start_time: '00:00', end_time: '24:00' }]).some(
        ({ start_time, end_time }) => minutes(start_time) <= at.minute && at.minute < minutes(end_time),
      )
    )
  })
}

function within(ranges: readonly string[] | undefined, value: number, read: (text: string) => number): boolean {
  if (ranges === undefined) return true
  return ranges.some((range) => {
    const [first, last = first] = String(range).split(':')
    return read(first!) <= value && value <= read(last!)
  })
}
const numbered = (names: readonly string[], name: string, first: number) =>
  /^\d+$/.test(name) ? Number(name) : names.indexOf(name.toLowerCase()) + first
const minutes = (time: string) => Number(time.slice(0, 2)) * 60 + Number(time.slice(3))

const formats = new Map<string, Intl.DateTimeFormat>()
function formatOf(timeZone: string): Intl.DateTimeFormat {
  const made = formats.get(timeZone)
  if (made !== undefined) return made
  const fields = { year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric' } as const
  const format = new Intl.DateTimeFormat('en-GB', { timeZone, hourCycle: 'h23', weekday: 'long', ...fields })
  formats.set(timeZone, format)
  return format
}

function inZone(moment: Date, timeZone: string) {
  const parts = formatOf(timeZone).formatToParts(moment)
  const text = (type: string) => parts.find((part) => part.type === type)?.value ?? ''
  const [year, month] = [Number(text('year')), Number(text('month'))]
  return {
    year,
    month,
    day: Number(text('day')),
    daysInMonth: new Date(Date.UTC(year, month, 0)).getUTCDate(),
    weekday: WEEKDAYS.indexOf(text('weekday').toLowerCase()),
    minute: Number(text('hour')) * 60 + Number(text('minute')),
  }
}
