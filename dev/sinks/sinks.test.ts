import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startLangfuseSink } from './langfuse.ts'
import { startLokiSink } from './loki.ts'
import { startOtlpSink } from './otlp.ts'

// Requests are written by hand here: what a stand-in accepts must not depend on what our exporters send.
const NOW = Date.UTC(2026, 10, 23)
const WEEK_MS = 7 * 24 * 3600 * 1000

let otlp: Awaited<ReturnType<typeof startOtlpSink>>
let langfuse: Awaited<ReturnType<typeof startLangfuseSink>>
let loki: Awaited<ReturnType<typeof startLokiSink>>
beforeAll(async () => {
  otlp = await startOtlpSink()
  langfuse = await startLangfuseSink({
    publicKey: 'pk',
    secretKey: 'sk',
    otherProjects: [{ publicKey: 'pk2', secretKey: 'sk2' }],
  })
  loki = await startLokiSink({ now: () => NOW })
})
beforeEach(() => {
  for (const sink of [otlp, langfuse, loki]) sink.setFault(undefined)
})
afterAll(() => Promise.all([otlp.close(), langfuse.close(), loki.close()]))

async function post(url: string, body: string | Uint8Array, headers: Record<string, string>): Promise<number> {
  const response = await fetch(url, { method: 'POST', body, headers })
  await response.arrayBuffer()
  return response.status
}

/** The bytes of one span by the protocol's own rules: trace id, span id, start, attributes. */
function protobufSpan(traceId: string, attributes: Record<string, string | number>): Buffer {
  const field = (number: number, bytes: Uint8Array) =>
    Buffer.concat([Buffer.from([(number << 3) | 2]), varint(bytes.length), bytes])
  const varint = (value: number) => {
    const bytes: number[] = []
    let rest = BigInt(value)
    for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
    return Buffer.from([...bytes, Number(rest)])
  }
  const keyValues = Object.entries(attributes).map(([key, value]) => {
    const any =
      typeof value === 'string' ? field(1, Buffer.from(value)) : Buffer.concat([Buffer.from([3 << 3]), varint(value)])
    return field(9, Buffer.concat([field(1, Buffer.from(key)), field(2, any)]))
  })
  const span = Buffer.concat([
    field(1, Buffer.from(traceId, 'hex')),
    field(2, Buffer.from('b7ad6b7169203331', 'hex')),
    ...keyValues,
  ])
  return field(1, field(2, field(2, span)))
}

describe('OTLP stand-in', () => {
  const url = () => `${otlp.url}/v1/traces`
  const type = { 'content-type': 'application/x-protobuf' }
  const body = (trace: string, picoUsd = 5) =>
    protobufSpan(trace, { 'tenant.id': 'blue', 'kong.llm.cost.pico_usd': picoUsd, 'kong.llm.usage.input': 300 })

  it('keeps a span once, however often it comes, and sums what the bytes say', async () => {
    const trace = 'ab'.repeat(16)
    expect(await post(url(), body(trace, 9_000_000_000_000_001), type)).toBe(200)
    expect(
      await post(url(), gzipSync(body(trace, 9_000_000_000_000_001)), { ...type, 'content-encoding': 'gzip' }),
    ).toBe(200)
    expect([otlp.received(), otlp.spans().length]).toEqual([2, 1])
    expect(otlp.perTenant().get('blue')).toEqual({ calls: 1, tokens: { input: 300 }, picoUsd: 9_000_000_000_000_001n })
  })

  it.each([
    ['another path', () => otlp.url, 'application/x-protobuf', 'x', 404],
    ['another content type', url, 'text/plain', 'x', 415],
    ['what is not protobuf', url, 'application/x-protobuf', '\u00ff\u00ff\u00ff', 400],
  ])('refuses %s', async (_, address, contentType, text, status) => {
    expect(await post(address(), text, { 'content-type': contentType })).toBe(status)
  })

  it('refuses what is not gzip', async () => {
    expect(await post(url(), 'plain', { ...type, 'content-encoding': 'gzip' })).toBe(400)
  })
})

