import type { AlertGroup } from '../alert.ts'
import { allDown, metric, over, promql } from '../promql.ts'

const of = '{{ $labels.tenant_id }} with {{ $labels.model }}'
const board = { board: 'tenant', about: ['tenant_id', 'model'] } as const
/** The most within two hours around this time a day ago: what comes daily, such as a job at night, is ordinary. */
const yesterday = <Name extends 'tenant_model:llm_calls:rate5m' | 'tenant_model:llm_cost_usd:rate5m'>(name: Name) =>
  over('max_over_time', metric<Name>(name), '2h', '23h')
const calls = metric('tenant_model:llm_calls:rate5m')
const usualCalls = metric('tenant_model:llm_calls:mean26h')
const callBand = metric('tenant_model:llm_calls:band26h')
const cost = metric('tenant_model:llm_cost_usd:rate5m')
const usualCost = metric('tenant_model:llm_cost_usd:mean26h')
const costBand = metric('tenant_model:llm_cost_usd:band26h')

/** Outside the band of the last 26 hours, and large enough to matter. Silent in the first day of a tenant and model. */
export const ANOMALY_ALERTS: AlertGroup = {
  name: 'llm-anomaly-alerts',
  interval: '1m',
  alerts: [
    {
      name: 'LLMCostAnomaly',
      priority: 'P3',
      expr: promql`${cost} * 3600 > 1 and ${cost} > ${usualCost} + 2 * ${costBand} and ${cost} > 1.5 * ${yesterday('tenant_model:llm_cost_usd:rate5m')}`,
      for: '15m',
      summary: `The cost of ${of} is out of the ordinary`,
      description:
        '{{ $value | humanize }} USD an hour, outside the band of the last 26 hours, and half as much again as a day ago at this time.',
      ...board,
    },
    {
      name: 'LLMTrafficAnomaly',
      priority: 'P4',
      expr: promql`${calls} * 60 > 20 and ${calls} > ${usualCalls} + 2 * ${callBand} and ${calls} > 1.5 * ${yesterday('tenant_model:llm_calls:rate5m')}`,
      for: '15m',
      summary: `There are more calls of ${of} than usual`,
      description:
        '{{ $value | humanize }} calls a minute, outside the band of the last 26 hours, and half as much again as a day ago at this time.',
      ...board,
    },
    {
      name: 'LLMTrafficLost',
      priority: 'P3',
      // A band as wide as the mean says that silence is ordinary.
      expr: promql`${usualCalls} * 60 > 20 and ${calls} < ${usualCalls} - ${callBand} and ${calls} < 0.1 * ${usualCalls} unless on (environment) ${allDown('kong')}`,
      for: '15m',
      summary: `The calls of ${of} have stopped`,
      description:
        'Usual were {{ $value | humanize }} calls a minute in the last 26 hours; less than a tenth of them is left.',
      ...board,
    },
  ],
}
