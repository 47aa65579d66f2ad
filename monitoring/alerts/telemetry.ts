import type { AlertGroup } from '../alert.ts'
import { aggregate, increase, increaseWithFirst, maxBy, metric, predictLinear, promql, sumBy } from '../promql.ts'

const bySidecar = ['environment', 'instance'] as const
const bySink = ['environment', 'sink'] as const
const gaps = sumBy(['environment'], increaseWithFirst(metric('observer_captures_lost_total', { reason: 'gap' }), '1h'))
const captures = sumBy(['environment'], increase(metric('observer_captures_total', { result: 'stored' }), '1h'))

export const TELEMETRY_ALERTS: AlertGroup = {
  name: 'llm-telemetry-alerts',
  interval: '15s',
  alerts: [
    {
      name: 'LLMWatchdog',
      priority: 'P4',
      expr: promql`vector(1)`,
      summary: 'The alerting pipeline works',
      description: 'Fires always. Whoever receives it raises the alarm when it stops coming.',
      board: 'telemetry',
    },
    {
      name: 'LLMObserverDown',
      priority: 'P1',
      expr: promql`${maxBy(['environment', 'instance', 'job'], metric('up', { job: 'llm-observer' }))} == 0`,
      // A restart is none; the plugin's queue lasts some 14 minutes at a million calls a day.
      for: '2m',
      summary: 'The sidecar {{ $labels.instance }} is down',
      description:
        'It has not answered a scrape for 2 minutes. The plugin holds what it can, some minutes of calls; beyond its queue they are lost, and counted.',
      board: 'telemetry',
    },
    {
      name: 'LLMObserverAbsent',
      priority: 'P1',
      expr: promql`absent(${metric('up', { job: 'llm-observer' })})`,
      for: '5m',
      summary: 'Prometheus scrapes no sidecar',
      description: 'No target of the job llm-observer is known: every board and alert about calls is blind.',
      board: 'telemetry',
    },
    {
      name: 'LLMStoreUnwritable',
      priority: 'P1',
      expr: promql`${aggregate('min', bySidecar, metric('observer_store_writable'))} == 0`,
      // Another program that holds the file for some seconds is no incident.
      for: '1m',
      summary: 'The store of {{ $labels.instance }} cannot write',
      description:
        'Captures are refused; the plugin keeps them until its queue is full, some minutes. Then calls and their cost are lost.',
      board: 'telemetry',
    },
    {
      name: 'LLMStoreRolledBack',
      priority: 'P1',
      expr: promql`${maxBy(bySidecar, metric('observer_store_rolled_back_captures'))} > 0`,
      for: '1m',
      summary: 'The store of {{ $labels.instance }} went back',
      description:
        '{{ $value | humanize }} captures that it had acknowledged are not in it: an older file was put back, or another one. Captures are taken; the sidecar is not ready until somebody confirms it.',
      board: 'telemetry',
    },
    {
      name: 'LLMStoreRowsDamaged',
      priority: 'P2',
      expr: promql`${sumBy(bySidecar, increase(metric('observer_store_damaged_rows_total'), '1h'))} > 0`,
      summary: 'Rows in the store of {{ $labels.instance }} are damaged',
      description:
        '{{ $value | humanize }} calls within an hour were set aside before their sinks had them: the disk, or somebody who wrote into the file. The ledger is not touched by these.',
      board: 'telemetry',
    },
    {
      name: 'LLMCaptureGaps',
      priority: 'P2',
      expr: promql`${gaps} / (${captures} > 0) > 0.001 and ${gaps} >= 10`,
      for: '1m',
      summary: 'Calls were made that nobody counted',
      description:
        '{{ $value | humanizePercentage }} of the captures of the last hour were lost between Kong and the sidecar, and nobody told why: their cost is missing.',
      board: 'telemetry',
    },
    {
      name: 'LLMCapturesDropped',
      priority: 'P2',
      // Of a store that went back the page says it.
      expr: promql`${sumBy(['environment', 'reason'], increaseWithFirst(metric('observer_captures_lost_total', { reason: { matchesNot: 'gap|store_rolled_back' } }), '15m'))} >= 10`,
      for: '1m',
      summary: 'Captures are lost: {{ $labels.reason }}',
      description: '{{ $value | humanize }} captures in 15 minutes: their cost is missing.',
      board: 'telemetry',
    },
    {
      name: 'LLMCapturesInvalid',
      priority: 'P3',
      expr: promql`${sumBy(['environment'], increase(metric('observer_captures_total', { result: 'invalid' }), '15m'))} >= 5`,
      for: '1m',
      summary: 'The sidecar cannot read what the plugin sends',
      description:
        '{{ $value | humanize }} captures in 15 minutes were not valid. Are plugin and sidecar of versions that belong together?',
      board: 'telemetry',
    },
    {
      name: 'LLMReceiveRefused',
      priority: 'P2',
      expr: promql`${sumBy(['environment', 'reason'], increase(metric('observer_requests_refused_total'), '10m'))} >= 10`,
      for: '2m',
      summary: 'The sidecar refuses what the plugin sends: {{ $labels.reason }}',
      description: '{{ $value | humanize }} requests in 10 minutes. The plugin keeps them until its queue is full.',
      board: 'telemetry',
    },
    {
      name: 'LLMLogFilling',
      priority: 'P2',
      expr: promql`${predictLinear(metric('observer_log_bytes'), '1h', 4 * 3600)} > on (job, instance, environment, region) ${metric('observer_log_limit_bytes')} and on (job, instance, environment, region) ${metric('observer_log_bytes')} > on (job, instance, environment, region) 0.5 * ${metric('observer_log_limit_bytes')}`,
      for: '15m',
      summary: 'The log of {{ $labels.instance }} will be full within four hours',
      description:
        'Calls wait for a sink; they are heading for {{ $value | humanize1024 }}B. At the limit the oldest are dropped for the sinks that lag. Captures are taken and counted all the same.',
      board: 'telemetry',
    },
    {
      name: 'LLMSinkBehind',
      priority: 'P3',
      expr: promql`${maxBy(['environment', 'instance', 'sink'], metric('observer_sink_lag_seconds'))} > 900`,
      for: '5m',
      summary: 'Calls wait long for the sink {{ $labels.sink }}',
      description:
        'The oldest call that waits for it is {{ $value | humanizeDuration }} old. Nothing is lost while the log has room.',
      board: 'telemetry',
    },
    {
      name: 'LLMSinkHoldsCalls',
      priority: 'P3',
      expr: promql`${maxBy(['environment', 'instance', 'sink'], metric('observer_sink_held_calls'))} > 0`,
      for: '15m',
      summary: 'The sink {{ $labels.sink }} takes no calls of a tenant',
      description:
        '{{ $value | humanize }} calls wait for one tenant’s key or limit, while those of other tenants go on. Nothing is lost while the log has room.',
      board: 'telemetry',
    },
    {
      name: 'LLMSinkLosesCalls',
      priority: 'P2',
      expr: promql`${sumBy([...bySink, 'reason'], increaseWithFirst(metric('observer_sink_calls_total', { outcome: 'dropped' }), '15m'))} >= 10`,
      for: '1m',
      summary: 'Calls will never reach the sink {{ $labels.sink }}: {{ $labels.reason }}',
      description:
        '{{ $value | humanize }} calls in 15 minutes were dropped. The ledger has them all; the sink’s numbers are too low.',
      board: 'telemetry',
    },
    {
      name: 'LLMDeadLetters',
      priority: 'P3',
      expr: promql`${sumBy(bySink, increaseWithFirst(metric('observer_sink_calls_total', { outcome: 'rejected' }), '1d'))} >= 5`,
      for: '1m',
      summary: 'The sink {{ $labels.sink }} refuses calls for good',
      description:
        '{{ $value | humanize }} calls of the last day are dead letters: list them, mend the cause, replay them.',
      board: 'telemetry',
    },
    {
      name: 'LLMPluginErrors',
      priority: 'P3',
      // What the sidecar refuses, or was away for, other alerts tell.
      expr: promql`${sumBy(['environment', 'kind'], increaseWithFirst(metric('observer_plugin_errors_total', { kind: { matchesNot: 'sidecar_away|sidecar_refuses' } }), '1h'))} >= 10`,
      for: '5m',
      summary: 'The plugin has errors: {{ $labels.kind }}',
      description: '{{ $value | humanize }} in the last hour. The sidecar’s log has the plugin’s own words.',
      board: 'telemetry',
    },
    {
      name: 'LLMTapErrors',
      priority: 'P3',
      expr: promql`${sumBy(['environment', 'node'], increaseWithFirst(metric('observer_tap_errors_total'), '1h'))} >= 10`,
      for: '5m',
      summary: 'The tap fails in Kong’s node {{ $labels.node }}',
      description:
        '{{ $value | humanize }} hooks failed in the last hour. Clients notice nothing; what the hooks should have gathered is missing.',
      board: 'telemetry',
    },
    {
      name: 'LLMRouteUntapped',
      priority: 'P3',
      expr: promql`${sumBy(['environment', 'route'], increaseWithFirst(metric('observer_untapped_total'), '1h'))} >= 20`,
      for: '15m',
      summary: 'The route {{ $labels.route }} has no tap',
      description:
        '{{ $value | humanize }} calls of the last hour rest on Kong’s own numbers, which are wrong for streams.',
      board: 'telemetry',
    },
    {
      name: 'LLMLabelsFolded',
      priority: 'P3',
      expr: promql`${sumBy(['environment', 'label'], increaseWithFirst(metric('observer_labels_folded_total'), '1h'))} >= 10`,
      for: '5m',
      summary: 'There are more names of the kind {{ $labels.label }} than the ledger’s limit',
      description: '{{ $value | humanize }} calls of the last hour were counted under __other__.',
      board: 'telemetry',
    },
    {
      name: 'LLMSeriesNearLimit',
      priority: 'P3',
      expr: promql`${maxBy(bySidecar, metric('observer_series'))} / ${maxBy(bySidecar, metric('observer_series_limit'))} > 0.8`,
      for: '15m',
      summary: 'The series of {{ $labels.instance }} are near their limit',
      description:
        '{{ $value | humanizePercentage }} of the limit. At it new tenants and models are counted under __other__; the ledger keeps their names.',
      board: 'telemetry',
    },
    {
      name: 'LLMAmountsMalformed',
      priority: 'P3',
      expr: promql`${sumBy(['environment', 'field'], increaseWithFirst(metric('observer_malformed_amounts_total'), '1h'))} >= 5`,
      for: '1m',
      summary: 'A provider tells amounts that cannot be: {{ $labels.field }}',
      description: '{{ $value | humanize }} amounts of the last hour counted as 0.',
      board: 'telemetry',
    },
    {
      name: 'LLMEstimatesFailing',
      priority: 'P4',
      expr: promql`${sumBy(['environment', 'outcome'], increase(metric('observer_estimates_total', { outcome: { not: 'counted' } }), '1h'))} >= 20`,
      for: '5m',
      summary: 'Tokens cannot be counted from texts: {{ $labels.outcome }}',
      description: '{{ $value | humanize }} calls of the last hour have no usage although their text was there.',
      board: 'telemetry',
    },
    {
      name: 'LLMScoresRefused',
      priority: 'P4',
      expr: promql`${sumBy(['environment'], increase(metric('observer_langfuse_scores_total', { outcome: 'refused' }), '1h'))} >= 5`,
      for: '5m',
      summary: 'Langfuse refuses scores of guardrail events',
      description:
        '{{ $value | humanize }} scores of the last hour are lost for good; the events are on the traces and in the ledger.',
      board: 'telemetry',
    },
    {
      name: 'LLMEventLoopSlow',
      priority: 'P3',
      expr: promql`${maxBy(bySidecar, metric('observer_event_loop_lag_seconds', { statistic: 'p99' }))} > 0.5`,
      for: '10m',
      summary: 'The sidecar {{ $labels.instance }} is overloaded',
      description:
        'Its event loop is late by {{ $value | humanizeDuration }} (p99): it nears what one process can take.',
      board: 'telemetry',
    },
    {
      name: 'LLMAlertsNotDelivered',
      priority: 'P2',
      expr: promql`${sumBy(['environment', 'integration'], increase(metric('alertmanager_notifications_failed_total'), '10m'))} > 2`,
      for: '5m',
      summary: 'Alertmanager cannot deliver by {{ $labels.integration }}',
      description: '{{ $value | humanize }} notifications failed in 10 minutes: somebody is not being told.',
      board: 'telemetry',
    },
    {
      name: 'LLMRulesFailing',
      priority: 'P2',
      expr: promql`${sumBy(['environment', 'rule_group'], increase(metric('prometheus_rule_evaluation_failures_total'), '10m'))} > 2`,
      for: '5m',
      summary: 'Prometheus cannot evaluate {{ $labels.rule_group }}',
      description: 'Alerts and recorded series of this group are missing.',
      board: 'telemetry',
    },
  ],
}
