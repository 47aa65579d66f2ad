import { describe, expect, it } from 'vitest'
import { binariesPresent } from '../dev/servers/binary.ts'
import { FIRST_TOKEN_BUCKETS, LATENCY_BUCKETS } from '../sidecar/ledger/series.ts'
import { grown, increaseWithFirst, metric } from './promql.ts'
import { KEPT, KEPT_SERIES, keptName, RECORDED, type RecordedName } from './recorded.ts'
import { type RuleTest, testRules } from './testing/promtool.ts'
import { groupsOf } from './testing/rule-files.ts'
import { CALLS, type Course, counter, gauge, histogram, type Series, SIDECAR } from './testing/scenario.ts'

interface Expected {
  labels: Readonly<Record<string, string>>
  value: number
}
interface Recorded {
  name: string
  interval: string
  at: string
  series: readonly Series[]
  expected: Readonly<Partial<Record<RecordedName, readonly Expected[]>>> & Readonly<Record<string, readonly Expected[]>>
}

/** Two sidecars at work for an hour: b's calls fail now and then, are slow, and b has just gone. */
const SCRAPES = 240
const sidecar = (instance: 'a' | 'b') => ({ ...SIDECAR, instance })
const call = (instance: 'a' | 'b') => ({ ...sidecar(instance), ...CALLS })
const tenantAt = (instance: 'a' | 'b') => ({ ...sidecar(instance), tenant_id: 'blue' })
const steady = (growth: number): Course => [[SCRAPES, growth]]
const HOUR = 3600
const DAY = 24 * HOUR
const PERIODS = { day: DAY, week: 7 * DAY, month: 30 * DAY } as const
const periods = Object.entries(PERIODS)
const both = ['a', 'b'] as const
const twoSidecars: Series[] = [
  counter('llm_calls_total', { ...call('a'), status: 'ok' }, steady(30)),
  counter('llm_calls_total', { ...call('b'), status: 'ok' }, steady(10)),
  counter('llm_calls_total', { ...call('b'), status: 'server_error' }, steady(4)),
  counter('llm_calls_total', { ...call('b'), status: 'rate_limited' }, steady(3)),
  // Not the provider's doing, and not in any of it.
  counter('llm_calls_total', { ...call('b'), status: 'unauthorized' }, steady(7)),
  counter('llm_rate_limited_calls_total', { ...tenantAt('b'), provider: 'openai', by: 'provider' }, steady(1)),
  // Kong's own count neither for the provider nor against it.
  counter('llm_rate_limited_calls_total', { ...tenantAt('b'), provider: 'openai', by: 'gateway' }, steady(2)),
  ...histogram('llm_latency_seconds', call('a'), LATENCY_BUCKETS, [[SCRAPES, 30, 3]]),
  ...histogram('llm_latency_seconds', call('b'), LATENCY_BUCKETS, [[SCRAPES, 10, 50]]),
  ...both.map((instance) => counter('llm_cost_usd_total', call(instance), steady(0.15))),
  gauge('up', sidecar('a'), [[SCRAPES + 1, 1]]),
  gauge('up', sidecar('b'), [[SCRAPES + 1, 0]]),
  gauge('observer_store_writable', sidecar('a'), [[SCRAPES + 1, 1]]),
  ...both.flatMap((instance) =>
    periods.flatMap(([period, length]) => [
      gauge('llm_budget_spent_usd', { ...tenantAt(instance), period }, [[SCRAPES + 1, instance === 'a' ? 30 : 20]]),
      gauge('llm_budget_limit_usd', { ...tenantAt(instance), period }, [[SCRAPES + 1, 200]]),
      gauge('llm_budget_period_start_timestamp_seconds', { ...tenantAt(instance), period }, [[SCRAPES + 1, 0]]),
      gauge('llm_budget_period_end_timestamp_seconds', { ...tenantAt(instance), period }, [[SCRAPES + 1, length]]),
    ]),
  ),
]
const environment = { environment: 'prod' }
const provider = { ...environment, provider: 'openai' }
const tenant = { ...environment, tenant_id: 'blue' }
const model = { ...tenant, model: 'gpt-4o' }
const slo = (id: string) => ({ ...environment, slo: id })
const ofSlo = (success: number, latency: number, freshness: number): Expected[] => [
  { labels: slo('success'), value: success },
  { labels: slo('latency'), value: latency },
  { labels: slo('freshness'), value: freshness },
]
const perPeriod = (value: (length: number) => number) =>
  periods.map(([period, length]) => ({ labels: { ...tenant, period }, value: value(length) }))
/** 72 dollars in the only hour of the last 24. */
const OVER_A_DAY = 72 / DAY

const wave = (low: number, high: number, length: number): Course =>
  Array.from({ length }, (_, step) => [1, step % 2 === 0 ? low : high] as const)
