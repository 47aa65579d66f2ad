import { FIRST_TOKEN_BUCKETS, LATENCY_BUCKETS } from '../../sidecar/ledger/series.ts'
import {
  CALLS,
  type Course,
  counter,
  ENVIRONMENT,
  gauge,
  histogram,
  KONG,
  quietThenLoud,
  type Scenario,
  SIDECAR,
  scenario,
} from './scenario.ts'

const call = { ...SIDECAR, ...CALLS }
const tenant = { ...SIDECAR, tenant_id: 'blue' }
const atProvider = { ...ENVIRONMENT, provider: 'openai' }
const atModel = { ...atProvider, model: 'gpt-4o' }
const ofTenant = { ...ENVIRONMENT, tenant_id: 'blue' }
const ofModel = { ...ofTenant, model: 'gpt-4o' }
const ok = (course: Course) => counter('llm_calls_total', { ...call, status: 'ok' }, course)
const failed = (course: Course, status = 'server_error') => counter('llm_calls_total', { ...call, status }, course)
const up = (course: Course, labels = SIDECAR as Record<string, string>) => gauge('up', labels, course)
const lag = (reader: string, course: Course) => gauge('observer_reader_lag_seconds', { ...SIDECAR, reader }, course)
const latency = (course: Parameters<typeof histogram>[3]) =>
  histogram('llm_latency_seconds', call, LATENCY_BUCKETS, course)

const providers: Scenario[] = [
  scenario(
    'LLMProviderDown',
    atProvider,
    [
      ok([
        [60, 5],
        [30, 0],
      ]),
      failed([
        [60, 0],
        [30, 5],
      ]),
    ],
    { interval: '5s', silentAt: 60, firesAt: 69 },
  ),
  scenario('LLMProviderErrors', atProvider, [ok(quietThenLoud(20, 16)), failed(quietThenLoud(0, 4))]),
  scenario('LLMProviderRateLimited', atProvider, [
    ok(quietThenLoud(20, 18)),
    failed(quietThenLoud(0, 2), 'rate_limited'),
    counter(
      'llm_rate_limited_calls_total',
      { ...SIDECAR, tenant_id: 'blue', provider: 'openai', by: 'provider' },
      quietThenLoud(0, 2),
    ),
  ]),
  scenario(
    'LLMLatencyHigh',
    atModel,
    latency([
      [80, 5, 2],
      [160, 5, 50],
    ]),
  ),
  scenario(
    'LLMFirstTokenSlow',
    atModel,
    histogram('llm_time_to_first_token_seconds', call, FIRST_TOKEN_BUCKETS, [
      [80, 5, 0.5],
      [160, 5, 7],
    ]),
  ),
  scenario('LLMFailOver', atProvider, [
    ok(quietThenLoud(10, 10)),
    counter('llm_failed_attempts_total', { ...tenant, provider: 'openai' }, quietThenLoud(0, 3)),
  ]),
  scenario(
    'LLMAnswersCutOff',
    atModel,
    [
      counter('llm_finished_answers_total', { ...call, reason: 'stop' }, quietThenLoud(10, 3)),
      counter('llm_finished_answers_total', { ...call, reason: 'length' }, [
        [80, 0],
        [320, 7],
      ]),
    ],
    { firesAt: 399 },
  ),
  scenario(
    'LLMTrafficStopped',
    ENVIRONMENT,
    [
      ok([
        [1500, 60],
        [60, 0],
      ]),
    ],
    { interval: '1m', silentAt: 1500, firesAt: 1530 },
  ),
]

