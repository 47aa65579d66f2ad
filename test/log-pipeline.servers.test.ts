import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { binariesPresent } from '../dev/servers/binary.ts'
import { COLLECTOR_FILES, startCollector } from '../dev/servers/collector.ts'
import { startHttpSink } from '../dev/sinks/http-sink.ts'
import { waitUntil } from '../dev/wait-until.ts'
import { containerLine, KONG_ERROR, MASKED, SIDECAR_ERROR, UNTOUCHED } from './log-lines.ts'

const directory = mkdtempSync(join(tmpdir(), 'log-pipeline-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

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
