import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sumOfMetric } from '../../dev/metrics-text.ts'
import { binariesPresent, binary } from '../../dev/servers/binary.ts'
import { startPrometheus } from '../../dev/servers/prometheus.ts'
import { waitUntil } from '../../dev/wait-until.ts'
import { parseConfig } from '../config.ts'
import { makeLogger } from '../logger.ts'
import { type Sidecar, serve } from '../serve.ts'
import { makeCapture } from '../testing/make-capture.ts'

const OPENMETRICS = 'application/openmetrics-text;version=1.0.0'
/** Calls of different kinds, and names that a client may choose. */
const call = (n: number, milliseconds: number, changes: Parameters<typeof makeCapture>[0] = {}) =>
  makeCapture({
    n,
    ...changes,
    log: {
      started_at: Date.now() - milliseconds,
      latencies: { request: milliseconds, kong: 1, proxy: milliseconds - 1, receive: 1 },
      ...changes.log,
    },
  })
const hostile = {
  consumer: { id: 'c2', username: 'eve', tags: ['tenant:ev"il\\ten\nant'] },
}
const captures = () => [
  call(1, 300),
  call(2, 3000, { log: hostile, responseBody: { id: 'x', object: 'chat.completion', model: 'm"\\\n\ud800' } }),
  call(3, 41, { log: { response: { status: 429, size: 2, headers: {} } }, responseBody: { error: { message: 'no' } } }),
  call(4, 51, { requestBody: { model: 'nobody-knows-it' } }),
]

/** What a running sidecar answers at /metrics, as Prometheus' own programs read it. */
describe.skipIf(!binariesPresent('promtool', 'prometheus'))('/metrics of a sidecar', () => {
  const folder = mkdtempSync(join(tmpdir(), 'metrics-'))
  let sidecar: Sidecar
  const read = async (accept: string) => (await fetch(`${sidecar.url}/metrics`, { headers: { accept } })).text()

  beforeAll(async () => {
    const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
    // Only spans that somebody is sent become exemplars.
    const exporters = '{ otlp: { endpoint: "http://127.0.0.1:9" } }'
    const text = `{ listen: { port: 0 }, data: ${join(folder, 'data')}, exporters: ${exporters} }`
    const config = parseConfig(text, 'test.yaml', {})
    sidecar = await serve(config, {
      logger: makeLogger('ERROR', nowhere),
      environment: {},
      onFatal: (error) => {
        throw error
      },
    })
    const body = { v: 1, plugin: { version: 't', instance: 't' }, dropped: [], captures: captures() }
    const answer = await fetch(`${sidecar.url}/v1/captures`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    expect(answer.status).toBe(202)
    await waitUntil(async () => sumOfMetric(await read('text/plain'), 'llm_calls_total') === body.captures.length)
  })
  afterAll(async () => {
    await sidecar?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  it('promtool has no complaint', async () => {
    const { stderr, status } = spawnSync(binary('promtool'), ['check', 'metrics'], {
      input: await read('text/plain'),
      encoding: 'utf8',
    })
    // Its other words are advice about Node's own process metrics.
    expect(stderr.split('\n').filter((line) => !/^observer_(nodejs|process)_/.test(line) && line !== '')).toEqual([])
    expect(status === 0 || status === 3, stderr).toBe(true)
  })

  it('a Prometheus reads it, and finds the call of a bucket', async () => {
    const text = await read(OPENMETRICS)
    const shown = [...text.matchAll(/^llm_latency_seconds_bucket.* # \{(.*)\} (\S+)/gm)].map(([, labels, value]) => ({
      labels: Object.fromEntries([...labels!.matchAll(/(\w+)="(\w*)"/g)].map(([, name, text]) => [name!, text!])),
      value: Number(value),
    }))
    expect(shown.map(({ value }) => value)).toEqual(expect.arrayContaining([0.3, 3]))
    const prometheus = await startPrometheus({
      directory: join(folder, 'prometheus'),
      config: {
        global: { scrape_interval: '1s', scrape_timeout: '1s' },
        scrape_configs: [{ job_name: 'llm-observer', static_configs: [{ targets: [sidecar.url.slice(7)] }] }],
      },
      flags: ['--enable-feature=exemplar-storage'],
    })
    try {
      await waitUntil(async () => (await prometheus.query('sum(llm_calls_total)'))[0]?.value === captures().length)
      const found = await prometheus.api<{ exemplars: { labels: object; value: string }[] }[]>('/query_exemplars', {
        query: 'histogram_quantile(0.95, sum by (le) (rate(llm_latency_seconds_bucket[5m])))',
        start: String(Date.now() / 1000 - 3600),
        end: String(Date.now() / 1000 + 60),
      })
      const exemplars = found.flatMap((series) =>
        series.exemplars.map(({ labels, value }) => ({ labels, value: +value })),
      )
      const byValue = (one: { value: number }, other: { value: number }) => one.value - other.value
      expect(exemplars.sort(byValue)).toEqual(shown.sort(byValue))
      // A counter keeps its name; process metrics come as well.
      expect(await prometheus.query('{__name__=~"llm_calls|.*_total_total"}')).toEqual([])
      expect(await prometheus.query('observer_process_cpu_seconds_total')).toHaveLength(1)
    } finally {
      await prometheus.close()
    }
  })
})
