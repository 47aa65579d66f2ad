import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { type Child, makeChild } from '../dev/child-process.ts'
import { freePort } from '../dev/free-port.ts'
import { binariesPresent, binary } from '../dev/servers/binary.ts'
import { type Prometheus, startPrometheus } from '../dev/servers/prometheus.ts'
import { waitUntil } from '../dev/wait-until.ts'

const root = join(import.meta.dirname, '..')
const directory = mkdtempSync(join(tmpdir(), 'tenant-gateway-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** The third is the key of a tenant "acme/eu"; the others are no tenants, whatever stands in the file. */
const PASSWORDS = { blue: 'of-blue', red: 'of-red', 'acme!2Feu': 'of-acme', platform: 'of-p', unattributed: 'of-u' }

/** Real Caddy on deploy/tenant-gateway, real prom-label-proxy with the flags of docker-compose.yml, real Prometheus. */
describe.skipIf(!binariesPresent('caddy', 'prom-label-proxy', 'prometheus'))('what a tenant reaches', () => {
  const running: Child[] = []
  const asked: { url: string; headers: IncomingHttpHeaders }[] = []
  let prometheus: Prometheus
  /** In the place of Loki: says what it was asked, and by whom the gateway says it was asked. */
  let loki: Server
  let metrics: Server
  let gateway = ''

  beforeAll(async () => {
    metrics = await listen((_request, respond) =>
      respond(
        '# TYPE llm_calls_total counter\nllm_calls_total{tenant_id="blue"} 3\nllm_calls_total{tenant_id="red"} 5\n' +
          'llm_calls_total{tenant_id="acme!2Feu"} 7\nllm_calls_total{tenant_id="unattributed"} 9\n' +
          '# TYPE secret gauge\nsecret 1\n',
      ),
    )
    loki = await listen((request, respond) => {
      asked.push(request)
      respond('{"status":"success"}')
    })
    prometheus = await startPrometheus({
      directory: join(directory, 'prometheus'),
      config: {
        global: { scrape_interval: '200ms' },
        scrape_configs: [{ job_name: 'x', static_configs: [{ targets: [addressOf(metrics)] }] }],
      },
    })
    await waitUntil(async () => (await prometheus.query('llm_calls_total')).length === 4)

    const labelProxy = await freePort()
    const { services } = parse(readFileSync(join(root, 'docker-compose.yml'), 'utf8'), {
      merge: true,
      customTags: [{ tag: '!override', collection: 'seq', resolve: (value: unknown) => value }],
    }) as { services: Record<string, { command: string[] }> }
    running.push(
      makeChild({
        name: 'prom-label-proxy',
        command: binary('prom-label-proxy'),
        args: services['prom-label-proxy']!.command.filter((flag) => !flag.startsWith('-internal')).map((flag) =>
          flag.replace('http://prometheus:9090', prometheus.url).replace('0.0.0.0:8080', `127.0.0.1:${labelProxy}`),
        ),
        logFile: join(directory, 'prom-label-proxy.log'),
        ready: async () => (await fetch(`http://127.0.0.1:${labelProxy}/healthz`)).ok,
      }),
    )

    const port = await freePort()
    gateway = `http://127.0.0.1:${port}`
    mkdirSync(join(directory, 'gateway'))
    const lines = Object.entries(PASSWORDS).map(([tenant, password]) => {
      const hash = execFileSync(binary('caddy'), ['hash-password', '--plaintext', password], { encoding: 'utf8' })
      return `${tenant} ${hash.trim()}\n`
    })
    writeFileSync(join(directory, 'gateway/tenants'), lines.join(''))
    const caddyfile = readFileSync(join(root, 'deploy/tenant-gateway/Caddyfile'), 'utf8')
    writeFileSync(
      join(directory, 'gateway/Caddyfile'),
      caddyfile
        .replaceAll('/etc/tenant-gateway', join(directory, 'gateway'))
        .replace(/^:8080 /m, `http://127.0.0.1:${port} `),
    )
    running.push(
      makeChild({
        name: 'caddy',
        command: binary('caddy'),
        args: ['run', '--config', join(directory, 'gateway/Caddyfile'), '--adapter', 'caddyfile'],
        env: { HOME: directory, LOKI: addressOf(loki), PROM_LABEL_PROXY: `127.0.0.1:${labelProxy}` },
        logFile: join(directory, 'caddy.log'),
        ready: async () => (await fetch(`${gateway}/healthz`)).ok,
      }),
    )
    for (const child of running) await child.start()
  })
  afterAll(async () => {
    for (const child of running) await child.kill('SIGTERM')
    await prometheus?.close()
    loki?.close()
    metrics?.close()
  })

  const as = (tenant: keyof typeof PASSWORDS, headers: Record<string, string> = {}) => ({
    headers: { ...headers, authorization: `Basic ${btoa(`${tenant}:${PASSWORDS[tenant]}`)}` },
  })
  const query = (promql: string) => `/api/v1/query?${new URLSearchParams({ query: promql })}`
  const LOGS = `/loki/api/v1/query_range?${new URLSearchParams({ query: '{service_name="kong-llm-observer"}' })}`

  it.each([
    ['nobody', {}],
    ['a wrong password', { headers: { authorization: `Basic ${btoa('blue:of-red')}` } }],
    ['an unknown tenant', { headers: { authorization: `Basic ${btoa('green:of-blue')}` } }],
    ['only the header', { headers: { 'x-scope-orgid': 'blue', 'x-tenant': 'blue' } }],
  ])('%s is refused, for logs and for metrics', async (_who, request) => {
    const before = asked.length
    for (const path of [LOGS, query('llm_calls_total')])
      expect((await fetch(`${gateway}${path}`, request)).status).toBe(401)
    expect(asked.length).toBe(before)
  })

  it('logs: the organisation is the credential’s, whatever the client says; the credential goes no further', async () => {
    for (const claimed of ['red', 'red|blue', 'platform']) {
      const response = await fetch(`${gateway}${LOGS}`, as('blue', { 'X-Scope-OrgID': claimed }))
      expect(response.status).toBe(200)
      const { headers } = asked.at(-1)!
      expect(headers['x-scope-orgid']).toBe('blue')
      expect(headers.authorization).toBeUndefined()
    }
  })

  it('an encoded tenant reads its own organisation', async () => {
    expect((await fetch(`${gateway}${LOGS}`, as('acme!2Feu'))).status).toBe(200)
    expect(asked.at(-1)!.headers['x-scope-orgid']).toBe('acme!2Feu')
  })

  it.each(['platform', 'unattributed'] as const)(
    '%s is no tenant, though a line of the file names it',
    async (name) => {
      const before = asked.length
      for (const path of [LOGS, query('llm_calls_total')])
        expect((await fetch(`${gateway}${path}`, as(name))).status).toBe(403)
      expect(asked.length).toBe(before)
    },
  )

  it.each([
    ['POST', '/loki/api/v1/push'],
    ['GET', '/loki/api/v1/delete'],
    ['DELETE', '/loki/api/v1/query'],
    ['GET', '/loki/api/v1/rules'],
    ['GET', '/config'],
    ['GET', '/loki/api/v1/query/../push'],
    ['POST', '/api/v1/write'],
    ['GET', '/api/v1/targets'],
    ['GET', '/api/v1/status/config'],
  ])('%s %s is no resource for tenants', async (method, path) => {
    const before = asked.length
    expect((await fetch(`${gateway}${path}`, { ...as('blue'), method })).status).toBe(404)
    expect(asked.length).toBe(before)
  })

  it('metrics: each tenant sees its own series, and nothing that has no tenant', async () => {
    for (const [tenant, calls] of [
      ['blue', '3'],
      ['red', '5'],
      ['acme!2Feu', '7'],
    ] as const) {
      const all = (await (await fetch(`${gateway}${query('{__name__=~".+"}')}`, as(tenant))).json()) as Answer
      expect(all.data.result.map(({ metric, value }) => [metric.__name__, metric.tenant_id, value[1]])).toEqual([
        ['llm_calls_total', tenant, calls],
      ])
    }
    const sum = (await (await fetch(`${gateway}${query('sum(llm_calls_total)')}`, as('blue'))).json()) as Answer
    expect(sum.data.result[0]!.value[1]).toBe('3')
  })

  it('metrics: to ask for another tenant is refused, with its header too', async () => {
    const response = await fetch(
      `${gateway}${query('llm_calls_total{tenant_id="red"}')}`,
      as('blue', { 'X-Tenant': 'red' }),
    )
    expect(response.status).toBe(400)
    const values = (await (await fetch(`${gateway}/api/v1/label/tenant_id/values`, as('blue'))).json()) as {
      data: string[]
    }
    expect(values.data).toEqual(['blue'])
  })
})

interface Answer {
  data: { result: { metric: Record<string, string>; value: [number, string] }[] }
}

async function listen(
  handle: (request: { url: string; headers: IncomingHttpHeaders }, respond: (body: string) => void) => void,
): Promise<Server> {
  const server = createServer((request, response) => {
    request.resume()
    handle({ url: request.url!, headers: request.headers }, (body) =>
      response.writeHead(200, { 'content-type': 'text/plain' }).end(body),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}
const addressOf = (server: Server) => `127.0.0.1:${(server.address() as AddressInfo).port}`
