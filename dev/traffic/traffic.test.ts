import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Provider, startProvider } from '../provider/provider.ts'
import { seededRandom } from '../seeded-random.ts'
import { checkAnswer } from './check-answer.ts'
import { cachedPromptsOf, KINDS, planCall } from './kinds.ts'
import { promptText } from './prompts.ts'
import { DEMO_KEYS, runTraffic, type TrafficProgress } from './traffic.ts'

let provider: Provider
beforeAll(async () => {
  provider = await startProvider()
})
afterAll(() => provider.close())

/** The least of a gateway: strips the route's prefix, wants a key, and sees what passes. */
async function startGateway(seen: (path: string, headers: IncomingHttpHeaders, body: string) => void = () => {}) {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const body = Buffer.concat(chunks)
    seen(request.url!, request.headers, body.toString('utf8'))
    if (!Object.values(DEMO_KEYS).includes(String(request.headers.apikey))) {
      response.writeHead(401, { 'content-type': 'application/json' }).end('{"message":"No API key found in request"}')
      return
    }
    const { host: _, connection: __, 'content-length': ___, ...headers } = request.headers
    const clientGone = new AbortController()
    response.once('close', () => clientGone.abort())
    try {
      const answer = await fetch(provider.url + request.url!.replace(/^\/\w+(?=\/v1)/, ''), {
        method: 'POST',
        headers: headers as Record<string, string>,
        body,
        signal: clientGone.signal,
      })
      response.writeHead(answer.status, Object.fromEntries(answer.headers))
      for await (const chunk of answer.body!) response.write(chunk)
      response.end()
    } catch (error) {
      if (!clientGone.signal.aborted) throw error
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(resolve))
    },
  }
}

describe('runTraffic', () => {
  test('sends the calls, each tenant by its key, and finds every answer as expected', async () => {
    const keys: Record<string, number> = {}
    const prompts: number[] = []
    const paths = new Set<string>()
    const traced: string[] = []
    const gateway = await startGateway((path, headers, body) => {
      keys[String(headers.apikey)] = (keys[String(headers.apikey)] ?? 0) + 1
      prompts.push(Buffer.byteLength(body))
      paths.add(path)
      if (headers.traceparent !== undefined) traced.push(path)
    })
    const progress: TrafficProgress[] = []
    const summary = await runTraffic({
      gatewayUrl: gateway.url,
      calls: 400,
      concurrency: 8,
      onProgress: (step) => progress.push({ ...step }),
    })
    await gateway.close()
    expect(summary.unexpected).toEqual([])
    expect(summary.sent).toBe(400)
    expect(Object.values(summary.byStatus).reduce((a, b) => a + b)).toBe(400)
    expect(Object.keys(summary.byStatus)).toEqual(expect.arrayContaining(['200', '401', '429', '500']))
    expect(summary.byKind['openai-stream']).toBeGreaterThan(0)
    expect(summary.byKind['client-abort']).toBeUndefined()
    expect(summary.byKind.plain).toBeUndefined()
    expect(summary.byTenant).toEqual({
      blue: keys['alice-demo-key'],
      red: keys['bob-demo-key'],
      green: keys['carol-demo-key'],
      gold: keys['dave-demo-key'],
      unauthorized: keys.undefined,
    })
    expect(summary.byTenant.blue).toBeGreaterThan(summary.byTenant.gold!)
    expect(summary.cacheHits).toBeGreaterThan(0)
    expect(summary.bytes).toBeGreaterThan(100_000)
    expect(summary.latencyMs.p95).toBeGreaterThanOrEqual(summary.latencyMs.p50)
    expect(progress.at(-1)).toEqual({ sent: 400, calls: 400, unexpected: 0 })
    expect(Math.min(...prompts)).toBeGreaterThan(2000)
    expect(paths).toEqual(
      new Set([
        '/openai/v1/chat/completions',
        '/anthropic/v1/messages',
        '/trusted/v1/chat/completions',
        '/cached/v1/chat/completions',
      ]),
    )
    expect(new Set(traced)).toEqual(new Set(['/trusted/v1/chat/completions']))
  })

  test('an answer that is not what it should be is named', async () => {
    const gateway = await startGateway()
    const summary = await runTraffic({
      gatewayUrl: gateway.url,
      calls: 10,
      concurrency: 2,
      keys: { nobody: 'wrong-key' },
      mix: { anthropic: 1 },
    })
    await gateway.close()
    expect(summary.unexpectedCount).toBe(10)
    expect(summary.unexpected[0]).toMatch(/^anthropic: status 401 instead of 200/)
    expect(summary.unexpected.join()).not.toContain('wrong-key')
  })

  test('a gateway that is not there is counted, not thrown', async () => {
    const gateway = await startGateway()
    await gateway.close()
    const summary = await runTraffic({ gatewayUrl: gateway.url, calls: 3, concurrency: 1 })
    expect(summary).toMatchObject({ sent: 3, unexpectedCount: 3, byStatus: {} })
  })

  test('streams without usage and clients that hang up, when asked for', async () => {
    const gateway = await startGateway()
    for (const kind of ['openai-stream-no-usage', 'client-abort', 'plain'] as const) {
      const summary = await runTraffic({ gatewayUrl: gateway.url, calls: 6, concurrency: 3, mix: { [kind]: 1 } })
      expect(summary.unexpected).toEqual([])
      expect(summary.byStatus).toEqual({ 200: 6 })
      expect(summary.byKind).toEqual({ [kind]: 6 })
    }
    await gateway.close()
  })

  test('stops at the signal, at the time limit, and keeps to the rate', async () => {
    const gateway = await startGateway()
    const stop = new AbortController()
    const stopped = await runTraffic({
      gatewayUrl: gateway.url,
      calls: 10_000,
      concurrency: 4,
      signal: stop.signal,
      onProgress: ({ sent }) => sent === 20 && stop.abort(),
    })
    expect(stopped.sent).toBeGreaterThanOrEqual(20)
    expect(stopped.sent).toBeLessThan(40)
    expect(stopped.unexpected).toEqual([])
    const limited = await runTraffic({ gatewayUrl: gateway.url, calls: 10_000, concurrency: 1, limitMs: 100 })
    expect(limited.unexpected.at(-1)).toMatch(/^the time limit ended the run/)
    const paced = await runTraffic({ gatewayUrl: gateway.url, calls: 11, concurrency: 4, ratePerSecond: 50 })
    expect(paced.durationMs).toBeGreaterThanOrEqual(200)
    await gateway.close()
  })
})

