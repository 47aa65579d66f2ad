import { METRICS } from '../sidecar/metrics/metrics.ts'
import { KONG_METRICS } from './kong-metrics.ts'
import { KEPT_SERIES, keptName, RECORDED } from './recorded.ts'
import { SERVER_METRICS } from './server-metrics.ts'

/**
 * PromQL whose metric names and labels are checked by TypeScript against the tables: a query for a metric that nobody
 * exports, or by a label that it does not have, does not compile. Everything is text in the end.
 *
 *   metric('llm_calls_total', { status: 'ok' })  Selector<labels of the metric>
 *   rate(selector, '5m')                         Vector<the same labels>
 *   sumBy(['tenant_id'], vector)                 Vector<'tenant_id'>; a label that the vector lacks is an error
 *   promql`${a} / ${b} > 0.1`                    Vector<labels of all parts>
 */
export const TABLES = { ...METRICS, ...KONG_METRICS, ...SERVER_METRICS, ...RECORDED } as const
type Tables = typeof TABLES
export type MetricName = keyof Tables
type HistogramName = { [Name in MetricName]: Tables[Name]['type'] extends 'histogram' ? Name : never }[MetricName]

/** Given by the scrape configuration to every series of a target. Recorded series keep `environment` alone, thinned ones all. */
export const TARGET_LABELS = ['job', 'instance', 'environment', 'region'] as const
export type TargetLabel = (typeof TARGET_LABELS)[number]
type OwnLabel<Name extends MetricName> = Tables[Name]['labels'][number]
export type LabelOf<Name extends MetricName> = Name extends keyof typeof RECORDED
  ? OwnLabel<Name>
  : OwnLabel<Name> | TargetLabel

declare const labels: unique symbol
export interface Vector<Label extends string> {
  readonly text: string
  readonly [labels]?: Label
}
/** A vector that a range can be put on. */
export interface Selector<Label extends string> extends Vector<Label> {
  readonly isSelector: true
}
export type Matcher = string | { not: string } | { matches: string } | { matchesNot: string }
export type Matchers<Label extends string> = { readonly [L in Label]?: Matcher }
/** `5m`, `1d`, or a variable of Grafana such as `$__rate_interval`. */
export type Duration = `${number}${'s' | 'm' | 'h' | 'd'}` | `$${string}`

export function metric<Name extends MetricName>(
  name: Name,
  matchers: Matchers<LabelOf<Name>> = {},
): Selector<LabelOf<Name>> {
  return select(name, matchers)
}
export function bucket<Name extends HistogramName>(
  name: Name,
  matchers: Matchers<LabelOf<Name> | 'le'> = {},
): Selector<LabelOf<Name> | 'le'> {
  return select(`${name}_bucket`, matchers)
}
/** Number of observations of a histogram. */
export function count<Name extends HistogramName>(name: Name, matchers: Matchers<LabelOf<Name>> = {}) {
  return select<LabelOf<Name>>(`${name}_count`, matchers)
}
/** Sum of a histogram's observations. */
export function total<Name extends HistogramName>(name: Name, matchers: Matchers<LabelOf<Name>> = {}) {
  return select<LabelOf<Name>>(`${name}_sum`, matchers)
}

/** Matches the buckets with this bound: a scraped `le="10"` may have become `le="10.0"`. */
export function bound(seconds: number): Matcher {
  return { matches: Number.isInteger(seconds) ? `${seconds}([.]0)?` : String(seconds).replace('.', '[.]') }
}

function select<Label extends string>(name: string, matchers: Matchers<Label>): Selector<Label> {
  const parts = Object.entries(matchers as Record<string, Matcher | undefined>).flatMap(([label, matcher]) =>
    matcher === undefined ? [] : [label + matcherText(matcher)],
  )
  return { text: parts.length === 0 ? name : `${name}{${parts.join(', ')}}`, isSelector: true }
}
function matcherText(matcher: Matcher): string {
  if (typeof matcher === 'string') return `=${JSON.stringify(matcher)}`
  if ('not' in matcher) return `!=${JSON.stringify(matcher.not)}`
  if ('matches' in matcher) return `=~${JSON.stringify(matcher.matches)}`
  return `!~${JSON.stringify(matcher.matchesNot)}`
}

/** Numbers and durations stand as they are; a vector in brackets where it is more than one term. */
export function promql<Label extends string = never>(
  texts: TemplateStringsArray,
  ...parts: readonly (Vector<Label> | number | Duration)[]
): Vector<Label> {
  const text = texts.reduce((before, after, index) => {
    const part = parts[index - 1]!
    return before + (typeof part === 'object' ? bracketed(part.text) : part) + after
  })
  return { text }
}
const TERM = /^[\w:]+(\{[^{}]*\})?$|^[\w]+( by \([^()]*\))? ?\([\s\S]*\)$/
function bracketed(text: string): string {
  return TERM.test(text) && isOneTerm(text) ? text : `(${text})`
}
/** That the bracket which the text ends with is the one that its function opens. */
function isOneTerm(text: string): boolean {
  let depth = 0
  let quoted = false
  const start = text.match(/^[\w:]+( by \([^()]*\))? ?/)![0].length
  for (let at = start; at < text.length; at++) {
    const letter = text[at]
    if (letter === '\\') at++
    else if (letter === '"') quoted = !quoted
    else if (quoted) continue
    else if (letter === '(' || letter === '{') depth++
    else if (letter === ')' || letter === '}') {
      depth--
      if (depth === 0 && at < text.length - 1) return false
    }
  }
  return true
}

