import { lag, up } from '../ordinary-series.ts'
import { appearing, counter, ENVIRONMENT, gauge, quietThenLoud, type Scenario, SIDECAR, scenario } from '../scenario.ts'

const atSidecar = { ...ENVIRONMENT, instance: 'sidecar:8086' }
const captures = counter('observer_captures_total', { ...SIDECAR, result: 'stored' }, [[240, 20]])
const counted = (name: Parameters<typeof counter>[0], labels: Record<string, string>, each: number) =>
  counter(name, { ...SIDECAR, ...labels }, quietThenLoud(0, each))
const ofSink = { ...SIDECAR, sink: 'loki', tenant_id: 'blue' }
export const TELEMETRY_SCENARIOS: readonly Scenario[] = [
  scenario('LLMObserverDown', { ...atSidecar, job: 'llm-observer' }, [up(quietThenLoud(1, 0))]),
  scenario('LLMObserverAbsent', { job: 'llm-observer' }, [up([[80, 1]])], { silentAt: 79, firesAt: 160 }),
  scenario('LLMStoreUnwritable', atSidecar, [gauge('observer_store_writable', SIDECAR, quietThenLoud(1, 0))]),
  scenario('LLMStoreRolledBack', atSidecar, [
    gauge('observer_store_rolled_back_captures', SIDECAR, quietThenLoud(0, 1234)),
  ]),
  scenario(
    'LLMStoreRowsDamaged',
    atSidecar,
    [
      counter('observer_store_damaged_rows_total', SIDECAR, [
        [80, 0],
        [1, 3],
        [159, 0],
      ]),
    ],
    { firesAt: 82 },
  ),
  scenario(
    'LLMCaptureGaps',
    ENVIRONMENT,
    [
      captures,
      counter('observer_captures_lost_total', { ...SIDECAR, node: 'n', reason: 'gap' }, [
        [80, 0],
        [20, 2],
        [140, 0],
      ]),
    ],
    { firesAt: 110 },
  ),
  // A gap is the first event of its node's series.
  scenario(
    'LLMCaptureGaps',
    ENVIRONMENT,
    [
      up([[400, 1]]),
      counter('observer_captures_total', { ...SIDECAR, result: 'stored' }, [[400, 20]]),
      appearing('observer_captures_lost_total', { ...SIDECAR, node: 'n', reason: 'gap' }, 40, 300),
    ],
    { course: 'many at once, in a series that appears with them', silentAt: 300, firesAt: 310 },
  ),
  scenario('LLMCapturesDropped', { ...ENVIRONMENT, reason: 'queue_full' }, [
    counted('observer_captures_lost_total', { node: 'n', reason: 'queue_full' }, 1),
    // Other alerts tell of these.
    counted('observer_captures_lost_total', { node: 'n', reason: 'gap' }, 1),
    counted('observer_captures_lost_total', { node: 'n', reason: 'store_rolled_back' }, 1),
  ]),
  scenario(
    'LLMCapturesDropped',
    { ...ENVIRONMENT, reason: 'shutdown' },
    [up([[240, 1]]), appearing('observer_captures_lost_total', { ...SIDECAR, node: 'n', reason: 'shutdown' }, 30)],
    { course: 'many at once, and never again', firesAt: 100 },
  ),
  scenario('LLMCapturesInvalid', ENVIRONMENT, [counted('observer_captures_total', { result: 'invalid' }, 1)]),
  scenario('LLMReceiveRefused', { ...ENVIRONMENT, reason: 'store_unavailable' }, [
    counted('observer_requests_refused_total', { reason: 'store_unavailable' }, 1),
  ]),
  scenario(
    'LLMLogFilling',
    SIDECAR,
    [
      gauge('observer_log_bytes', SIDECAR, [
        [240, 100],
        ...Array.from({ length: 240 }, (_, n) => [1, 100 + n * 3] as const),
      ]),
      gauge('observer_log_limit_bytes', SIDECAR, [[480, 1000]]),
    ],
    { silentAt: 240, firesAt: 470 },
  ),
  scenario('LLMSinkBehind', { ...atSidecar, sink: 'loki' }, [lag('loki', quietThenLoud(2, 1000))]),
  scenario('LLMSinkHoldsCalls', { ...atSidecar, sink: 'langfuse' }, [
    gauge('observer_sink_held_calls', { ...SIDECAR, sink: 'langfuse' }, quietThenLoud(0, 7)),
  ]),
  scenario('LLMSinkLosesCalls', { ...ENVIRONMENT, sink: 'loki', reason: 'log_full' }, [
    counted(
      'observer_sink_calls_total',
      { sink: 'loki', tenant_id: 'blue', outcome: 'dropped', reason: 'log_full' },
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
  // Series of the ledger and the sinks appear with what happened first: that alone has to be enough.
  scenario(
    'LLMSinkLosesCalls',
    { ...ENVIRONMENT, sink: 'loki', reason: 'log_full' },
    [
      up([[240, 1]]),
      appearing('observer_sink_calls_total', { ...ofSink, outcome: 'dropped', reason: 'log_full' }, 500),
    ],
    { course: 'many at once, and never again', firesAt: 100 },
  ),
  scenario(
    'LLMDeadLetters',
    { ...ENVIRONMENT, sink: 'loki' },
    [
      up([[2000, 1]]),
      appearing('observer_sink_calls_total', { ...ofSink, outcome: 'rejected', reason: 'http_400' }, 5, 1600),
    ],
    { course: 'a handful at once, and never again', interval: '1m', silentAt: 1600, firesAt: 1700 },
  ),
  scenario('LLMPluginErrors', { ...ENVIRONMENT, kind: 'connection_closed' }, [
    counted('observer_plugin_errors_total', { kind: 'connection_closed' }, 1),
    counted('observer_plugin_errors_total', { kind: 'sidecar_away' }, 1),
  ]),
  scenario('LLMTapErrors', { ...ENVIRONMENT, node: 'n' }, [counted('observer_tap_errors_total', { node: 'n' }, 1)]),
  scenario('LLMRouteUntapped', { ...ENVIRONMENT, route: 'plain' }, [
    counted('observer_untapped_total', { route: 'plain' }, 1),
  ]),
  scenario('LLMLabelsFolded', { ...ENVIRONMENT, label: 'model' }, [
    counted('observer_labels_folded_total', { label: 'model' }, 1),
  ]),
  scenario('LLMSeriesNearLimit', atSidecar, [
    gauge('observer_series', SIDECAR, quietThenLoud(100_000, 170_000)),
    gauge('observer_series_limit', SIDECAR, [[240, 200_000]]),
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
