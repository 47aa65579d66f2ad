import type { MetricDefinition } from '../sidecar/metrics/metrics.ts'

/** What other servers export, as far as our boards and alerts read it. Labels of the target itself are not listed. */
export const SERVER_METRICS = {
  up: { type: 'gauge', help: 'Prometheus: the last scrape of the target succeeded.', labels: [] },
  scrape_samples_scraped: { type: 'gauge', help: 'Prometheus: samples of the last scrape.', labels: [] },
  scrape_duration_seconds: { type: 'gauge', help: 'Prometheus: how long the last scrape took.', labels: [] },
  ALERTS: {
    type: 'gauge',
    help: 'Prometheus: alerts that are pending or firing.',
    labels: ['alertname', 'alertstate', 'severity', 'priority', 'tenant_id', 'provider', 'model', 'slo', 'period'],
  },
  prometheus_rule_evaluation_failures_total: {
    type: 'counter',
    help: 'Prometheus: rules that could not be evaluated.',
    labels: ['rule_group'],
  },
  prometheus_notifications_dropped_total: {
    type: 'counter',
    help: 'Prometheus: alerts that no Alertmanager took.',
    labels: [],
  },
  prometheus_tsdb_head_series: { type: 'gauge', help: 'Prometheus: series in memory.', labels: [] },
  alertmanager_notifications_failed_total: {
    type: 'counter',
    help: 'Alertmanager: notifications that a receiver did not take.',
    labels: ['integration', 'receiver_name', 'reason'],
  },
  observer_process_resident_memory_bytes: { type: 'gauge', help: 'Memory of the sidecar.', labels: [] },
  observer_process_cpu_seconds_total: { type: 'counter', help: 'CPU time of the sidecar.', labels: [] },
  observer_process_start_time_seconds: { type: 'gauge', help: 'When the sidecar started.', labels: [] },
} as const satisfies Record<string, MetricDefinition>
