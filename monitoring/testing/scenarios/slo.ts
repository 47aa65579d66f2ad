import { failed, latency, ok, up } from '../ordinary-series.ts'
import { type Course, ENVIRONMENT, gauge, quietThenLoud, type Scenario, scenario } from '../scenario.ts'

const slo = (id: string) => ({ ...ENVIRONMENT, slo: id })
const stale: Course = [
  [120, 1],
  [240, 0],
]
const burn = (id: string, valid: number, bad: Course) => [
  gauge('slo:sli_valid:rate5m', slo(id), [[2000, valid]]),
  gauge('slo:sli_error:rate5m', slo(id), bad),
]
/** A good day or three, and then a share that is just too much, of which the faster pair of windows says nothing. */
const day = { interval: '5m', silentAt: 300, firesAt: 600 } as const
const days = { interval: '5m', silentAt: 900, firesAt: 1500, course: 'three days, just over the promise' } as const
const hours = { interval: '1m', silentAt: 400, firesAt: 780, course: 'six hours, six times too much' } as const
const over = (quiet: number, bad: number): Course => [
  [quiet, 0],
  [1000, bad],
]
export const SLO_SCENARIOS: readonly Scenario[] = [
  scenario('LLMSuccessBurnFast', slo('success'), [ok(quietThenLoud(20, 16)), failed(quietThenLoud(0, 4))]),
  scenario('LLMSuccessBurnFast', slo('success'), burn('success', 10, over(400, 0.35)), hours),
  scenario('LLMSuccessBurnSlow', slo('success'), burn('success', 10, over(300, 0.2)), day),
  scenario('LLMSuccessBurnSlow', slo('success'), burn('success', 10, over(900, 0.09)), days),
  scenario(
    'LLMLatencyBurnFast',
    slo('latency'),
    latency([
      [80, 5, 2],
      [160, 5, 50],
    ]),
  ),
  scenario('LLMLatencyBurnFast', slo('latency'), burn('latency', 10, over(400, 3.2)), hours),
  scenario('LLMLatencyBurnSlow', slo('latency'), burn('latency', 10, over(300, 1.8)), day),
  scenario('LLMLatencyBurnSlow', slo('latency'), burn('latency', 10, over(900, 0.8)), days),
  // Three minutes down.
  scenario('LLMFreshnessBurnFast', slo('freshness'), [up(stale)], { silentAt: 119, firesAt: 150 }),
  // promtool evaluates each 5 minutes what Prometheus does each 15 s: more has to be bad for as many bad seconds.
  scenario('LLMFreshnessBurnSlow', slo('freshness'), burn('freshness', 1, over(300, 0.05)), day),
]
