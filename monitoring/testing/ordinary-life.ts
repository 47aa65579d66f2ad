import { LATENCY_BUCKETS } from '../../sidecar/ledger/series.ts'
import { type Course, counter, gauge, histogram, KONG, type Name, type Series, SIDECAR } from './scenario.ts'

/** Twenty minutes, the noise, and an hour and twenty behind it, at a scrape each 15 s. */
export const BEFORE = 80
export const SCRAPES = 400
const CALL = { tenant_id: 'blue', provider: 'openai', model: 'gpt-4o' } as const
const DAY = 86_400

/** A platform at work, of which every alert could say something; nothing is wrong with it. */
export function ordinaryLife(): Series[] {
  const always: Course = [[SCRAPES, 1]]
  const steady = (growth: number): Course => [[SCRAPES, growth]]
  const of = { ...SIDECAR, ...CALL }
  const tenant = { ...SIDECAR, tenant_id: CALL.tenant_id }
  const month = { ...tenant, period: 'month' }
  const route = { ...KONG, service: 'openai', route: 'chat', workspace: 'default' }
  return [
    gauge('up', SIDECAR, always),
    gauge('up', KONG, always),
    counter('llm_calls_total', { ...of, status: 'ok' }, steady(20)),
    ...histogram('llm_latency_seconds', of, LATENCY_BUCKETS, [[SCRAPES, 20, 3]]),
    counter('llm_cost_usd_total', of, steady(0.05)),
    counter('llm_finished_answers_total', { ...of, reason: 'stop' }, steady(20)),
    counter('llm_usage_source_calls_total', { ...tenant, source: 'provider' }, steady(20)),
    counter('llm_usage_source_cost_usd_total', { ...tenant, source: 'provider' }, steady(0.05)),
    // A provider's bill is rounded: it differs from the list by a hundredth.
    counter('llm_provider_bill_above_list_usd_total', { ...SIDECAR, provider: CALL.provider }, steady(0.0005)),
    counter('llm_provider_bill_below_list_usd_total', { ...SIDECAR, provider: CALL.provider }, steady(0)),
    // A fee that the provider does not count is counted from its answers: nothing to do.
    counter('llm_call_reasons_total', { ...tenant, reason: 'fee_counted' }, steady(1)),
    gauge('llm_budget_spent_usd', month, [[SCRAPES, 1]]),
    gauge('llm_budget_limit_usd', month, [[SCRAPES, 1000]]),
    gauge('llm_budget_unpriced_calls', month, [[SCRAPES, 1]]),
    gauge('llm_budget_period_start_timestamp_seconds', month, [[SCRAPES, -3 * DAY]]),
    gauge('llm_budget_period_end_timestamp_seconds', month, [[SCRAPES, 27 * DAY]]),
    counter('observer_captures_total', { ...SIDECAR, result: 'stored' }, steady(20)),
    gauge('observer_sink_lag_seconds', { ...SIDECAR, sink: 'loki' }, always),
    // A tenant's limit holds up a few of its calls for some minutes.
    gauge('observer_sink_held_calls', { ...SIDECAR, sink: 'loki' }, [
      [BEFORE, 0],
      [40, 3],
      [SCRAPES - BEFORE - 40, 0],
    ]),
    gauge('observer_log_bytes', SIDECAR, [[SCRAPES, 2e7]]),
    gauge('observer_log_limit_bytes', SIDECAR, [[SCRAPES, 1e9]]),
    // Another program holds the file for half a minute.
    gauge('observer_store_writable', SIDECAR, [
      [BEFORE, 1],
      [2, 0],
      [SCRAPES - BEFORE - 2, 1],
    ]),
    counter('observer_store_damaged_rows_total', SIDECAR, steady(0)),
    gauge('observer_store_rolled_back_captures', SIDECAR, [[SCRAPES, 0]]),
    gauge('observer_series', SIDECAR, [[SCRAPES, 9000]]),
    gauge('observer_series_limit', SIDECAR, [[SCRAPES, 200_000]]),
    gauge('observer_event_loop_lag_seconds', { ...SIDECAR, statistic: 'p99' }, [[SCRAPES, 0.02]]),
    gauge('observer_price_catalogue_timestamp_seconds', SIDECAR, [[SCRAPES, 0]]),
    counter('kong_http_requests_total', { ...route, consumer: '', code: '200', source: 'service' }, steady(20)),
    ...histogram('kong_kong_latency_ms', route, [25, 50, 100, 250], [[SCRAPES, 20, 3]]),
  ]
}

