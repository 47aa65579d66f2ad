import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  readShippedAlertmanagerFile,
  SHIPPED_ALERTMANAGER_FILE,
  secretsOf,
} from '../dev/servers/shipped-alertmanager.ts'
import { holds } from '../dev/servers/time-intervals.ts'

const root = join(import.meta.dirname, '..')

const shipped = readShippedAlertmanagerFile()
const intervals = (name: string) => shipped.time_intervals.find((one) => one.name === name)!.time_intervals

describe('secrets', () => {
  it('every one is a file', () => {
    expect(secretsOf(shipped)).toEqual([
      'pagerduty_oncall_a',
      'pagerduty_oncall_b',
      'slack_oncall_url',
      'teams_url',
      'watchdog_url',
    ])
    const text = readFileSync(SHIPPED_ALERTMANAGER_FILE, 'utf8')
    expect(text).not.toMatch(/^\s*(api_url|url|webhook_url|routing_key|service_key|password|token|credentials):/m)
    expect(text).not.toMatch(/https?:\/\//)
  })
})

describe('inhibition', () => {
  it('what is compared is asked for on both sides: an alert about the platform silences no tenant’s', () => {
    const bare = shipped.inhibit_rules.flatMap(({ source_matchers, target_matchers, equal = [] }) =>
      equal
        .filter((label) => label !== 'environment')
        .filter((label) => [source_matchers, target_matchers].some((side) => !side.includes(`${label}!=""`)))
        .map((label) => `${label}: ${source_matchers} → ${target_matchers}`),
    )
    expect(bare).toEqual([])
  })

  it('every alert that is named exists, in rules and routes as well', () => {
    const known = [...readFileSync(join(root, 'deploy/prometheus/rules/alerts.yaml'), 'utf8').matchAll(/alert: (\w+)/g)]
    const named = [...readFileSync(SHIPPED_ALERTMANAGER_FILE, 'utf8').matchAll(/alertname=~?"([^"]+)"/g)].flatMap(
      ([, names]) => names!.split('|'),
    )
    expect(named.length).toBeGreaterThan(20)
    expect(named.filter((name) => !known.some(([, alert]) => alert === name))).toEqual([])
  })
})

describe('times', () => {
  const HOUR = 3_600_000
  it('each hour of four years belongs to exactly one team on call', () => {
    const [a, b] = [intervals('oncall-a'), intervals('oncall-b')]
    const wrong: string[] = []
    let turns = 0
    let before: boolean | undefined
    for (let at = Date.UTC(2026, 0, 1); at < Date.UTC(2030, 0, 1); at += HOUR) {
      const moment = new Date(at)
      const onDuty = holds(a, moment)
      if (onDuty === holds(b, moment)) wrong.push(moment.toISOString())
      if (before !== undefined && before !== onDuty) turns++
      before = onDuty
    }
    expect(wrong).toEqual([])
    expect(turns).toBe(4 * 12 * 4)
  })

  it.each([
    ['2026-11-24T08:30:00Z', true, 'a Tuesday, half past nine'],
    ['2026-11-24T07:59:00Z', false, 'before nine in winter'],
    ['2026-07-14T07:00:00Z', true, 'nine in summer'],
    ['2026-11-24T17:00:00Z', false, 'six in the evening'],
    ['2026-11-28T10:00:00Z', false, 'a Saturday'],
    ['2026-12-25T10:00:00Z', false, 'a Friday, and Christmas'],
    ['2027-03-26T10:00:00Z', false, 'Good Friday 2027'],
    ['2027-01-01T10:00:00Z', false, 'New Year’s Day'],
  ])('%s: P3 is told %s (%s)', (at, told) => {
    const moment = new Date(at)
    expect(holds(intervals('business-hours'), moment) && !holds(intervals('holidays'), moment)).toBe(told)
  })
})