const slo = (id: string) => ({ ...ENVIRONMENT, slo: id })
const stale: Course = [
  [120, 1],
  [240, 0],
]
const burn = (id: string, valid: number, bad: Course) => [
  gauge('slo:sli_valid:rate5m', slo(id), [[4000, valid]]),
  gauge('slo:sli_error:rate5m', slo(id), bad),
]
const slos: Scenario[] = [
  scenario('LLMSuccessBurnFast', slo('success'), [ok(quietThenLoud(20, 16)), failed(quietThenLoud(0, 4))]),
  scenario(
    'LLMSuccessBurnSlow',
    slo('success'),
    burn('success', 10, [
      [2000, 0],
      [2000, 0.2],
    ]),
    { interval: '5m', silentAt: 2000, firesAt: 2300 },
  ),
  scenario(
    'LLMLatencyBurnFast',
    slo('latency'),
    latency([
      [80, 5, 2],
      [160, 5, 50],
    ]),
  ),
  scenario(
    'LLMLatencyBurnSlow',
    slo('latency'),
    burn('latency', 10, [
      [2000, 0],
      [2000, 1.6],
    ]),
    { interval: '5m', silentAt: 2000, firesAt: 2300 },
  ),
  scenario('LLMFreshnessBurnFast', slo('freshness'), [up(stale)], { silentAt: 119, firesAt: 160 }),
  scenario(
    'LLMFreshnessBurnSlow',
    slo('freshness'),
    burn('freshness', 1, [
      [2000, 0],
      [2000, 0.004],
    ]),
    { interval: '5m', silentAt: 2000, firesAt: 2300 },
  ),
]

const cost = (course: Course, labels: Record<string, string> = call) => counter('llm_cost_usd_total', labels, course)
const source = (
  name: 'llm_usage_source_cost_usd_total' | 'llm_usage_source_calls_total',
  from: string,
  course: Course,
) => counter(name, { ...tenant, source: from }, course)
const costs: Scenario[] = [
  scenario(
    'LLMCostSpike',
    ofTenant,
    [
      cost([
        [1600, 0.01],
        [40, 0.5],
      ]),
    ],
    { interval: '1m', silentAt: 1600, firesAt: 1625 },
  ),
  scenario('LLMUnpricedCalls', { ...atModel, reason: 'unknown_model' }, [
    counter('llm_unpriced_calls_total', { ...call, reason: 'unknown_model' }, quietThenLoud(0, 1)),
  ]),
  scenario('LLMUsageUnknown', ofTenant, [
    source('llm_usage_source_calls_total', 'provider', quietThenLoud(5, 5)),
    source('llm_usage_source_calls_total', 'unknown', quietThenLoud(0, 1)),
  ]),
  scenario(
    'LLMEstimatedShareHigh',
    ofTenant,
    [
      source('llm_usage_source_cost_usd_total', 'provider', [
        [120, 0.1],
        [400, 0.1],
      ]),
      source('llm_usage_source_cost_usd_total', 'estimated', [
        [120, 0],
        [400, 0.1],
      ]),
    ],
    { silentAt: 120, firesAt: 500 },
  ),
  scenario(
    'LLMUnattributedSpend',
    ENVIRONMENT,
    [
      cost([
        [120, 0.1],
        [400, 0.1],
      ]),
      cost(
        [
          [120, 0],
          [400, 0.1],
        ],
        { ...call, tenant_id: 'unattributed' },
      ),
    ],
    { silentAt: 120, firesAt: 500 },
  ),
  scenario(
    'LLMFailedCallsCostMoney',
    ofTenant,
    [
      cost([
        [120, 0.1],
        [400, 0.1],
      ]),
      counter('llm_failed_cost_usd_total', { ...call, status: 'timeout' }, [
        [120, 0],
        [400, 0.03],
      ]),
    ],
    { silentAt: 120, firesAt: 500 },
  ),
  // promtool's clock begins at 1970: the list is of that day.
  scenario('LLMPricesOld', ENVIRONMENT, [gauge('observer_price_catalogue_timestamp_seconds', SIDECAR, [[17_600, 0]])], {
    interval: '5m',
    silentAt: 17_200,
    firesAt: 17_400,
  }),
  scenario(
    'LLMPriceFileRefused',
    { ...ENVIRONMENT, instance: 'sidecar:8086' },
    [
      counter('observer_price_book_reloads_total', { ...SIDECAR, result: 'invalid' }, [
        [100, 0],
        [1, 1],
        [60, 0],
      ]),
    ],
    { silentAt: 100, firesAt: 130 },
  ),
  scenario(
    'LLMCacheHitRateDropped',
    ofTenant,
    [
      counter('kong_semantic_cache_requests_total', tenant, [[1620, 10]]),
      counter('kong_semantic_cache_hits_total', tenant, [
        [1500, 6],
        [120, 1],
      ]),
    ],
    { interval: '1m', silentAt: 1500, firesAt: 1610 },
  ),
]

