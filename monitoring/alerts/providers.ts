import type { AlertGroup } from '../alert.ts'
import {
  allDown,
  bucket,
  count,
  increase,
  metric,
  offset,
  over,
  promql,
  quantile,
  rate,
  ratio,
  sumBy,
} from '../promql.ts'
import { failedCalls, validCalls } from '../slo.ts'

const by = ['environment', 'provider'] as const
const byModel = ['environment', 'provider', 'model'] as const
const of = 'of {{ $labels.provider }}'

/** Evaluated often: this is the page for an outage. */
export const PROVIDER_DOWN: AlertGroup = {
  name: 'llm-provider-down',
  interval: '5s',
  alerts: [
    {
      name: 'LLMProviderDown',
      priority: 'P1',
      expr: promql`${failedCalls(by, '30s')} / ${validCalls(by, '30s')} > 0.5 and ${failedCalls(by, '30s')} * 30 >= 10`,
      for: '10s',
      keepFiringFor: '2m',
      summary: 'Provider {{ $labels.provider }} fails most calls',
      description: `{{ $value | humanizePercentage }} of the calls ${of} in the last 30 seconds failed with server errors, timeouts or rate limits.`,
      board: 'providers',
      about: ['provider'],
    },
  ],
}

export const PROVIDER_ALERTS: AlertGroup = {
  name: 'llm-provider-alerts',
  interval: '30s',
  alerts: [
    {
      name: 'LLMProviderErrors',
      priority: 'P2',
      expr: promql`${metric('provider:llm_errors:ratio_rate5m')} > 0.1 and ${metric('provider:llm_errors:rate5m')} * 300 >= 10`,
      for: '3m',
      summary: 'Provider {{ $labels.provider }} fails more than one call in ten',
      description: `{{ $value | humanizePercentage }} of the calls ${of} failed in the last 5 minutes.`,
      board: 'providers',
      about: ['provider'],
    },
    {
      name: 'LLMProviderRateLimited',
      priority: 'P3',
      expr: promql`${sumBy(by, rate(metric('llm_rate_limited_calls_total', { by: 'provider' }), '15m'))} / ${validCalls(by, '15m')} > 0.05 and ${sumBy(by, increase(metric('llm_rate_limited_calls_total', { by: 'provider' }), '15m'))} >= 10`,
      for: '5m',
      summary: 'Provider {{ $labels.provider }} refuses calls with 429',
      description: `{{ $value | humanizePercentage }} of the calls ${of} in the last 15 minutes met the provider's rate limit.`,
      board: 'providers',
      about: ['provider'],
    },
    {
      name: 'LLMLatencyHigh',
      priority: 'P3',
      expr: promql`${quantile(0.95, byModel, rate(bucket('llm_latency_seconds'), '10m'))} > 30 and ${sumBy(byModel, rate(count('llm_latency_seconds'), '10m'))} * 600 >= 20`,
      for: '10m',
      summary: 'Calls of {{ $labels.model }} at {{ $labels.provider }} take long',
      description: '95 % of the calls take up to {{ $value | humanizeDuration }}; more than 30 s for 10 minutes.',
      board: 'providers',
      about: ['provider', 'model'],
    },
    {
      name: 'LLMFirstTokenSlow',
      priority: 'P3',
      expr: promql`${quantile(0.95, byModel, rate(bucket('llm_time_to_first_token_seconds'), '10m'))} > 5 and ${sumBy(byModel, rate(count('llm_time_to_first_token_seconds'), '10m'))} * 600 >= 20`,
      for: '10m',
      summary: '{{ $labels.model }} at {{ $labels.provider }} begins its answers late',
      description:
        'The first byte of 95 % of the answers comes within {{ $value | humanizeDuration }}; more than 5 s for 10 minutes.',
      board: 'providers',
      about: ['provider', 'model'],
    },
    {
      name: 'LLMFailOver',
      priority: 'P3',
      expr: promql`${sumBy(by, rate(metric('llm_failed_attempts_total'), '15m'))} / on (environment, provider) ${validCalls(by, '15m')} > 0.1 and ${sumBy(by, increase(metric('llm_failed_attempts_total'), '15m'))} >= 10`,
      for: '5m',
      summary: 'Kong fails over from {{ $labels.provider }}',
      description: `{{ printf "%.2f" $value }} failed attempts for each call ${of} in the last 15 minutes; clients still get answers, later.`,
      board: 'providers',
      about: ['provider'],
    },
    {
      name: 'LLMAnswersCutOff',
      priority: 'P4',
      expr: promql`${ratio(sumBy(byModel, rate(metric('llm_finished_answers_total', { reason: 'length' }), '1h')), sumBy(byModel, rate(metric('llm_finished_answers_total'), '1h')))} > 0.2 and ${sumBy(byModel, increase(metric('llm_finished_answers_total', { reason: 'length' }), '1h'))} >= 20`,
      for: '30m',
      summary: 'Answers of {{ $labels.model }} are cut off',
      description:
        '{{ $value | humanizePercentage }} of the answers of the last hour ended at their limit of tokens, and were paid for.',
      board: 'providers',
      about: ['provider', 'model'],
    },
    {
      name: 'LLMTrafficStopped',
      priority: 'P2',
      // Only where a whole day never had such a silence: nights are no incident, nor is the end of a trial. That day ended six
      // hours ago, so that the silence itself does not end the alert.
      expr: promql`sum by (environment) (${metric('provider:llm_calls:rate5m')}) == 0 and sum by (environment) (${over('min_over_time', metric('provider:llm_calls:rate5m'), '1d', '6h')} and ${offset(metric('provider:llm_calls:rate5m'), '30h')}) > 0 unless ${allDown('kong')}`,
      for: '10m',
      summary: 'No LLM call has been seen for 15 minutes',
      description:
        'In the day before there was no such silence. Either clients are gone, or Kong or the plugin no longer sees them.',
      board: 'overview',
    },
  ],
}
