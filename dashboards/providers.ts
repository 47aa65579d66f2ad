import { aggregate, grown, promql, quantile, rate, ratio, share, sum, sumBy } from '../monitoring/promql.ts'
import { ERROR_STATUSES } from '../monitoring/slo.ts'
import { makeBoard } from './board.ts'
import { graph, HOURLY_POINTS, stat, table } from './panels.ts'
import { scoped, scopedBucket, scopedCount, scopedTotal, thinned } from './scope.ts'
import { badCalls, orNone, orZeroOfCalls, SUCCESS_STEPS, successRatio } from './shared-queries.ts'

const RANGE = '$__range'
const INTERVAL = '$__rate_interval'
const byModel = ['provider', 'model'] as const
const model = '{{provider}} {{model}}'
/** Two minutes each of six hours: what a line says of five minutes changes little between them. */
const POINTS = 150
const output = { type: { matches: 'output.*' } } as const

/** Seconds between first and last byte, by the tokens that came in them. */
function timePerOutputToken(window: typeof RANGE | typeof INTERVAL) {
  const growth = window === RANGE ? grown : rate
  const writing = promql`${sumBy(byModel, growth(scopedTotal('llm_latency_seconds'), window))} - ${sumBy(byModel, growth(scopedTotal('llm_time_to_first_token_seconds'), window))}`
  return promql`(${writing} > 0) / (${sumBy(byModel, growth(scoped('llm_tokens_total', output), window))} > 0)`
}
function finished<By extends 'provider' | 'model'>(by: readonly By[], reason: string) {
  return share(
    sumBy(by, thinned('instance:llm_finished_answers:rate5m', '1h', { reason: { matches: reason } })),
    sumBy(by, thinned('instance:llm_finished_answers:rate5m', '1h')),
  )
}