const WEEK_MINUTES = 7 * 24 * 60
const signals = ['tenant_model:llm_calls:rate5m', 'tenant_model:llm_cost_usd:rate5m'] as const
const bothSignals = (course: Course) => signals.map((signal) => gauge(signal, model, course))
const bandsAre = (mean: number, band: number): Recorded['expected'] => ({
  'tenant_model:llm_calls:mean26h': [{ labels: model, value: mean }],
  'tenant_model:llm_cost_usd:mean26h': [{ labels: model, value: mean }],
  'tenant_model:llm_calls:band26h': [{ labels: model, value: band }],
  'tenant_model:llm_cost_usd:band26h': [{ labels: model, value: band }],
})

const rates = (...of: readonly (readonly [labels: Readonly<Record<string, string>>, rate: number])[]) =>
  of.map(([labels, value]): Expected => ({ labels, value }))
/** Of a and b, each with one duration of all calls: the buckets that hold it have the rate of the calls. */
const bucketRates = (
  bounds: readonly number[],
  ...of: readonly (readonly [of: 'a' | 'b', rate: number, each: number])[]
) =>
  of.flatMap(([instance, rate, each]) =>
    [...bounds, Number.POSITIVE_INFINITY].map((bound): Expected => {
      const le = bound === Number.POSITIVE_INFINITY ? '+Inf' : String(bound)
      return { labels: { ...call(instance), le }, value: each <= bound ? rate : 0 }
    }),
  )

