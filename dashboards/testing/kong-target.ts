import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { KONG_METRICS } from '../../monitoring/kong-metrics.ts'

/** Of Kong's log document, as the gateway's access log has it. */
interface Document {
  route?: { name?: string } | null
  service?: { name?: string } | null
  source?: string
  request: { size?: number | string }
  response: { status: number; size?: number | string }
  latencies: { kong?: number; proxy?: number; request?: number }
}
type Name = keyof typeof KONG_METRICS

const NODE = 'a1b2c3d4-0000-4000-8000-000000000001'

/**
 * Stands in for the status listener of a Kong with its prometheus plugin, which the stand-in gateway has not: the series of
 * KONG_METRICS, counted from the gateway's access log. What only a real node knows (memory, connections) is made up.
 */
export async function startKongTarget(accessLog: string) {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=UTF-8' }).end(exposition(accessLog))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      server.closeAllConnections()
      return new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

function exposition(accessLog: string): string {
  const values = new Map<string, number>()
  const series = (name: string, labels: Record<string, string>) =>
    `${name}{${Object.entries(labels)
      .map(([label, value]) => `${label}="${value}"`)
      .join(',')}}`
  const add = (name: Name | `${Name}_${string}`, labels: Record<string, string>, by: number) => {
    const key = series(name, labels)
    values.set(key, (values.get(key) ?? 0) + by)
  }
  const lines = existsSync(accessLog) ? readFileSync(accessLog, 'utf8').trimEnd().split('\n') : []
  for (const line of lines.filter((line) => line !== '')) {
    const { route, service, source = 'upstream', request, response, latencies } = JSON.parse(line) as Document
    const of = { service: service?.name ?? '', route: route?.name ?? '', workspace: 'default' }
    const answeredBy = { upstream: 'service', exit: 'kong', kong: 'kong' }[source] ?? 'error'
    add('kong_http_requests_total', { ...of, code: String(response.status), source: answeredBy, consumer: '' }, 1)
    add('kong_bandwidth_bytes', { ...of, direction: 'ingress', consumer: '' }, Number(request.size ?? 0))
    add('kong_bandwidth_bytes', { ...of, direction: 'egress', consumer: '' }, Number(response.size ?? 0))
    for (const [name, value] of [
      ['kong_kong_latency_ms', latencies.kong],
      ['kong_upstream_latency_ms', latencies.proxy],
      ['kong_request_latency_ms', latencies.request],
    ] as const) {
      if (value === undefined || value < 0) continue
      for (const bound of KONG_METRICS[name].buckets)
        add(`${name}_bucket`, { ...of, le: String(bound) }, value <= bound ? 1 : 0)
      add(`${name}_bucket`, { ...of, le: '+Inf' }, 1)
      add(`${name}_sum`, of, value)
      add(`${name}_count`, of, 1)
    }
  }
  for (const state of ['active', 'reading', 'writing', 'waiting'])
    add('kong_nginx_connections_total', { node_id: NODE, subsystem: 'http', state }, 3)
  add('kong_nginx_requests_total', { node_id: NODE, subsystem: 'http' }, lines.length)
  const dictionary = { node_id: NODE, shared_dict: 'kong_db_cache', kong_subsystem: 'http' }
  add('kong_memory_lua_shared_dict_bytes', dictionary, 806_912)
  add('kong_memory_lua_shared_dict_total_bytes', dictionary, 134_217_728)
  add('kong_memory_workers_lua_vms_bytes', { node_id: NODE, pid: '1260', kong_subsystem: 'http' }, 52_428_800)
  add('kong_node_info', { node_id: NODE, version: '3.9.1' }, 1)
  return `${[...values].map(([key, value]) => `${key} ${value}`).join('\n')}\nkong_datastore_reachable 1\n`
}
