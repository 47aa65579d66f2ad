import { cost, ofTenant, tenant } from '../ordinary-series.ts'
import { type Course, gauge, quietThenLoud, type Scenario, scenario } from '../scenario.ts'

const month = { ...tenant, period: 'month' }
const ofMonth = { ...ofTenant, period: 'month' }
const DAY = 86_400
/** A month that begins at 0 and has 30 days, with a ceiling of 100 dollars. */
const budget = (spent: Course, length = 500) => [
  gauge('llm_budget_spent_usd', month, spent),
  gauge('llm_budget_limit_usd', month, [[length, 100]]),
  gauge('llm_budget_period_start_timestamp_seconds', month, [[length, 0]]),
  gauge('llm_budget_period_end_timestamp_seconds', month, [[length, 30 * DAY]]),
]
const growing = (from: number, perStep: number, steps: number): Course =>
  Array.from({ length: steps }, (_, n) => [1, from + n * perStep] as const)
export const BUDGET_SCENARIOS: readonly Scenario[] = [
  scenario('LLMBudgetHalfSpent', ofMonth, budget(quietThenLoud(49, 51))),
  scenario('LLMBudgetNearlySpent', ofMonth, budget(quietThenLoud(79, 81))),
  scenario('LLMBudgetExceeded', ofMonth, budget(quietThenLoud(99, 100))),
  // A tenth of the ceiling after four days; then 43 dollars a day.
  scenario(
    'LLMBudgetForecastExceeded',
    ofMonth,
    [
      ...budget([[1200, 10], ...growing(10, 0.15, 200)], 1400),
      cost([
        [1200, 0.01],
        [200, 0.15],
      ]),
    ],
    { interval: '5m', silentAt: 1200, firesAt: 1390 },
  ),
  scenario('LLMBudgetExceededSoon', ofMonth, budget([...growing(51, 0.001, 900), ...growing(52, 0.05, 400)], 1300), {
    interval: '5m',
    silentAt: 900,
    firesAt: 1200,
  }),
  scenario('LLMBudgetBlind', ofMonth, [
    ...budget([[240, 5]]),
    gauge('llm_budget_unpriced_calls', month, quietThenLoud(3, 12)),
  ]),
]