type Over = 'rate' | 'increase' | 'irate' | 'changes' | 'resets' | 'avg_over_time' | 'max_over_time' | 'min_over_time'
type OverGauge = 'sum_over_time' | 'count_over_time' | 'stddev_over_time' | 'last_over_time' | 'delta' | 'deriv'
export function over<Label extends string>(
  operation: Over | OverGauge,
  of: Selector<Label>,
  window: Duration,
  offset?: Duration,
): Vector<Label> {
  return { text: `${operation}(${of.text}[${window}]${offset === undefined ? '' : ` offset ${offset}`})` }
}
export const rate = <Label extends string>(of: Selector<Label>, window: Duration, offset?: Duration) =>
  over('rate', of, window, offset)
export const increase = <Label extends string>(of: Selector<Label>, window: Duration, offset?: Duration) =>
  over('increase', of, window, offset)
export function predictLinear<Label extends string>(of: Selector<Label>, window: Duration, seconds: number) {
  return { text: `predict_linear(${of.text}[${window}], ${seconds})` } as Vector<Label>
}
export function offset<Label extends string>(of: Selector<Label>, by: Duration): Vector<Label> {
  return { text: `${of.text} offset ${by}` }
}

/** The same series, as the rules keep them while nobody exposes them (recorded.ts); undefined where they are not kept. */
function kept({ text }: Selector<string>): string | undefined {
  const name = /^\w+/.exec(text)?.[0] ?? ''
  return Object.hasOwn(KEPT_SERIES, keptName(name)) ? keptName(name) + text.slice(name.length) : undefined
}

/** How long a scrape may have failed at the beginning of a window before `grown` takes a series for new. */
const TOLERANCE = '1h'
/**
 * By how much a counter of the ledger grew within the window: to the last increment, where `increase()` extrapolates and
 * loses a new series' first. What was idle for a week, or whose sidecar is down, counts with its last value. Right only for
 * counters that never fall, restarts included: those of the ledger.
 */
export function grown<Label extends string>(of: Selector<Label>, window: Duration): Vector<Label> {
  const last = kept(of)
  const now = last === undefined ? of.text : `(${of.text} or ${last})`
  const then = [of.text, ...(last === undefined ? [] : [last])].map(
    (text) => `last_over_time(${text}[${TOLERANCE}] offset ${window})`,
  )
  return { text: `${now} - (${then.join(' or ')} or ${now} * 0)` }
}

/**
 * `increase()` that does not lose what a series brought along when it appeared: that of a new series is its value, and that
 * of one that comes back after a week is what it grew by. A series is new where its target was scraped well a window ago
 * without it. Right only for counters that outlive their process.
 */
export function increaseWithFirst<Label extends string>(
  of: Selector<Label>,
  window: Duration,
  up: Selector<string> = metric('up'),
): Vector<Label> {
  const { text } = of
  const last = kept(of)
  const first = last === undefined ? text : `(${text} - (${last} offset ${window} or ${text} * 0))`
  return {
    text: `((${first} unless ${text} offset ${window}) and on (job, instance, environment, region) (${up.text} offset ${window} == 1)) or increase(${text}[${window}])`,
  }
}

type Aggregation = 'sum' | 'max' | 'min' | 'avg' | 'count'
export function aggregate<Label extends string, By extends Label = never>(
  operation: Aggregation,
  by: readonly By[],
  of: Vector<Label>,
): Vector<By> {
  return { text: `${operation}${by.length === 0 ? '' : ` by (${by.join(', ')}) `}(${of.text})` }
}
export const sumBy = <Label extends string, By extends Label>(by: readonly By[], of: Vector<Label>) =>
  aggregate('sum', by, of)
export const maxBy = <Label extends string, By extends Label>(by: readonly By[], of: Vector<Label>) =>
  aggregate('max', by, of)
export const sum = <Label extends string>(of: Vector<Label>): Vector<never> => aggregate<Label>('sum', [], of)
export function topk<Label extends string>(number: number, of: Vector<Label>): Vector<Label> {
  return { text: `topk(${number}, ${of.text})` }
}
export function quantile<Label extends string, By extends Label>(
  share: number,
  by: readonly By[],
  buckets: Vector<Label | 'le'>,
): Vector<By> {
  return { text: `histogram_quantile(${share}, sum by (${['le', ...by].join(', ')}) (${buckets.text}))` }
}
/** A share; no result where there is nothing to take a share of. */
export function ratio<Label extends string>(part: Vector<Label>, whole: Vector<NoInfer<Label>>): Vector<Label> {
  return promql<Label>`${part} / (${whole} > 0)`
}
/** A share whose part is counted from its first event on: 0 where none has happened yet. */
export function share<Label extends string>(part: Vector<Label>, whole: Vector<NoInfer<Label>>): Vector<Label> {
  return promql<Label>`(${part} or ${whole} * 0) / (${whole} > 0)`
}
/** Environments in which no target of the job is up: one that is down of several explains nothing of the whole. */
export function allDown(job: 'kong' | 'llm-observer'): Vector<'environment'> {
  return promql`${maxBy(['environment'], metric('up', { job }))} == 0`
}
/** 0 where the vector is empty: for what is quiet in good times. Only for sums without labels. */
export function orZero(of: Vector<never>): Vector<never> {
  return promql`${of} or vector(0)`
}
