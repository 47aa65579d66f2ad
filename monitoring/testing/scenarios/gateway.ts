import { up } from '../ordinary-series.ts'
import { counter, ENVIRONMENT, gauge, histogram, KONG, quietThenLoud, type Scenario, scenario } from '../scenario.ts'

const byService = { ...ENVIRONMENT, service: 'openai' }
const request = { ...KONG, service: 'openai', route: 'chat', workspace: 'default', consumer: '' }
const dictionary = { ...KONG, node_id: 'n', shared_dict: 'kong', kong_subsystem: 'http' }
export const GATEWAY_SCENARIOS: readonly Scenario[] = [
  scenario('LLMKongDown', { ...ENVIRONMENT, job: 'kong', instance: 'kong:8100' }, [up(quietThenLoud(1, 0), KONG)]),
  scenario('LLMKongErrors', byService, [
    counter('kong_http_requests_total', { ...request, code: '200', source: 'service' }, quietThenLoud(10, 10)),
    counter('kong_http_requests_total', { ...request, code: '503', source: 'kong' }, quietThenLoud(0, 2)),
  ]),
  scenario(
    'LLMKongSlow',
    byService,
    histogram(
      'kong_kong_latency_ms',
      { ...KONG, service: 'openai', route: 'chat', workspace: 'default' },
      [25, 50, 80, 100, 250, 400],
      [
        [80, 10, 3],
        [160, 10, 200],
      ],
    ),
  ),
  scenario('LLMKongTargetUnhealthy', { ...ENVIRONMENT, upstream: 'llm', target: 'a:443' }, [
    gauge(
      'kong_upstream_target_health',
      { ...KONG, upstream: 'llm', target: 'a:443', address: '10.0.0.1:443', state: 'unhealthy', subsystem: 'http' },
      quietThenLoud(0, 1),
    ),
  ]),
  scenario('LLMKongMemory', { ...ENVIRONMENT, instance: 'kong:8100', shared_dict: 'kong' }, [
    gauge('kong_memory_lua_shared_dict_bytes', dictionary, quietThenLoud(10, 95)),
    gauge(
      'kong_memory_lua_shared_dict_bytes',
      { ...dictionary, shared_dict: 'kong_db_cache' },
      quietThenLoud(100, 100),
    ),
    gauge('kong_memory_lua_shared_dict_total_bytes', { ...dictionary, shared_dict: 'kong_db_cache' }, [[240, 100]]),
    gauge('kong_memory_lua_shared_dict_total_bytes', dictionary, [[240, 100]]),
  ]),
]
