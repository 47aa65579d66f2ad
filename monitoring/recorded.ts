import { METRICS, type MetricDefinition } from '../sidecar/metrics/metrics.ts'

const gauge = <const Labels extends readonly string[]>(labels: Labels, help: string) =>
  ({ type: 'gauge', labels, help }) as const

/**
 * Counters that boards draw for all tenants over hours: their rates, a sample a minute where a scrape writes twelve. All
 * labels are kept, so that every choice at the top of a board still narrows them.
 */
export const THINNED = {
  'instance:llm_calls:rate5m': 'llm_calls_total',
  'instance:llm_tokens:rate5m': 'llm_tokens_total',
  'instance:llm_cost_usd:rate5m': 'llm_cost_usd_total',
  'instance:llm_finished_answers:rate5m': 'llm_finished_answers_total',
  'instance:llm_latency_seconds_bucket:rate5m': 'llm_latency_seconds',
  'instance:llm_time_to_first_token_seconds_bucket:rate5m': 'llm_time_to_first_token_seconds',
} as const
export type ThinnedName = keyof typeof THINNED

/**
 * Counters of the ledger and of the sinks whose last value is kept while nobody exposes them: a series that has not grown for
 * seven days leaves /metrics, and the totals of a board must neither lose it nor take it for new when it comes back.
 */
export const KEPT = [
  'llm_calls_total',
  'llm_tokens_total',
  'llm_cost_usd_total',
  'llm_failed_cost_usd_total',
  'llm_finished_answers_total',
  'llm_cost_adjustment_usd_total',
  'llm_savings_usd_total',
  'llm_cache_savings_usd_total',
  'llm_unpriced_calls_total',
  'llm_usage_source_calls_total',
  'llm_usage_source_cost_usd_total',
  'llm_call_reasons_total',
  'llm_provider_bill_above_list_usd_total',
  'llm_provider_bill_below_list_usd_total',
  'llm_agent_protocol_calls_total',
  'llm_agent_protocol_seconds_total',
  'llm_guardrail_events_total',
  'llm_rate_limited_calls_total',
  'llm_failed_attempts_total',
  'llm_tenant_claims_refused_total',
  'llm_latency_seconds_bucket',
  'llm_latency_seconds_sum',
  'llm_latency_seconds_count',
  'llm_time_to_first_token_seconds_bucket',
  'llm_time_to_first_token_seconds_sum',
  'kong_semantic_cache_requests_total',
  'kong_semantic_cache_hits_total',
  'kong_semantic_cache_lookup_cost_usd_total',
  'observer_captures_lost_total',
  'observer_captures_late_total',
  'observer_captures_late_refused_total',
  'observer_plugin_errors_total',
  'observer_tap_errors_total',
  'observer_untapped_total',
  'observer_labels_folded_total',
  'observer_malformed_amounts_total',
  'observer_sink_calls_total',
] as const
export const keptName = (name: string) => `instance:${name}:last`
const ofTarget = ['job', 'instance', 'environment', 'region'] as const