const month = { ...tenant, period: 'month' }
const ofMonth = { ...ofTenant, period: 'month' }
const DAY = 86_400
/** A month that begins at 0 and has 30 days, with a ceiling of 100 dollars. */
const budget = (spent: Course, length = 500) => [
  gauge('llm_budget_spent_usd', month, spent),
  gauge('llm_budget_limit_usd', month, [[length, 100]]),
  gauge('llm_budget_period_start_timestamp_seconds', month, [[length, 0]]),
  gauge('llm_budget_period_end_timestamp_seconds', month, [[length, 30 * DAY]]),
]
const growing = (perStep: number, steps: number): Course =>
  Array.from({ length: steps }, (_, n) => [1, n * perStep] as const)
const budgets: Scenario[] = [
  scenario('LLMBudgetHalfSpent', ofMonth, budget(quietThenLoud(49, 51))),
  scenario('LLMBudgetNearlySpent', ofMonth, budget(quietThenLoud(79, 81))),
  scenario('LLMBudgetExceeded', ofMonth, budget(quietThenLoud(99, 100))),
  // 0.03 a minute are 43 a day; 0.002 are 3.
  scenario(
    'LLMBudgetForecastExceeded',
    ofMonth,
    [
      ...budget([[6000, 0], ...Array.from({ length: 1000 }, (_, n) => [1, n * 0.03] as const)], 7000),
      cost([
        [6000, 0.0002],
        [1000, 0.03],
      ]),
    ],
    { interval: '1m', silentAt: 6000, firesAt: 6900 },
  ),
  scenario(
    'LLMBudgetExceededSoon',
    ofMonth,
    budget([...growing(0.001, 3000), ...Array.from({ length: 3000 }, (_, n) => [1, 51 + n * 0.01] as const)], 6000),
    { interval: '1m', silentAt: 2990, firesAt: 3600 },
  ),
  scenario('LLMBudgetBlind', ofMonth, [
    ...budget([[240, 5]]),
    gauge('llm_budget_unpriced_calls', month, quietThenLoud(3, 12)),
  ]),
]

const steady = (course: Course) => [ok(course), cost(course.map(([scrapes, value]) => [scrapes, value / 10] as const))]
const anomalies: Scenario[] = [
  scenario(
    'LLMCostAnomaly',
    ofModel,
    steady([
      [1700, 20],
      [60, 200],
    ]),
    { interval: '1m', silentAt: 1700, firesAt: 1730 },
  ),
  scenario(
    'LLMTrafficAnomaly',
    ofModel,
    steady([
      [1700, 40],
      [60, 400],
    ]),
    { interval: '1m', silentAt: 1700, firesAt: 1730 },
  ),
  scenario(
    'LLMTrafficLost',
    ofModel,
    steady([
      [1700, 40],
      [60, 0],
    ]),
    { interval: '1m', silentAt: 1700, firesAt: 1730 },
  ),
]

