import { increase, maxBy, over, promql, quantile, rate, sum, sumBy } from '../monitoring/promql.ts'
import { makeBoard } from './board.ts'
import { graph, stat, table } from './panels.ts'
import { scoped, scopedBucket } from './scope.ts'

const RANGE = '$__range'
const INTERVAL = '$__rate_interval'
const requests = scoped('kong_http_requests_total')

/** Kong's counters begin anew with each of its workers' restarts: `increase`, not `grown`. */
export const GATEWAY = makeBoard({
  uid: 'llm-gateway',
  title: 'LLM Gateway (Kong)',
  description:
    'Is Kong well, and how much time does it add? From Kong’s own prometheus plugin, all routes, LLM or not.',
  from: 'now-6h',
  of: 'kong_http_requests_total',
  variables: ['environment', 'region'],
  rows: [
    {
      panels: [
        stat({
          title: 'Kong up',
          description: 'Share of the scrapes of Kong’s status listener that succeeded within the range.',
          unit: 'percentunit',
          decimals: 2,
          steps: ['red', [0.99, 'orange'], [0.999, 'green']],
          query: {
            text: `avg(${over('avg_over_time', scoped('up'), RANGE).text} and on (environment, job, instance) ${over('count_over_time', scoped('kong_node_info'), RANGE).text})`,
          },
          noValue: 'none ever did',
        }),
        stat({
          title: 'Requests',
          description: 'All requests of the range, extrapolated by Prometheus.',
          unit: 'short',
          query: sum(increase(requests, RANGE)),
        }),
        stat({
          title: 'Answered with 5xx',
          description: 'By Kong or by an upstream.',
          unit: 'percentunit',
          decimals: 2,
          steps: ['green', [0.005, 'orange'], [0.05, 'red']],
          query: promql`(${sum(increase(scoped('kong_http_requests_total', { code: { matches: '5..' } }), RANGE))} or vector(0)) / (${sum(increase(requests, RANGE))} > 0)`,
          noValue: 'no requests',
        }),
        stat({
          title: 'Added by Kong, p95',
          description: '95 % of the requests spent at most so long in Kong and its plugins.',
          unit: 'ms',
          query: quantile(0.95, [], rate(scopedBucket('kong_kong_latency_ms'), RANGE)),
          noValue: 'no requests',
        }),
        stat({
          title: 'Open connections',
          description: 'Of clients, at this moment.',
          unit: 'short',
          query: sum(scoped('kong_nginx_connections_total', { state: 'active' })),
        }),
        stat({
          title: 'Configuration reachable',
          description: '1 while the node has its configuration: its database, or its declarative file.',
          unit: 'short',
          steps: ['red', [1, 'green']],
          query: { text: `min(${scoped('kong_datastore_reachable').text})` },
        }),
      ],
    },
    {
      title: 'Traffic',
      panels: [
        graph({
          title: 'Requests by service',
          description: 'Requests a second.',
          unit: 'reqps',
          stack: true,
          lines: [{ query: sumBy(['service'], rate(requests, INTERVAL)), legend: '{{service}}' }],
        }),
        graph({
          title: 'Requests by code and who answered',
          description: 'service: the upstream’s answer; kong: a plugin ended the request; error: Kong could not do it.',
          unit: 'reqps',
          lines: [{ query: sumBy(['code', 'source'], rate(requests, INTERVAL)), legend: '{{code}} {{source}}' }],
        }),
        graph({
          title: 'Added by Kong, by service',
          description: 'Time in Kong and its plugins: half and 95 % of the requests.',
          unit: 'ms',
          lines: [0.5, 0.95].map((share) => ({
            query: quantile(share, ['service'], rate(scopedBucket('kong_kong_latency_ms'), INTERVAL)),
            legend: `{{service}} p${share * 100}`,
          })),
        }),
        graph({
          title: 'Upstream latency, by service',
          description: 'Until the upstream began its answer: 95 % of the requests.',
          unit: 'ms',
          lines: [
            {
              query: quantile(0.95, ['service'], rate(scopedBucket('kong_upstream_latency_ms'), INTERVAL)),
              legend: '{{service}}',
            },
          ],
        }),
        graph({
          title: 'Bandwidth',
          description: 'Bytes a second, in and out.',
          unit: 'Bps',
          lines: [
            { query: sumBy(['direction'], rate(scoped('kong_bandwidth_bytes'), INTERVAL)), legend: '{{direction}}' },
          ],
        }),
        graph({
          title: 'Connections by state',
          description: 'Of nginx: active, reading, writing, waiting.',
          unit: 'short',
          lines: [{ query: sumBy(['state'], scoped('kong_nginx_connections_total')), legend: '{{state}}' }],
        }),
      ],
    },
    {
      title: 'The node',
      panels: [
        graph({
          title: 'Shared memory used',
          description: 'Share of each shared dictionary in use.',
          unit: 'percentunit',
          max: 1,
          lines: [
            {
              query: promql`${maxBy(['shared_dict'], scoped('kong_memory_lua_shared_dict_bytes'))} / ${maxBy(['shared_dict'], scoped('kong_memory_lua_shared_dict_total_bytes'))}`,
              legend: '{{shared_dict}}',
            },
          ],
        }),
        graph({
          title: 'Memory of the workers',
          description: 'Of their Lua VMs.',
          unit: 'bytes',
          lines: [{ query: sumBy(['pid'], scoped('kong_memory_workers_lua_vms_bytes')), legend: 'worker {{pid}}' }],
        }),
        table({
          title: 'Nodes',
          description: 'Kong’s nodes and their versions.',
          unit: 'short',
          height: 5,
          labels: { node_id: 'Node', version: 'Version' },
          columns: [{ title: 'Up', query: maxBy(['node_id', 'version'], scoped('kong_node_info')) }],
        }),
      ],
    },
  ],
})
