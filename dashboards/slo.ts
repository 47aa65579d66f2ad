import { aggregate, maxBy, metric, over, promql, rate, sum, sumBy } from '../monitoring/promql.ts'
import { ANSWERED_STATUSES, SLOS } from '../monitoring/slo.ts'
import { makeBoard } from './board.ts'
import { graph, stat, table } from './panels.ts'
import { scoped } from './scope.ts'
import { OUTCOME_COLOURS } from './shared-queries.ts'

const byTarget = {
  job: { matches: '$job' },
  instance: { matches: '$instance' },
  environment: { matches: '$environment' },
} as const
const answered = metric('instance:llm_calls:rate5m', { ...byTarget, status: { matches: ANSWERED_STATUSES } })
const limited = metric('llm_rate_limited_calls_total', { ...byTarget, by: 'provider' })

export const SLO = makeBoard({
  uid: 'llm-slo',
  title: 'LLM SLO',
  description: 'Is what was promised kept, how much of the error budget of 30 days is left, and how fast does it burn?',
  from: 'now-7d',
  variables: ['environment'],
  rows: [
    {
      panels: SLOS.map(({ id, title, objective, meaning }) =>
        stat({
          title: `Budget left: ${title}`,
          description: `${meaning} Promised: ${objective * 100} % over 30 days. At 0 % the promise is broken.`,
          unit: 'percentunit',
          decimals: 1,
          width: 8,
          steps: ['red', [0, 'orange'], [0.25, 'green']],
          // Of several environments the one that is worst off.
          query: aggregate('min', [], scoped('slo:period_error_budget_remaining:ratio', { slo: id })),
          noValue: 'no events yet',
        }),
      ),
    },
    {
      panels: SLOS.map(({ id, title, objective }) =>
        stat({
          title: `Last hour: ${title}`,
          description: `Share of good events of the last hour. Promised: ${objective * 100} %.`,
          unit: 'percentunit',
          decimals: 2,
          width: 8,
          steps: ['red', [objective, 'green']],
          query: promql`1 - ${maxBy([], scoped('slo:sli_error:ratio_rate1h', { slo: id }))}`,
          noValue: 'no events',
        }),
      ),
    },
    {
      panels: [
        graph({
          title: 'Error budget left',
          description: 'Of the last 30 days, at each moment. Below zero the promise is broken.',
          unit: 'percentunit',
          min: 'lowest',
          max: 1,
          lines: [
            { query: aggregate('min', ['slo'], scoped('slo:period_error_budget_remaining:ratio')), legend: '{{slo}}' },
          ],
        }),
        graph({
          title: 'Burn rate of the last hour',
          description:
            '1: the budget lasts exactly 30 days. 14.4 for an hour wakes somebody: 2 % of the budget is gone.',
          unit: 'short',
          steps: ['green', [1, 'orange'], [14.4, 'red']],
          lines: [{ query: maxBy(['slo'], scoped('slo:current_burn_rate:ratio')), legend: '{{slo}}' }],
        }),
        graph({
          title: 'Share of bad events, 5 minutes',
          description: 'What the alerts look at first.',
          unit: 'percentunit',
          // It covers five minutes and no more, however far apart the points are.
          points: 2000,
          lines: [{ query: maxBy(['slo'], scoped('slo:sli_error:ratio_rate5m')), legend: '{{slo}}' }],
        }),
        table({
          title: 'Share of bad events by window',
          description: 'The windows of the burn-rate alerts (docs/alerting.md).',
          unit: 'percentunit',
          width: 12,
          height: 8,
          labels: { slo: 'SLO' },
          columns: (['5m', '30m', '1h', '2h', '6h', '1d', '3d', '30d'] as const).map((window) => ({
            title: window,
            decimals: 3,
            query: maxBy(['slo'], scoped(`slo:sli_error:ratio_rate${window}`)),
          })),
        }),
        graph({
          title: 'Calls that the promise of success counts',
          description:
            'Calls a second that reached a provider, by outcome. Server errors, timeouts and the provider’s own rate limits break the promise.',
          unit: 'reqps',
          width: 24,
          stack: true,
          colours: OUTCOME_COLOURS,
          lines: [
            {
              query: sumBy(['status'], over('avg_over_time', answered, '$__rate_interval')),
              legend: '{{status}}',
            },
            { query: sum(rate(limited, '$__rate_interval')), legend: 'rate_limited' },
          ],
        }),
      ],
    },
  ],
})
