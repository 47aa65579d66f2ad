import { FIRST_TOKEN_BUCKETS, LATENCY_BUCKETS } from '../ledger/series.ts'
import type { LedgerSeries } from '../store/totals.ts'

export interface MetricDefinition {
  type: 'counter' | 'gauge' | 'histogram'
  help: string
  labels: readonly string[]
  buckets?: readonly number[]
  /** The ledger's series that it shows, with labels in the same order; absent: exposition.ts says where its values come from. */
  series?: LedgerSeries
  /** What the ledger counts in; shown in dollars and seconds. */
  unit?: 'pico_usd' | 'milliseconds'
}

/**
 * Every metric of the sidecar. `llm_…` and `kong_…` come from the ledger and survive any restart; of `observer_…` those
 * marked durable do too, the others count since the process started, as Prometheus expects of a process.
 */
export const METRICS = {
  llm_calls_total: {
    type: 'counter',
    help: 'LLM calls by outcome.',
    labels: ['tenant_id', 'provider', 'model', 'status'],
    series: 'calls',
  },
  llm_latency_seconds: {
    type: 'histogram',
    help: 'Duration of LLM calls as the client saw it.',
    labels: ['tenant_id', 'provider', 'model'],
    buckets: LATENCY_BUCKETS,
  },
  llm_time_to_first_token_seconds: {
    type: 'histogram',
    help: 'From the start of a successful call to the first byte of its answer.',
    labels: ['tenant_id', 'provider', 'model'],
    buckets: FIRST_TOKEN_BUCKETS,
  },
  llm_tokens_total: {
    type: 'counter',
    help: 'Tokens by kind. The kinds never overlap: their sum is the total.',
    labels: ['tenant_id', 'provider', 'model', 'type'],
    series: 'tokens',
  },
  llm_cost_usd_total: {
    type: 'counter',
    help: 'Cost in US dollars, as first priced.',
    labels: ['tenant_id', 'provider', 'model'],
    series: 'cost',
    unit: 'pico_usd',
  },
  llm_failed_cost_usd_total: {
    type: 'counter',
    help: 'The part of the cost, in US dollars as first priced, that calls without a good answer took, by their status.',
    labels: ['tenant_id', 'provider', 'model', 'status'],
    series: 'failed_cost',
    unit: 'pico_usd',
  },
  llm_finished_answers_total: {
    type: 'counter',
    help: 'Answers by why the model stopped: stop, length (cut off), tool_calls, content_filter, refusal, error, other.',
    labels: ['tenant_id', 'provider', 'model', 'reason'],
    series: 'finished',
  },
  llm_cost_adjustment_usd_total: {
    type: 'counter',
    help: 'What repricing added to the cost (up) or took from it (down), in US dollars; both only grow.',
    labels: ['tenant_id', 'provider', 'model', 'direction'],
    series: 'adjusted_cost',
    unit: 'pico_usd',
  },
  llm_adjusted_calls_total: {
    type: 'counter',
    help: 'Adjusting entries of repricing; a call that is adjusted again counts again.',
    labels: ['tenant_id', 'provider', 'model'],
    series: 'adjusted_calls',
  },
  llm_savings_usd_total: {
    type: 'counter',
    help: 'What answers from a semantic cache would have cost, in US dollars.',
    labels: ['tenant_id', 'provider', 'model'],
    series: 'saved',
    unit: 'pico_usd',
  },
  llm_cache_savings_usd_total: {
    type: 'counter',
    help: "What prompt tokens from the provider's cache would have cost more as fresh ones, in US dollars.",
    labels: ['tenant_id', 'provider', 'model'],
    series: 'cache_saved',
    unit: 'pico_usd',
  },
  llm_unpriced_calls_total: {
    type: 'counter',
    help: 'Calls without a price, by reason.',
    labels: ['tenant_id', 'provider', 'model', 'reason'],
    series: 'unpriced',
  },
  llm_usage_source_calls_total: {
    type: 'counter',
    help: 'Calls by where their token counts come from.',
    labels: ['tenant_id', 'source'],
    series: 'usage_source_calls',
  },
  llm_usage_source_cost_usd_total: {
    type: 'counter',
    help: 'Cost in US dollars by where the token counts come from.',
    labels: ['tenant_id', 'source'],
    series: 'usage_source_cost',
    unit: 'pico_usd',
  },
  llm_repeated_answers_total: {
    type: 'counter',
    help: 'Retrievals of answers that were billed before, stored at cost 0.',
    labels: ['tenant_id'],
    series: 'repeats',
  },
  llm_call_reasons_total: {
    type: 'counter',
    help: 'Calls whose amount may not be the whole truth, by reason: docs/read.md says what each means.',
    labels: ['tenant_id', 'reason'],
    series: 'reasons',
  },
  llm_provider_bill_above_list_usd_total: {
    type: 'counter',
    help: "What providers' own bills for single answers were above our list, in US dollars; the bill is the cost.",
    labels: ['provider'],
    series: 'bill_above_list',
    unit: 'pico_usd',
  },
  llm_provider_bill_below_list_usd_total: {
    type: 'counter',
    help: "What providers' own bills for single answers were below our list, in US dollars; the bill is the cost.",
    labels: ['provider'],
    series: 'bill_below_list',
    unit: 'pico_usd',
  },
  llm_agent_protocol_calls_total: {
    type: 'counter',
    help: 'Calls of tool servers (MCP) and agents (A2A) through the gateway, by JSON-RPC method; no model answered them.',
    labels: ['tenant_id', 'protocol', 'method', 'outcome'],
    series: 'agent_calls',
  },
  llm_agent_protocol_seconds_total: {
    type: 'counter',
    help: 'How long those calls took.',
    labels: ['tenant_id', 'protocol', 'method', 'outcome'],
    series: 'agent_milliseconds',
    unit: 'milliseconds',
  },
  llm_guardrail_events_total: {
    type: 'counter',
    help: 'Guardrail events.',
    labels: ['tenant_id', 'guardrail', 'stage', 'action'],
    series: 'guardrail',
  },
  kong_semantic_cache_requests_total: {
    type: 'counter',
    help: 'Calls that a semantic cache looked up.',
    labels: ['tenant_id'],
    series: 'cache_requests',
  },
  kong_semantic_cache_hits_total: {
    type: 'counter',
    help: 'Calls that a semantic cache answered.',
    labels: ['tenant_id'],
    series: 'cache_hits',
  },
  kong_semantic_cache_answers_total: {
    type: 'counter',
    help: 'Successful calls that a semantic cache looked up: answered by it (hit) or by the model (miss).',
    labels: ['tenant_id', 'provider', 'model', 'result'],
    series: 'cache_calls',
  },
  kong_semantic_cache_answer_seconds_total: {
    type: 'counter',
    help: 'How long those calls took.',
    labels: ['tenant_id', 'provider', 'model', 'result'],
    series: 'cache_milliseconds',
    unit: 'milliseconds',
  },
  kong_semantic_cache_lookup_cost_usd_total: {
    type: 'counter',
    help: 'What the embeddings of look-ups cost, in US dollars; not part of llm_cost_usd_total.',
    labels: ['tenant_id'],
    series: 'lookup_cost',
    unit: 'pico_usd',
  },
  kong_semantic_cache_unpriced_lookups_total: {
    type: 'counter',
    help: 'Look-ups by an embedding whose tokens Kong does not tell, or whose model has no price.',
    labels: ['tenant_id'],
    series: 'unpriced_lookups',
  },
  llm_rate_limited_calls_total: {
    type: 'counter',
    help: 'Calls refused with 429, by whom: the gateway or the provider.',
    labels: ['tenant_id', 'provider', 'by'],
    series: 'rate_limited',
  },
  llm_failed_attempts_total: {
    type: 'counter',
    help: 'Targets that the gateway tried before the one that answered.',
    labels: ['tenant_id', 'provider'],
    series: 'failed_attempts',
  },
  llm_tenant_claims_refused_total: {
    type: 'counter',
    help: 'Calls of a tenant whose client named another one (header or path) and was not believed.',
    labels: ['tenant_id'],
    series: 'tenant_claims',
  },
  llm_budget_spent_usd: {
    type: 'gauge',
    help: "Cost of the calls that started in the tenant's current day, week or month, adjustments included; falls when a period begins.",
    labels: ['tenant_id', 'period'],
  },
  llm_budget_limit_usd: {
    type: 'gauge',
    help: "The tenant's ceiling of the period; absent where there is none.",
    labels: ['tenant_id', 'period'],
  },
  llm_budget_unpriced_calls: {
    type: 'gauge',
    help: "Calls of the tenant's current period without a price: what they cost is not in the spent amount.",
    labels: ['tenant_id', 'period'],
  },
  llm_budget_period_start_timestamp_seconds: {
    type: 'gauge',
    help: "When the tenant's current period began, in its own time zone.",
    labels: ['tenant_id', 'period'],
  },
  llm_budget_period_end_timestamp_seconds: {
    type: 'gauge',
    help: "When the tenant's current period ends.",
    labels: ['tenant_id', 'period'],
  },

  observer_untapped_total: {
    type: 'counter',
    help: 'Calls that came without the tap, by route: what Kong logs is all that is known of them (durable).',
    labels: ['route'],
    series: 'untapped',
  },
  observer_websockets_total: {
    type: 'counter',
    help: 'WebSocket connections (realtime), by route: counted, and not read (durable).',
    labels: ['route'],
    series: 'websockets',
  },
  observer_captures_lost_total: {
    type: 'counter',
    help: 'Numbered captures that will never be counted, by reason; gap: nobody told why (durable).',
    labels: ['node', 'reason'],
    series: 'lost',
  },
  observer_captures_late_total: {
    type: 'counter',
    help: 'Captures that came after they were counted as lost, and were stored (durable).',
    labels: ['node'],
    series: 'late',
  },
  observer_captures_late_refused_total: {
    type: 'counter',
    help: 'Captures that came so late that nobody can tell whether they are stored; they are not counted (durable).',
    labels: ['node'],
    series: 'late_refused',
  },
  observer_plugin_errors_total: {
    type: 'counter',
    help: 'Errors that the plugin tells of itself, by kind (durable).',
    labels: ['kind'],
    series: 'plugin_errors',
  },
  observer_tap_errors_total: {
    type: 'counter',
    help: 'Failed hooks of the tap: what they should have gathered is missing from their captures (durable).',
    labels: ['node'],
    series: 'tap_errors',
  },
  observer_labels_folded_total: {
    type: 'counter',
    help: 'Labels of calls that folded into __other__ (durable).',
    labels: ['label'],
    series: 'folded',
  },
  observer_malformed_amounts_total: {
    type: 'counter',
    help: 'Amounts that cannot be (negative, fractional, beyond any integer), counted as 0, by field (durable).',
    labels: ['field'],
    series: 'malformed',
  },
  observer_captures_total: { type: 'counter', help: 'Captures received, by what became of them.', labels: ['result'] },
  observer_received_bytes_total: { type: 'counter', help: 'Bytes received at /v1/captures.', labels: [] },
  observer_requests_refused_total: {
    type: 'counter',
    help: 'Requests to /v1/captures that were refused, by reason.',
    labels: ['reason'],
  },
  observer_sink_calls_total: {
    type: 'counter',
    help: 'Calls settled at a sink: sent, sampled_out, dropped or rejected; and of its dead letters replayed or discarded (durable).',
    labels: ['sink', 'tenant_id', 'outcome', 'reason'],
  },
  observer_sink_retries_total: {
    type: 'counter',
    help: 'Batches sent again, by sink and reason.',
    labels: ['sink', 'reason'],
  },
  observer_sink_in_flight_calls: {
    type: 'gauge',
    help: 'Calls of the batch that a sink is being sent.',
    labels: ['sink'],
  },
  observer_sink_last_success_timestamp_seconds: {
    type: 'gauge',
    help: 'When a sink last took a batch.',
    labels: ['sink'],
  },
  observer_sink_lag_calls: {
    type: 'gauge',
    help: 'Calls that wait for a sink.',
    labels: ['sink', 'tenant_id'],
  },
  observer_sink_lag_seconds: { type: 'gauge', help: 'Age of the oldest call that waits for a sink.', labels: ['sink'] },
  observer_sink_held_calls: {
    type: 'gauge',
    help: "Calls that wait for one tenant's key or limit at a sink, while others go on.",
    labels: ['sink'],
  },
  observer_dead_letters: {
    type: 'gauge',
    help: 'Calls that a sink will never take, kept to be listed and replayed.',
    labels: ['sink'],
  },
  observer_log_bytes: { type: 'gauge', help: 'Bytes of the calls that wait for sinks.', labels: [] },
  observer_log_limit_bytes: {
    type: 'gauge',
    help: 'At it the oldest calls of sinks that lag are dropped; intake goes on.',
    labels: [],
  },
  observer_dead_letter_bytes: { type: 'gauge', help: 'Bytes of the dead letters.', labels: [] },
  observer_store_file_bytes: { type: 'gauge', help: 'Size of the database file.', labels: [] },
  observer_store_wal_bytes: { type: 'gauge', help: 'Size of its write-ahead log.', labels: [] },
  observer_store_write_failures_total: {
    type: 'counter',
    help: 'Transactions that failed and are tried again, by cause.',
    labels: ['cause'],
  },
  observer_store_writable: { type: 'gauge', help: '1 while the store can write, else 0.', labels: [] },
  observer_store_damaged_rows_total: {
    type: 'counter',
    help: 'Rows of the log that were set aside because their checksum was wrong.',
    labels: [],
  },
  observer_store_rolled_back_captures: {
    type: 'gauge',
    help: 'Captures that were acknowledged and are not in the store (an older one was put back), until an operator confirms it.',
    labels: [],
  },
  observer_series: {
    type: 'gauge',
    help: 'Lines of /metrics that the admitted tenants, providers and models may make.',
    labels: [],
  },
  observer_series_limit: {
    type: 'gauge',
    help: 'Beyond it models fold into __other__, and what folds is kept by name in the ledger.',
    labels: [],
  },
  observer_event_loop_lag_seconds: {
    type: 'gauge',
    help: 'Event-loop delay since the last scrape: p50, p99 and max.',
    labels: ['statistic'],
  },
  observer_langfuse_scores_total: {
    type: 'counter',
    help: 'Scores of guardrail events: sent, or refused by Langfuse for good.',
    labels: ['outcome'],
  },
  observer_estimates_total: {
    type: 'counter',
    help: 'Calls whose tokens were counted from the text, or should have been: counted, queue_full or failed.',
    labels: ['outcome'],
  },
  observer_estimate_queue_bytes: { type: 'gauge', help: 'Text that waits for its tokens to be counted.', labels: [] },
  observer_price_book_info: { type: 'gauge', help: 'The price data in use; always 1.', labels: ['version'] },
  observer_price_catalogue_timestamp_seconds: {
    type: 'gauge',
    help: 'When the list prices that come along were last compared with their source.',
    labels: [],
  },
  observer_price_book_loaded_timestamp_seconds: {
    type: 'gauge',
    help: 'Since when the price data in use are in use.',
    labels: [],
  },
  observer_price_book_reloads_total: {
    type: 'counter',
    help: 'Changes of the price file that were taken (ok) or refused (invalid: the book before it stays).',
    labels: ['result'],
  },
} as const satisfies Record<string, MetricDefinition>

export type MetricName = keyof typeof METRICS
/** Metrics whose values exposition.ts gathers. */
export type GatheredMetric = {
  [M in MetricName]: (typeof METRICS)[M] extends { series: string } | { type: 'histogram' } ? never : M
}[MetricName]
export type LabelsOf<M extends MetricName> = (typeof METRICS)[M]['labels'][number]
