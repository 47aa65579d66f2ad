import { cost, ofModel, ok } from '../ordinary-series.ts'
import { type Course, type Scenario, scenario } from '../scenario.ts'

const steady = (course: Course) => [ok(course), cost(course.map(([scrapes, value]) => [scrapes, value / 10] as const))]
export const ANOMALY_SCENARIOS: readonly Scenario[] = [
  scenario(
    'LLMCostAnomaly',
    ofModel,
    steady([
      [1700, 20],
      [60, 200],
    ]),
    { interval: '1m', silentAt: 1700, firesAt: 1730 },
  ),
  scenario(
    'LLMTrafficAnomaly',
    ofModel,
    steady([
      [1700, 40],
      [60, 400],
    ]),
    { interval: '1m', silentAt: 1700, firesAt: 1730 },
  ),
  scenario(
    'LLMTrafficLost',
    ofModel,
    steady([
      [1700, 40],
      [60, 0],
    ]),
    { interval: '1m', silentAt: 1700, firesAt: 1730 },
  ),
]
