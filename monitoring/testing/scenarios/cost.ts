import { atModel, atProvider, call, cost, ofTenant, tenant } from '../ordinary-series.ts'
import {
  type Course,
  counter,
  ENVIRONMENT,
  gauge,
  quietThenLoud,
  type Scenario,
  SIDECAR,
  scenario,
} from '../scenario.ts'

const source = (
  name: 'llm_usage_source_cost_usd_total' | 'llm_usage_source_calls_total',
  from: string,
  course: Course,
) => counter(name, { ...tenant, source: from }, course)
export const COST_SCENARIOS: readonly Scenario[] = [
  scenario(
    'LLMCostSpike',
    ofTenant,
    [
      cost([
        [1600, 0.01],
        [40, 0.5],
      ]),
    ],
    { interval: '1m', silentAt: 1600, firesAt: 1625 },
  ),
  scenario('LLMUnpricedCalls', { ...atModel, reason: 'unknown_model' }, [
    counter('llm_unpriced_calls_total', { ...call, reason: 'unknown_model' }, quietThenLoud(0, 1)),
  ]),
  scenario('LLMUsageUnknown', ofTenant, [
    source('llm_usage_source_calls_total', 'provider', quietThenLoud(5, 5)),
    source('llm_usage_source_calls_total', 'unknown', quietThenLoud(0, 1)),
  ]),
  scenario(
    'LLMEstimatedShareHigh',
    ofTenant,
    [
      source('llm_usage_source_cost_usd_total', 'provider', [
        [120, 0.1],
        [400, 0.1],
      ]),
      source('llm_usage_source_cost_usd_total', 'estimated', [
        [120, 0],
        [400, 0.1],
      ]),
    ],
    { silentAt: 120, firesAt: 500 },
  ),
  scenario('LLMUnreadUsage', ENVIRONMENT, [
    counter('llm_call_reasons_total', { ...tenant, reason: 'unread_usage' }, quietThenLoud(0, 1)),
    counter('llm_call_reasons_total', { ...tenant, reason: 'fee_counted' }, quietThenLoud(1, 1)),
  ]),
  scenario(
    'LLMBillDiffersFromList',
    atProvider,
    [
      cost([[520, 0.1]]),
      // 1 % before, 10 % after.
      counter('llm_provider_bill_above_list_usd_total', { ...SIDECAR, provider: 'openai' }, [
        [120, 0.001],
        [400, 0.01],
      ]),
      counter('llm_provider_bill_below_list_usd_total', { ...SIDECAR, provider: 'openai' }, [[520, 0]]),
    ],
    { silentAt: 120, firesAt: 500 },
  ),
  scenario(
    'LLMUnattributedSpend',
    ENVIRONMENT,
    [
      cost([
        [120, 0.1],
        [400, 0.1],
      ]),
      cost(
        [
          [120, 0],
          [400, 0.1],
        ],
        { ...call, tenant_id: 'unattributed' },
      ),
    ],
    { silentAt: 120, firesAt: 500 },
  ),
  scenario(
    'LLMFailedCallsCostMoney',
    ofTenant,
    [
      cost([
        [120, 0.1],
        [400, 0.1],
      ]),
      counter('llm_failed_cost_usd_total', { ...call, status: 'timeout' }, [
        [120, 0],
        [400, 0.03],
      ]),
    ],
    { silentAt: 120, firesAt: 500 },
  ),
  // promtool's clock begins at 1970: the list is of that day.
  scenario('LLMPricesOld', ENVIRONMENT, [gauge('observer_price_catalogue_timestamp_seconds', SIDECAR, [[1460, 0]])], {
    interval: '1h',
    silentAt: 1440,
    firesAt: 1442,
  }),
  scenario(
    'LLMPriceFileRefused',
    { ...ENVIRONMENT, instance: 'sidecar:8086' },
    [
      counter('observer_price_book_reloads_total', { ...SIDECAR, result: 'invalid' }, [
        [100, 0],
        [1, 1],
        [60, 0],
      ]),
    ],
    { silentAt: 100, firesAt: 130 },
  ),
  scenario(
    'LLMCacheHitRateDropped',
    ofTenant,
    [
      counter('kong_semantic_cache_requests_total', tenant, [[1620, 10]]),
      counter('kong_semantic_cache_hits_total', tenant, [
        [1500, 6],
        [120, 1],
      ]),
    ],
    { interval: '1m', silentAt: 1500, firesAt: 1610 },
  ),
]
