import type { MetricName } from '../promql.ts'
import { SAID } from './said.ts'

/** A course of samples: so many scrapes, and by how much a counter grows (or at what a gauge stands) in each. */
export type Course = readonly (readonly [scrapes: number, value: number])[]
export interface Series {
  series: string
  values: string
}
export interface Scenario {
  alert: `LLM${string}`
  /** Of scrapes and evaluations. */
  interval: '5s' | '15s' | '1m' | '5m' | '1h'
  series: readonly Series[]
  /** Scrapes after which it must be silent still. */
  silentAt: number
  /** Scrapes after which it fires. */
  firesAt: number
  /** Of the alert that fires, besides alertname, alertstate, severity and priority: exactly these. */
  labels: Readonly<Record<string, string>>
  /** Its summary and its description, as people read them. */
  says: readonly [summary: string, description: string]
  /** What sets this scenario of the alert apart. */
  course: string
}

export const SIDECAR = { environment: 'prod', region: 'eu', job: 'llm-observer', instance: 'sidecar:8086' } as const
export const KONG = { environment: 'prod', region: 'eu', job: 'kong', instance: 'kong:8100' } as const
export const ENVIRONMENT = { environment: 'prod' } as const
export const CALLS = { tenant_id: 'blue', provider: 'openai', model: 'gpt-4o' } as const

type Labels = Readonly<Record<string, string>>
export type Name = MetricName | `${MetricName & string}_${'bucket' | 'count' | 'sum'}`

function named(name: Name, labels: Labels): string {
  return `${name}{${Object.entries(labels)
    .map(([label, value]) => `${label}=${JSON.stringify(value)}`)
    .join(', ')}}`
}
/** Counters begin at 0, as ours do. `_` in the notation of promtool is a scrape that failed. */
export function counter(name: Name, labels: Labels, course: Course): Series {
  const values = [0]
  for (const [scrapes, growth] of course)
    for (let n = 0; n < scrapes; n++) values.push(Number((values.at(-1)! + growth).toPrecision(12)))
  return { series: named(name, labels), values: values.join(' ') }
}
/** A counter that appears at `value` after so many scrapes. */
export function appearing(name: Name, labels: Labels, value: number, after: number = QUIET): Series {
  return { series: named(name, labels), values: `_x${after} ${value}x${LOUD}` }
}
export function gauge(name: Name, labels: Labels, course: Course): Series {
  const values = course.flatMap(([scrapes, value]) => Array<number>(scrapes).fill(value))
  return { series: named(name, labels), values: values.join(' ') }
}
/** All buckets of a histogram whose observations all take `seconds`. */
export function histogram(
  name: 'llm_latency_seconds' | 'llm_time_to_first_token_seconds' | 'kong_kong_latency_ms',
  labels: Labels,
  bounds: readonly number[],
  course: readonly (readonly [scrapes: number, perScrape: number, each: number])[],
): Series[] {
  const below = (bound: number): Course => course.map(([scrapes, count, each]) => [scrapes, each <= bound ? count : 0])
  return [
    ...[...bounds, Number.POSITIVE_INFINITY].map((bound) =>
      counter(
        `${name}_bucket`,
        { ...labels, le: bound === Number.POSITIVE_INFINITY ? '+Inf' : String(bound) },
        below(bound),
      ),
    ),
    counter(`${name}_count`, labels, below(Number.POSITIVE_INFINITY)),
    counter(
      `${name}_sum`,
      labels,
      course.map(([scrapes, count, each]) => [scrapes, count * each]),
    ),
  ]
}

/** Quiet for 20 minutes, then so for 40: what most alerts need. */
export const QUIET = 80
export const LOUD = 160
export const quietThenLoud = (quiet: number, loud: number): Course => [
  [QUIET, quiet],
  [LOUD, loud],
]
export function scenario(
  alert: Scenario['alert'],
  labels: Labels,
  series: readonly Series[],
  at: Partial<Pick<Scenario, 'silentAt' | 'firesAt' | 'interval' | 'course'>> = {},
): Scenario {
  const { course = 'silent before, fires after' } = at
  const says = SAID[at.course === undefined ? alert : `${alert}: ${course}`] ?? ['', '']
  return {
    alert,
    labels,
    series,
    says,
    interval: '15s',
    silentAt: QUIET,
    firesAt: QUIET + LOUD - 1,
    ...at,
    course,
  }
}
