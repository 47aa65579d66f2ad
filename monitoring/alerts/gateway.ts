import type { AlertGroup } from '../alert.ts'
import { bucket, count, increase, maxBy, metric, promql, quantile, rate, ratio, sumBy } from '../promql.ts'

const byService = ['environment', 'service'] as const

export const GATEWAY_ALERTS: AlertGroup = {
  name: 'llm-gateway-alerts',
  interval: '15s',
  alerts: [
    {
      name: 'LLMKongDown',
      priority: 'P1',
      expr: promql`${maxBy(['environment', 'instance', 'job'], metric('up', { job: 'kong' }))} == 0`,
      for: '1m',
      summary: 'Kong {{ $labels.instance }} is down',
      description: 'Its status listener has not answered for a minute.',
      board: 'gateway',
    },
    {
      name: 'LLMKongErrors',
      priority: 'P2',
      // `source` tells Kong's own answers from the provider's: this is the gateway failing.
      expr: promql`${ratio(sumBy(byService, rate(metric('kong_http_requests_total', { code: { matches: '5..' }, source: { matches: 'kong|error' } }), '5m')), sumBy(byService, rate(metric('kong_http_requests_total'), '5m')))} > 0.05 and ${sumBy(byService, increase(metric('kong_http_requests_total', { code: { matches: '5..' }, source: { matches: 'kong|error' } }), '5m'))} >= 10`,
      for: '2m',
      summary: 'Kong itself answers requests of {{ $labels.service }} with 5xx',
      description: '{{ $value | humanizePercentage }} of the requests of the last 5 minutes.',
      board: 'gateway',
    },
    {
      name: 'LLMKongSlow',
      priority: 'P3',
      expr: promql`${quantile(0.95, byService, rate(bucket('kong_kong_latency_ms'), '5m'))} > 100 and ${sumBy(byService, rate(count('kong_kong_latency_ms'), '5m'))} * 300 >= 50`,
      for: '10m',
      summary: 'Kong adds much time to requests of {{ $labels.service }}',
      description: '95 % of the requests spend up to {{ $value | humanize }} ms in Kong and its plugins.',
      board: 'gateway',
    },
    {
      name: 'LLMKongTargetUnhealthy',
      priority: 'P2',
      expr: promql`${maxBy(['environment', 'upstream', 'target'], metric('kong_upstream_target_health', { state: { matches: 'unhealthy|dns_error' } }))} == 1`,
      for: '2m',
      summary: 'Kong finds {{ $labels.target }} of {{ $labels.upstream }} unhealthy',
      description: 'Requests go to the other targets, if there are any.',
      board: 'gateway',
    },
    {
      name: 'LLMKongMemory',
      priority: 'P3',
      // Caches let go of what is oldest and stand full in ordinary life.
      expr: promql`${maxBy(['environment', 'instance', 'shared_dict'], metric('kong_memory_lua_shared_dict_bytes', { shared_dict: { matchesNot: '.*_cache|.*_cache_miss' } }))} / ${maxBy(['environment', 'instance', 'shared_dict'], metric('kong_memory_lua_shared_dict_total_bytes'))} > 0.9`,
      for: '15m',
      summary: 'Kong’s shared memory {{ $labels.shared_dict }} is nearly full',
      description: '{{ $value | humanizePercentage }} of it is used.',
      board: 'gateway',
    },
  ],
}