const guardrail = { ...tenant, guardrail: 'ai-prompt-guard', stage: 'input', action: 'blocked' }
const guardrails: Scenario[] = [
  scenario(
    'LLMGuardrailSurge',
    { ...ofTenant, guardrail: 'ai-prompt-guard' },
    [
      counter('llm_guardrail_events_total', guardrail, [
        [200, 0.02],
        [40, 5],
      ]),
    ],
    { interval: '1m', silentAt: 200, firesAt: 225 },
  ),
  scenario('LLMRefusalsHigh', atModel, [
    counter('llm_finished_answers_total', { ...call, reason: 'stop' }, quietThenLoud(10, 10)),
    counter('llm_finished_answers_total', { ...call, reason: 'refusal' }, quietThenLoud(0, 5)),
  ]),
  scenario('LLMTenantForged', ofTenant, [counter('llm_tenant_claims_refused_total', tenant, quietThenLoud(0, 1))]),
  scenario('LLMUnauthorizedSurge', ofTenant, [ok(quietThenLoud(10, 10)), failed(quietThenLoud(0, 5), 'unauthorized')]),
]

const byService = { ...ENVIRONMENT, service: 'openai' }
const request = { ...KONG, service: 'openai', route: 'chat', workspace: 'default', consumer: '' }
const dictionary = { ...KONG, node_id: 'n', shared_dict: 'kong', kong_subsystem: 'http' }
const gateway: Scenario[] = [
  scenario('LLMKongDown', { ...ENVIRONMENT, job: 'kong', instance: 'kong:8100' }, [up(quietThenLoud(1, 0), KONG)]),
  scenario('LLMKongErrors', byService, [
    counter('kong_http_requests_total', { ...request, code: '200', source: 'service' }, quietThenLoud(10, 10)),
    counter('kong_http_requests_total', { ...request, code: '503', source: 'kong' }, quietThenLoud(0, 2)),
  ]),
  scenario(
    'LLMKongSlow',
    byService,
    histogram(
      'kong_kong_latency_ms',
      { ...KONG, service: 'openai', route: 'chat', workspace: 'default' },
      [25, 50, 80, 100, 250, 400],
      [
        [80, 10, 3],
        [160, 10, 200],
      ],
    ),
  ),
  scenario('LLMKongTargetUnhealthy', { ...ENVIRONMENT, upstream: 'llm', target: 'a:443' }, [
    gauge(
      'kong_upstream_target_health',
      { ...KONG, upstream: 'llm', target: 'a:443', address: '10.0.0.1:443', state: 'unhealthy', subsystem: 'http' },
      quietThenLoud(0, 1),
    ),
  ]),
  scenario('LLMKongMemory', { ...ENVIRONMENT, instance: 'kong:8100', shared_dict: 'kong' }, [
    gauge('kong_memory_lua_shared_dict_bytes', dictionary, quietThenLoud(10, 95)),
    gauge('kong_memory_lua_shared_dict_total_bytes', dictionary, [[240, 100]]),
  ]),
]

const atSidecar = { ...ENVIRONMENT, instance: 'sidecar:8086' }
const captures = counter('observer_captures_total', { ...SIDECAR, result: 'stored' }, [[240, 20]])
const counted = (name: Parameters<typeof counter>[0], labels: Record<string, string>, each: number) =>
  counter(name, { ...SIDECAR, ...labels }, quietThenLoud(0, each))
