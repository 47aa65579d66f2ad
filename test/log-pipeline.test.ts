import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parser } from '@grafana/lezer-logql'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { binariesPresent, findBinary } from '../dev/servers/binary.ts'
import { COLLECTOR_FILES, type Collector, startCollector } from '../dev/servers/collector.ts'
import { type Loki, startLoki } from '../dev/servers/loki.ts'
import { startHttpSink } from '../dev/sinks/http-sink.ts'
import { waitUntil } from '../dev/wait-until.ts'
import { KONG_METRICS } from '../monitoring/kong-metrics.ts'
import { lokiConfigSchema, makeLokiExporter } from '../sidecar/exporters/loki.ts'
import { METRICS } from '../sidecar/metrics/metrics.ts'
import { makeCall } from '../sidecar/testing/make-call.ts'

const root = join(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const directory = mkdtempSync(join(tmpdir(), 'log-pipeline-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

interface Rule {
  alert: string
  expr: string
  labels: Record<string, string>
  annotations: Record<string, string>
}
const organisations = readdirSync(join(root, 'deploy/loki/rules'))
const rulesOf = (organisation: string): Rule[] =>
  readdirSync(join(root, 'deploy/loki/rules', organisation)).flatMap((name) =>
    (parse(read(`deploy/loki/rules/${organisation}/${name}`)) as { groups: { rules: Rule[] }[] }).groups.flatMap(
      ({ rules }) => rules,
    ),
  )
const kong = parse(read('kong.yml'), { merge: true }) as { consumers: { tags: string[] }[] }
const tenants = kong.consumers.map(({ tags }) => tags.find((tag) => tag.startsWith('tenant:'))!.slice(7)).sort()

function errorsIn(logql: string): string[] {
  const errors: string[] = []
  parser.parse(logql).iterate({
    enter: ({ type, from, to }) => {
      if (type.isError) errors.push(logql.slice(from, to))
    },
  })
  return errors
}
const pastedQueries = (page: string) =>
  [...page.matchAll(/```(logql|promql)\n(.*?)```/gs)].map(([, language, query]) => ({ language, query: query!.trim() }))
const METRIC_NAMES = [...Object.keys(METRICS), ...Object.keys(KONG_METRICS)]

/** The shippers' expressions, as their own syntax writes them. */
const alloyMasks = [...read('deploy/alloy/config.alloy').matchAll(/expression = (".*")\n\s+replace\s+= (".*")/g)].map(
  ([, expression, mask]): [string, string] => [JSON.parse(expression!) as string, JSON.parse(mask!) as string],
)
const collectorMasks = [
  ...read('deploy/otel-collector/logs.yaml').matchAll(/- replace_pattern\(log\.body, (".*"), ("[^"]*[A-Z]\]")\)\n/g),
].map(([, expression, mask]): [string, string] => [JSON.parse(expression!) as string, JSON.parse(mask!) as string])

/** Lines as they are written, and as they leave the machine. None of these secrets is one. */
const MASKED: [line: string, shipped: string][] = [
  ['mail from ada.lovelace+x@mail.example.co.uk today', 'mail from [EMAIL] today'],
  ['{"user":"ada@example.com"}', '{"user":"[EMAIL]"}'],
  ['Authorization: Bearer abcdefghijklmnop.QRST==', 'Authorization: [TOKEN]'],
  ['authorization: basic dXNlcjpwYXNzd29yZA==', '[TOKEN]'],
  ['key sk-proj-abcdefghijklmnopqrstuv end', 'key [API_KEY] end'],
  ['AKIAABCDEFGHIJKLMNOP and AIzaAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', '[API_KEY] and [API_KEY]'],
  [`ghp_${'a'.repeat(36)}`, '[API_KEY]'],
  ['t=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_DEF-123;', 't=[JWT];'],
  [
    'card 4111 1111 1111 1111, 5500-0000-0000-0004, 378282246310005.',
    'card [CREDIT_CARD], [CREDIT_CARD], [CREDIT_CARD].',
  ],
  [
    'request: "GET /v1/models?key=abc&alt=sse HTTP/1.1", host: "x"',
    'request: "GET /v1/models?[QUERY] HTTP/1.1", host: "x"',
  ],
  ['POST https://h/p?a%5B%5D=1 failed', 'POST https://h/p?[QUERY] failed'],
]
const UNTOUCHED = [
  '{"level":"info","time":1795419012318,"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","msg":"why? because"}',
  '{"cost_pico_usd":"4111","tokens":{"input":1234567890123}}',
  '2026/11/24 14:03:07 [error] 1411#0: *12 [lua] init.lua:1 basic authentication failed @ startup',
  'request 0f3c0d4e-1111-2222-3333-444455556666 took 1795419012318000000 ns',
]

describe('redaction before shipping', () => {
  it('Alloy and the Collector have the same expressions in the same order', () => {
    expect(collectorMasks.length).toBe(6)
    expect(alloyMasks.map(([expression, mask]) => [expression.slice(1, -1), mask])).toEqual(collectorMasks)
    // Alloy replaces what a group holds: the whole match is one.
    for (const [expression] of alloyMasks) expect(expression).toMatch(/^\(.*\)$/)
  })

  // The expressions are in the part of RE2 that JavaScript reads alike.
  const shipped = (line: string) =>
    collectorMasks.reduce((text, [expression, mask]) => text.replace(new RegExp(expression, 'g'), mask), line)
  it.each(MASKED)('%s', (line, expected) => expect(shipped(line)).toBe(expected))
  it.each(UNTOUCHED)('untouched: %s', (line) => expect(shipped(line)).toBe(line))
})

describe('Alloy', () => {
  const config = read('deploy/alloy/config.alloy')
  it('each component that is named is there, and its braces match', () => {
    const defined = [...config.matchAll(/^([a-z_.]+) "([a-z_]+)" \{$/gm)].map(([, kind, label]) => `${kind}.${label}`)
    expect(defined).toHaveLength(5)
    const named = [...config.matchAll(/\b((?:discovery|loki)\.[a-z_]+\.[a-z_]+)\.(?:targets|output|receiver)\b/g)]
    expect(named.length).toBeGreaterThanOrEqual(4)
    for (const [, name] of named) expect(defined).toContain(name)
    const bare = config.replace(/"(?:\\.|[^"\\])*"/g, '""').replace(/\/\/.*$/gm, '')
    let depth = 0
    for (const sign of bare) {
      if (sign === '{') depth++
      if (sign === '}') depth--
      expect(depth).toBeGreaterThanOrEqual(0)
    }
    expect(depth).toBe(0)
  })

  it('keeps three labels and writes as the platform', () => {
    expect(config).toContain('values = ["service_name", "env", "level"]')
    expect(config).toContain('tenant_id = "platform"')
  })
})

describe('log-based alerts', () => {
  it('the platform has its rules, and every tenant of kong.yml the same', () => {
    expect(organisations.sort()).toEqual(['platform', ...tenants].sort())
    const [first, ...others] = tenants.map((tenant) => read(`deploy/loki/rules/${tenant}/calls.yaml`))
    for (const other of others) expect(other).toBe(first)
  })

  it.each(
    organisations.flatMap((organisation) =>
      rulesOf(organisation).map((rule) => [organisation, rule.alert, rule] as const),
    ),
  )('%s: %s', (_organisation, name, { expr, labels, annotations }) => {
    expect(name).toMatch(/^LLM[A-Za-z]+$/)
    expect(labels).toMatchObject({
      severity: expect.stringMatching(/^(critical|warning|info)$/),
      priority: expect.stringMatching(/^P[1-4]$/),
    })
    expect(Object.keys(annotations).sort()).toEqual(['dashboard_url', 'description', 'runbook_url', 'summary'])
    expect(annotations.runbook_url).toBe(
      `https://github.com/kong-llm-observer/kong-llm-observer/blob/main/docs/runbooks/${name}.md`,
    )
    const board = /\/d\/([a-z-]+)/.exec(annotations.dashboard_url!)![1]!
    expect(readdirSync(join(root, 'deploy/grafana/dashboards'))).toContain(`${board}.json`)

    expect(errorsIn(expr)).toEqual([])

    const page = read(`docs/runbooks/${name}.md`)
    for (const section of ['Meaning', 'Impact', 'First three checks', 'Mitigation', 'Escalation'])
      expect(page).toContain(`\n## ${section}\n`)
    const queries = pastedQueries(page)
    expect(queries.filter(({ language }) => language === 'logql').length).toBeGreaterThanOrEqual(1)
    for (const { language, query } of queries)
      if (language === 'logql') expect(errorsIn(query), query).toEqual([])
      else
        for (const [metric] of query.matchAll(/\b[a-z]+_[a-z_]+(?=[[{])/g))
          expect(METRIC_NAMES, query).toContain(metric)
  })
})

/** What Docker's json-file driver writes for a line of a container. */
const containerLine = (service: string, log: string, at = new Date()) =>
  `${JSON.stringify({ log: `${log}\n`, stream: 'stdout', attrs: { 'com.docker.compose.service': service }, time: at.toISOString().replace('Z', '000000Z') })}\n`

const KONG_ERROR =
  '2026/11/24 14:03:07 [crit] 1411#0: *12 connect() failed for ada@example.com, client: 10.0.0.1, request: "GET /openai/v1/models?key=AIzaSecret HTTP/1.1", request_id: "0badcafe0badcafe0badcafe0badcafe"'
const SIDECAR_ERROR =
  '{"level":"ERROR","time":"2026-11-24T14:03:07.000Z","service":"kong-llm-observer","request_id":"r-1","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","msg":"request failed with Bearer abcdefghijklmnopqrstuvwx"}'

interface Streams {
  data: { result: { stream: Record<string, string>; values: [string, string][] }[] }
}

// Loki takes eight minutes to build: where it is not there these are skipped, in CI too.
const lokiPresent = findBinary('loki') !== undefined
if (!lokiPresent) console.warn('skipped: loki is not there. Install: dev/install-servers.sh loki')
describe.skipIf(!lokiPresent || !binariesPresent('otelcol'))('a real Loki on deploy/loki', () => {
  let loki: Loki
  let collector: Collector
  let alertmanager: Awaited<ReturnType<typeof startHttpSink>>
  const alerts: { labels: Record<string, string>; annotations: Record<string, string> }[] = []
  const logs = join(directory, 'containers')

  beforeAll(async () => {
    // In the place of Alertmanager: `POST /api/v2/alerts`, 200.
    alertmanager = await startHttpSink(0, ({ request, body }) => {
      if (request.method !== 'POST' || request.url !== '/api/v2/alerts') return { status: 404 }
      alerts.push(...(JSON.parse(body.toString('utf8')) as typeof alerts))
      return { status: 200 }
    })
    loki = await startLoki({ directory: join(directory, 'loki'), alertmanagerUrl: alertmanager.url })
    mkdirSync(join(logs, 'abc'), { recursive: true })
    collector = await startCollector({
      directory: join(directory, 'collector'),
      files: [COLLECTOR_FILES.traces, COLLECTOR_FILES.logs],
      environment: {
        COLLECTOR_CONTAINER_LOGS: join(logs, '*/*-json.log'),
        COLLECTOR_LOGS_START: 'beginning',
        COLLECTOR_LOKI: loki.url,
        DEPLOYMENT_ENVIRONMENT: 'staging',
      },
    })
  }, 90_000)
  afterAll(async () => {
    await collector?.close()
    await loki?.close()
    await alertmanager?.close()
  })

  const linesOf = (organisation: string, query: string) =>
    loki.get<Streams>('/loki/api/v1/query_range', organisation, { query, since: '1h', limit: '1000' })
  const count = async (organisation: string, query: string) =>
    (await linesOf(organisation, query)).data.result.reduce((sum, { values }) => sum + values.length, 0)

  it('without an organisation: 401', async () => {
    for (const path of ['/loki/api/v1/query?query=%7Ba%3D%22b%22%7D', '/loki/api/v1/labels'])
      expect((await fetch(`${loki.url}${path}`)).status).toBe(401)
  })

  it('the sidecar’s exporter: each call to its tenant, and nobody sees another’s', async () => {
    const exporter = makeLokiExporter(lokiConfigSchema.parse({ url: loki.url, environment: 'staging' }), {
      environment: {},
    })
    const at = (tenant: string, n: number) => makeCall({ tenant, startedAt: Date.now() - 1000 }, n)
    const calls = [at('search', 1), at('search', 2), at('support', 3)]
    expect(await exporter.send(calls, new AbortController().signal)).toEqual({ sent: 3, rejected: [] })
    await exporter.close()
    const query = '{service_name="kong-llm-observer"}'
    await waitUntil(async () => (await count('search', query)) === 2 && (await count('support', query)) === 1)
    expect(await count('platform', query)).toBe(0)
    // Operators ask for several at once.
    expect(await count('platform|search|support', query)).toBe(3)

    const { data } = await linesOf('search', `${query} | trace_id="${calls[0]!.trace.traceId}"`)
    expect(data.result).toHaveLength(1)
    expect(data.result[0]!.stream).toMatchObject({ tenant: 'search', model: calls[0]!.model, env: 'staging' })
    const labels = await loki.get<{ data: string[] }>('/loki/api/v1/labels', 'search', { since: '1h' })
    expect(labels.data.sort()).toEqual(['env', 'level', 'service_name'])
  })

  it('containers’ logs by the Collector: three labels, the rest as metadata, redacted', async () => {
    writeFileSync(
      join(logs, 'abc/abc-json.log'),
      [
        containerLine('kong', KONG_ERROR),
        containerLine('sidecar', SIDECAR_ERROR),
        containerLine('redis', 'Ready to accept connections'),
        ...MASKED.map(([line]) => containerLine('other', line)),
        ...UNTOUCHED.map((line) => containerLine('plain', line)),
      ].join(''),
    )
    await waitUntil(
      async () => (await count('platform', '{service_name=~".+"}')) === 3 + MASKED.length + UNTOUCHED.length,
    )
    const one = async (query: string) => (await linesOf('platform', query)).data.result[0]!

    const kongs = await one('{service_name="kong", level="error", env="staging"}')
    expect(kongs.stream.request_id).toBe('0badcafe0badcafe0badcafe0badcafe')
    expect(kongs.values[0]![1]).toContain('failed for [EMAIL]')
    expect(kongs.values[0]![1]).toContain('GET /openai/v1/models?[QUERY] HTTP/1.1')
    const sidecars = await one('{service_name="sidecar", level="error"} | trace_id="4bf92f3577b34da6a3ce929d0e0e4736"')
    expect(sidecars.stream.request_id).toBe('r-1')
    expect(sidecars.values[0]![1]).not.toContain('abcdefghijklmnopqrstuvwx')
    expect((await one('{service_name="redis"}')).stream.level).toBe('info')

    const shipped = (await linesOf('platform', '{service_name="other"}')).data.result.flatMap(({ values }) => values)
    expect(shipped.map(([, line]) => line).sort()).toEqual(MASKED.map(([, line]) => line).sort())
    const plain = (await linesOf('platform', '{service_name="plain"}')).data.result.flatMap(({ values }) => values)
    expect(plain.map(([, line]) => line).sort()).toEqual([...UNTOUCHED].sort())
    const labels = await loki.get<{ data: string[] }>('/loki/api/v1/labels', 'platform', { since: '1h' })
    expect(labels.data.sort()).toEqual(['env', 'level', 'service_name'])
  })

  it('the ruler has loaded every rule', async () => {
    await waitUntil(async () => {
      for (const organisation of organisations) {
        const { data } = await loki.get<{
          data: { groups: { rules: { name: string; health: string; lastError?: string }[] }[] }
        }>('/prometheus/api/v1/rules', organisation)
        const rules = data.groups.flatMap((group) => group.rules)
        expect(rules.filter(({ lastError }) => lastError)).toEqual([])
        if (
          rules
            .map(({ name }) => name)
            .sort()
            .join() !==
          rulesOf(organisation)
            .map(({ alert }) => alert)
            .sort()
            .join()
        )
          return { done: false, seen: `${organisation}: ${rules.map(({ name }) => name)}` }
      }
      return true
    })
  })

  /** Whether the rule's own expression is true now. */
  const holds = async (organisation: string, alert: string) => {
    const { expr } = rulesOf(organisation).find((rule) => rule.alert === alert)!
    const { data } = await loki.get<{ data: { result: unknown[] } }>('/loki/api/v1/query', organisation, {
      query: expr,
    })
    return data.result.length > 0
  }

  it('each rule is silent over ordinary lines and true over what it is for', async () => {
    const append = (lines: string[]) => writeFileSync(join(logs, 'abc/more-json.log'), lines.join(''), { flag: 'a' })
    expect(await holds('platform', 'LLMKongErrorLogBurst')).toBe(false)
    expect(await holds('platform', 'LLMPluginServerCrash')).toBe(false)
    expect(await holds('platform', 'LLMKongLogsMissing')).toBe(false)
    expect(await holds('search', 'LLMGuardrailBlockLogBurst')).toBe(false)
    // Already there, from the lines before.
    expect(await holds('platform', 'LLMSidecarErrorLogs')).toBe(true)
    expect(await holds('platform', 'LLMCredentialLogged')).toBe(true)

    append([
      containerLine(
        'kong',
        "2026/11/24 14:03:07 [notice] 1#0: *3 [kong] process.lua:85 external pluginserver 'js' terminated: exit 1, context: ngx.timer",
      ),
      ...Array.from({ length: 60 }, (_, n) =>
        containerLine('kong', `2026/11/24 14:03:07 [error] 1#0: *${n} upstream timed out`),
      ),
    ])
    const exporter = makeLokiExporter(lokiConfigSchema.parse({ url: loki.url }), { environment: {} })
    const blocked = Array.from({ length: 25 }, (_, n) =>
      makeCall(
        {
          tenant: 'search',
          startedAt: Date.now() - 500,
          guardrails: [{ guardrail: 'ai-prompt-guard', stage: 'input', action: 'blocked' }],
        },
        100 + n,
      ),
    )
    await exporter.send(blocked, new AbortController().signal)
    await exporter.close()
    await waitUntil(async () => holds('platform', 'LLMKongErrorLogBurst'))
    await waitUntil(async () => holds('platform', 'LLMPluginServerCrash'))
    await waitUntil(async () => holds('search', 'LLMGuardrailBlockLogBurst'))
    expect(await holds('support', 'LLMGuardrailBlockLogBurst')).toBe(false)
  })

  it('the queries of the runbooks find lines', async () => {
    for (const alert of new Set(
      organisations.flatMap((organisation) => rulesOf(organisation).map(({ alert }) => alert)),
    ))
      for (const { language, query } of pastedQueries(read(`docs/runbooks/${alert}.md`))) {
        if (language !== 'logql') continue
        const organisation = alert === 'LLMGuardrailBlockLogBurst' ? 'search' : 'platform'
        const { data } = await loki.get<Streams>('/loki/api/v1/query_range', organisation, { query, since: '1h' })
        expect(data.result.length, query).toBeGreaterThan(0)
        expect(JSON.stringify(data.result), query).not.toContain('__error__')
      }
  })

  it('what is true reaches Alertmanager, with its labels', async () => {
    // The groups' own interval is a minute.
    await waitUntil(async () => alerts.some(({ labels }) => labels.alertname === 'LLMSidecarErrorLogs'), {
      withinMs: 90_000,
    })
    const { labels, annotations } = alerts.find(({ labels }) => labels.alertname === 'LLMSidecarErrorLogs')!
    expect(labels).toMatchObject({ severity: 'warning', priority: 'P3', environment: 'staging' })
    expect(annotations.description).toMatch(/^\d+ lines at level error/)
  }, 120_000)
})