const keptTarget = { job: 'some job', instance: 'some instance', environment: 'some environment' }
const CASES: readonly Recorded[] = [
  {
    name: 'thinned: every counter by itself, with all its labels',
    interval: '5s',
    at: '15m',
    series: [
      counter('llm_calls_total', { ...call('a'), status: 'ok' }, steady(30)),
      counter('llm_calls_total', { ...call('a'), status: 'timeout' }, steady(1)),
      counter('llm_calls_total', { ...call('b'), status: 'ok' }, steady(10)),
      counter('llm_tokens_total', { ...call('a'), type: 'input' }, steady(1000)),
      counter('llm_tokens_total', { ...call('a'), type: 'output' }, steady(200)),
      counter('llm_cost_usd_total', call('a'), steady(0.15)),
      counter('llm_finished_answers_total', { ...call('b'), reason: 'length' }, steady(2)),
      ...histogram('llm_latency_seconds', call('a'), LATENCY_BUCKETS, [[SCRAPES, 30, 3]]),
      ...histogram('llm_latency_seconds', call('b'), LATENCY_BUCKETS, [[SCRAPES, 10, 50]]),
      ...histogram('llm_time_to_first_token_seconds', call('a'), FIRST_TOKEN_BUCKETS, [[SCRAPES, 30, 0.3]]),
    ],
    expected: {
      'instance:llm_calls:rate5m': rates(
        [{ ...call('a'), status: 'ok' }, 6],
        [{ ...call('a'), status: 'timeout' }, 0.2],
        [{ ...call('b'), status: 'ok' }, 2],
      ),
      'instance:llm_tokens:rate5m': rates(
        [{ ...call('a'), type: 'input' }, 200],
        [{ ...call('a'), type: 'output' }, 40],
      ),
      'instance:llm_cost_usd:rate5m': rates([call('a'), 0.03]),
      'instance:llm_finished_answers:rate5m': rates([{ ...call('b'), reason: 'length' }, 0.4]),
      'instance:llm_latency_seconds_bucket:rate5m': bucketRates(LATENCY_BUCKETS, ['a', 6, 3], ['b', 2, 50]),
      'instance:llm_time_to_first_token_seconds_bucket:rate5m': bucketRates(FIRST_TOKEN_BUCKETS, ['a', 6, 0.3]),
    },
  },
  {
    name: 'two sidecars at once',
    interval: '15s',
    at: '1h',
    series: twoSidecars,
    expected: {
      'provider:llm_calls:rate5m': [{ labels: provider, value: 3 }],
      'provider:llm_errors:rate5m': [{ labels: provider, value: 5 / 15 }],
      'provider:llm_errors:ratio_rate5m': [{ labels: provider, value: 1 / 9 }],
      'tenant:llm_cost_usd:rate5m': [{ labels: tenant, value: 0.02 }],
      'tenant:llm_cost_usd:rate1h': [{ labels: tenant, value: 0.02 }],
      'tenant:llm_cost_usd:rate1d': [{ labels: tenant, value: OVER_A_DAY }],
      'tenant_model:llm_calls:rate5m': [{ labels: model, value: 54 / 15 }],
      'tenant_model:llm_cost_usd:rate5m': [{ labels: model, value: 0.02 }],
      'tenant:llm_budget_used:ratio': perPeriod(() => 0.25),
      'tenant:llm_budget_elapsed:ratio': perPeriod((length) => HOUR / length),
      'tenant:llm_budget_forecast_usd:linear': perPeriod(
        (length) => 50 + (length === DAY ? 0.02 : OVER_A_DAY) * (length - HOUR),
      ),
      'instance:observer_stale:bool': [
        { labels: { ...environment, instance: 'a' }, value: 0 },
        { labels: { ...environment, instance: 'b' }, value: 1 },
      ],
      'slo:objective:ratio': [
        { labels: { slo: 'success' }, value: 0.995 },
        { labels: { slo: 'latency' }, value: 0.95 },
        { labels: { slo: 'freshness' }, value: 0.999 },
      ],
      'slo:sli_valid:rate5m': ofSlo(3, 40 / 15, 2),
      'slo:sli_error:rate5m': ofSlo(5 / 15, 10 / 15, 1),
      'slo:sli_error:ratio_rate5m': ofSlo(1 / 9, 1 / 4, 1 / 2),
    },
  },
  {
    name: 'targets that were there within 35 days',
    interval: '1h',
    at: '30d',
    series: [gauge('up', sidecar('a'), [[24, 1]]), { series: text('up', sidecar('b')), values: `0x3 _x${30 * 24}` }],
    expected: {
      'instance:up:seen35d': [
        { labels: sidecar('a'), value: 1 },
        { labels: sidecar('b'), value: 0 },
      ],
    },
  },
  {
    name: 'what nobody exposes any more keeps its last value, all labels of it, until it is exposed again',
    interval: '1m',
    at: '5h',
    series: [
      gauge('up', { ...keptTarget, region: 'away' }, [[400, 1]]),
      ...KEPT.flatMap((name) => {
        const labels = keptLabels(name)
        return [
          { series: text(name, { ...labels, region: 'away' }), values: '7x9 9x9 _x400' },
          { series: text(name, { ...labels, region: 'back' }), values: '7x9 _x9 8x400' },
        ]
      }),
    ],
    expected: Object.fromEntries(
      KEPT.map((name) => [keptName(name), [{ labels: { ...keptLabels(name), region: 'away' }, value: 9 }]]),
    ),
  },
  {
    name: 'an SLO’s windows and what is left of its budget',
    interval: '5m',
    at: '25h',
    series: [
      gauge('slo:sli_valid:rate5m', slo('success'), [[301, 10]]),
      // The last hour is five times as bad as the day before it.
      gauge('slo:sli_error:rate5m', slo('success'), [
        [289, 0.01],
        [12, 0.05],
      ]),
    ],
    expected: {
      'slo:sli_error:ratio_rate30m': [{ labels: slo('success'), value: 0.005 }],
      'slo:sli_error:ratio_rate1h': [{ labels: slo('success'), value: 0.005 }],
      'slo:sli_error:ratio_rate2h': [{ labels: slo('success'), value: 0.003 }],
      'slo:sli_error:ratio_rate6h': [{ labels: slo('success'), value: 0.001 + 0.004 / 6 }],
      'slo:sli_error:ratio_rate1d': [{ labels: slo('success'), value: 0.001 + 0.004 / 24 }],
      'slo:sli_error:ratio_rate3d': [{ labels: slo('success'), value: 0.001 + (0.004 * 12) / 301 }],
      'slo:sli_error:ratio_rate30d': [{ labels: slo('success'), value: 0.001 + (0.004 * 12) / 301 }],
      'slo:current_burn_rate:ratio': [{ labels: slo('success'), value: 1 }],
      'slo:period_error_budget_remaining:ratio': [
        { labels: slo('success'), value: 1 - (0.001 + (0.004 * 12) / 301) / 0.005 },
      ],
    },
  },
  {
    name: 'no band in the first day',
    interval: '1m',
    at: '23h',
    series: bothSignals(wave(1, 3, 1500)),
    expected: Object.fromEntries(Object.keys(bandsAre(0, 0)).map((name) => [name, []])),
  },
  {
    name: 'a band of two deviations',
    interval: '1m',
    at: '27h',
    series: bothSignals(wave(1, 3, 1700)),
    expected: bandsAre(2, 2),
  },
  {
    name: 'a band of half the mean where nothing deviates',
    interval: '1m',
    at: '27h',
    series: bothSignals([[1700, 2]]),
    expected: bandsAre(2, 1),
  },
  {
    name: 'a band as wide as the same hour of the week before',
    interval: '5m',
    at: '7d',
    series: bothSignals([
      [7, 9],
      [WEEK_MINUTES / 5, 2],
    ]),
    expected: bandsAre(2, 7),
  },
]