export const PROVIDERS = makeBoard({
  uid: 'llm-providers',
  title: 'LLM Providers & models',
  description:
    'Which provider and model is fast, which fails, which refuses? For whoever chooses models and is paged when one breaks.',
  from: 'now-6h',
  variables: ['environment', 'region', 'tenant', 'provider', 'model'],
  rows: [
    {
      panels: [
        stat({
          title: 'Success rate',
          description: 'Of the calls of the range that reached a provider.',
          unit: 'percentunit',
          decimals: 2,
          query: successRatio([], RANGE),
          steps: SUCCESS_STEPS,
          noValue: 'no calls',
        }),
        stat({
          title: 'Failed calls',
          description: 'Server errors, timeouts and rate limits of providers within the range.',
          unit: 'short',
          query: badCalls([], RANGE),
        }),
        stat({
          title: 'First token p95',
          description: 'The first byte of 95 % of the good answers came within this time.',
          unit: 's',
          query: quantile(0.95, [], grown(scopedBucket('llm_time_to_first_token_seconds'), RANGE)),
          noValue: 'no answers',
        }),
        stat({
          title: 'Provider rate limits',
          description: 'Calls that a provider refused with 429 within the range. Kong’s own limits are not in it.',
          unit: 'short',
          query: orZeroOfCalls(
            [],
            sum(grown(scoped('llm_rate_limited_calls_total', { by: 'provider' }), RANGE)),
            RANGE,
          ),
        }),
        stat({
          title: 'Models in use',
          description: 'Models with calls within the range.',
          unit: 'short',
          query: aggregate('count', [], promql`${sumBy(byModel, grown(scoped('llm_calls_total'), RANGE))} > 0`),
        }),
        stat({
          title: 'Answers cut off',
          description: 'Share of the answers that ended at their limit of tokens.',
          unit: 'percentunit',
          decimals: 1,
          query: share(
            sum(grown(scoped('llm_finished_answers_total', { reason: 'length' }), RANGE)),
            sum(grown(scoped('llm_finished_answers_total'), RANGE)),
          ),
          noValue: 'no answers',
        }),
      ],
    },
    {
      title: 'Speed',
      panels: [
        graph({
          title: 'Latency p95 by model',
          points: POINTS,
          description:
            '95 % of the calls took at most so long, streams to their end. Points are single traces: click one.',
          unit: 's',
          lines: [
            {
              query: quantile(0.95, byModel, thinned('instance:llm_latency_seconds_bucket:rate5m')),
              legend: model,
              exemplarsOf: scopedBucket('llm_latency_seconds'),
            },
          ],
        }),
        graph({
          title: 'Time to first token p95 by model',
          points: POINTS,
          description: 'From the start of the call to the first byte of a good answer.',
          unit: 's',
          lines: [
            {
              query: quantile(0.95, byModel, thinned('instance:llm_time_to_first_token_seconds_bucket:rate5m')),
              legend: model,
              exemplarsOf: scopedBucket('llm_time_to_first_token_seconds'),
            },
          ],
        }),
        graph({
          title: 'Time per output token by model',
          points: POINTS,
          description:
            'Seconds between first and last byte by output tokens, on average. Rough: failed calls bring seconds, and answers that came in one piece tokens. Compare models of the same use.',
          unit: 's',
          lines: [{ query: timePerOutputToken(INTERVAL), legend: model }],
        }),
        graph({
          title: 'Calls at once by provider',
          description: 'Calls under way on average (Little’s law: rate × duration).',
          unit: 'short',
          lines: [
            { query: sumBy(['provider'], rate(scopedTotal('llm_latency_seconds'), INTERVAL)), legend: '{{provider}}' },
          ],
        }),
      ],
    },
    {
      title: 'Failures',
      panels: [
        graph({
          title: 'Failed calls by provider and outcome',
          description: 'Calls a minute that ended in a server error, a timeout or a rate limit.',
          unit: 'cpm',
          softMax: 1,
          lines: [
            {
              query: promql`60 * ${sumBy(['provider', 'status'], rate(scoped('llm_calls_total', { status: { matches: `${ERROR_STATUSES}|rate_limited` } }), INTERVAL))}`,
              legend: '{{provider}} {{status}}',
            },
          ],
        }),
        graph({
          title: 'Rate limits',
          description: 'Calls a minute that were refused with 429, by whom: Kong or the provider.',
          unit: 'cpm',
          softMax: 1,
          lines: [
            {
              query: orNone(
                promql`60 * ${sumBy(['provider', 'by'], rate(scoped('llm_rate_limited_calls_total'), INTERVAL))}`,
                'by',
              ),
              legend: '{{provider}} by {{by}}',
            },
          ],
        }),
        graph({
          title: 'Failed attempts',
          description: 'Targets a minute that Kong tried before the one that answered.',
          unit: 'cpm',
          softMax: 1,
          lines: [
            {
              query: orNone(
                promql`60 * ${sumBy(['provider'], rate(scoped('llm_failed_attempts_total'), INTERVAL))}`,
                'provider',
              ),
              legend: '{{provider}}',
            },
          ],
        }),
        graph({
          title: 'Truncation and refusal',
          points: HOURLY_POINTS,
          description:
            'Over the last hour at each moment: the share of answers that ended at their limit of tokens, by model; and that were refused or filtered, by provider.',
          unit: 'percentunit',
          softMax: 0.1,
          lines: [
            { query: finished(byModel, 'length'), legend: '{{model}} cut off' },
            { query: finished(['provider'], 'refusal|content_filter'), legend: '{{provider}} refused' },
          ],
        }),
      ],
    },
    {
      title: 'Use',
      panels: [
        graph({
          title: 'Tokens by kind',
          points: POINTS,
          description: 'Tokens a second. The kinds never overlap.',
          unit: 'cps',
          stack: true,
          lines: [{ query: promql`${sumBy(['type'], thinned('instance:llm_tokens:rate5m'))} > 0`, legend: '{{type}}' }],
        }),
        graph({
          title: 'Calls by model',
          points: POINTS,
          description: 'Calls a second.',
          unit: 'reqps',
          stack: true,
          lines: [{ query: sumBy(byModel, thinned('instance:llm_calls:rate5m')), legend: model }],
        }),
        table({
          title: 'Models',
          description: 'Every model of the range. Latency is the mean.',
          unit: 'short',
          height: 10,
          labels: { provider: 'Provider', model: 'Model' },
          columns: [
            { title: 'Calls', query: sumBy(byModel, grown(scoped('llm_calls_total'), RANGE)) },
            { title: 'Cost', unit: 'currencyUSD', query: sumBy(byModel, grown(scoped('llm_cost_usd_total'), RANGE)) },
            {
              title: 'Mean latency',
              unit: 's',
              decimals: 2,
              query: ratio(
                sumBy(byModel, grown(scopedTotal('llm_latency_seconds'), RANGE)),
                sumBy(byModel, grown(scopedCount('llm_latency_seconds'), RANGE)),
              ),
            },
            { title: 'Per output token', unit: 's', decimals: 1, query: timePerOutputToken(RANGE) },
            {
              title: 'Cached input',
              unit: 'percentunit',
              decimals: 1,
              query: share(
                sumBy(byModel, grown(scoped('llm_tokens_total', { type: { matches: 'cache_read.*' } }), RANGE)),
                sumBy(byModel, grown(scoped('llm_tokens_total', { type: { matches: 'input.*|cache_.*' } }), RANGE)),
              ),
            },
          ],
        }),
      ],
    },
  ],
})
