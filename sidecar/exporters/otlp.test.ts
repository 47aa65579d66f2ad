import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'
import { afterEach, describe, expect, it } from 'vitest'
import { decodeJsonSpans, decodeSpans } from '../../dev/sinks/decode-spans.ts'
import type { LlmCall } from '../call.ts'
import { makeCall } from '../testing/make-call.ts'
import { makeOtlpExporter, otlpConfigSchema } from './otlp.ts'

const never = new AbortController().signal
const cleanUp: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const clean of cleanUp.splice(0)) await clean()
})

interface Received {
  url: string | undefined
  headers: IncomingHttpHeaders
  body: Buffer
}
/** A receiver that answers 200 and the body given, and an exporter to it. */
async function exporterTo(answer: Buffer | string, config: Record<string, unknown> = {}, path = '') {
  const received: Received[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    received.push({
      url: request.url,
      headers: request.headers,
      body: request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body,
    })
    response.end(answer)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`
  const exporter = makeOtlpExporter(otlpConfigSchema.parse({ endpoint, ...config }), {
    environment: { KEY: 'Bearer 1' },
  })
  cleanUp.push(() => exporter.close())
  cleanUp.push(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return { exporter, received }
}
const calls = [1, 2, 3].map((n) => makeCall({}, n))

describe('OTLP', () => {
  it('pushes protobuf or JSON, with the operator’s headers, to /v1/traces under the endpoint', async () => {
    const headers = { Authorization: { env: 'KEY' } }
    const binary = await exporterTo('', { headers })
    const json = await exporterTo('{}', { headers, protocol: 'json', gzip: false }, '/otlp/')
    expect(await binary.exporter.send(calls, never)).toEqual({ sent: 3, rejected: [] })
    expect(await json.exporter.send(calls, never)).toEqual({ sent: 3, rejected: [] })
    const [one, other] = [binary.received[0]!, json.received[0]!]
    expect([one.url, one.headers['content-type'], one.headers['content-encoding'], one.headers.authorization]).toEqual([
      '/v1/traces',
      'application/x-protobuf',
      'gzip',
      'Bearer 1',
    ])
    expect([
      other.url,
      other.headers['content-type'],
      other.headers['content-encoding'],
      other.headers.authorization,
    ]).toEqual(['/otlp/v1/traces', 'application/json', undefined, 'Bearer 1'])
    expect(decodeJsonSpans(other.body)).toEqual(decodeSpans(one.body))
  })

  it.each<[string, Buffer | string, Record<string, unknown>, number]>([
    ['protobuf', Buffer.from([0x0a, 0x02, 0x08, 0x02]), {}, 2],
    ['protobuf, with a message', Buffer.from([0x0a, 0x06, 0x08, 0x01, 0x12, 0x02, 0x6e, 0x6f]), {}, 1],
    ['protobuf, a warning only', Buffer.from([0x0a, 0x04, 0x12, 0x02, 0x6e, 0x6f]), {}, 0],
    ['protobuf, more than were sent', Buffer.from([0x0a, 0x02, 0x08, 0x63]), {}, 3],
    ['JSON', '{"partialSuccess":{"rejectedSpans":"2","errorMessage":"no"}}', { protocol: 'json' }, 2],
    ['JSON, a number', '{"partialSuccess":{"rejectedSpans":1}}', { protocol: 'json' }, 1],
    ['JSON, a warning only', '{"partialSuccess":{"errorMessage":"slow"}}', { protocol: 'json' }, 0],
    ['JSON that lies', '{"partialSuccess":{"rejectedSpans":-4}}', { protocol: 'json' }, 0],
  ])('counts the spans of a partial success (%s)', async (_, answer, config, refused) => {
    const { exporter } = await exporterTo(answer, config)
    expect(await exporter.send(calls, never)).toEqual({
      sent: 3 - refused,
      rejected: Array.from({ length: refused }, () => ({ index: -1, reason: 'partial_success' })),
    })
  })

  it('content only where the operator asks for it', async () => {
    const secret = 'Say hello'
    const without = await exporterTo('', { protocol: 'json', gzip: false })
    const withContent = await exporterTo('', { protocol: 'json', gzip: false, content: true })
    await without.exporter.send(calls, never)
    await withContent.exporter.send(calls, never)
    expect(without.received[0]!.body.toString()).not.toContain(secret)
    const { attributes } = decodeJsonSpans(withContent.received[0]!.body)[0]!
    expect(JSON.parse(attributes.get('gen_ai.input.messages') as string)).toEqual([
      { role: 'user', parts: [{ type: 'text', content: secret }] },
    ])
    expect(JSON.parse(attributes.get('gen_ai.output.messages') as string)).toEqual([
      { role: 'assistant', parts: [{ type: 'text', content: 'Hello' }], finish_reason: 'stop' },
    ])
  })

  it('says on the span by which ratio it was kept', async () => {
    const { exporter, received } = await exporterTo('', { sampling: { ratio: 0.25 } })
    const failed: LlmCall = makeCall({ status: 'server_error', httpStatus: 500 }, 9)
    await exporter.send([calls[0]!, failed], never)
    expect(decodeSpans(received[0]!.body).map(({ attributes }) => attributes.get('kong.llm.sampling.ratio'))).toEqual([
      0.25,
      1n,
    ])
    expect(exporter.wants?.(failed)).toBe(true)
  })

  it('the standard’s input includes what was cached, its output what was reasoned; ours do not overlap', async () => {
    const { exporter, received } = await exporterTo('')
    const usage = { input: 5, cache_read: 100, cache_write_5m: 20, cache_write_1h: 3, output: 7, output_reasoning: 4 }
    await exporter.send([makeCall({ usage, provider: 'anthropic' })], never)
    const { attributes } = decodeSpans(received[0]!.body)[0]!
    expect(Object.fromEntries([...attributes].filter(([name]) => name.includes('usage.')))).toEqual({
      'gen_ai.usage.input_tokens': 128n,
      'gen_ai.usage.output_tokens': 11n,
      'gen_ai.usage.cache_read.input_tokens': 100n,
      'gen_ai.usage.cache_creation.input_tokens': 23n,
      'gen_ai.usage.reasoning.output_tokens': 4n,
      'kong.llm.usage.input': 5n,
      'kong.llm.usage.cache_read': 100n,
      'kong.llm.usage.cache_write_5m': 20n,
      'kong.llm.usage.cache_write_1h': 3n,
      'kong.llm.usage.output': 7n,
      'kong.llm.usage.output_reasoning': 4n,
    })
  })

  it('what is not known is absent, not 0', async () => {
    const { exporter, received } = await exporterTo('')
    const cost = { state: 'unpriced', reason: 'no_usage', book: 'b' } as const
    await exporter.send([makeCall({ usage: {}, usageSource: 'unknown', cost })], never)
    const names = [...decodeSpans(received[0]!.body)[0]!.attributes.keys()]
    expect(names.filter((name) => /usage\.|cost\.(usd|pico)/.test(name))).toEqual([])
    expect(names).toContain('kong.llm.cost.reason')
  })

  it('a failed call is an error, with its type; the caller’s span is its parent', async () => {
    const { exporter, received } = await exporterTo('')
    const trace = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), parentSpanId: 'c'.repeat(16) }
    await exporter.send(
      [
        makeCall({ trace }),
        makeCall(
          { status: 'rate_limited', httpStatus: 429, errorType: 'rate_limit_exceeded', errorMessage: 'slow' },
          2,
        ),
        makeCall({ status: 'timeout', httpStatus: 504 }, 3),
      ],
      never,
    )
    const spans = decodeSpans(received[0]!.body)
    expect(spans.map(({ statusCode, statusMessage }) => [statusCode, statusMessage])).toEqual([
      [0, ''],
      [2, 'slow'],
      [2, 'timeout'],
    ])
    expect(spans.map(({ attributes }) => attributes.get('error.type'))).toEqual([
      undefined,
      'rate_limit_exceeded',
      '504',
    ])
    expect(spans[0]).toMatchObject({ ...trace, name: 'chat gpt-4o', kind: 3 })
    expect(spans[1]!.parentSpanId).toBe('')
    const { startedAt, durationMs } = makeCall({ trace })
    expect(spans[0]!.start).toBe(BigInt(startedAt) * 1_000_000n)
    expect(spans[0]!.end).toBe(BigInt(startedAt + durationMs) * 1_000_000n)
  })

  it.each([
    [{ endpoint: 'grpc://localhost:4317' }],
    [{ endpoint: 'http://localhost', protocol: 'grpc' }],
    [{ endpoint: 'http://localhost', sampling: { rate: 1 } }],
    [{}],
  ])('is not a configuration: %j', (config) => {
    expect(otlpConfigSchema.safeParse(config).success).toBe(false)
  })
})
