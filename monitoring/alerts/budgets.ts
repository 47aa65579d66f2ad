import type { AlertGroup } from '../alert.ts'
import { metric, predictLinear, promql } from '../promql.ts'

const used = metric('tenant:llm_budget_used:ratio')
const board = { board: 'tenant', about: ['tenant_id'] } as const
const whose = '{{ $labels.tenant_id }}'

/** A budget's state lasts; a scrape that failed is not its end. */
const keepFiringFor = '5m'

export const BUDGET_ALERTS: AlertGroup = {
  name: 'llm-budget-alerts',
  interval: '30s',
  alerts: [
    {
      name: 'LLMBudgetHalfSpent',
      priority: 'P4',
      // Half in the second half of a period is as it should be.
      expr: promql`${used} >= 0.5 and ${used} < 0.8 and ${metric('tenant:llm_budget_elapsed:ratio')} < 0.5`,
      for: '1m',
      keepFiringFor,
      summary: `Half of the {{ $labels.period }}’s budget of ${whose} is spent before half of the {{ $labels.period }} is over`,
      description: '{{ $value | humanizePercentage }} of the ceiling is spent.',
      ...board,
    },
    {
      name: 'LLMBudgetNearlySpent',
      priority: 'P3',
      expr: promql`${used} >= 0.8 and ${used} < 1`,
      for: '1m',
      keepFiringFor,
      summary: `80 % of the {{ $labels.period }}’s budget of ${whose} is spent`,
      description:
        '{{ $value | humanizePercentage }} of the ceiling is spent. Nothing is refused: ceilings are watched, not enforced.',
      ...board,
    },
    {
      name: 'LLMBudgetExceeded',
      priority: 'P2',
      expr: promql`${used} >= 1`,
      for: '1m',
      keepFiringFor,
      summary: `The {{ $labels.period }}’s budget of ${whose} is spent`,
      description:
        '{{ $value | humanizePercentage }} of the ceiling is spent. Nothing is refused: ceilings are watched, not enforced.',
      ...board,
    },
    {
      name: 'LLMBudgetForecastExceeded',
      priority: 'P3',
      // At the beginning of a period a single busy hour says nothing of its end; and where less is spent than time has
      // passed, the busy hours of a day are not its speed.
      expr: promql`${metric('tenant:llm_budget_forecast_usd:linear')} / on (environment, tenant_id, period) max by (environment, tenant_id, period) (${metric('llm_budget_limit_usd')}) > 1.1 and ${metric('tenant:llm_budget_elapsed:ratio')} > 0.1 and ${used} > ${metric('tenant:llm_budget_elapsed:ratio')} and ${used} < 1`,
      // Longer than the hour that the speed of a day is taken over: a job that has just ended is no speed.
      for: '2h',
      keepFiringFor,
      summary: `The {{ $labels.period }}’s budget of ${whose} will not last`,
      description:
        'At the speed of the last {{ if eq $labels.period "day" }}hour{{ else }}day{{ end }} {{ $value | humanizePercentage }} of the ceiling will be spent at the end.',
      ...board,
    },
    {
      name: 'LLMBudgetExceededSoon',
      priority: 'P3',
      // Over a whole day: the busy hours of a day are not its speed.
      expr: promql`${predictLinear(metric('tenant:llm_budget_used:ratio', { period: 'month' }), '1d', 3 * 86_400)} > 1 and ${metric('tenant:llm_budget_used:ratio', { period: 'month' })} > 0.5 and ${metric('tenant:llm_budget_used:ratio', { period: 'month' })} < 1 and ${metric('tenant:llm_budget_elapsed:ratio', { period: 'month' })} < 0.9`,
      for: '30m',
      keepFiringFor,
      summary: `The month’s budget of ${whose} will be spent within three days`,
      description:
        'At the speed of the last day {{ $value | humanizePercentage }} of the ceiling will be spent in three days.',
      ...board,
    },
    {
      name: 'LLMBudgetBlind',
      priority: 'P3',
      expr: promql`sum by (environment, tenant_id, period) (${metric('llm_budget_unpriced_calls')}) >= 10 and max by (environment, tenant_id, period) (${metric('llm_budget_limit_usd')})`,
      for: '30m',
      keepFiringFor,
      summary: `What ${whose} spends of the {{ $labels.period }}’s budget is not fully known`,
      description:
        '{{ $value | humanize }} calls of the {{ $labels.period }} have no price: the tenant has spent more than the budget shows.',
      ...board,
    },
  ],
}
