import { aggregate, bucket, metric, offset, over, promql, rate, ratio, sumBy, type Vector } from './promql.ts'
import { KEPT, keptName, type RECORDED, type RecordedName, THINNED } from './recorded.ts'
import { failedCalls, ratioOf, SLO_INTERVAL_SECONDS, SLO_WINDOWS, SLOS, validCalls } from './slo.ts'

export interface RecordingRule {
  record: RecordedName | `instance:${(typeof KEPT)[number]}:last`
  expr: string
  labels?: Readonly<Record<string, string>>
}
export interface RecordingGroup {
  name: string
  interval: string
  rules: readonly RecordingRule[]
}

/** A rule whose result has the labels that the table promises, no more; `fixed` are those that the rule itself sets. */
function record<Name extends RecordedName, Fixed extends (typeof RECORDED)[Name]['labels'][number] = never>(
  name: Name,
  of: Vector<Exclude<(typeof RECORDED)[Name]['labels'][number], Fixed>>,
  fixed?: Record<Fixed, string>,
): RecordingRule {
  return { record: name, expr: of.text, ...(fixed === undefined ? {} : { labels: fixed }) }
}

const byTenant = ['environment', 'tenant_id'] as const
const byModel = ['environment', 'tenant_id', 'model'] as const
const byPeriod = ['environment', 'tenant_id', 'period'] as const
type ByPeriod = Vector<(typeof byPeriod)[number]>
type BudgetMetric =
  | 'llm_budget_spent_usd'
  | 'llm_budget_limit_usd'
  | 'llm_budget_period_start_timestamp_seconds'
  | 'llm_budget_period_end_timestamp_seconds'
/** Of a tenant at several sidecars each spends a part; ceiling and period are alike at all of them. */
function budget(name: BudgetMetric, period?: string): ByPeriod {
  const of = metric(name, period === undefined ? {} : { period })
  return aggregate(name === 'llm_budget_spent_usd' ? 'sum' : 'max', byPeriod, of)
}
/** Spent, and the speed until the period ends. A day is short enough for the rate of the last hour. */
function forecast(period: 'day' | 'week' | 'month'): ByPeriod {
  const speed = metric(period === 'day' ? 'tenant:llm_cost_usd:rate1h' : 'tenant:llm_cost_usd:rate1d')
  const remaining = promql`${budget('llm_budget_period_end_timestamp_seconds', period)} - time()`
  return promql`${budget('llm_budget_spent_usd', period)} + ${speed} * on (environment, tenant_id) group_right () ${remaining}`
}