/** A value for each label. */
function keptLabels(name: string): Record<string, string> {
  const { labels } = KEPT_SERIES[keptName(name)]!
  return Object.fromEntries(labels.map((label) => [label, label === 'le' ? '+Inf' : `some ${label}`]))
}
function text(name: string, labels: Readonly<Record<string, string>>): string {
  return `${name}{${Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`)}}`
}

describe.runIf(binariesPresent('promtool'))('recording rules', { concurrent: true }, () => {
  it('each is tested', () => {
    const tested = new Set(CASES.flatMap(({ expected }) => Object.keys(expected)))
    expect([...Object.keys(RECORDED), ...Object.keys(KEPT_SERIES)].filter((name) => !tested.has(name))).toEqual([])
  })
  it.each(CASES)('$name', async ({ name, interval, at, series, expected }) => {
    const test = {
      name,
      interval,
      input_series: series,
      promql_expr_test: Object.entries(expected).map(([recorded, samples]) => ({
        // Without the last digits of a float.
        expr: `round(${recorded}, 1e-9)`,
        eval_time: at,
        exp_samples: samples.map(({ labels, value }) => ({
          labels: text('', labels),
          value: Math.round(value * 1e9) / 1e9,
        })),
      })),
    }
    expect(await testRules([test], interval, groupsOf(Object.keys(expected)))).toBe('')
  })
})

/** A series leaves /metrics when it has not grown for seven days, and comes back with its value. */
describe.runIf(binariesPresent('promtool'))('a series that is idle, gone and back', { concurrent: true }, () => {
  const of = { ...SIDECAR, ...CALLS }
  const DAY_SCRAPES = 24 * 12
  /** On the tenth day it is gone, on the twelfth one more brings it back. */
  const course = (before: number, after: number) =>
    `${before}x${10 * DAY_SCRAPES - 1} _x${2 * DAY_SCRAPES} ${after}x300`
  const unpriced = { ...of, reason: 'no_price' }
  const LIFE = [
    gauge('up', SIDECAR, [[14 * DAY_SCRAPES, 1]]),
    { series: text('llm_cost_usd_total', of), values: course(1000, 1005) },
    { series: text('llm_cost_usd_total', { ...of, model: 'new' }), values: `_x${12 * DAY_SCRAPES} 3x300` },
    { series: text('llm_unpriced_calls_total', unpriced), values: course(900, 901) },
  ]
  const cost = (window: '1h' | '1d' | '7d') => `sum by (model) (${grown(metric('llm_cost_usd_total'), window).text})`
  const GONE = `${11 * 24 + 12}h`
  const BACK = `${12 * 24}h30m`

  it('adds to totals and alerts what is new, and is not lost from a longer range', async () => {
    const grownBy = (window: '1h' | '1d' | '7d', eval_time: string, models: Record<string, number>) => ({
      expr: cost(window),
      eval_time,
      exp_samples: Object.entries(models).map(([model, value]) => ({ labels: text('', { model }), value })),
    })
    const newOnes = (eval_time: string, value: number) => ({
      expr: `sum(${increaseWithFirst(metric('llm_unpriced_calls_total'), '1h').text})`,
      eval_time,
      exp_samples: [{ labels: '{}', value }],
    })
    const test: RuleTest = {
      name: 'idle',
      interval: '5m',
      input_series: LIFE,
      promql_expr_test: [
        grownBy('1d', GONE, { 'gpt-4o': 0 }),
        grownBy('7d', GONE, { 'gpt-4o': 0 }),
        grownBy('1h', BACK, { 'gpt-4o': 5, new: 3 }),
        grownBy('7d', BACK, { 'gpt-4o': 5, new: 3 }),
        newOnes(BACK, 1),
        newOnes(`${12 * 24 + 2}h`, 0),
      ],
    }
    const kept = ['llm_cost_usd_total', 'llm_unpriced_calls_total'].map(keptName)
    expect(await testRules([test], '5m', groupsOf(kept))).toBe('')
  })

  it('a sidecar that is down for an hour leaves the totals as they stood', async () => {
    const series = [
      { series: text('up', SIDECAR), values: '1x60 0x60' },
      { series: text('llm_cost_usd_total', of), values: '0+1x60 stale _x60' },
    ]
    const at = (eval_time: string, value: number) => ({
      expr: cost('1h'),
      eval_time,
      exp_samples: [{ labels: text('', { model: 'gpt-4o' }), value }],
    })
    const test: RuleTest = {
      name: 'down',
      interval: '1m',
      input_series: series,
      promql_expr_test: [at('60m', 60), at('62m', 58), at('110m', 10)],
    }
    expect(await testRules([test], '1m', groupsOf([keptName('llm_cost_usd_total')]))).toBe('')
  })
})
