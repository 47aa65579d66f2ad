import type { Prometheus } from '../../dev/servers/prometheus.ts'
import { remoteWrite, type StepSeries } from '../../dev/servers/remote-write.ts'
import { KEPT_SERIES } from '../recorded.ts'
import { SLO_INTERVAL_SECONDS } from '../slo.ts'
import { RULE_GROUPS, RULES, type Rule, recordedNamesIn } from './rule-files.ts'

/** Prometheus answers a range query of at most 11,000 steps. */
const STEPS_A_QUERY = 10_000
const MINUTE = 60_000

export interface Span {
  /** Milliseconds since 1970. */
  start: number
  end: number
  /** Prometheus itself was down then, and evaluated nothing. */
  down: (at: number) => boolean
}
export interface Firing {
  alert: string
  priority: string
  labels: Record<string, string>
  from: number
  until: number
}

/**
 * The committed rules over samples that are in a real Prometheus already, by range queries: weeks in seconds. What is
 * recorded is written back, rule after rule in the order of the files, for the rules behind it. Left out is what boards
 * alone read, and what rests on its own past (no series is away for a week here). An alert fires from when its expression
 * has held at every step for as long as `for` says.
 */
export async function evaluateRules(prometheus: Prometheus, span: Span): Promise<Firing[]> {
  const firings: Firing[] = []
  const alerts: { rule: Rule; group: string }[] = []
  const read = new Set(RULES.flatMap(({ expr }) => recordedNamesIn(expr)))
  for (const { name: group, rules } of RULE_GROUPS)
    for (const rule of rules) {
      if (rule.alert !== undefined) alerts.push({ rule, group })
      else if (read.has(rule.record!) && !Object.hasOwn(KEPT_SERIES, rule.record!))
        await remoteWrite(prometheus.url, recorded(rule, await range(prometheus, rule.expr, span, stepOf(rule, group))))
    }
  // Two at a time: an answer is read while Prometheus works on the next one.
  const worker = async () => {
    for (let next = alerts.shift(); next !== undefined; next = alerts.shift()) {
      const { rule, group } = next
      for (const one of await range(prometheus, rule.expr, span, stepOf(rule, group)))
        firings.push(...firingOf(rule, one))
    }
  }
  await Promise.all([worker(), worker()])
  return firings
}

/**
 * A minute: an alert that waits long is looked at five times while it waits, and what is drawn over days less often. Shorter
 * where it counts: the bad events of an SLO are a sum over samples, and a provider is down within half a minute.
 */
function stepOf(rule: Rule, group: string): number {
  const { record, alert, expr } = rule
  if (record === 'instance:observer_stale:bool' || (record?.startsWith('slo:sli_') && record.endsWith(':rate5m')))
    return SLO_INTERVAL_SECONDS * 1000
  if (alert === 'LLMProviderDown') return 15_000
  if (record?.includes('ratio_rate') && /\[\d+d\]/.test(expr)) return 5 * MINUTE
  if (group === 'llm-anomalies' || group === 'llm-budgets') return 2 * MINUTE
  const minutes = rule.for === undefined ? 1 : Math.floor(milliseconds(rule.for) / MINUTE / 5)
  return Math.min(5, Math.max(1, minutes)) * MINUTE
}
export function milliseconds(duration: string): number {
  return Number.parseInt(duration, 10) * { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[duration.at(-1)!]!
}

async function range(prometheus: Prometheus, expr: string, { start, end, down }: Span, stepMs: number) {
  const found = new Map<string, StepSeries>()
  const steps = Math.floor((end - start) / stepMs) + 1
  for (let first = 0; first < steps; first += STEPS_A_QUERY) {
    const last = Math.min(first + STEPS_A_QUERY, steps) - 1
    const part = await prometheus.queryRange(expr, {
      start: (start + first * stepMs) / 1000,
      end: (start + last * stepMs) / 1000,
      stepSeconds: stepMs / 1000,
    })
    for (const { labels, points } of part) {
      const key = JSON.stringify(Object.entries(labels).sort())
      let series = found.get(key)
      if (series === undefined) {
        series = { labels, start, stepMs, values: new Float64Array(steps).fill(Number.NaN) }
        found.set(key, series)
      }
      for (const [at, value] of points)
        if (!down(at * 1000)) series.values[Math.round((at * 1000 - start) / stepMs)] = value
    }
  }
  return [...found.values()]
}

function recorded(rule: Rule, series: readonly StepSeries[]): StepSeries[] {
  return series.map((one) => {
    const staleAt: number[] = []
    for (let step = 1; step < one.values.length; step++)
      if (Number.isNaN(one.values[step]!) && !Number.isNaN(one.values[step - 1]!)) staleAt.push(step)
    return { ...one, staleAt, labels: { ...one.labels, ...rule.labels, __name__: rule.record! } }
  })
}

function firingOf(rule: Rule, { labels, start, stepMs, values }: StepSeries): Firing[] {
  const wait = rule.for === undefined ? 0 : milliseconds(rule.for)
  const { __name__: _, ...own } = labels
  const all: Firing[] = []
  for (let first = 0; first < values.length; first++) {
    if (Number.isNaN(values[first]!)) continue
    let last = first
    while (last + 1 < values.length && !Number.isNaN(values[last + 1]!)) last++
    const from = start + first * stepMs + wait
    const until = start + last * stepMs
    if (until >= from)
      all.push({
        alert: rule.alert!,
        priority: rule.labels!.priority!,
        labels: { ...own, ...rule.labels },
        from,
        until,
      })
    first = last
  }
  return all
}
