import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { decodeJsonSpans, decodeSpans } from '../../dev/sinks/decode-spans.ts'
import { CALL_STATUSES, inputTokens, type LlmCall, outputTokens, TOKEN_TYPES, totalTokens } from '../call.ts'
import { makeCall } from '../testing/make-call.ts'
import { makeOtlpExporter, otlpConfigSchema } from './otlp.ts'
import { GEN_AI, LANGFUSE, OWN } from './semantic-conventions.ts'

const never = new AbortController().signal
let server: Server | undefined
afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

/** A receiver that gives this answer, and what it was sent. */
async function receiver(answer: Uint8Array | string = '') {
  const received: { request: IncomingMessage; body: Buffer }[] = []
  server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      received.push({ request, body: Buffer.concat(chunks) })
      response.end(answer)
    })
  })
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve))
  return { received, endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }
}

async function send(calls: readonly LlmCall[], config: object, environment = {}) {
  const exporter = makeOtlpExporter(otlpConfigSchema.parse(config), { environment })
  const result = await exporter.send(calls, never)
  await exporter.close()
  return result
}

const anyText = fc.string({ unit: 'binary', maxLength: 40 })
const anyCall = fc
  .record({
    n: fc.nat(1_000_000),
    tenant: fc.string({ minLength: 1, maxLength: 20 }),
    status: fc.constantFrom(...CALL_STATUSES),
    errorMessage: anyText,
    requestModel: anyText,
    durationMs: fc.oneof(fc.nat(1e7), fc.double({ min: 0, max: 1e7, noNaN: true })),
    usage: fc.dictionary(fc.constantFrom(...TOKEN_TYPES), fc.nat(2 ** 31)),
    picoUsd: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
    finishReasons: fc.array(anyText, { maxLength: 3 }),
    text: fc.string({ unit: 'binary', maxLength: 3000 }),
  })
  .map(({ n, picoUsd, text, ...parts }) =>
    makeCall(
      {
        ...parts,
        cost: { state: 'priced', picoUsd, byUnit: {}, priceId: 'p', book: 'b' },
        content: { input: [{ role: 'user', parts: [{ type: 'text', content: text }] }] },
      },
      n,
    ),
  )

