import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type LokiEntry, type LokiSink, startLokiSink } from '../../dev/sinks/loki.ts'
import type { LlmCall } from '../call.ts'
import { GOLDEN_CALLS } from '../testing/golden-calls.ts'
import { makeCall } from '../testing/make-call.ts'
import { lokiBody, lokiConfigSchema, makeLokiExporter } from './loki.ts'

const never = new AbortController().signal
const now = makeCall().startedAt

let sink: LokiSink
beforeAll(async () => {
  sink = await startLokiSink({ now: () => now })
})
afterAll(() => sink.close())

async function send(calls: readonly LlmCall[], config = {}): Promise<LokiEntry[]> {
  const exporter = makeLokiExporter(lokiConfigSchema.parse({ url: sink.url, ...config }), { environment: {} })
  expect(await exporter.send(calls, never)).toEqual({ sent: calls.length, rejected: [] })
  await exporter.close()
  const ids = new Set(calls.map(({ id }) => id))
  return sink.entries().filter(({ line }) => ids.has(String(line.id)))
}

describe('lines for Loki', () => {
  it('only service_name, env and level are labels', async () => {
    const entries = await send(Object.values(GOLDEN_CALLS))
    expect(entries).toHaveLength(Object.keys(GOLDEN_CALLS).length)
    for (const { labels } of entries) expect(Object.keys(labels).sort()).toEqual(['env', 'level', 'service_name'])
    expect(new Set(entries.map(({ labels }) => labels.level))).toEqual(new Set(['info', 'warn']))
  })

  it('each tenant is an organisation of its own, with one push', async () => {
    const calls = ['blue', 'red', 'blue', 'unattributed'].map((tenant, n) => makeCall({ tenant }, 100 + n))
    const before = sink.requests()
    const entries = await send(calls)
    expect(sink.requests() - before).toBe(3)
    for (const { tenant, metadata } of entries) expect(metadata.tenant).toBe(tenant)
  })

  it('nothing of the content is in the line', () => {
    const secret = 'the prompt'
    const part = [{ type: 'text' as const, content: secret }]
    const content = { system: secret, input: [{ role: 'user', parts: part }], output: [{ role: 'a', parts: part }] }
    const rawUsage = { prompt_tokens: 1 }
    expect(lokiBody([makeCall({ content, rawUsage })], 'default')).not.toContain(secret)
  })

  it('says why an amount may lack something, which keys nobody read, and the list price beside a bill', () => {
    const cost = {
      state: 'priced',
      picoUsd: 7,
      listPicoUsd: 5,
      byUnit: {},
      priceId: 'reported:xai',
      book: 'b',
    } as const
    const call = makeCall({ cost, reasons: ['unread_usage'], unreadUsage: ['new_tokens'] })
    const { streams } = JSON.parse(lokiBody([call], 'default')) as { streams: { values: [string, string][] }[] }
    expect(JSON.parse(streams[0]!.values[0]![1])).toMatchObject({
      reasons: ['unread_usage'],
      unread_usage: ['new_tokens'],
      cost_pico_usd: '7',
      list_pico_usd: '5',
    })
  })

  it('no name is both in the line and in the metadata, where Loki would rename one', async () => {
    for (const { line, metadata } of await send(Object.values(GOLDEN_CALLS)))
      expect(Object.keys(metadata).filter((name) => name in line)).toEqual([])
  })

  it('two calls that are alike in all but their id, at the same millisecond, are two entries', async () => {
    const startedAt = now + 5
    const alike = (n: number) => makeCall({ startedAt, responseId: 'same', tenant: 'gold' }, n)
    expect(await send([alike(200), alike(201)])).toHaveLength(2)
  })

  it('the entries of a stream are in the order of time, in nanoseconds as text', () => {
    const calls = [3.25, 1, 2].map((ms, n) => makeCall({ startedAt: now + ms }, n))
    const { streams } = JSON.parse(lokiBody(calls, 'default')) as { streams: { values: [string, string][] }[] }
    expect(streams).toHaveLength(1)
    expect(streams[0]!.values.map(([at]) => at)).toEqual([`${now + 1}000000`, `${now + 2}000000`, `${now + 3}250000`])
  })

  it('a header of the configuration does not stand above the tenant', async () => {
    const entries = await send([makeCall({ tenant: 'own' }, 300)], { headers: { 'X-Scope-OrgID': 'other' } })
    expect(entries[0]!.tenant).toBe('own')
  })

  it.each(['.', '..'])('a tenant named %s is no folder', async (tenant) => {
    expect((await send([makeCall({ tenant }, 400 + tenant.length)]))[0]).toMatchObject({
      tenant: `_${tenant}`,
      metadata: { tenant },
    })
  })

  it('what is a week old is refused for good, so that the caller finds it', async () => {
    const exporter = makeLokiExporter(lokiConfigSchema.parse({ url: sink.url }), { environment: {} })
    const old = makeCall({ startedAt: now - 8 * 24 * 3600 * 1000 }, 500)
    expect(await exporter.send([makeCall({}, 501), old], never)).toMatchObject({ drop: 'http_400' })
    expect(await exporter.send([makeCall({}, 501)], never)).toEqual({ sent: 1, rejected: [] })
    await exporter.close()
  })

  it('a limit is of one organisation, a wrong credential of all', async () => {
    const exporter = makeLokiExporter(lokiConfigSchema.parse({ url: sink.url }), { environment: {} })
    sink.setFault({ kind: 'status', status: 429, retryAfter: 7, times: 1 })
    expect(await exporter.send([makeCall({}, 600)], never)).toMatchObject({
      retry: 'http_429',
      scope: 'tenant',
      afterMs: 7000,
    })
    sink.setFault({ kind: 'status', status: 401, times: 1 })
    const refused = await exporter.send([makeCall({}, 600)], never)
    expect(refused).toMatchObject({ retry: 'unauthorized' })
    expect(refused).not.toHaveProperty('scope')
    expect(exporter.apart?.('blue')).toBe(true)
    await exporter.close()
  })
})