export const RECORDING_GROUPS: readonly RecordingGroup[] = [
  {
    name: 'llm-calls',
    interval: '15s',
    rules: [
      record('provider:llm_calls:rate5m', validCalls(['environment', 'provider'], '5m')),
      record('provider:llm_errors:rate5m', failedCalls(['environment', 'provider'], '5m')),
      record(
        'provider:llm_errors:ratio_rate5m',
        ratio(metric('provider:llm_errors:rate5m'), metric('provider:llm_calls:rate5m')),
      ),
      record('tenant:llm_cost_usd:rate5m', sumBy(byTenant, rate(metric('llm_cost_usd_total'), '5m'))),
      record('tenant:llm_cost_usd:rate1h', sumBy(byTenant, rate(metric('llm_cost_usd_total'), '1h'))),
    ],
  },
  {
    name: 'llm-budgets',
    interval: '30s',
    rules: [
      record('tenant:llm_cost_usd:rate1d', sumBy(byTenant, rate(metric('llm_cost_usd_total'), '1d'))),
      record(
        'tenant:llm_budget_used:ratio',
        promql`${budget('llm_budget_spent_usd')} / ${budget('llm_budget_limit_usd')}`,
      ),
      record(
        'tenant:llm_budget_elapsed:ratio',
        promql`(time() - ${budget('llm_budget_period_start_timestamp_seconds')}) / (${budget('llm_budget_period_end_timestamp_seconds')} - ${budget('llm_budget_period_start_timestamp_seconds')})`,
      ),
      record(
        'tenant:llm_budget_forecast_usd:linear',
        promql`${forecast('day')} or ${forecast('week')} or ${forecast('month')}`,
      ),
    ],
  },
  {
    name: 'llm-anomalies',
    interval: '1m',
    rules: [
      record('tenant_model:llm_calls:rate5m', sumBy(byModel, rate(metric('llm_calls_total'), '5m'))),
      record('tenant_model:llm_cost_usd:rate5m', sumBy(byModel, rate(metric('llm_cost_usd_total'), '5m'))),
      ...bands('tenant_model:llm_calls:rate5m', 'tenant_model:llm_calls:mean26h', 'tenant_model:llm_calls:band26h'),
      ...bands(
        'tenant_model:llm_cost_usd:rate5m',
        'tenant_model:llm_cost_usd:mean26h',
        'tenant_model:llm_cost_usd:band26h',
      ),
    ],
  },
  {
    name: 'llm-thinned',
    interval: '1m',
    rules: [
      record('instance:llm_calls:rate5m', rate(metric(THINNED['instance:llm_calls:rate5m']), '5m')),
      record('instance:llm_tokens:rate5m', rate(metric(THINNED['instance:llm_tokens:rate5m']), '5m')),
      record('instance:llm_cost_usd:rate5m', rate(metric(THINNED['instance:llm_cost_usd:rate5m']), '5m')),
      record(
        'instance:llm_finished_answers:rate5m',
        rate(metric(THINNED['instance:llm_finished_answers:rate5m']), '5m'),
      ),
      record(
        'instance:llm_latency_seconds_bucket:rate5m',
        rate(bucket(THINNED['instance:llm_latency_seconds_bucket:rate5m']), '5m'),
      ),
      record(
        'instance:llm_time_to_first_token_seconds_bucket:rate5m',
        rate(bucket(THINNED['instance:llm_time_to_first_token_seconds_bucket:rate5m']), '5m'),
      ),
    ],
  },
  {
    name: 'llm-kept',
    interval: '1m',
    rules: [
      // Whoever went away for good is forgotten after the longest range of a board.
      record('instance:up:seen35d', { text: `max_over_time(${metric('up').text}[35d:1h])` }),
      // Longer than the 5 minutes in which Prometheus still sees a series that it did not see end.
      ...KEPT.map(
        (name): RecordingRule => ({
          record: `instance:${name}:last`,
          expr: `(last_over_time(${name}[6m]) or (last_over_time(${keptName(name)}[2h]) and on (job, instance, environment, region) ${metric('instance:up:seen35d').text})) unless ${name}`,
        }),
      ),
    ],
  },
  {
    name: 'llm-slo',
    interval: `${SLO_INTERVAL_SECONDS}s`,
    rules: [
      record('instance:observer_stale:bool', {
        text: `max by (environment, instance) ((1 - ${metric('observer_store_writable').text}) or on (job, instance, environment, region) (1 - ${metric('up', { job: 'llm-observer' }).text}))`,
      }),
      ...SLOS.flatMap(({ id, objective, valid, bad }): RecordingRule[] => [
        { record: 'slo:objective:ratio', expr: `vector(${objective})`, labels: { slo: id } },
        { record: 'slo:sli_valid:rate5m', expr: valid.text, labels: { slo: id } },
        { record: 'slo:sli_error:rate5m', expr: bad.text, labels: { slo: id } },
      ]),
      ...SLO_WINDOWS.filter((window) => window !== '30d').map(ratioRule),
      record('slo:current_burn_rate:ratio', burnRate()),
    ],
  },
  {
    // 30 days of samples: not every few seconds. But well within the 5 minutes after which Prometheus calls a series stale.
    name: 'llm-slo-period',
    interval: '2m',
    rules: [
      ratioRule('30d'),
      record('slo:period_error_budget_remaining:ratio', {
        text: `1 - ${metric('slo:sli_error:ratio_rate30d').text} / on (slo) group_left () (1 - ${metric('slo:objective:ratio').text})`,
      }),
    ],
  },
]

function ratioRule(window: (typeof SLO_WINDOWS)[number]): RecordingRule {
  const valid = metric('slo:sli_valid:rate5m')
  const bad = metric('slo:sli_error:rate5m')
  return {
    record: ratioOf(window),
    expr: (window === '5m'
      ? ratio(bad, valid)
      : ratio(over('sum_over_time', bad, window), over('sum_over_time', valid, window))
    ).text,
  }
}
function burnRate(): Vector<'environment' | 'slo'> {
  return {
    text: `${metric('slo:sli_error:ratio_rate1h').text} / on (slo) group_left () (1 - ${metric('slo:objective:ratio').text})`,
  }
}

/**
 * Mean and ordinary distance from it over 26 hours, so that a whole day and its edges are in: after grafana's
 * promql-anomaly-detection. Only where there were data a day ago. The band is two standard deviations, half of the mean at
 * least, and as wide as the same hour of the week before was from today's mean.
 */
function bands<
  Signal extends 'tenant_model:llm_calls:rate5m' | 'tenant_model:llm_cost_usd:rate5m',
  Mean extends 'tenant_model:llm_calls:mean26h' | 'tenant_model:llm_cost_usd:mean26h',
  Band extends 'tenant_model:llm_calls:band26h' | 'tenant_model:llm_cost_usd:band26h',
>(signal: Signal, mean: Mean, band: Band): RecordingRule[] {
  const of = metric<RecordedName>(signal)
  const middle = metric<RecordedName>(mean)
  const week = over('max_over_time', of, '1h', '10050m')
  return [
    { record: mean, expr: `${over('avg_over_time', of, '26h').text} and ${offset(of, '24h').text}` },
    {
      record: band,
      expr: `max by (${byModel.join(', ')}) (
  label_replace(2 * ${over('stddev_over_time', of, '26h').text}, "of", "deviation", "", "")
  or label_replace(${middle.text} / 2, "of", "mean", "", "")
  or label_replace(${week.text} - ${middle.text}, "of", "last week", "", "")
) and ${middle.text}`,
    },
  ]
}