/** What counts that something went wrong. Not listed: a refused price file and a damaged row, of which one is the whole event. */
export const ERRORS: readonly (readonly [Name, Readonly<Record<string, string>>])[] = [
  ...['server_error', 'timeout', 'rate_limited', 'unauthorized', 'blocked', 'client_error', 'aborted'].map(
    (status) => ['llm_calls_total', { ...SIDECAR, ...CALL, status }] as const,
  ),
  ['llm_rate_limited_calls_total', { ...SIDECAR, tenant_id: 'blue', provider: 'openai', by: 'provider' }],
  ['llm_failed_attempts_total', { ...SIDECAR, tenant_id: 'blue', provider: 'openai' }],
  ['llm_failed_cost_usd_total', { ...SIDECAR, ...CALL, status: 'timeout' }],
  ['llm_unpriced_calls_total', { ...SIDECAR, ...CALL, reason: 'unknown_model' }],
  ['llm_usage_source_calls_total', { ...SIDECAR, tenant_id: 'blue', source: 'unknown' }],
  ['llm_call_reasons_total', { ...SIDECAR, tenant_id: 'blue', reason: 'unread_usage' }],
  [
    'llm_agent_protocol_calls_total',
    { ...SIDECAR, tenant_id: 'blue', protocol: 'mcp', method: 'ping', outcome: 'error' },
  ],
  ['llm_finished_answers_total', { ...SIDECAR, ...CALL, reason: 'refusal' }],
  ['llm_finished_answers_total', { ...SIDECAR, ...CALL, reason: 'length' }],
  [
    'llm_guardrail_events_total',
    { ...SIDECAR, tenant_id: 'blue', guardrail: 'pii', stage: 'input', action: 'blocked' },
  ],
  ['llm_tenant_claims_refused_total', { ...SIDECAR, tenant_id: 'blue' }],
  [
    'kong_http_requests_total',
    { ...KONG, service: 'openai', route: 'chat', workspace: 'default', consumer: '', code: '503', source: 'kong' },
  ],
  ['observer_captures_lost_total', { ...SIDECAR, node: 'n', reason: 'gap' }],
  ['observer_captures_lost_total', { ...SIDECAR, node: 'n', reason: 'queue_full' }],
  ['observer_captures_late_total', { ...SIDECAR, node: 'n' }],
  ['observer_captures_late_refused_total', { ...SIDECAR, node: 'n' }],
  ['observer_plugin_errors_total', { ...SIDECAR, kind: 'connection_closed' }],
  ['observer_store_write_failures_total', { ...SIDECAR, cause: 'locked' }],
  ['observer_captures_total', { ...SIDECAR, result: 'invalid' }],
  ['observer_requests_refused_total', { ...SIDECAR, reason: 'too_large' }],
  ['observer_sink_calls_total', { ...SIDECAR, sink: 'loki', tenant_id: 'blue', outcome: 'dropped', reason: 'x' }],
  ['observer_sink_calls_total', { ...SIDECAR, sink: 'loki', tenant_id: 'blue', outcome: 'rejected', reason: 'x' }],
  ['observer_tap_errors_total', { ...SIDECAR, node: 'n' }],
  ['observer_untapped_total', { ...SIDECAR, route: 'plain' }],
  ['observer_labels_folded_total', { ...SIDECAR, label: 'model' }],
  ['observer_malformed_amounts_total', { ...SIDECAR, field: 'tokens' }],
  ['observer_estimates_total', { ...SIDECAR, outcome: 'failed' }],
  ['observer_langfuse_scores_total', { ...SIDECAR, outcome: 'refused' }],
  [
    'alertmanager_notifications_failed_total',
    {
      environment: 'prod',
      job: 'alertmanager',
      instance: 'a',
      integration: 'slack',
      receiver_name: 'x',
      reason: 'other',
    },
  ],
  [
    'prometheus_rule_evaluation_failures_total',
    { environment: 'prod', job: 'prometheus', instance: 'p', rule_group: 'g' },
  ],
]

const SAMPLES = (values: string) => values.split(' ')
/** Changes the samples of those series that `of` chooses. */
function changed(
  series: readonly Series[],
  of: (name: string) => boolean,
  change: (samples: string[], one: Series) => string[],
) {
  return series.map((one) => (of(one.series) ? { ...one, values: change(SAMPLES(one.values), one).join(' ') } : one))
}
const isOf = (job: string) => (series: string) => series.includes(`job="${job}"`)
const isUp = (series: string) => series.startsWith('up{')

/** The target does not answer for so many scrapes. */
export function unanswered(series: readonly Series[], job: string, scrapes: number, at = BEFORE): Series[] {
  const none = (up: boolean) => Array.from({ length: scrapes }, (_, n) => (up ? '0' : n === 0 ? 'stale' : '_'))
  return changed(series, isOf(job), (samples, one) => [
    ...samples.slice(0, at),
    ...none(isUp(one.series)),
    ...samples.slice(at + scrapes),
  ])
}
/** Down for so many scrapes, and then what the process counts is 0 again; the ledger's counters go on. */
export function restarted(series: readonly Series[], job: string, scrapes: number): Series[] {
  const durable =
    /^(llm_|kong_semantic|up\{|observer_(log|store_(writable|rolled)|series|sink_(lag|held|calls)|event|price|captures_l|plugin|tap|untapped|labels|malformed))/
  const anew = changed(
    series,
    (name) => isOf(job)(name) && !durable.test(name),
    (samples) => samples.map((value, at) => (at < BEFORE ? value : String(Number(value) - Number(samples[BEFORE])))),
  )
  return unanswered(anew, job, scrapes)
}
/** Prometheus itself is away: no sample of anything, and nothing is told to be gone. */
export function unseen(series: readonly Series[], scrapes: number): Series[] {
  return changed(
    series,
    () => true,
    (samples) => samples.map((value, at) => (at >= BEFORE && at < BEFORE + scrapes ? '_' : value)),
  )
}
/** Everything appears at full speed, its counters with what they have counted. */
export function young(series: readonly Series[]): Series[] {
  return changed(
    series,
    (name) => !isUp(name),
    (samples) => samples.map((value, at) => (at < BEFORE ? '_' : value)),
  )
}
/** One of each error; `there` says whether the series stood at 0 before. */
export function oneErrorEach(there: boolean): Series[] {
  return ERRORS.map(([name, labels]) => {
    const { series } = counter(name, labels, [])
    return { series, values: `${there ? '0' : '_'}x${BEFORE - 1} 1x${SCRAPES - BEFORE}` }
  })
}