describe('OTLP', () => {
  it.each(['protobuf', 'json'] as const)('any call arrives whole, as %s', async (protocol) => {
    const { received, endpoint } = await receiver()
    await fc.assert(
      fc.asyncProperty(fc.array(anyCall, { minLength: 1, maxLength: 4 }), async (calls) => {
        expect(await send(calls, { endpoint, protocol, content: true, gzip: true })).toEqual({
          sent: calls.length,
          rejected: [],
        })
        const body = gunzipSync(received.at(-1)!.body)
        const spans = protocol === 'json' ? decodeJsonSpans(body) : decodeSpans(body)
        expect(spans).toHaveLength(calls.length)
        calls.forEach((call, index) => {
          const { attributes, ...span } = spans[index]!
          expect(span.traceId).toBe(call.trace.traceId)
          expect(span.spanId).toBe(call.trace.spanId)
          expect(span.start).toBe(BigInt(call.startedAt) * 1_000_000n)
          expect(span.end).toBeGreaterThanOrEqual(span.start)
          expect(span.statusCode).toBe(call.status === 'ok' ? 0 : 2)
          expect(attributes.get(OWN.costPicoUsd)).toBe(BigInt(call.cost.state === 'priced' ? call.cost.picoUsd : 0))
          expect(attributes.get(GEN_AI.inputTokens)).toBe(BigInt(inputTokens(call.usage)))
          expect(attributes.get(GEN_AI.outputTokens)).toBe(BigInt(outputTokens(call.usage)))
          const units = [...attributes].filter(([name]) => name.startsWith(OWN.usagePrefix))
          expect(units.reduce((sum, [, value]) => sum + Number(value), 0)).toBe(totalTokens(call.usage))
          // Half a surrogate pair has no UTF-8: it arrives as the sign for that, and the rest is untouched.
          expect(attributes.get(GEN_AI.requestModel)).toBe(call.requestModel!.toWellFormed())
          expect(attributes.get(GEN_AI.finishReasons)).toEqual(call.finishReasons!.map((text) => text.toWellFormed()))
        })
      }),
      { numRuns: 60 },
    )
  })

  it('no content unless it is opted in', async () => {
    const { received, endpoint } = await receiver()
    await send([makeCall()], { endpoint, gzip: false })
    expect(received[0]!.body.includes('Say hello')).toBe(false)
    expect(received[0]!.request.headers['content-encoding']).toBeUndefined()
    await send([makeCall()], { endpoint, gzip: false, content: true })
    expect(received[1]!.body.includes('Say hello')).toBe(true)
  })

  it('goes to /v1/traces with the headers of the configuration, and cannot be given a false content type', async () => {
    const { received, endpoint } = await receiver()
    const headers = { 'X-Api-Key': { env: 'KEY' }, 'Content-Type': 'text/plain' }
    await send([makeCall()], { endpoint, headers }, { KEY: 'hunter2' })
    const { url, headers: sent } = received[0]!.request
    expect(url).toBe('/v1/traces')
    expect(sent['x-api-key']).toBe('hunter2')
    expect(sent['content-type']).toBe('application/x-protobuf')
  })

  it('a header that HTTP cannot carry stops the start, by its name and not its value', () => {
    const config = otlpConfigSchema.parse({ endpoint: 'http://127.0.0.1:1', headers: { 'x-key': 'hunter2\nx: y' } })
    expect(() => makeOtlpExporter(config, { environment: {} })).toThrow(/"x-key"/)
    expect(() => makeOtlpExporter(config, { environment: {} })).not.toThrow(/hunter2/)
  })

  it.each<[string, 'protobuf' | 'json', Uint8Array | string, number]>([
    ['protobuf', 'protobuf', Uint8Array.of(0x0a, 0x02, 0x08, 0x02), 2],
    ['JSON, as text', 'json', '{"partialSuccess":{"rejectedSpans":"2","errorMessage":"no"}}', 2],
    ['JSON, as a number', 'json', '{"partialSuccess":{"rejectedSpans":2}}', 2],
    ['more than were sent', 'json', '{"partialSuccess":{"rejectedSpans":"99"}}', 3],
    ['none', 'json', '{"partialSuccess":{}}', 0],
    ['less than none', 'json', '{"partialSuccess":{"rejectedSpans":"-1"}}', 0],
  ])('partialSuccess is read and counted: %s', async (_, protocol, answer, refused) => {
    const { endpoint } = await receiver(answer)
    const result = await send([makeCall({}, 1), makeCall({}, 2), makeCall({}, 3)], { endpoint, protocol })
    expect(result).toEqual({
      sent: 3 - refused,
      rejected: Array.from({ length: refused }, () => ({ index: -1, reason: 'partial_success' })),
    })
  })

  it('the sampling ratio stands on the span', async () => {
    const { received, endpoint } = await receiver()
    const sampling = { ratio: 0.25, tenants: { gold: 0.5 } }
    const failed = makeCall({ status: 'timeout' }, 3)
    await send([makeCall({}, 1), makeCall({ tenant: 'gold' }, 2), failed], { endpoint, sampling, gzip: false })
    const ratios = decodeSpans(received[0]!.body).map(({ attributes }) => attributes.get(OWN.samplingRatio))
    expect(ratios).toEqual([0.25, 0.5, 1n])
  })
})

describe('names of attributes', () => {
  it('ours stay out of the standard’s name space, and no name stands for two things', () => {
    expect(Object.values(OWN).filter((name) => !/^(kong\.llm\.|tenant\.id$)/.test(name))).toEqual([])
    expect(Object.values(GEN_AI).filter((name) => name.startsWith('kong.'))).toEqual([])
    const all = [GEN_AI, OWN, LANGFUSE].flatMap((table) => Object.values(table))
    expect(new Set(all).size).toBe(all.length)
  })
})
