import {
  aggregate,
  grown,
  increase,
  maxBy,
  promql,
  rate,
  ratio,
  share,
  sum,
  sumBy,
  type Vector,
} from '../monitoring/promql.ts'
import { makeBoard } from './board.ts'
import { graph, HOURLY_POINTS, type Steps, stat, table } from './panels.ts'
import { scoped, scopedByTarget, thinned } from './scope.ts'
import { orNone, orZeroOfCalls } from './shared-queries.ts'

const RANGE = '$__range'
const cost = scoped('llm_cost_usd_total')
const ifCalled = (of: Vector<never>) => orZeroOfCalls([], of, RANGE)
const spentInRange = ifCalled(sum(grown(cost, RANGE)))
const budgetSteps: Steps = ['text', [0.8, 'orange'], [1, 'red']]
/** The same tenant in two environments has a ceiling in each. */
const budgetBy = ['environment', 'tenant_id', 'period'] as const
const monthBy = ['environment', 'tenant_id'] as const
const aboveList = sumBy(['provider'], grown(scoped('llm_provider_bill_above_list_usd_total'), RANGE))
const belowList = sumBy(['provider'], grown(scoped('llm_provider_bill_below_list_usd_total'), RANGE))
/** Of all tenants and models, as the bills are. */
const costOfProviders = sumBy(
  ['provider'],
  grown(scopedByTarget('llm_cost_usd_total', { provider: { matches: '$provider' } }), RANGE),
)