describe('the plan', () => {
  test('the same seed gives the same calls; each body is valid JSON', () => {
    const plans = () => {
      const random = seededRandom(5)
      const cached = cachedPromptsOf(random)
      return KINDS.flatMap((kind) => Array.from({ length: 20 }, () => planCall(kind, random, cached)))
    }
    expect(plans()).toEqual(plans())
    for (const { body } of plans()) expect(() => JSON.parse(body)).not.toThrow()
  })

  test('prompts have 2 to 4 KB, and some an e-mail address to redact', () => {
    const random = seededRandom(3)
    const prompts = Array.from({ length: 100 }, () => promptText(random))
    for (const prompt of prompts) {
      expect(Buffer.byteLength(prompt)).toBeGreaterThanOrEqual(2048)
      expect(Buffer.byteLength(prompt)).toBeLessThanOrEqual(4200)
    }
    const withAddress = prompts.filter((prompt) => /\w+\.\d+@example\.com/.test(prompt))
    expect(withAddress.length).toBeGreaterThan(10)
    expect(new Set(prompts).size).toBe(100)
  })
})

describe('checkAnswer', () => {
  const random = seededRandom(1)
  const openai = planCall('openai-stream', random, [])
  const anthropic = planCall('anthropic-stream', random, [])
  const whole = planCall('openai-chat', random, [])
  const stream = { 'content-type': 'text/event-stream; charset=utf-8' }
  test.each([
    ['a stream that ends', openai, stream, 'data: {}\n\ndata: [DONE]\n\n', undefined],
    ['a stream cut before its end', openai, stream, 'data: {}\n\n', /broke off/],
    ['a stream of another type', openai, {}, 'data: [DONE]\n\n', /content type/],
    [
      'an Anthropic stream',
      anthropic,
      stream,
      'event: message_start\ndata: {}\n\nevent: message_stop\ndata: {}\n\n',
      undefined,
    ],
    ['an Anthropic stream cut', anthropic, stream, 'event: message_start\ndata: {}\n\n', /broke off/],
    ['a body', whole, {}, '{}', undefined],
    ['half a body', whole, {}, '{"a":', /not JSON/],
    ['a body in an unknown encoding', whole, { 'content-encoding': 'zip' }, '{}', /cannot be decoded/],
  ])('%s', (_, planned, headers, body, problem) => {
    const found = checkAnswer(planned, 200, headers, Buffer.from(body))
    if (problem === undefined) expect(found).toBeUndefined()
    else expect(found).toMatch(problem)
  })
})
