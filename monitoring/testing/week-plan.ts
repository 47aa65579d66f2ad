/** What happens in the week, in minutes since its Monday at 00:00; day 0 is Monday. The incidents are on the day after it. */
export const MINUTES_A_DAY = 1440
export const DAYS = 7
/** 2 November 2026, a Monday. */
export const WEEK_START = Date.UTC(2026, 10, 2)
const at = (day: number, hour: number, minute = 0) => (day * 24 + hour) * 60 + minute

export interface Flow {
  tenant: string
  provider: string
  model: string
  /** Calls a minute in the busiest hour of a weekday. */
  peak: number
  /** Dollars of an ordinary call. */
  price: number
  /** Begins then; else it was always there. */
  from?: number
  /** Only in this hour of each day. */
  onlyHour?: number
}
export const FLOWS: readonly Flow[] = [
  { tenant: 'blue', provider: 'openai', model: 'gpt-4o', peak: 120, price: 0.01 },
  { tenant: 'blue', provider: 'anthropic', model: 'claude-sonnet', peak: 40, price: 0.02 },
  { tenant: 'green', provider: 'openai', model: 'gpt-4o-mini', peak: 60, price: 0.001 },
  { tenant: 'green', provider: 'openai', model: 'gpt-4o', peak: 20, price: 0.01 },
  { tenant: 'grey', provider: 'openai', model: 'gpt-4o-mini', peak: 2, price: 0.001 },
  { tenant: 'unattributed', provider: 'openai', model: 'gpt-4o-mini', peak: 1, price: 0.001 },
  // A job of every night.
  { tenant: 'nightly', provider: 'anthropic', model: 'claude-sonnet', peak: 90, price: 0.01, onlyHour: 2 },
  // A new model of an old tenant, and a new tenant: at full speed from the first minute.
  { tenant: 'blue', provider: 'openai', model: 'gpt-5', peak: 30, price: 0.02, from: at(2, 10) },
  { tenant: 'new', provider: 'anthropic', model: 'claude-haiku', peak: 40, price: 0.002, from: at(3, 14) },
]

export interface Episode {
  from: number
  minutes: number
  tenant?: string
  provider?: string
  /** So many times the ordinary calls. */
  times?: number
  /** Shares of the calls that end so, instead of the ordinary ones. */
  server_error?: number
  rate_limited?: number
}
export const ORDINARY_EPISODES: readonly Episode[] = [
  { from: at(0, 11), minutes: 8, tenant: 'blue', times: 3 },
  { from: at(1, 16), minutes: 10, tenant: 'green', times: 3 },
  { from: at(4, 9, 30), minutes: 12, tenant: 'green', times: 2 },
  { from: at(5, 20), minutes: 6, tenant: 'grey', times: 4 },
  // A single bad minute of each provider.
  { from: at(1, 14, 20), minutes: 1, provider: 'openai', server_error: 0.3 },
  { from: at(4, 17, 5), minutes: 1, provider: 'anthropic', rate_limited: 0.3 },
  // A client that retries without a pause.
  { from: at(2, 15), minutes: 5, tenant: 'blue', times: 4, rate_limited: 0.04 },
]
export const INCIDENTS: readonly Episode[] = [
  { from: at(DAYS, 10), minutes: 20, provider: 'openai', server_error: 0.9 },
  // A key that was stolen.
  { from: at(DAYS, 14), minutes: 120, tenant: 'green', times: 15 },
]

export interface Pause {
  /** Seconds since the beginning of the week. */
  from: number
  seconds: number
  of: 'sidecar' | 'kong' | 'prometheus'
  /** The process began anew: what it counts since its start is 0 again. */
  restart: boolean
}
const pause = (of: Pause['of'], minute: number, seconds: number, restart = true): Pause => ({
  of,
  from: minute * 60,
  seconds,
  restart,
})
export const PAUSES: readonly Pause[] = [
  pause('sidecar', at(0, 14, 10), 30),
  pause('sidecar', at(1, 10), 20),
  pause('sidecar', at(3, 15, 40), 45),
  pause('sidecar', at(5, 3), 30),
  pause('kong', at(2, 9), 30),
  pause('kong', at(4, 22), 20),
  pause('prometheus', at(0, 18), 90),
  pause('prometheus', at(3, 12), 420),
  // Scrapes that failed.
  ...[at(0, 9), at(1, 23, 10), at(2, 11, 7), at(3, 4), at(4, 13, 30), at(6, 19)].map((minute) =>
    pause('sidecar', minute, 15, false),
  ),
  pause('kong', at(5, 12), 15, false),
]

/** Once in the week each, one: [metric, labels, minute, whether the series was there at 0 before]. */
export const SINGLE_ERRORS = [
  ['observer_captures_total', { result: 'invalid' }, at(0, 10, 30), true],
  ['observer_requests_refused_total', { reason: 'too_large' }, at(1, 11), true],
  ['observer_captures_lost_total', { node: 'kong-1', reason: 'too_large' }, at(2, 13), false],
  ['observer_captures_lost_total', { node: 'kong-1', reason: 'gap' }, at(3, 16), false],
  ['observer_captures_late_total', { node: 'kong-1' }, at(3, 17), false],
  ['observer_captures_late_refused_total', { node: 'kong-1' }, at(5, 17), false],
  ['observer_plugin_errors_total', { kind: 'connection_closed' }, at(4, 14), false],
  ['observer_store_write_failures_total', { cause: 'locked' }, at(1, 13), false],
  [
    'observer_sink_calls_total',
    { sink: 'langfuse', tenant_id: 'blue', outcome: 'rejected', reason: 'http_400' },
    at(2, 12),
    false,
  ],
  [
    'observer_sink_calls_total',
    { sink: 'loki', tenant_id: 'green', outcome: 'dropped', reason: 'too_large' },
    at(4, 12),
    false,
  ],
  ['observer_tap_errors_total', { node: 'kong-1' }, at(1, 9), false],
  ['observer_labels_folded_total', { label: 'model' }, at(5, 11), false],
  ['observer_malformed_amounts_total', { field: 'tokens' }, at(3, 11), false],
  ['observer_estimates_total', { outcome: 'failed' }, at(4, 10), true],
  ['observer_langfuse_scores_total', { outcome: 'refused' }, at(2, 17), true],
  ['llm_call_reasons_total', { tenant_id: 'grey', reason: 'unread_usage' }, at(4, 15), false],
  ['llm_tenant_claims_refused_total', { tenant_id: 'grey' }, at(1, 12), false],
  [
    'llm_unpriced_calls_total',
    { tenant_id: 'grey', provider: 'openai', model: 'gpt-4o-mini', reason: 'unknown_model' },
    at(3, 10),
    false,
  ],
] as const
