import { bound, bucket, count, type Duration, metric, over, promql, rate, sumBy, type Vector } from './promql.ts'
import type { RecordedName } from './recorded.ts'

type ByEnvironment = Vector<'environment'>
export interface Slo {
  id: string
  title: string
  /** Share of good events promised over 30 days. */
  objective: number
  /** What counts, and which of it is bad: for people. */
  meaning: string
  valid: ByEnvironment
  bad: ByEnvironment
}

/**
 * The provider failed, not the caller: what a client did wrong, may not do, or broke off, says nothing of the platform. Of
 * the rate limits only the provider's own count, for and against: Kong's are the operator's will, and reached nobody.
 */
export const ERROR_STATUSES = 'server_error|timeout'
export const ANSWERED_STATUSES = `ok|${ERROR_STATUSES}`
export const LATENCY_BOUND_SECONDS = 10
/** Of the group that records bad and valid events: a sum of its samples, times this, is a number of events. */
export const SLO_INTERVAL_SECONDS = 15

type CallsBy = 'environment' | 'provider'
/** Calls a second that reached the provider. */
export function validCalls<By extends CallsBy>(by: readonly By[], window: Duration): Vector<By> {
  return withLimited(by, ANSWERED_STATUSES, window)
}
/** Calls a second that failed at the provider. */
export function failedCalls<By extends CallsBy>(by: readonly By[], window: Duration): Vector<By> {
  return withLimited(by, ERROR_STATUSES, window)
}
function withLimited<By extends CallsBy>(by: readonly By[], statuses: string, window: Duration): Vector<By> {
  const ended = sumBy(by, rate(metric('llm_calls_total', { status: { matches: statuses } }), window))
  const limited = sumBy(by, rate(metric('llm_rate_limited_calls_total', { by: 'provider' }), window))
  return promql`${ended} + (${limited} or ${ended} * 0)`
}

const latencyCount = sumBy(['environment'], rate(count('llm_latency_seconds'), '5m'))
const latencyWithin = sumBy(
  ['environment'],
  rate(bucket('llm_latency_seconds', { le: bound(LATENCY_BOUND_SECONDS) }), '5m'),
)
const stale = over('avg_over_time', metric('instance:observer_stale:bool'), '5m')

export const SLOS: readonly Slo[] = [
  {
    id: 'success',
    title: 'LLM calls succeed',
    objective: 0.995,
    meaning:
      'Of the calls that reached a provider, those that did not end in a server error, a timeout or a rate limit of the provider.',
    valid: validCalls(['environment'], '5m'),
    bad: failedCalls(['environment'], '5m'),
  },
  {
    id: 'latency',
    title: `LLM calls end within ${LATENCY_BOUND_SECONDS} s`,
    objective: 0.95,
    meaning: `Calls that took at most ${LATENCY_BOUND_SECONDS} s from the client's point of view, streams to their end.`,
    valid: latencyCount,
    bad: promql`${latencyCount} - ${latencyWithin}`,
  },
  {
    id: 'freshness',
    title: 'Telemetry is fresh',
    objective: 0.999,
    meaning:
      'The share of time in which each sidecar is up and its store can write: then every call is counted at once.',
    valid: { text: `count by (environment) (${stale.text})` },
    bad: sumBy(['environment'], stale),
  },
]

export const SLO_WINDOWS = ['5m', '30m', '1h', '2h', '6h', '1d', '3d', '30d'] as const
export type SloWindow = (typeof SLO_WINDOWS)[number]
export const ratioOf = (window: SloWindow): RecordedName => `slo:sli_error:ratio_rate${window}`