/** Names that recording rules write: level:metric:operations, `_total` dropped after a rate. */
export const RECORDED = {
  'instance:llm_calls:rate5m': gauge([...ofTarget, ...METRICS.llm_calls_total.labels], 'Calls a second.'),
  'instance:llm_tokens:rate5m': gauge([...ofTarget, ...METRICS.llm_tokens_total.labels], 'Tokens a second.'),
  'instance:llm_cost_usd:rate5m': gauge([...ofTarget, ...METRICS.llm_cost_usd_total.labels], 'Dollars a second.'),
  'instance:llm_finished_answers:rate5m': gauge(
    [...ofTarget, ...METRICS.llm_finished_answers_total.labels],
    'Answers a second.',
  ),
  'instance:llm_latency_seconds_bucket:rate5m': gauge(
    [...ofTarget, ...METRICS.llm_latency_seconds.labels, 'le'],
    'Calls a second that took no longer.',
  ),
  'instance:llm_time_to_first_token_seconds_bucket:rate5m': gauge(
    [...ofTarget, ...METRICS.llm_time_to_first_token_seconds.labels, 'le'],
    'Good answers a second whose first byte took no longer.',
  ),

  'provider:llm_calls:rate5m': gauge(['environment', 'provider'], 'Calls a second that reached the provider.'),
  'provider:llm_errors:rate5m': gauge(
    ['environment', 'provider'],
    'Calls a second that failed at the provider: server errors, timeouts, its own rate limits.',
  ),
  'provider:llm_errors:ratio_rate5m': gauge(['environment', 'provider'], 'Their share of the calls.'),
  'tenant:llm_cost_usd:rate5m': gauge(['environment', 'tenant_id'], 'Dollars a second.'),
  'tenant:llm_cost_usd:rate1h': gauge(['environment', 'tenant_id'], 'Dollars a second.'),
  'tenant:llm_cost_usd:rate1d': gauge(['environment', 'tenant_id'], 'Dollars a second.'),
  'tenant:llm_budget_used:ratio': gauge(['environment', 'tenant_id', 'period'], 'Share of the ceiling that is spent.'),
  'tenant:llm_budget_elapsed:ratio': gauge(['environment', 'tenant_id', 'period'], 'Share of the period that is over.'),
  'tenant:llm_budget_forecast_usd:linear': gauge(
    ['environment', 'tenant_id', 'period'],
    'Spent so far, and the rate of the last day (of the last hour for a day) until the period ends.',
  ),

  'tenant_model:llm_calls:rate5m': gauge(['environment', 'tenant_id', 'model'], 'Calls a second.'),
  'tenant_model:llm_calls:mean26h': gauge(['environment', 'tenant_id', 'model'], 'Mean of the last 26 hours.'),
  'tenant_model:llm_calls:band26h': gauge(['environment', 'tenant_id', 'model'], 'How far from the mean is ordinary.'),
  'tenant_model:llm_cost_usd:rate5m': gauge(['environment', 'tenant_id', 'model'], 'Dollars a second.'),
  'tenant_model:llm_cost_usd:mean26h': gauge(['environment', 'tenant_id', 'model'], 'Mean of the last 26 hours.'),
  'tenant_model:llm_cost_usd:band26h': gauge(
    ['environment', 'tenant_id', 'model'],
    'How far from the mean is ordinary.',
  ),

  'instance:up:seen35d': gauge(ofTarget, 'Targets that were scraped, or should have been, within 35 days.'),
  'instance:observer_stale:bool': gauge(
    ['environment', 'instance'],
    '1 while a sidecar is down or its store cannot write.',
  ),
  'slo:objective:ratio': gauge(['slo'], 'Share of good events that was promised.'),
  'slo:sli_valid:rate5m': gauge(['environment', 'slo'], 'Events a second that count.'),
  'slo:sli_error:rate5m': gauge(['environment', 'slo'], 'Those of them that were bad.'),
  'slo:sli_error:ratio_rate5m': gauge(['environment', 'slo'], 'Share of bad events.'),
  'slo:sli_error:ratio_rate30m': gauge(['environment', 'slo'], 'Share of bad events.'),
  'slo:sli_error:ratio_rate1h': gauge(['environment', 'slo'], 'Share of bad events.'),
  'slo:sli_error:ratio_rate2h': gauge(['environment', 'slo'], 'Share of bad events.'),
  'slo:sli_error:ratio_rate6h': gauge(['environment', 'slo'], 'Share of bad events.'),
  'slo:sli_error:ratio_rate1d': gauge(['environment', 'slo'], 'Share of bad events.'),
  'slo:sli_error:ratio_rate3d': gauge(['environment', 'slo'], 'Share of bad events.'),
  'slo:sli_error:ratio_rate30d': gauge(['environment', 'slo'], 'Share of bad events.'),
  'slo:current_burn_rate:ratio': gauge(
    ['environment', 'slo'],
    'Bad share of the last hour, in units of the promised one.',
  ),
  'slo:period_error_budget_remaining:ratio': gauge(['environment', 'slo'], 'What is left of 30 days of bad events.'),
} as const satisfies Record<string, MetricDefinition>
export type RecordedName = keyof typeof RECORDED

export const KEPT_SERIES: Readonly<Record<string, MetricDefinition>> = Object.fromEntries(
  KEPT.map((name) => {
    const metrics: Readonly<Record<string, MetricDefinition>> = METRICS
    const { labels } = (metrics[name] ?? metrics[name.replace(/_(bucket|sum|count)$/, '')])!
    const all = [...ofTarget, ...labels, ...(name.endsWith('_bucket') ? ['le'] : [])]
    return [keptName(name), gauge(all, `The last value of ${name}, while nobody exposes it.`)]
  }),
)
