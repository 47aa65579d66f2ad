import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parser } from '@grafana/lezer-logql'
import { afterAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { binariesPresent } from '../dev/servers/binary.ts'
import { COLLECTOR_FILES, startCollector } from '../dev/servers/collector.ts'
import { startHttpSink } from '../dev/sinks/http-sink.ts'
import { waitUntil } from '../dev/wait-until.ts'
import { containerLine, KONG_ERROR, MASKED, SIDECAR_ERROR, UNTOUCHED } from './log-lines.ts'

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

/** The shippers' expressions, as their own syntax writes them. */
const alloyMasks = [...read('deploy/alloy/config.alloy').matchAll(/expression = (".*")\n\s+replace\s+= (".*")/g)].map(
  ([, expression, mask]): [string, string] => [JSON.parse(expression!) as string, JSON.parse(mask!) as string],
)
const collectorMasks = [
  ...read('deploy/otel-collector/logs.yaml').matchAll(/- replace_pattern\(log\.body, (".*"), ("[^"]*[A-Z]\]")\)\n/g),
].map(([, expression, mask]): [string, string] => [JSON.parse(expression!) as string, JSON.parse(mask!) as string])

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
    expect(readdirSync(join(root, 'dashboards/grafana'))).toContain(`${board}.json`)

    expect(errorsIn(expr)).toEqual([])
  })
})

/** What Loki's OTLP door is sent, as far as these tests read it. */
interface SentLogs {
  resourceLogs: {
    resource: { attributes: { key: string; value: { stringValue: string } }[] }
    scopeLogs: {
      logRecords: { body: { stringValue: string }; attributes: { key: string; value: { stringValue: string } }[] }[]
    }[]
  }[]
}
interface SentLine {
  labels: Record<string, string>
  metadata: Record<string, string>
  line: string
}

describe.skipIf(!binariesPresent('otelcol'))('the Collector on deploy/otel-collector/logs.yaml', () => {
  it('containers’ logs: three labels, the rest as metadata, redacted; as the platform', async () => {
    const logs = join(directory, 'containers')
    mkdirSync(join(logs, 'abc'), { recursive: true })
    const written = [
      containerLine('kong', KONG_ERROR),
      containerLine('sidecar', SIDECAR_ERROR),
      containerLine('redis', 'Ready to accept connections'),
      ...MASKED.map(([line]) => containerLine('other', line)),
      ...UNTOUCHED.map((line) => containerLine('plain', line)),
    ]
    writeFileSync(join(logs, 'abc/abc-json.log'), written.join(''))
    const sent: SentLine[] = []
    const organisations = new Set<unknown>()
    const loki = await startHttpSink(0, ({ request, body }) => {
      if (request.method !== 'POST' || request.url !== '/otlp/v1/logs') return { status: 404 }
      organisations.add(request.headers['x-scope-orgid'])
      sent.push(...linesOf(JSON.parse(body.toString('utf8')) as SentLogs))
      return { status: 200, body: '{}', headers: { 'content-type': 'application/json' } }
    })
    const collector = await startCollector({
      directory: join(directory, 'collector'),
      files: [COLLECTOR_FILES.traces, COLLECTOR_FILES.logs, 'yaml:exporters::otlp_http/loki::encoding: json'],
      environment: {
        COLLECTOR_CONTAINER_LOGS: join(logs, '*/*-json.log'),
        COLLECTOR_LOGS_START: 'beginning',
        COLLECTOR_LOKI: loki.url,
        DEPLOYMENT_ENVIRONMENT: 'staging',
      },
    })
    try {
      await waitUntil(async () => sent.length >= written.length)
      expect(sent).toHaveLength(written.length)
      expect([...organisations]).toEqual(['platform'])
      for (const { labels } of sent) expect(Object.keys(labels).sort()).toEqual(['env', 'level', 'service.name'])
      const of = (service: string) => sent.filter(({ labels }) => labels['service.name'] === service)

      const [kongs] = of('kong')
      expect(kongs!.labels).toEqual({ 'service.name': 'kong', level: 'error', env: 'staging' })
      expect(kongs!.metadata).toEqual({ request_id: '0badcafe0badcafe0badcafe0badcafe' })
      expect(kongs!.line).toContain('failed for [EMAIL]')
      expect(kongs!.line).toContain('GET /openai/v1/models?[QUERY] HTTP/1.1')
      const [sidecars] = of('sidecar')
      expect(sidecars!.labels.level).toBe('error')
      expect(sidecars!.metadata).toEqual({ request_id: 'r-1', trace_id: '4bf92f3577b34da6a3ce929d0e0e4736' })
      expect(sidecars!.line).not.toContain('abcdefghijklmnopqrstuvwx')
      expect(of('redis')[0]!.labels.level).toBe('info')
      expect(
        of('other')
          .map(({ line }) => line)
          .sort(),
      ).toEqual(MASKED.map(([, line]) => line).sort())
      expect(
        of('plain')
          .map(({ line }) => line)
          .sort(),
      ).toEqual([...UNTOUCHED].sort())
    } finally {
      await collector.close()
      await loki.close()
    }
  })
})

function linesOf({ resourceLogs }: SentLogs): SentLine[] {
  const named = (attributes: { key: string; value: { stringValue: string } }[]) =>
    Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue]))
  return resourceLogs.flatMap(({ resource, scopeLogs }) =>
    scopeLogs.flatMap(({ logRecords }) =>
      logRecords.map(({ body, attributes }) => ({
        labels: named(resource.attributes),
        metadata: named(attributes ?? []),
        line: body.stringValue,
      })),
    ),
  )
}