describe('Langfuse stand-in', () => {
  const url = () => `${langfuse.url}/api/public/otel/v1/traces`
  const basic = (keys: string) => `Basic ${Buffer.from(keys).toString('base64')}`
  const headers = {
    'content-type': 'application/json',
    authorization: basic('pk:sk'),
    'x-langfuse-ingestion-version': '4',
  }
  const attribute = (key: string, stringValue: string) => ({ key, value: { stringValue } })
  const body = (traceId: string, start: bigint, cost = '{"total":0.000000000003}') =>
    JSON.stringify({
      resourceSpans: [
        {
          scopeSpans: [
            {
              spans: [
                {
                  traceId,
                  spanId: 'b7ad6b7169203331',
                  name: 'chat',
                  kind: 3,
                  startTimeUnixNano: String(start),
                  endTimeUnixNano: String(start),
                  status: {},
                  attributes: [
                    attribute('langfuse.trace.metadata.tenant_id', 'blue'),
                    attribute(
                      'langfuse.observation.usage_details',
                      '{"input":2,"output":3,"web_searches":7,"total":5}',
                    ),
                    attribute('langfuse.observation.cost_details', cost),
                    attribute('langfuse.observation.metadata.cost_state', 'priced'),
                  ],
                },
              ],
            },
          ],
        },
      ],
    })

  it('answers 401 to other keys, 400 without the version header, 400 to a wrong id', async () => {
    const good = body('1'.repeat(32), 1n)
    expect(await post(url(), good, { ...headers, authorization: basic('pk:no') })).toBe(401)
    expect(
      await post(url(), good, { 'content-type': headers['content-type'], authorization: headers.authorization }),
    ).toBe(400)
    expect(await post(url(), body('0'.repeat(32), 1n), headers)).toBe(400)
    expect(await post(url(), body('xyz', 1n), headers)).toBe(400)
    expect(await post(url(), '{', headers)).toBe(400)
    expect(langfuse.observations()).toEqual([])
  })

  it('keeps one of what has the same project, minute, ids and start; another start is another', async () => {
    const trace = '2'.repeat(32)
    expect(await post(url(), body(trace, 5n), headers)).toBe(200)
    expect(await post(url(), body(trace, 5n), headers)).toBe(200)
    expect(langfuse.perTenant().get('blue')).toEqual({ calls: 1, tokens: { input: 2, output: 3 }, picoUsd: 3n })
    expect(await post(url(), body(trace, 6n), headers)).toBe(200)
    expect(await post(url(), body(trace, 5n), { ...headers, authorization: basic('pk2:sk2') })).toBe(200)
    expect(langfuse.observations().map(({ project, start }) => [project, start])).toEqual([
      ['pk', 5n],
      ['pk', 6n],
      ['pk2', 5n],
    ])
  })
})

describe('Loki stand-in', () => {
  const url = () => `${loki.url}/loki/api/v1/push`
  const headers = { 'content-type': 'application/json', 'x-scope-orgid': 'blue' }
  const nanoseconds = (ms: number) => `${ms}000000`
  const push = (line: object | string, at = NOW, stream: Record<string, string> = { level: 'info' }) =>
    JSON.stringify({
      streams: [
        {
          stream,
          values: [[nanoseconds(at), typeof line === 'string' ? line : JSON.stringify(line), { call_id: 'c' }]],
        },
      ],
    })

  it('answers 204; 401 without an organisation; 400 to what Loki refuses', async () => {
    expect(await post(url(), push({ n: 1 }), headers)).toBe(204)
    expect(await post(url(), push({ n: 1 }), { 'content-type': 'application/json' })).toBe(401)
    expect(await post(url(), push({ long: 'x'.repeat(256 * 1024) }), headers)).toBe(400)
    expect(await post(url(), push({ n: 1 }, NOW - WEEK_MS - 1), headers)).toBe(400)
    expect(await post(url(), push({ n: 1 }, NOW - WEEK_MS + 1), headers)).toBe(204)
    const labels = Object.fromEntries(Array.from({ length: 16 }, (_, n) => [`l${n}`, 'x']))
    expect(await post(url(), push({ n: 1 }, NOW, labels), headers)).toBe(400)
    expect(await post(url(), '[]', headers)).toBe(400)
  })

  it('the same line at the same time in the same stream is one entry, of another stream another', async () => {
    const gold = { ...headers, 'x-scope-orgid': 'gold' }
    const line = { tokens: { input: 4 }, cost_pico_usd: '9000000000000001' }
    for (const stream of [
      { level: 'info', env: 'a' },
      { env: 'a', level: 'info' },
      { env: 'b', level: 'info' },
    ])
      expect(await post(url(), push(line, NOW, stream), gold)).toBe(204)
    expect(loki.perTenant().get('gold')).toEqual({ calls: 2, tokens: { input: 8 }, picoUsd: 18_000_000_000_000_002n })
  })
})

describe('faults', () => {
  it('last as many requests as they are told to, and are counted', async () => {
    const send = () =>
      post(`${loki.url}/loki/api/v1/push`, '{"streams":[]}', {
        'content-type': 'application/json',
        'x-scope-orgid': 'a',
      })
    const before = loki.faulted()
    loki.setFault({ kind: 'status', status: 503, times: 2 })
    expect([await send(), await send(), await send()]).toEqual([503, 503, 204])
    expect(loki.faulted() - before).toBe(2)
    loki.setFault({ kind: 'reset', times: 1 })
    await expect(send()).rejects.toThrow()
    expect(await send()).toBe(204)
  })

  it('a sink that hangs closes all the same', async () => {
    const sink = await startOtlpSink()
    sink.setFault({ kind: 'hang' })
    const hanging = post(`${sink.url}/v1/traces`, 'x', {}).catch(() => 'closed')
    while (sink.faulted() === 0) await new Promise((resolve) => setImmediate(resolve))
    await sink.close()
    expect(await hanging).toBe('closed')
  })
})