const telemetry: Scenario[] = [
  scenario('LLMObserverDown', { ...atSidecar, job: 'llm-observer' }, [up(quietThenLoud(1, 0))]),
  scenario('LLMObserverAbsent', { job: 'llm-observer' }, [up([[80, 1]])], { silentAt: 79, firesAt: 160 }),
  scenario('LLMLedgerBehind', atSidecar, [lag('ledger', quietThenLoud(2, 90))]),
  scenario(
    'LLMCaptureGaps',
    ENVIRONMENT,
    [
      captures,
      counter('observer_capture_gaps_total', { ...SIDECAR, node: 'n' }, [
        [80, 0],
        [20, 2],
        [140, 0],
      ]),
    ],
    { firesAt: 110 },
  ),
  scenario('LLMCapturesDropped', { ...ENVIRONMENT, reason: 'queue_full' }, [
    counted('observer_plugin_dropped_total', { reason: 'queue_full' }, 1),
  ]),
  scenario('LLMCapturesInvalid', ENVIRONMENT, [counted('observer_captures_total', { result: 'invalid' }, 1)]),
  scenario('LLMReceiveRefused', { ...ENVIRONMENT, reason: 'spool_full' }, [
    counted('observer_requests_refused_total', { reason: 'spool_full' }, 1),
  ]),
  scenario(
    'LLMSpoolFilling',
    SIDECAR,
    [
      gauge('observer_spool_bytes', SIDECAR, [
        [240, 100],
        ...Array.from({ length: 240 }, (_, n) => [1, 100 + n * 3] as const),
      ]),
      gauge('observer_spool_limit_bytes', SIDECAR, [[480, 1000]]),
    ],
    { silentAt: 240, firesAt: 470 },
  ),
  scenario('LLMSinkBehind', { ...atSidecar, reader: 'loki' }, [lag('loki', quietThenLoud(2, 1000))]),
  scenario('LLMSinkLosesCalls', { ...ENVIRONMENT, sink: 'loki', reason: 'spool_full' }, [
    counted(
      'observer_sink_calls_total',
      { sink: 'loki', tenant_id: 'blue', outcome: 'dropped', reason: 'spool_full' },
      1,
    ),
  ]),
  scenario('LLMDeadLetters', { ...ENVIRONMENT, sink: 'loki' }, [
    counted(
      'observer_sink_calls_total',
      { sink: 'loki', tenant_id: 'blue', outcome: 'rejected', reason: 'http_400' },
      1,
    ),
  ]),
  scenario('LLMResendsForgotten', ENVIRONMENT, [counted('observer_spool_ids_forgotten_total', {}, 1)]),
  scenario('LLMTapErrors', { ...ENVIRONMENT, node: 'n' }, [counted('observer_tap_errors_total', { node: 'n' }, 1)]),
  scenario('LLMRouteUntapped', { ...ENVIRONMENT, route: 'plain' }, [
    counted('observer_untapped_total', { route: 'plain' }, 1),
  ]),
  scenario('LLMLabelsFolded', { ...ENVIRONMENT, label: 'model' }, [
    counted('observer_labels_folded_total', { label: 'model' }, 1),
  ]),
  scenario('LLMAmountsMalformed', { ...ENVIRONMENT, field: 'tokens' }, [
    counted('observer_malformed_amounts_total', { field: 'tokens' }, 1),
  ]),
  scenario('LLMEstimatesFailing', { ...ENVIRONMENT, outcome: 'queue_full' }, [
    counted('observer_estimates_total', { outcome: 'queue_full' }, 1),
  ]),
  scenario('LLMScoresRefused', ENVIRONMENT, [counted('observer_langfuse_scores_total', { outcome: 'refused' }, 1)]),
  scenario('LLMEventLoopSlow', atSidecar, [
    gauge('observer_event_loop_lag_seconds', { ...SIDECAR, statistic: 'p99' }, quietThenLoud(0.02, 0.8)),
  ]),
  scenario('LLMAlertsNotDelivered', { ...ENVIRONMENT, integration: 'slack' }, [
    counter(
      'alertmanager_notifications_failed_total',
      {
        ...ENVIRONMENT,
        job: 'alertmanager',
        instance: 'a:9093',
        integration: 'slack',
        receiver_name: 'x',
        reason: 'other',
      },
      quietThenLoud(0, 1),
    ),
  ]),
  scenario('LLMRulesFailing', { ...ENVIRONMENT, rule_group: 'llm-calls' }, [
    counter(
      'prometheus_rule_evaluation_failures_total',
      { ...ENVIRONMENT, job: 'prometheus', instance: 'p:9090', rule_group: 'llm-calls' },
      quietThenLoud(0, 1),
    ),
  ]),
]

/** For every alert but the watchdog, which always fires: quiet, and then what it is for. */
export const SCENARIOS: readonly Scenario[] = [
  ...providers,
  ...slos,
  ...costs,
  ...budgets,
  ...anomalies,
  ...guardrails,
  ...gateway,
  ...telemetry,
]