export const COST = makeBoard({
  uid: 'llm-cost',
  title: 'LLM Cost & ceilings',
  description:
    'What is spent, by whom, on what, and will the ceilings hold? For finance and for platform owners. Invoices come from the ledger.',
  variables: ['environment', 'region', 'tenant', 'provider', 'model'],
  rows: [
    {
      panels: [
        stat({
          title: 'Cost',
          description: 'What the calls of the chosen range cost, as first priced, from the ledger.',
          unit: 'currencyUSD',
          query: spentInRange,
        }),
        stat({
          title: 'Adjustments',
          description: 'What repricing added to or took from the cost within the range. Not part of “Cost”.',
          unit: 'currencyUSD',
          query: promql`${ifCalled(sum(grown(scoped('llm_cost_adjustment_usd_total', { direction: 'up' }), RANGE)))} - ${ifCalled(sum(grown(scoped('llm_cost_adjustment_usd_total', { direction: 'down' }), RANGE)))}`,
        }),
        stat({
          title: 'Cost per 1,000 calls',
          description: 'Cost of the range by its calls, failed ones included.',
          unit: 'currencyUSD',
          query: promql`1000 * ${ratio(spentInRange, sum(grown(scoped('llm_calls_total'), RANGE)))}`,
          noValue: 'no calls',
        }),
        stat({
          title: 'Cost per 1M tokens',
          description: 'Cost of the range by its tokens of all kinds: the blended price.',
          unit: 'currencyUSD',
          query: promql`1000000 * ${ratio(spentInRange, sum(grown(scoped('llm_tokens_total'), RANGE)))}`,
          noValue: 'no tokens',
        }),
        stat({
          title: 'Estimated share',
          description: 'How much of the cost rests on tokens counted from texts because the provider told none.',
          unit: 'percentunit',
          decimals: 1,
          steps: ['green', [0.05, 'orange'], [0.1, 'red']],
          query: share(
            sum(grown(scoped('llm_usage_source_cost_usd_total', { source: 'estimated' }), RANGE)),
            sum(grown(scoped('llm_usage_source_cost_usd_total'), RANGE)),
          ),
          noValue: 'no cost',
        }),
        stat({
          title: 'Calls without a price',
          description: 'Calls of the range that are in no cost: an unknown model, no price, or an unknown usage.',
          unit: 'short',
          steps: ['green', [1, 'orange']],
          query: ifCalled(sum(grown(scoped('llm_unpriced_calls_total'), RANGE))),
        }),
        stat({
          title: 'Semantic cache saved',
          description: 'What the answers of the semantic cache would have cost. Not part of any cost.',
          unit: 'currencyUSD',
          query: ifCalled(sum(grown(scoped('llm_savings_usd_total'), RANGE))),
        }),
        stat({
          title: 'Provider cache saved',
          description: 'What prompt tokens read from the provider’s cache would have cost more as fresh ones.',
          unit: 'currencyUSD',
          query: ifCalled(sum(grown(scoped('llm_cache_savings_usd_total'), RANGE))),
        }),
        stat({
          title: 'Cost of look-ups',
          description: 'What the embeddings of semantic-cache look-ups cost. Not part of “Cost”.',
          unit: 'currencyUSD',
          query: ifCalled(sum(grown(scoped('kong_semantic_cache_lookup_cost_usd_total'), RANGE))),
        }),
        stat({
          title: 'Cost of failed calls',
          description: 'Paid for calls that ended without a good answer: broken streams, timeouts, blocked answers.',
          unit: 'currencyUSD',
          query: ifCalled(sum(grown(scoped('llm_failed_cost_usd_total'), RANGE))),
        }),
        stat({
          title: 'Failed attempts',
          description:
            'Targets that Kong tried before the one that answered. Nobody tells whether the provider billed them.',
          unit: 'short',
          query: ifCalled(sum(grown(scoped('llm_failed_attempts_total'), RANGE))),
        }),
        stat({
          title: 'Age of the list prices',
          description:
            'Since the price list that comes along was compared with its source. Update the sidecar to get a newer one.',
          unit: 's',
          steps: ['green', [30 * 86_400, 'orange'], [60 * 86_400, 'red']],
          query: promql`time() - ${maxBy([], scoped('observer_price_catalogue_timestamp_seconds'))}`,
        }),
      ],
    },
    {
      title: 'Ceilings',
      panels: [
        table({
          title: 'Budgets',
          description:
            'Spent of each ceiling in the tenant’s own calendar. “Unpriced” calls are spent and not known. A tenant without a ceiling is not listed.',
          unit: 'currencyUSD',
          noValue: 'no ceilings',
          labels: { tenant_id: 'Tenant', period: 'Period', environment: 'Environment' },
          rowLinks: [
            {
              title: 'Board of this tenant',
              url: '/d/llm-tenant?${__url_time_range}&var-tenant=${__data.fields.Tenant}',
            },
          ],
          columns: [
            {
              title: 'Used',
              unit: 'percentunit',
              decimals: 1,
              steps: budgetSteps,
              query: aggregate('max', budgetBy, scoped('tenant:llm_budget_used:ratio')),
            },
            { title: 'Spent', query: withCeiling(sumBy(budgetBy, scoped('llm_budget_spent_usd'))) },
            { title: 'Ceiling', query: maxBy(budgetBy, scoped('llm_budget_limit_usd')) },
            {
              title: 'Elapsed',
              unit: 'percentunit',
              decimals: 0,
              query: withCeiling(maxBy(budgetBy, scoped('tenant:llm_budget_elapsed:ratio'))),
            },
            {
              title: 'Forecast at the end',
              query: withCeiling(maxBy(budgetBy, scoped('tenant:llm_budget_forecast_usd:linear'))),
            },
            {
              title: 'Unpriced',
              unit: 'short',
              query: withCeiling(sumBy(budgetBy, scoped('llm_budget_unpriced_calls'))),
            },
          ],
        }),
        graph({
          title: 'Burn-down of the month',
          description: 'What is left of each tenant’s ceiling of the month. Below zero it is exceeded.',
          unit: 'currencyUSD',
          min: 'lowest',
          lines: [
            {
              query: promql`${maxBy(monthBy, scoped('llm_budget_limit_usd', { period: 'month' }))} - ${sumBy(monthBy, scoped('llm_budget_spent_usd', { period: 'month' }))}`,
              legend: '{{tenant_id}} {{environment}}',
            },
          ],
        }),
        graph({
          title: 'End of the month, forecast',
          description:
            'What each tenant will have spent when the month ends: so far, and the speed of the last day until then.',
          unit: 'currencyUSD',
          lines: [
            {
              query: maxBy(monthBy, scoped('tenant:llm_budget_forecast_usd:linear', { period: 'month' })),
              legend: '{{tenant_id}} {{environment}}',
            },
          ],
        }),
      ],
    },
    {
      title: 'Where it goes',
      panels: [
        graph({
          title: 'Cost by tenant',
          description: 'Dollars an hour at the speed of the moment.',
          unit: 'currencyUSD',
          stack: true,
          lines: [
            {
              query: promql`3600 * ${sumBy(['tenant_id'], thinned('instance:llm_cost_usd:rate5m'))}`,
              legend: '{{tenant_id}}',
            },
          ],
        }),
        graph({
          title: 'Cost by model',
          description: 'Dollars an hour at the speed of the moment.',
          unit: 'currencyUSD',
          stack: true,
          lines: [
            {
              query: promql`3600 * ${sumBy(['provider', 'model'], thinned('instance:llm_cost_usd:rate5m'))}`,
              legend: '{{provider}} {{model}}',
            },
          ],
        }),
        table({
          title: 'Chargeback',
          description:
            'Tenant × provider × model over the chosen range, from the ledger, as first priced. For an invoice use the ledger itself.',
          unit: 'short',
          height: 12,
          labels: { tenant_id: 'Tenant', provider: 'Provider', model: 'Model' },
          columns: [
            { title: 'Cost', unit: 'currencyUSD', query: by(grown(cost, RANGE)) },
            { title: 'Calls', query: by(grown(scoped('llm_calls_total'), RANGE)) },
            { title: 'Tokens', query: by(grown(scoped('llm_tokens_total'), RANGE)) },
            {
              title: 'Per 1M tokens',
              unit: 'currencyUSD',
              query: promql`1000000 * ${ratio(by(grown(cost, RANGE)), by(grown(scoped('llm_tokens_total'), RANGE)))}`,
            },
            {
              title: 'Of it failed',
              unit: 'currencyUSD',
              query: by(grown(scoped('llm_failed_cost_usd_total'), RANGE)),
            },
            { title: 'Unpriced calls', query: by(grown(scoped('llm_unpriced_calls_total'), RANGE)) },
          ],
        }),
      ],
    },
    {
      title: 'How sure the numbers are',
      panels: [
        graph({
          title: 'Cost by source of its tokens',
          description:
            'provider: told by the provider; counted: from a unit that it bills; gateway: Kong’s own number; estimated: from the text; partial: of a stream that broke.',
          unit: 'currencyUSD',
          stack: true,
          lines: [
            {
              query: promql`3600 * ${sumBy(['source'], rate(scoped('llm_usage_source_cost_usd_total'), '$__rate_interval'))}`,
              legend: '{{source}}',
            },
          ],
        }),
        table({
          title: 'Models without a price',
          description:
            'Their calls are in no cost. `kong-llm-observer unpriced` lists them too; docs/prices.md says how to add a price.',
          unit: 'short',
          width: 12,
          height: 8,
          labels: { provider: 'Provider', model: 'Model', reason: 'Reason' },
          columns: [
            {
              title: 'Calls',
              query: promql`${sumBy(['provider', 'model', 'reason'], grown(scoped('llm_unpriced_calls_total'), RANGE))} > 0`,
            },
          ],
          noValue: 'all have one',
        }),
        graph({
          title: 'Amounts that may lack something',
          points: HOURLY_POINTS,
          description:
            'Calls of the last hour at each moment, by reason; docs/read.md says what each means. `unread_usage`: a provider counts something that nobody reads.',
          unit: 'short',
          softMax: 1,
          lines: [
            {
              query: orNone(sumBy(['reason'], increase(scoped('llm_call_reasons_total'), '1h')), 'reason'),
              legend: '{{reason}}',
            },
          ],
        }),
        table({
          title: 'Reasons by tenant',
          description: 'Calls of the range whose amount may lack something. A call with two reasons counts in both.',
          unit: 'short',
          width: 12,
          height: 8,
          labels: { tenant_id: 'Tenant', reason: 'Reason' },
          columns: [
            {
              title: 'Calls',
              query: promql`${sumBy(['tenant_id', 'reason'], grown(scoped('llm_call_reasons_total'), RANGE))} > 0`,
            },
          ],
          noValue: 'no reasons',
        }),
        table({
          title: 'Providers’ bills against our list',
          description:
            'Of answers whose provider tells its bill: the bill is the cost; here is by how much it was above and below our list. Of all tenants and models; “Share” is of the provider’s cost.',
          unit: 'currencyUSD',
          labels: { provider: 'Provider' },
          columns: [
            {
              title: 'Share',
              unit: 'percentunit',
              decimals: 2,
              steps: ['text', [0.02, 'orange']],
              query: promql`(${aboveList} + ${belowList}) / (${costOfProviders} > 0)`,
            },
            { title: 'Above', query: aboveList },
            { title: 'Below', query: belowList },
          ],
          noValue: 'no bills',
        }),
      ],
    },
  ],
})

/** Only where there is a ceiling: no budget is not a budget of 0. */
function withCeiling(of: Vector<(typeof budgetBy)[number]>) {
  return promql`${of} and ${maxBy(budgetBy, scoped('llm_budget_limit_usd'))}`
}
function by<Label extends string>(of: Vector<Label | 'tenant_id' | 'provider' | 'model'>) {
  return sumBy(['tenant_id', 'provider', 'model'], of)
}
