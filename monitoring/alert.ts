import { DEFAULT_LINKS, type Links } from './links.ts'
import type { Duration, Vector } from './promql.ts'

/**
 * P1 wakes somebody, P2 is looked at within the hour, P3 on a working day, P4 stands on a dashboard.
 * docs/alerting.md has the table of routes.
 */
export type Priority = 'P1' | 'P2' | 'P3' | 'P4'
export const SEVERITIES = { P1: 'critical', P2: 'critical', P3: 'warning', P4: 'info' } as const
export type Board = 'overview' | 'cost' | 'tenant' | 'providers' | 'guardrails' | 'slo' | 'gateway' | 'telemetry'

export interface Alert {
  name: `LLM${string}`
  priority: Priority
  expr: Vector<string>
  /** How long it has to be so; nothing: at once. */
  for?: Duration
  /** How long it goes on after it is no longer so. */
  keepFiringFor?: Duration
  /** One line, and what it means with the number in it: Prometheus templates. */
  summary: string
  description: string
  board: Board
  /** Labels that narrow the board. */
  about?: readonly ('tenant_id' | 'provider' | 'model')[]
  labels?: Readonly<Record<string, string>>
}
export interface AlertGroup {
  name: string
  interval: string
  alerts: readonly Alert[]
}

/** What Prometheus loads. The one place that stamps severity, runbook and dashboard. */
export function alertRule(alert: Alert, links: Links = DEFAULT_LINKS) {
  return {
    alert: alert.name,
    expr: alert.expr.text,
    ...(alert.for === undefined ? {} : { for: alert.for }),
    ...(alert.keepFiringFor === undefined ? {} : { keep_firing_for: alert.keepFiringFor }),
    labels: { severity: SEVERITIES[alert.priority], priority: alert.priority, ...alert.labels },
    annotations: {
      summary: alert.summary,
      description: alert.description,
      runbook_url: `${links.runbooks}/${alert.name}.md`,
      dashboard_url: dashboardUrl(alert, links),
    },
  }
}

/** The board, already narrowed to what the alert is about. */
function dashboardUrl({ board, about = [] }: Alert, { grafana }: Links): string {
  const variables = about.map(
    (label) => `&var-${label === 'tenant_id' ? 'tenant' : label}={{ $labels.${label} | urlquery }}`,
  )
  return `${grafana}/d/llm-${board}?from=now-3h&to=now${variables.join('')}`
}
