import { grown, increase, maxBy, promql, quantile, rate, share, sum, sumBy } from '../monitoring/promql.ts'
import { makeBoard } from './board.ts'
import { graph, logs, type Steps, stat, table } from './panels.ts'
import { scoped, scopedBucket, thinned } from './scope.ts'
import { hitRatio, OUTCOME_COLOURS, orNone, orZeroOfCalls, SUCCESS_STEPS, successRatio } from './shared-queries.ts'

const RANGE = '$__range'
const cost = scoped('llm_cost_usd_total')
const budgetSteps: Steps = ['text', [0.8, 'orange'], [1, 'red']]
/** The same tenant in two environments has a ceiling in each. */
const ENVIRONMENT = ['environment'] as const
const PERIODS = [
  ['day', 'today'],
  ['week', 'this week'],
  ['month', 'this month'],
] as const

/** Every query names the one tenant, and nothing on it tells of another: it can be shown to that tenant. */
export const TENANT = makeBoard({
  uid: 'llm-tenant',
  title: 'LLM Tenant',
  description:
    'Everything about one tenant: what it spent, how its calls fared, what was blocked. Safe to share with that tenant and to embed.',
  variables: ['environment', 'region', 'tenant', 'provider', 'model'],
  oneTenant: true,
  logs: true,
  rows: [
    {
      panels: [
        stat({
          title: 'Cost',
          description: 'What the tenant’s calls of the range cost, as first priced.',
          unit: 'currencyUSD',
          query: orZeroOfCalls([], sum(grown(cost, RANGE)), RANGE),
        }),
        stat({
          title: 'Calls',
          description: 'The tenant’s calls of the range.',
          unit: 'short',
          query: sum(grown(scoped('llm_calls_total'), RANGE)),
        }),
        stat({
          title: 'Tokens',
          description: 'Of all kinds.',
          unit: 'short',
          query: orZeroOfCalls([], sum(grown(scoped('llm_tokens_total'), RANGE)), RANGE),
        }),
        stat({
          title: 'Success rate',
          description: 'Of the calls that reached a provider.',
          unit: 'percentunit',
          decimals: 2,
          query: successRatio([], RANGE),
          steps: SUCCESS_STEPS,
          noValue: 'no calls',
        }),
        stat({
          title: 'Latency p95',
          description: '95 % of the calls took at most so long.',
          unit: 's',
          query: quantile(0.95, [], grown(scopedBucket('llm_latency_seconds'), RANGE)),
          noValue: 'no calls',
        }),
        stat({
          title: 'Cache hit rate',
          description: 'Of the calls that a semantic cache looked up, those that it answered.',
          unit: 'percentunit',
          decimals: 1,
          query: hitRatio([], RANGE),
          noValue: 'no cache',
        }),
      ],
    },
    {
      title: 'Ceilings',
      panels: [
        ...PERIODS.map(([period, title]) =>
          stat({
            title: `Spent ${title}`,
            description: `Spent of the ${period} so far in the tenant’s own calendar, first prices and adjustments.`,
            unit: 'currencyUSD',
            query: sumBy(ENVIRONMENT, scoped('llm_budget_spent_usd', { period })),
            legend: '{{environment}}',
          }),
        ),
        ...PERIODS.map(([period, title]) =>
          stat({
            title: `Ceiling ${title}`,
            description: `How much of the ${period}’s ceiling is spent.`,
            unit: 'percentunit',
            decimals: 1,
            steps: budgetSteps,
            query: maxBy(ENVIRONMENT, scoped('tenant:llm_budget_used:ratio', { period })),
            legend: '{{environment}}',
            noValue: 'no ceiling',
          }),
        ),
        graph({
          title: 'Month: spent, ceiling, forecast',
          description: 'Spent so far, the ceiling, and what will be spent at the end at the speed of the last day.',
          unit: 'currencyUSD',
          lines: [
            {
              query: sumBy(ENVIRONMENT, scoped('llm_budget_spent_usd', { period: 'month' })),
              legend: 'spent {{environment}}',
            },
            {
              query: maxBy(ENVIRONMENT, scoped('llm_budget_limit_usd', { period: 'month' })),
              legend: 'ceiling {{environment}}',
            },
            {
              query: maxBy(ENVIRONMENT, scoped('tenant:llm_budget_forecast_usd:linear', { period: 'month' })),
              legend: 'forecast {{environment}}',
            },
          ],
        }),
        graph({
          title: 'Cost by model',
          description: 'Dollars an hour at the speed of the moment.',
          unit: 'currencyUSD',
          stack: true,
          lines: [
            { query: promql`3600 * ${sumBy(['model'], thinned('instance:llm_cost_usd:rate5m'))}`, legend: '{{model}}' },
          ],
        }),
      ],
    },
    {
      title: 'Calls',
      panels: [
        graph({
          title: 'Calls by outcome',
          description: 'Calls a second.',
          unit: 'reqps',
          stack: true,
          colours: OUTCOME_COLOURS,
          lines: [{ query: sumBy(['status'], thinned('instance:llm_calls:rate5m')), legend: '{{status}}' }],
        }),
        graph({
          title: 'Latency',
          description:
            'Of half and of 95 % of the calls, and the first byte of 95 % of the answers. Points are single traces.',
          unit: 's',
          lines: [
            { query: quantile(0.5, [], thinned('instance:llm_latency_seconds_bucket:rate5m')), legend: 'p50' },
            {
              query: quantile(0.95, [], thinned('instance:llm_latency_seconds_bucket:rate5m')),
              legend: 'p95',
              exemplarsOf: scopedBucket('llm_latency_seconds'),
            },
            {
              query: quantile(0.95, [], thinned('instance:llm_time_to_first_token_seconds_bucket:rate5m')),
              legend: 'first token p95',
              exemplarsOf: scopedBucket('llm_time_to_first_token_seconds'),
            },
          ],
        }),
        table({
          title: 'Models',
          description: 'The tenant’s models of the range.',
          unit: 'short',
          labels: { provider: 'Provider', model: 'Model' },
          columns: [
            { title: 'Cost', unit: 'currencyUSD', query: sumBy(['provider', 'model'], grown(cost, RANGE)) },
            { title: 'Calls', query: sumBy(['provider', 'model'], grown(scoped('llm_calls_total'), RANGE)) },
            { title: 'Tokens', query: sumBy(['provider', 'model'], grown(scoped('llm_tokens_total'), RANGE)) },
            {
              title: 'Unpriced calls',
              query: sumBy(['provider', 'model'], grown(scoped('llm_unpriced_calls_total'), RANGE)),
            },
          ],
        }),
        graph({
          title: 'Guardrail events',
          description: 'Events of the last hour at each moment, by guardrail and action.',
          unit: 'short',
          softMax: 1,
          lines: [
            {
              query: orNone(
                sumBy(['guardrail', 'action'], increase(scoped('llm_guardrail_events_total'), '1h')),
                'guardrail',
              ),
              legend: '{{guardrail}} {{action}}',
            },
          ],
        }),
        graph({
          title: 'Estimated share of the cost',
          description: 'How much of the cost rests on tokens counted from texts, over the last hour at each moment.',
          unit: 'percentunit',
          softMax: 0.1,
          lines: [
            {
              query: share(
                sum(rate(scoped('llm_usage_source_cost_usd_total', { source: 'estimated' }), '1h')),
                sum(rate(scoped('llm_usage_source_cost_usd_total'), '1h')),
              ),
              legend: 'estimated',
            },
          ],
        }),
        logs({
          title: 'Calls, line by line',
          description:
            'From Loki. Open a line for its trace in Tempo and in Langfuse. Of this tenant alone, whatever organisations the data source asks for.',
          unit: 'none',
          query: '{service_name="kong-llm-observer"} | tenant="$tenant" | json | __error__=""',
        }),
      ],
    },
  ],
})
