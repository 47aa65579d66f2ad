import { createServer } from 'node:http'
import { KONG_METRICS } from '../../monitoring/kong-metrics.ts'
import type { GatewayRequest } from './day.ts'

/**
 * Kong's own metrics, made up from the same calls: no Kong runs here. Names, labels and buckets are those of Kong's
 * prometheus plugin (monitoring/kong-metrics.ts).
 */
export function makeKongSeries() {
  const values = new Map<string, number>()
  const add = (name: keyof typeof KONG_METRICS, suffix: string, labels: Record<string, string>, by: number) => {
    const key = `${name}${suffix}{${Object.entries(labels)
      .map(([label, value]) => `${label}="${value}"`)
      .join(',')}}`
    values.set(key, (values.get(key) ?? 0) + by)
  }
  const observe = (
    name: 'kong_kong_latency_ms' | 'kong_upstream_latency_ms' | 'kong_request_latency_ms',
    service: string,
    value: number,
  ) => {
    const labels = { service, route: service, workspace: 'default' }
    for (const bucket of KONG_METRICS[name].buckets)
      add(name, '_bucket', { ...labels, le: String(bucket) }, value <= bucket ? 1 : 0)
    add(name, '_bucket', { ...labels, le: '+Inf' }, 1)
    add(name, '_sum', labels, value)
    add(name, '_count', labels, 1)
  }
  let active = 0
  return {
    note(requests: readonly GatewayRequest[]) {
      active = requests.length
      for (const { service, status, source, kongMs, upstreamMs, bytesIn, bytesOut } of requests) {
        const labels = { service, route: service, workspace: 'default', consumer: '' }
        add('kong_http_requests_total', '', { ...labels, code: String(status), source }, 1)
        add('kong_bandwidth_bytes', '', { ...labels, direction: 'ingress' }, bytesIn)
        add('kong_bandwidth_bytes', '', { ...labels, direction: 'egress' }, bytesOut)
        observe('kong_kong_latency_ms', service, kongMs)
        observe('kong_request_latency_ms', service, kongMs + upstreamMs)
        if (source !== 'kong') observe('kong_upstream_latency_ms', service, upstreamMs)
      }
    },
    text(): string {
      const node = 'node_id="kong-7f9c"'
      const total = 5 * 1024 * 1024
      const states = { active: 6 + (active % 9), reading: 0, writing: 1 + (active % 4), waiting: 5 }
      return [
        // Prometheus writes a bound as a float only below the line that says that it is a histogram's.
        ...Object.entries(KONG_METRICS).flatMap(([name, { type }]) => [
          `# TYPE ${name} ${type}`,
          ...[...values].filter(([key]) => nameOf(key) === name).map(([key, value]) => `${key} ${value}`),
        ]),
        ...Object.entries(states).map(
          ([state, value]) => `kong_nginx_connections_total{${node},subsystem="http",state="${state}"} ${value}`,
        ),
        ...Object.entries({ kong: 0.012, kong_db_cache: 0.19, kong_locks: 0.01, prometheus_metrics: 0.06 }).flatMap(
          ([name, share]) => [
            `kong_memory_lua_shared_dict_bytes{${node},shared_dict="${name}",kong_subsystem="http"} ${Math.round(total * share)}`,
            `kong_memory_lua_shared_dict_total_bytes{${node},shared_dict="${name}",kong_subsystem="http"} ${total}`,
          ],
        ),
        ...[1312, 1313].map(
          (pid) =>
            `kong_memory_workers_lua_vms_bytes{${node},pid="${pid}",kong_subsystem="http"} ${52e6 + (pid % 7) * 1e6 + (active % 11) * 4e5}`,
        ),
        'kong_datastore_reachable 1',
        `kong_node_info{${node},version="3.9.1"} 1`,
        '',
      ].join('\n')
    },
  }
}

const nameOf = (key: string) => key.slice(0, key.indexOf('{')).replace(/_(bucket|sum|count)$/, '')

/** The same as a target of Prometheus. */
export async function serveText(text: () => string, port: number) {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(text())
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return server
}
