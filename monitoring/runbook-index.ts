import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import type { Priority } from './alert.ts'
import { ALERT_GROUPS } from './alerts/index.ts'

const LOG_RULES = join(import.meta.dirname, '../deploy/loki/rules')

export interface IndexedAlert {
  name: string
  priority: Priority
  summary: string
  /** Who evaluates it. */
  by: 'prometheus' | 'loki'
}
export interface IndexedGroup {
  name: string
  alerts: readonly IndexedAlert[]
}

interface LogRuleFile {
  groups: {
    name: string
    rules: { alert: string; labels: { priority: Priority }; annotations: { summary: string } }[]
  }[]
}

/** Every alert there is, those over logs once however many tenants have a copy. */
export function allAlerts(): IndexedGroup[] {
  const groups = ALERT_GROUPS.map(({ name, alerts }) => ({
    name,
    alerts: alerts.map(({ name, priority, summary }) => ({ name, priority, summary, by: 'prometheus' as const })),
  }))
  return [...groups, ...logGroups()]
}

function logGroups(): IndexedGroup[] {
  const groups = new Map<string, Map<string, IndexedAlert>>()
  for (const organisation of readdirSync(LOG_RULES).sort())
    for (const file of readdirSync(join(LOG_RULES, organisation)).sort()) {
      const text = readFileSync(join(LOG_RULES, organisation, file), 'utf8')
      for (const { name, rules } of (parse(text) as LogRuleFile).groups) {
        const alerts = groups.get(name) ?? new Map<string, IndexedAlert>()
        groups.set(name, alerts)
        for (const { alert, labels, annotations } of rules)
          alerts.set(alert, { name: alert, priority: labels.priority, summary: annotations.summary, by: 'loki' })
      }
    }
  return [...groups].map(([name, alerts]) => ({ name, alerts: [...alerts.values()] }))
}

const HEAD = `<!-- Written by \`npm run monitoring\` from the alerts. Change it in monitoring/runbook-index.ts. -->
# Runbooks
A page for each alert: what it means, what it costs, what to look at first, what to do, whom to call. A message of an alert links to its page. [Who is told](../alerting.md) by priority.

- **Queries.** \`promql\` blocks go into Grafana's Explore with the data source Prometheus, \`logql\` blocks with Loki. Logs of the gateway and of this stack are in the organisation \`platform\`, lines of calls in their tenant's own. Without Grafana:
  \`docker compose exec prometheus promtool query instant http://localhost:9090 'QUERY'\`
- **Commands** stand as they are run beside the sidecar. In the [stack on one machine](../monitoring-stack.md) \`kong-llm-observer …\` is
  \`docker compose exec sidecar node /opt/llm-observer/node_modules/kong-llm-observer/bin/kong-llm-observer.js --config /etc/llm-observer/observer.yaml …\`
- **A change of \`kong.yml\`** is in force after \`docker compose exec kong kong reload\`, one of \`observer.yaml\` after \`docker compose restart sidecar\`; the file of prices is followed. Each of the three containers may be started anew by itself.
- **Silence** an alert only with an end and a ticket: [how](../alerting.md#silence).
`

/** docs/runbooks/README.md */
export function runbookIndex(): string {
  const sections = allAlerts().map(({ name, alerts }) => {
    const rows = alerts.map(
      (alert) => `| [${alert.name}](${alert.name}.md) | ${alert.priority} | ${readable(alert.summary)} |`,
    )
    return `## ${name}\n| alert | priority | |\n|---|---|---|\n${rows.join('\n')}\n`
  })
  return [HEAD, ...sections].join('\n')
}

/** Prometheus's templates, for people: the label's name stands for its value. */
function readable(summary: string): string {
  return summary.replace(/\{\{ \$labels\.(\w+) \}\}/g, '*$1*')
}
