import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { binariesPresent } from '../dev/servers/binary.ts'
import { COLLECTOR_FILES, type Collector, startCollector } from '../dev/servers/collector.ts'
import { type Loki, startLoki } from '../dev/servers/loki.ts'
import { startHttpSink } from '../dev/sinks/http-sink.ts'
import { waitUntil } from '../dev/wait-until.ts'
import { lokiConfigSchema, makeLokiExporter } from '../sidecar/exporters/loki.ts'
import { makeCall } from '../sidecar/testing/make-call.ts'
import { containerLine, KONG_ERROR, MASKED, SIDECAR_ERROR, UNTOUCHED } from './log-lines.ts'

const root = join(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const directory = mkdtempSync(join(tmpdir(), 'loki-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

interface Rule {
  alert: string
  expr: string
}
const organisations = readdirSync(join(root, 'deploy/loki/rules'))
const rulesOf = (organisation: string): Rule[] =>
  readdirSync(join(root, 'deploy/loki/rules', organisation)).flatMap((name) =>
    (parse(read(`deploy/loki/rules/${organisation}/${name}`)) as { groups: { rules: Rule[] }[] }).groups.flatMap(
      ({ rules }) => rules,
    ),
  )
const logqlOf = (page: string) => [...page.matchAll(/```logql\n(.*?)```/gs)].map(([, query]) => query!.trim())

interface Streams {
  data: { result: { stream: Record<string, string>; values: [string, string][] }[] }
}

// Needs Grafana Loki on PATH, an image or a package of its makers: none of the registries that CI reaches has it.
// vitest.config.ts leaves this file out where it is missing; log-pipeline.test.ts has the Collector write to a stand-in.
describe.skipIf(!binariesPresent('otelcol', 'loki'))('a real Loki on deploy/loki', () => {
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
  })
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
      for (const query of logqlOf(read(`docs/runbooks/${alert}.md`))) {
        const organisation = alert === 'LLMGuardrailBlockLogBurst' ? 'search' : 'platform'
        const { data } = await loki.get<Streams>('/loki/api/v1/query_range', organisation, { query, since: '1h' })
        expect(data.result.length, query).toBeGreaterThan(0)
        expect(JSON.stringify(data.result), query).not.toContain('__error__')
      }
  })

  it('what is true reaches Alertmanager, with its labels', async () => {
    // The groups' own interval is a minute.
    await waitUntil(async () => alerts.some(({ labels }) => labels.alertname === 'LLMSidecarErrorLogs'))
    const { labels, annotations } = alerts.find(({ labels }) => labels.alertname === 'LLMSidecarErrorLogs')!
    expect(labels).toMatchObject({ severity: 'warning', priority: 'P3', environment: 'staging' })
    expect(annotations.description).toMatch(/^\d+ lines at level error/)
  })
})
