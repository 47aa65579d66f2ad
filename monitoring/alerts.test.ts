import { describe, expect, it } from 'vitest'
import { binariesPresent } from '../dev/servers/binary.ts'
import { SEVERITIES } from './alert.ts'
import { ALERT_GROUPS } from './alerts/index.ts'
import { testRules } from './testing/promtool.ts'
import type { Scenario } from './testing/scenario.ts'
import { SCENARIOS } from './testing/scenarios.ts'

const ALERTS = ALERT_GROUPS.flatMap(({ alerts }) => alerts)
const SECONDS = { '5s': 5, '15s': 15, '1m': 60, '5m': 300 } as const

function ruleTest({ alert, interval, series, silentAt, firesAt, labels }: Scenario) {
  const { priority } = ALERTS.find(({ name }) => name === alert)!
  const firing = { alertname: alert, alertstate: 'firing', severity: SEVERITIES[priority], priority, ...labels }
  const text = Object.entries(firing).map(([label, value]) => `${label}=${JSON.stringify(value)}`)
  const time = (scrapes: number) => `${scrapes * SECONDS[interval]}s`
  return {
    name: alert,
    interval,
    input_series: series,
    promql_expr_test: [
      { expr: `ALERTS{alertname="${alert}", alertstate="firing"}`, eval_time: time(silentAt), exp_samples: [] },
      {
        expr: `ALERTS{alertname="${alert}"}`,
        eval_time: time(firesAt),
        exp_samples: [{ labels: `ALERTS{${text.join(', ')}}`, value: 1 }],
      },
    ],
  }
}

describe.runIf(binariesPresent('promtool'))('alerts', () => {
  it('there is a scenario for each', () => {
    const tested = new Set(SCENARIOS.map(({ alert }) => alert))
    expect(ALERTS.map(({ name }) => name).filter((name) => !tested.has(name))).toEqual(['LLMWatchdog'])
  })

  it.each(SCENARIOS)('$alert is silent before, and fires after', { timeout: 120_000 }, (scenario) => {
    expect(testRules([ruleTest(scenario)], scenario.interval)).toBe('')
  })

  it('the watchdog always fires', () => {
    const labels = 'ALERTS{alertname="LLMWatchdog", alertstate="firing", severity="info", priority="P4"}'
    const expr = 'ALERTS{alertname="LLMWatchdog"}'
    const always = ['0s', '1h'].map((eval_time) => ({ expr, eval_time, exp_samples: [{ labels, value: 1 }] }))
    expect(testRules([{ name: 'watchdog', interval: '1m', input_series: [], promql_expr_test: always }], '1m')).toBe('')
  })
})
