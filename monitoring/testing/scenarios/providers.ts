import { FIRST_TOKEN_BUCKETS } from '../../../sidecar/ledger/series.ts'
import { atModel, atProvider, call, failed, latency, ok, tenant, up } from '../ordinary-series.ts'
import { counter, ENVIRONMENT, histogram, KONG, quietThenLoud, type Scenario, SIDECAR, scenario } from '../scenario.ts'

/** A whole day of calls, and then none. */
export const STOPPED = [
  ok([
    [1900, 60],
    [90, 0],
  ]),
]
const OTHER_KONG = { ...KONG, instance: 'kong-2:8100' }
export const PROVIDER_SCENARIOS: readonly Scenario[] = [
  scenario(
    'LLMProviderDown',
    atProvider,
    [
      ok([
        [60, 5],
        [30, 0],
      ]),
      failed([
        [60, 0],
        [30, 5],
      ]),
    ],
    { interval: '5s', silentAt: 60, firesAt: 69 },
  ),
  // A client that Kong limits meanwhile does not hide it: none of its calls reached the provider.
  scenario(
    'LLMProviderDown',
    atProvider,
    [
      ok([
        [60, 5],
        [30, 0],
      ]),
      failed([
        [60, 0],
        [30, 5],
      ]),
      failed([[90, 50]], 'rate_limited'),
      counter('llm_rate_limited_calls_total', { ...tenant, provider: 'openai', by: 'gateway' }, [[90, 50]]),
    ],
    { interval: '5s', silentAt: 60, firesAt: 69, course: 'among many calls that Kong limits' },
  ),
  scenario('LLMProviderErrors', atProvider, [ok(quietThenLoud(20, 16)), failed(quietThenLoud(0, 4))]),
  scenario('LLMProviderRateLimited', atProvider, [
    ok(quietThenLoud(20, 18)),
    failed(quietThenLoud(0, 2), 'rate_limited'),
    counter(
      'llm_rate_limited_calls_total',
      { ...SIDECAR, tenant_id: 'blue', provider: 'openai', by: 'provider' },
      quietThenLoud(0, 2),
    ),
  ]),
  scenario(
    'LLMLatencyHigh',
    atModel,
    latency([
      [80, 5, 2],
      [160, 5, 50],
    ]),
  ),
  scenario(
    'LLMFirstTokenSlow',
    atModel,
    histogram('llm_time_to_first_token_seconds', call, FIRST_TOKEN_BUCKETS, [
      [80, 5, 0.5],
      [160, 5, 7],
    ]),
  ),
  scenario('LLMFailOver', atProvider, [
    ok(quietThenLoud(10, 10)),
    counter('llm_failed_attempts_total', { ...tenant, provider: 'openai' }, quietThenLoud(0, 3)),
  ]),
  scenario(
    'LLMAnswersCutOff',
    atModel,
    [
      counter('llm_finished_answers_total', { ...call, reason: 'stop' }, quietThenLoud(10, 3)),
      counter('llm_finished_answers_total', { ...call, reason: 'length' }, [
        [80, 0],
        [320, 7],
      ]),
    ],
    { firesAt: 399 },
  ),
  scenario('LLMTrafficStopped', ENVIRONMENT, STOPPED, { interval: '1m', silentAt: 1910, firesAt: 1980 }),
  scenario('LLMTrafficStopped', ENVIRONMENT, [...STOPPED, up([[1990, 0]], KONG), up([[1990, 1]], OTHER_KONG)], {
    interval: '1m',
    silentAt: 1910,
    firesAt: 1980,
    course: 'one Kong of two is down',
  }),
]
