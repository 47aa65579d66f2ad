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
  // Series of the ledger and the spool appear with what happened first: that alone has to be enough.
  scenario(
    'LLMSinkLosesCalls',
    { ...ENVIRONMENT, sink: 'loki', reason: 'spool_full' },
    [
      up([[240, 1]]),
      appearing('observer_sink_calls_total', { ...ofSink, outcome: 'dropped', reason: 'spool_full' }, 500),
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
