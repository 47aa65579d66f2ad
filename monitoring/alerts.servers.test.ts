import { describe, expect, it } from 'vitest'
import { binariesPresent } from '../dev/servers/binary.ts'
import { SEVERITIES } from './alert.ts'
import { ALERT_GROUPS } from './alerts/index.ts'
import { up } from './testing/ordinary-series.ts'
import { type RuleTest, testRules } from './testing/promtool.ts'
import { groupsOf, RULES } from './testing/rule-files.ts'
import { KONG, type Scenario } from './testing/scenario.ts'
import { SCENARIOS } from './testing/scenarios/index.ts'
import { STOPPED } from './testing/scenarios/providers.ts'

const ALERTS = ALERT_GROUPS.flatMap(({ alerts }) => alerts)
const SECONDS = { '5s': 5, '15s': 15, '1m': 60, '5m': 300, '1h': 3600 } as const

function ruleTest({ alert, interval, series, silentAt, firesAt, labels, says }: Scenario): RuleTest {
  const { priority } = ALERTS.find(({ name }) => name === alert)!
  const { annotations } = RULES.find((rule) => rule.alert === alert)!
  const time = (scrapes: number) => `${scrapes * SECONDS[interval]}s`
  return {
    name: alert,
    interval,
    input_series: series,
    alert_rule_test: [
      { alertname: alert, eval_time: time(silentAt), exp_alerts: [] },
      {
        alertname: alert,
        eval_time: time(firesAt),
        exp_alerts: [
          {
            exp_labels: { severity: SEVERITIES[priority], priority, ...labels },
            exp_annotations: {
              summary: says[0],
              description: says[1],
              runbook_url: annotations!.runbook_url!,
              dashboard_url: filledIn(annotations!.dashboard_url!, labels),
            },
          },
        ],
      },
    ],
  }
}
function filledIn(url: string, labels: Readonly<Record<string, string>>): string {
  return url.replace(/\{\{ \$labels\.(\w+) \| urlquery \}\}/g, (_, label) => encodeURIComponent(labels[label]!))
}

describe.runIf(binariesPresent('promtool'))('alerts', { concurrent: true }, () => {
  it('there is a scenario for each', () => {
    const tested = new Set(SCENARIOS.map(({ alert }) => alert))
    expect(ALERTS.map(({ name }) => name).filter((name) => !tested.has(name))).toEqual(['LLMWatchdog'])
  })

  it.each(SCENARIOS)('$alert: $course', async (scenario) => {
    expect(scenario.says.join()).not.toMatch(/\{\{|<no value>|NaN|Inf|%!/)
    expect(await testRules([ruleTest(scenario)], scenario.interval, groupsOf([scenario.alert]))).toBe('')
  })

  it('LLMTrafficStopped: of a Kong that is down altogether LLMKongDown tells', async () => {
    const test = {
      name: 'no Kong',
      interval: '1m',
      input_series: [...STOPPED, up([[1990, 0]], KONG)],
      alert_rule_test: [{ alertname: 'LLMTrafficStopped', eval_time: '1980m', exp_alerts: [] }],
    }
    expect(await testRules([test], '1m', groupsOf(['LLMTrafficStopped']))).toBe('')
  })

  it('the watchdog always fires', async () => {
    const labels = 'ALERTS{alertname="LLMWatchdog", alertstate="firing", severity="info", priority="P4"}'
    const expr = 'ALERTS{alertname="LLMWatchdog"}'
    const always = ['0s', '1h'].map((eval_time) => ({ expr, eval_time, exp_samples: [{ labels, value: 1 }] }))
    const test = { name: 'watchdog', interval: '1m', input_series: [], promql_expr_test: always }
    expect(await testRules([test], '1m', groupsOf(['LLMWatchdog']))).toBe('')
  })
})
