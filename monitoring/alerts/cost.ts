import type { AlertGroup } from '../alert.ts'
import { increase, increaseWithFirst, metric, over, promql, rate, ratio, share, sumBy } from '../promql.ts'

const byTenant = ['environment', 'tenant_id'] as const
const cost = metric('llm_cost_usd_total')
const byProvider = ['environment', 'provider'] as const
/** Above and below the list do not cancel out: an answer that is billed too high is not mended by one that is too low. */
const billDifference = promql<
  (typeof byProvider)[number]
>`(${sumBy(byProvider, increaseWithFirst(metric('llm_provider_bill_above_list_usd_total'), '1d'))} + ${sumBy(byProvider, increaseWithFirst(metric('llm_provider_bill_below_list_usd_total'), '1d'))})`
const unattributed = { tenant_id: 'unattributed' } as const

export const COST_ALERTS: AlertGroup = {
  name: 'llm-cost-alerts',
  interval: '1m',
  alerts: [
    {
      name: 'LLMCostSpike',
      priority: 'P2',
      // Twice the same hours of the day before as well: what comes daily is no spike. Those must exist: after a start, or for
      // a new tenant, everything is one.
      expr: promql`${metric('tenant:llm_cost_usd:rate5m')} * 3600 > 5 and ${metric('tenant:llm_cost_usd:rate5m')} > 5 * ${metric('tenant:llm_cost_usd:rate1d')} and ${metric('tenant:llm_cost_usd:rate5m')} > 2 * ${over('max_over_time', metric('tenant:llm_cost_usd:rate5m'), '2h', '23h')}`,
      for: '10m',
      summary: 'Tenant {{ $labels.tenant_id }} spends five times as fast as on the day before',
      description: '{{ $value | humanize }} USD an hour, for 10 minutes, and twice as much as a day ago at this time.',
      board: 'tenant',
      about: ['tenant_id'],
    },
    {
      name: 'LLMUnpricedCalls',
      priority: 'P3',
      expr: promql`${sumBy(['environment', 'provider', 'model', 'reason'], increaseWithFirst(metric('llm_unpriced_calls_total', { reason: { not: 'no_usage' } }), '1h'))} >= 5`,
      for: '15m',
      summary: 'Calls of {{ $labels.model }} at {{ $labels.provider }} have no price',
      description: '{{ $value | humanize }} calls of the last hour are not in any cost: {{ $labels.reason }}.',
      board: 'cost',
      about: ['provider', 'model'],
    },
    {
      name: 'LLMUsageUnknown',
      priority: 'P3',
      expr: promql`${ratio(sumBy(byTenant, increaseWithFirst(metric('llm_usage_source_calls_total', { source: 'unknown' }), '1h')), sumBy(byTenant, increaseWithFirst(metric('llm_usage_source_calls_total'), '1h')))} > 0.05 and ${sumBy(byTenant, increaseWithFirst(metric('llm_usage_source_calls_total', { source: 'unknown' }), '1h'))} >= 10`,
      for: '15m',
      summary: 'Of many calls of {{ $labels.tenant_id }} nobody knows the tokens',
      description:
        '{{ $value | humanizePercentage }} of the calls of the last hour have an unknown usage, and so no cost.',
      board: 'cost',
      about: ['tenant_id'],
    },
    {
      name: 'LLMEstimatedShareHigh',
      priority: 'P3',
      expr: promql`${ratio(sumBy(byTenant, increaseWithFirst(metric('llm_usage_source_cost_usd_total', { source: 'estimated' }), '6h')), sumBy(byTenant, increaseWithFirst(metric('llm_usage_source_cost_usd_total'), '6h')))} > 0.1 and ${sumBy(byTenant, increaseWithFirst(metric('llm_usage_source_cost_usd_total', { source: 'estimated' }), '6h'))} > 1`,
      for: '30m',
      summary: 'More than a tenth of what {{ $labels.tenant_id }} spends is estimated',
      description:
        '{{ $value | humanizePercentage }} of the cost of the last 6 hours rests on tokens counted from texts.',
      board: 'cost',
      about: ['tenant_id'],
    },
    {
      name: 'LLMUnreadUsage',
      priority: 'P3',
      expr: promql`${sumBy(['environment'], increaseWithFirst(metric('llm_call_reasons_total', { reason: 'unread_usage' }), '1h'))} >= 5`,
      for: '15m',
      summary: 'A provider counts something in its usage that nobody reads',
      description:
        '{{ $value | humanize }} calls of the last hour have a counted key in their usage that is in no amount: they may cost more than is known.',
      board: 'cost',
    },
    {
      name: 'LLMBillDiffersFromList',
      priority: 'P4',
      expr: promql`${billDifference} / (${sumBy(byProvider, increaseWithFirst(cost, '1d'))} > 0) > 0.02 and ${billDifference} > 1`,
      for: '30m',
      summary: 'What {{ $labels.provider }} bills is not what our list says',
      description:
        '{{ $value | humanizePercentage }} of the cost of the last day differs from the list. The bill is the cost; calls without a bill are priced by the list.',
      board: 'cost',
      about: ['provider'],
    },
    {
      name: 'LLMUnattributedSpend',
      priority: 'P3',
      expr: promql`${sumBy(['environment'], increase(metric('llm_cost_usd_total', unattributed), '6h'))} / (${sumBy(['environment'], increase(cost, '6h'))} > 0) > 0.05 and ${sumBy(['environment'], increase(metric('llm_cost_usd_total', unattributed), '6h'))} > 1`,
      for: '30m',
      summary: 'Money is spent that no tenant can be charged for',
      description: '{{ $value | humanizePercentage }} of the cost of the last 6 hours belongs to no tenant.',
      board: 'cost',
    },
    {
      name: 'LLMFailedCallsCostMoney',
      priority: 'P4',
      expr: promql`${sumBy(byTenant, increaseWithFirst(metric('llm_failed_cost_usd_total'), '6h'))} / (${sumBy(byTenant, increaseWithFirst(cost, '6h'))} > 0) > 0.1 and ${sumBy(byTenant, increaseWithFirst(metric('llm_failed_cost_usd_total'), '6h'))} > 1`,
      for: '30m',
      summary: 'Tenant {{ $labels.tenant_id }} pays for calls that failed',
      description:
        '{{ $value | humanizePercentage }} of the cost of the last 6 hours went to calls without a good answer.',
      board: 'cost',
      about: ['tenant_id'],
    },
    {
      name: 'LLMPricesOld',
      priority: 'P3',
      expr: promql`time() - max by (environment) (${metric('observer_price_catalogue_timestamp_seconds')}) > 60 * 86400`,
      for: '1h',
      summary: 'The list prices were last compared with their source over 60 days ago',
      description:
        'They are {{ $value | humanizeDuration }} old: new models have no price, and changed ones a wrong one.',
      board: 'cost',
    },
    {
      name: 'LLMPriceFileRefused',
      priority: 'P3',
      expr: promql`${sumBy(['environment', 'instance'], increase(metric('observer_price_book_reloads_total', { result: 'invalid' }), '1h'))} > 0`,
      summary: 'A change of the price file was refused',
      description: 'The file has mistakes; the prices before it stay in force. The sidecar’s log names them.',
      board: 'telemetry',
    },
    {
      name: 'LLMCacheHitRateDropped',
      priority: 'P4',
      expr: promql`${hitRate('1h')} < 0.5 * ${hitRate('1h', '1d')} and ${sumBy(byTenant, increase(metric('kong_semantic_cache_requests_total'), '1h'))} >= 100`,
      for: '30m',
      summary: 'The semantic cache answers half as many calls of {{ $labels.tenant_id }} as a day ago',
      description: 'It answers {{ $value | humanizePercentage }} of the calls of the last hour.',
      board: 'cost',
      about: ['tenant_id'],
    },
  ],
}

function hitRate(window: '1h', ago?: '1d') {
  const hits = sumBy(byTenant, rate(metric('kong_semantic_cache_hits_total'), window, ago))
  return share(hits, sumBy(byTenant, rate(metric('kong_semantic_cache_requests_total'), window, ago)))
}
