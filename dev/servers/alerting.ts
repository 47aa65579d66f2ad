import { join } from 'node:path'
import { type NotificationSink, startNotificationSink } from '../sinks/notifications.ts'
import { type Alertmanager, startAlertmanager } from './alertmanager.ts'
import { type Prometheus, startPrometheus } from './prometheus.ts'
import { shippedAlertmanager } from './shipped-alertmanager.ts'
import { shippedPrometheus } from './shipped-prometheus.ts'

export interface Alerting {
  prometheus: Prometheus
  alertmanager: Alertmanager
  sink: NotificationSink
  close(): Promise<void>
}

/**
 * From a sidecar's /metrics to a message: real Prometheus and Alertmanager with the shipped configuration and rules, every
 * interval and wait as shipped, and stand-ins for the services that are notified.
 */
export async function startAlerting(options: {
  directory: string
  sidecarUrl: string
  prometheusFlags?: readonly string[]
}): Promise<Alerting> {
  const { directory } = options
  const sink = await startNotificationSink()
  const config = shippedAlertmanager({ directory, secrets: sink.secrets, pagerdutyUrl: sink.pagerdutyUrl })
  const alertmanager = await startAlertmanager({ directory: join(directory, 'alertmanager'), config })
  const prometheus = await startPrometheus({
    directory: join(directory, 'prometheus'),
    config: shippedPrometheus({
      targets: { 'llm-observer': new URL(options.sidecarUrl).host, alertmanager: alertmanager.target },
      alertmanager: alertmanager.target,
    }),
    flags: options.prometheusFlags ?? [],
  })
  return {
    prometheus,
    alertmanager,
    sink,
    async close() {
      await prometheus.close()
      await alertmanager.close()
      await sink.close()
    },
  }
}
