import type { MetricDefinition } from '../sidecar/metrics/metrics.ts'

const BY_ROUTE = ['service', 'route', 'workspace'] as const
/** What Kong itself takes is short; 3000 and 6000 since 3.9. */
const KONG_LATENCY_BUCKETS = [1, 2, 5, 7, 10, 15, 20, 30, 50, 75, 100, 200, 500, 750, 1000, 3000, 6000] as const
const LATENCY_BUCKETS = [25, 50, 80, 100, 250, 400, 700, 1000, 2000, 5000, 10000, 30000, 60000] as const

/** What Kong's own prometheus plugin exports (kong/plugins/prometheus/exporter.lua, 3.9), as far as our boards read it. */
export const KONG_METRICS = {
  kong_http_requests_total: {
    type: 'counter',
    help: 'Requests by status code; source: who answered (service, kong, error).',
    labels: ['service', 'route', 'code', 'source', 'workspace', 'consumer'],
  },
  kong_kong_latency_ms: {
    type: 'histogram',
    help: 'Time spent in Kong and its plugins.',
    labels: BY_ROUTE,
    buckets: KONG_LATENCY_BUCKETS,
  },
  kong_upstream_latency_ms: {
    type: 'histogram',
    help: 'Time the upstream took to begin its answer.',
    labels: BY_ROUTE,
    buckets: LATENCY_BUCKETS,
  },
  kong_request_latency_ms: {
    type: 'histogram',
    help: 'Time of the whole request.',
    labels: BY_ROUTE,
    buckets: LATENCY_BUCKETS,
  },
  kong_bandwidth_bytes: {
    type: 'counter',
    help: 'Bytes in and out.',
    labels: ['service', 'route', 'direction', 'workspace', 'consumer'],
  },
  kong_nginx_connections_total: {
    type: 'gauge',
    help: 'Connections by state.',
    labels: ['node_id', 'subsystem', 'state'],
  },
  kong_nginx_requests_total: { type: 'gauge', help: 'Requests since the start.', labels: ['node_id', 'subsystem'] },
  kong_memory_lua_shared_dict_bytes: {
    type: 'gauge',
    help: 'Used bytes of a shared dictionary.',
    labels: ['node_id', 'shared_dict', 'kong_subsystem'],
  },
  kong_memory_lua_shared_dict_total_bytes: {
    type: 'gauge',
    help: 'Size of a shared dictionary.',
    labels: ['node_id', 'shared_dict', 'kong_subsystem'],
  },
  kong_memory_workers_lua_vms_bytes: {
    type: 'gauge',
    help: 'Memory of a worker’s Lua VM.',
    labels: ['node_id', 'pid', 'kong_subsystem'],
  },
  kong_datastore_reachable: { type: 'gauge', help: 'Whether the datastore answers; 1 without one.', labels: [] },
  kong_upstream_target_health: {
    type: 'gauge',
    help: 'Health of a target: the state that holds is 1.',
    labels: ['upstream', 'target', 'address', 'state', 'subsystem'],
  },
  kong_node_info: { type: 'gauge', help: 'Version of a node.', labels: ['node_id', 'version'] },
} as const satisfies Record<string, MetricDefinition>
