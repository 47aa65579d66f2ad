import { FIRST_TOKEN_BUCKETS, LATENCY_BUCKETS } from '../ledger/series.ts'

export interface MetricDefinition {
  type: 'counter' | 'gauge' | 'histogram'
  help: string
  labels: readonly string[]
  buckets?: readonly number[]
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
  },
  llm_cost_usd_total: {
    type: 'counter',
    help: 'Cost in US dollars, as first priced.',
    labels: ['tenant_id', 'provider', 'model'],
  },
  llm_failed_cost_usd_total: {
    type: 'counter',
    help: 'The part of the cost, in US dollars as first priced, that calls without a good answer took, by their status.',
    labels: ['tenant_id', 'provider', 'model', 'status'],
  },
  llm_finished_answers_total: {
    type: 'counter',
    help: 'Answers by why the model stopped: stop, length (cut off), tool_calls, content_filter, refusal, error, other.',
    labels: ['tenant_id', 'provider', 'model', 'reason'],
  },
  llm_cost_adjustment_usd_total: {
    type: 'counter',
    help: 'What repricing added to the cost (up) or took from it (down), in US dollars; both only grow.',
    labels: ['tenant_id', 'provider', 'model', 'direction'],
  },
  llm_adjusted_calls_total: {
    type: 'counter',
    help: 'Adjusting entries of repricing; a call that is adjusted again counts again.',
    labels: ['tenant_id', 'provider', 'model'],
  },
  llm_savings_usd_total: {
    type: 'counter',
    help: 'What answers from a semantic cache would have cost, in US dollars.',
    labels: ['tenant_id', 'provider', 'model'],
  },
  llm_cache_savings_usd_total: {
    type: 'counter',
    help: "What prompt tokens from the provider's cache would have cost more as fresh ones, in US dollars.",
    labels: ['tenant_id', 'provider', 'model'],
  },
  llm_unpriced_calls_total: {
    type: 'counter',
    help: 'Calls without a price, by reason.',
    labels: ['tenant_id', 'provider', 'model', 'reason'],
  },
  llm_usage_source_calls_total: {
    type: 'counter',
    help: 'Calls by where their token counts come from.',
    labels: ['tenant_id', 'source'],
  },
  llm_usage_source_cost_usd_total: {
    type: 'counter',
    help: 'Cost in US dollars by where the token counts come from.',
    labels: ['tenant_id', 'source'],
  },
  llm_repeated_answers_total: {
    type: 'counter',
    help: 'Answers seen again (polls, replays), stored at cost 0.',
    labels: ['tenant_id'],
  },
  llm_guardrail_events_total: {
    type: 'counter',
    help: 'Guardrail events.',
    labels: ['tenant_id', 'guardrail', 'stage', 'action'],
  },
  kong_semantic_cache_requests_total: {
    type: 'counter',
    help: 'Calls that a semantic cache looked up.',
    labels: ['tenant_id'],
  },
  kong_semantic_cache_hits_total: {
    type: 'counter',
    help: 'Calls that a semantic cache answered.',
    labels: ['tenant_id'],
  },
  kong_semantic_cache_answers_total: {
    type: 'counter',
    help: 'Successful calls that a semantic cache looked up: answered by it (hit) or by the model (miss).',
    labels: ['tenant_id', 'provider', 'model', 'result'],
  },
  kong_semantic_cache_answer_seconds_total: {
    type: 'counter',
    help: 'How long those calls took.',
    labels: ['tenant_id', 'provider', 'model', 'result'],
  },
  kong_semantic_cache_lookup_cost_usd_total: {
    type: 'counter',
    help: 'What the embeddings of look-ups cost, in US dollars; not part of llm_cost_usd_total.',
    labels: ['tenant_id'],
  },
  kong_semantic_cache_unpriced_lookups_total: {
    type: 'counter',
    help: 'Look-ups by an embedding whose tokens Kong does not tell, or whose model has no price.',
    labels: ['tenant_id'],
  },
  llm_rate_limited_calls_total: {
    type: 'counter',
    help: 'Calls refused with 429, by whom: the gateway or the provider.',
    labels: ['tenant_id', 'provider', 'by'],
  },
  llm_failed_attempts_total: {
    type: 'counter',
    help: 'Targets that the gateway tried before the one that answered.',
    labels: ['tenant_id', 'provider'],
  },
  llm_tenant_claims_refused_total: {
    type: 'counter',
    help: 'Calls of a tenant whose client named another one (header or path) and was not believed.',
    labels: ['tenant_id'],
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
  },
  observer_websockets_total: {
    type: 'counter',
    help: 'WebSocket connections (realtime), by route: counted, and not read (durable).',
    labels: ['route'],
  },
  observer_capture_gaps_total: {
    type: 'counter',
    help: 'Captures that the tap numbered and that never came (durable).',
    labels: ['node'],
  },
  observer_capture_late_total: {
    type: 'counter',
    help: 'Captures that came after they were given up (durable).',
    labels: ['node'],
  },
  observer_plugin_dropped_total: {
    type: 'counter',
    help: 'Captures that the plugin dropped, by reason (durable).',
    labels: ['reason'],
  },
  observer_tap_errors_total: {
    type: 'counter',
    help: 'Failed hooks of the tap: what they should have gathered is missing from their captures (durable).',
    labels: ['node'],
  },
  observer_labels_folded_total: {
    type: 'counter',
    help: 'Labels of calls that folded into __other__ (durable).',
    labels: ['label'],
  },
  observer_malformed_amounts_total: {
    type: 'counter',
    help: 'Amounts that cannot be (negative, fractional, beyond any integer), counted as 0, by field (durable).',
    labels: ['field'],
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
  observer_reader_lag_calls: {
    type: 'gauge',
    help: 'Calls that a reader has not settled yet.',
    labels: ['reader', 'tenant_id'],
  },
  observer_reader_lag_seconds: {
    type: 'gauge',
    help: 'Age of the oldest call that a reader has not settled.',
    labels: ['reader'],
  },
  observer_dead_letters: {
    type: 'gauge',
    help: 'Calls that a sink will never take, kept to be listed and replayed.',
    labels: ['reader'],
  },
  observer_spool_bytes: { type: 'gauge', help: 'Size of the spool, write-ahead log included.', labels: [] },
  observer_spool_ids_forgotten_total: {
    type: 'counter',
    help: 'Call ids forgotten before their seven days for want of room: such a call sent again would count twice.',
    labels: [],
  },
  observer_spool_limit_bytes: {
    type: 'gauge',
    help: 'Size at which the spool makes room, and then refuses.',
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
export type LabelsOf<M extends MetricName> = (typeof METRICS)[M]['labels'][number]
