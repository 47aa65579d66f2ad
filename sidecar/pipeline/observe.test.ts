import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { openPriceBook } from '../../pricing/open-price-book.ts'
import { CALL_STATUSES, type LlmCall } from '../call.ts'
import { type Capture, captureSchema } from '../capture.ts'
import type { Reading } from '../dialects/dialect.ts'
import { makeRedactor, redactionConfigSchema } from '../redaction/redact.ts'
import { type CaptureParts, makeCapture } from '../testing/make-capture.ts'
import { makeStream } from '../testing/make-exchange.ts'
import { attributionConfigSchema } from './attribute.ts'
import { makeEstimatingObserver, makeObserver, type ObserveOptions } from './observe.ts'

const options: ObserveOptions = {
  book: openPriceBook(),
  attribution: attributionConfigSchema.parse({ trustedRoutes: ['trusted'] }),
  semanticCache: { rules: [] },
  redactor: makeRedactor(redactionConfigSchema.parse({})),
  providers: { 'my-models': 'mistral_ai', 'llm.internal': 'groq' },
  maxContentBytes: 4096,
  content: true,
}
const observe = makeObserver(options)
const { log } = makeCapture()

function observed(parts: CaptureParts = {}): LlmCall {
  return observe(captureSchema.parse(makeCapture(parts)))
}
const answered = (status: number, headers: Record<string, string> = {}): CaptureParts['log'] => ({
  upstream_status: String(status),
  response: { status, size: 1, headers: { 'content-type': 'application/json', ...headers } },
})

describe('a call', () => {
  it('whole', () => {
    expect(observed()).toEqual({
      v: 1,
      id: expect.stringMatching(/^[0-9a-f]{32}$/),
      requestId: 'request-1',
      startedAt: log.started_at,
      durationMs: 41,
      timeToFirstByteMs: 39,
      operation: 'chat',
      dialect: 'openai-chat',
      stream: false,
      provider: 'openai',
      serverAddress: 'api.openai.com',
      serverPort: 443,
      requestModel: 'gpt-4o',
      responseModel: 'gpt-4o-2024-08-06',
      model: 'gpt-4o-2024-08-06',
      responseId: 'chatcmpl-1',
      finishReasons: ['stop'],
      tenant: 'blue',
      tenantSource: 'consumer_tag',
      consumer: 'alice',
      gateway: {
        node: 'node-1',
        route: 'openai',
        service: 'openai',
        workspace: 'default',
        kongMs: 1,
        upstreamMs: 39,
        attempts: 1,
        source: 'tap',
        epoch: 'e1',
        sequence: 1,
      },
      usage: { input: 15, cache_read: 10, output: 9 },
      usageSource: 'provider',
      rawUsage: expect.objectContaining({ prompt_tokens: 25 }),
      cost: expect.objectContaining({ state: 'priced', picoUsd: 15 * 2_500_000 + 10 * 1_250_000 + 9 * 10_000_000 }),
      status: 'ok',
      httpStatus: 200,
      guardrails: [],
      trace: { traceId: expect.any(String), spanId: expect.any(String) },
      content: {
        input: [{ role: 'user', parts: [{ type: 'text', content: 'Say hello' }] }],
        output: [{ role: 'assistant', parts: [{ type: 'text', content: 'Hello' }], finishReason: 'stop' }],
      },
    })
  })

  it('sent again is the same call', () => {
    expect(observed()).toEqual(observed())
  })

  it('gzip and a query string: read, and the query is nowhere', () => {
    const plain = makeCapture()
    const call = observed({
      log: {
        upstream_uri: '/v1/chat/completions?key=secret',
        ...answered(200, { 'content-encoding': 'gzip' }),
      },
      capture: { response_body: gzipSync(Buffer.from(plain.response_body!, 'base64')).toString('base64') },
    })
    expect(call.usage).toEqual({ input: 15, cache_read: 10, output: 9 })
    expect(JSON.stringify(call)).not.toContain('secret')
  })
})

describe('the provider', () => {
  const ai = { proxy: { meta: { provider_name: 'azure' } } }
  it.each<[string, CaptureParts['log'], string]>([
    ['the operator by service', { service: { name: 'my-models', host: 'api.openai.com' } }, 'mistral_ai'],
    ['the operator by host', { service: { name: 's', host: 'LLM.internal' } }, 'groq'],
    ['the host', { service: { name: 's', host: 'api.groq.com' }, ai }, 'groq'],
    ['Kong', { service: { name: 's', host: '10.0.0.1' }, ai }, 'azure.ai.openai'],
    ['the format', { service: { name: 's', host: '10.0.0.1' } }, 'openai'],
    [
      'nobody',
      {
        service: { name: 'constructor', host: '10.0.0.1' },
        upstream_uri: '/x',
        request: { ...log.request, method: 'GET' },
      },
      'unknown',
    ],
  ])('by %s', (who, given, provider) => {
    const body = who === 'nobody' ? { requestBody: '', responseBody: '' } : {}
    expect(observed({ log: given ?? {}, ...body }).provider).toBe(provider)
  })
})

describe('how it ended', () => {
  const error = { error: { type: 'some_error', message: 'no' } }
  it.each<[string, CaptureParts, LlmCall['status']]>([
    ['200', {}, 'ok'],
    ['429', { log: answered(429)!, responseBody: error }, 'rate_limited'],
    ['401', { log: answered(401)!, responseBody: error }, 'unauthorized'],
    ['403', { log: answered(403)!, responseBody: error }, 'unauthorized'],
    ['408', { log: answered(408)!, responseBody: error }, 'timeout'],
    ['504', { log: answered(504)!, responseBody: error }, 'timeout'],
    ['503', { log: answered(503)!, responseBody: error }, 'server_error'],
    ['404', { log: answered(404)!, responseBody: error }, 'client_error'],
    ['400 of a provider', { log: answered(400)!, responseBody: '{"error":{"message":"bad request"}}' }, 'client_error'],
    ['499', { log: answered(499)! }, 'aborted'],
    [
      'a broken-off answer',
      { responseBody: '{"object": "chat.comp', capture: { response_complete: false } },
      'aborted',
    ],
  ])('%s', (_name, parts, status) => {
    expect(observed(parts).status).toBe(status)
  })

  it('a refusal of ai-prompt-guard is a guardrail’s', () => {
    const call = observed({
      log: { ...answered(400), source: 'kong' },
      responseBody: '{"error":{"message":"bad request"}}',
    })
    expect(call).toMatchObject({
      status: 'blocked',
      guardrails: [{ guardrail: 'kong.ai-prompt-guard', stage: 'input', action: 'blocked' }],
      cost: { state: 'free', reason: 'error' },
    })
  })

  it('the answer of a model that a guard of Kong’s kept back was billed, also where the log does not say so', () => {
    const log = { ...answered(400)!, source: 'upstream', upstream_status: '200' }
    const refused = { log, responseBody: { error: { message: 'bad request' } } }
    expect(observed(refused)).toMatchObject({
      status: 'blocked',
      usageSource: 'unknown',
      usageReason: 'answer_blocked',
      cost: { state: 'unpriced', reason: 'no_usage' },
      guardrails: [{ guardrail: 'kong.ai-semantic-response-guard', stage: 'output', action: 'blocked' }],
    })
    const proxy = {
      meta: { provider_name: 'openai', request_model: 'gpt-4o', response_model: 'gpt-4o-2024-08-06' },
      usage: { prompt_tokens: 25, completion_tokens: 9 },
    }
    expect(observed({ ...refused, log: { ...log, ai: { proxy } } })).toMatchObject({
      status: 'blocked',
      usageSource: 'gateway',
      usage: { input: 25, output: 9 },
      cost: { state: 'priced' },
    })
    // The tap may have seen the answer itself, before the guard replaced it.
    expect(observed({ log })).toMatchObject({
      httpStatus: 400,
      usageSource: 'provider',
      usage: { input: 15, cache_read: 10, output: 9 },
      cost: { state: 'priced' },
    })
    expect(
      observed({ log: { ...log, upstream_status: '400' }, responseBody: { error: { message: 'bad request' } } }),
    ).toMatchObject({
      status: 'client_error',
      cost: { state: 'free' },
      guardrails: [],
    })
  })

  it('a block that Kong’s log names is one too', () => {
    const ai = { proxy: { 'lakera-guard': { input_block_reason: 'prompt_attack', output_block_reason: '' } } }
    const call = observed({ log: { ...answered(403), source: 'kong', ai }, responseBody: '{}' })
    expect(call).toMatchObject({ status: 'blocked', guardrails: [{ action: 'blocked', reason: 'prompt_attack' }] })
  })

  it('an error event inside a 200 stream is a server error', () => {
    const body = makeStream([
      { id: 'c', object: 'chat.completion.chunk', model: 'gpt-4o', choices: [{ index: 0, delta: { content: 'a' } }] },
      { error: { type: 'server_error', message: 'write to bob@example.com' } },
    ])
    const call = observed({ log: answered(200, { 'content-type': 'text/event-stream' })!, responseBody: body })
    expect(call).toMatchObject({ status: 'server_error', stream: true, errorMessage: 'write to [EMAIL]' })
  })

  it('messages of errors are short and redacted', () => {
    const message = `key sk-${'a1'.repeat(20)} ${'x '.repeat(500)}`
    const call = observed({ log: answered(400)!, responseBody: { error: { code: 'invalid_key', message } } })
    expect(call.errorType).toBe('invalid_key')
    expect(call.errorMessage!.length).toBeLessThanOrEqual(300)
    expect(call.errorMessage).toContain('[API_KEY]')
  })
})

describe('usage that no reader found', () => {
  const ai = {
    proxy: {
      meta: { provider_name: 'openai', request_model: 'gpt-4o', response_model: 'gpt-4o-mini' },
      usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
    },
  }
  const strange = { upstream_uri: '/strange', service: { name: 's', host: '10.0.0.1' } }
  it('is Kong’s, and said to be', () => {
    expect(observed({ log: { ...strange, ai }, responseBody: '{"words":1}' })).toMatchObject({
      usage: { input: 10, output: 5 },
      usageSource: 'gateway',
      model: 'gpt-4o-mini',
      cost: { state: 'priced', picoUsd: 10 * 150_000 + 5 * 600_000 },
    })
  })
  it('is unknown where Kong only guesses, and unpriced, not free', () => {
    const headers = { 'content-type': 'text/event-stream' }
    const given = { log: { ...strange, ai, ...answered(200, headers) }, responseBody: 'data: {"words":1}\n\n' }
    expect(observed(given)).toMatchObject({
      usageSource: 'unknown',
      cost: { state: 'unpriced', reason: 'no_usage' },
    })
  })
  it('never stands above what the provider said', () => {
    expect(observed({ log: { ai } })).toMatchObject({ usage: { input: 15, cache_read: 10, output: 9 } })
  })
})

describe('what is not seen whole', () => {
  it('of a WebSocket is counted, and nothing of it is taken for 0', () => {
    const socket: CaptureParts = {
      log: answered(101, {})!,
      capture: { upgrade: 'websocket', request_body: undefined, response_body: undefined },
    }
    expect(observed(socket)).toMatchObject({
      operation: 'realtime',
      status: 'ok',
      provider: 'openai',
      stream: true,
      usageSource: 'unknown',
      usageReason: 'websocket',
      cost: { state: 'unpriced', reason: 'no_usage' },
    })
    const refused = observed({ ...socket, log: answered(401, {})! })
    expect(refused).toMatchObject({ status: 'unauthorized', usageSource: 'none', cost: { state: 'free' } })
  })

  it('of a compressed answer beyond its cap says so', () => {
    const whole = gzipSync(JSON.stringify({ object: 'chat.completion', noise: randomBytes(9000).toString('base64') }))
    const cut: CaptureParts = {
      log: answered(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })!,
      capture: { response_body: whole.subarray(0, 4000).toString('base64'), response_bytes: whole.length },
    }
    expect(observed(cut)).toMatchObject({ usageSource: 'unknown', usageReason: 'encoded_truncated' })
  })

  it('of a request beyond its cap keeps its model', () => {
    const body = JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content: 'meow '.repeat(1000) }] })
    const call = observed({
      responseBody: { object: 'chat.completion', choices: [], usage: { prompt_tokens: 2, completion_tokens: 1 } },
      capture: { request_body: Buffer.from(body.slice(0, 2000)).toString('base64'), request_bytes: body.length },
    })
    expect(call).toMatchObject({ requestModel: 'gpt-4o', content: { truncated: true }, usage: { input: 2, output: 1 } })
  })
})

describe('the cache', () => {
  const cached = (status: string): CaptureParts => ({
    log: { ...answered(200, { 'X-Cache-Status': status, 'X-Cache-Key': 'k' }), source: 'kong' },
  })
  it('a hit is never spend', () => {
    const call = observed(cached('HIT'))
    expect(call).toMatchObject({
      cache: 'hit',
      usage: {},
      usageSource: 'none',
      cost: { state: 'free', reason: 'cache_hit' },
      savedPicoUsd: 140_000_000,
    })
    expect(observed(cached('Miss'))).toMatchObject({ cache: 'miss', cost: { state: 'priced' } })
    expect(observed(cached('toString'))).not.toHaveProperty('cache')
  })
})

describe('content', () => {
  it('is not there where the route or the operator says no', () => {
    expect(observed({ capture: { content: 'off' } })).not.toHaveProperty('content')
    expect(observed({ capture: { content: 'off' } }).usage).toEqual({ input: 15, cache_read: 10, output: 9 })
    const without = makeObserver({ ...options, content: false })
    expect(without(makeCapture())).not.toHaveProperty('content')
  })

  it('off, no word of prompt or answer is kept, nor of an error that may quote them', () => {
    const said = 'MARKER-of-the-prompt'
    const requestBody = {
      ...{ model: 'gpt-4o', stop: [`${said}-stop`], tools: [{ type: 'function', function: { name: `${said}-tool` } }] },
      messages: [{ role: 'user', content: said, name: `${said}-name` }],
      response_format: { type: 'json_schema', json_schema: { name: said, schema: {} } },
    }
    const choice = { index: 0, message: { content: said, refusal: said }, finish_reason: 'content_filter' }
    const answers: CaptureParts[] = [
      {
        responseBody: {
          id: 'c',
          model: 'gpt-4o',
          choices: [choice],
          usage: { prompt_tokens: 3, completion_tokens: 2 },
        },
      },
      {
        log: answered(400)!,
        responseBody: { error: { type: 'invalid_request_error', message: `cannot read '${said}'` } },
      },
      { log: answered(500)!, responseBody: said },
    ]
    for (const parts of answers) {
      const call = observed({ ...parts, requestBody, capture: { content: 'off' } })
      expect(JSON.stringify(call)).not.toContain('MARKER')
      expect(JSON.stringify(observed({ ...parts, requestBody }))).toContain('MARKER')
    }
    expect(observed({ ...answers[1]!, capture: { content: 'off' } }).errorType).toBe('invalid_request_error')
  })

  it('users, sessions and names hold no address; a secret is masked', () => {
    const requestBody = { model: 'bob@example.com', user: 'alice@example.com', messages: [] }
    const headers = { 'content-type': 'application/json', 'x-session-id': 'alice@example.com' }
    const call = observed({ requestBody, log: { request: { ...log.request, headers } } })
    expect(JSON.stringify(call)).not.toMatch(/alice@|bob@/)
    expect(call.user).toMatch(/^email_[a-q]{20}$/)
    expect(call.session).toBe(call.user)
    expect(call.requestModel).toMatch(/^email_[a-q]{20}$/)
  })
  it('goes by the policy of tenant and route', () => {
    const keeping = (policy: unknown, sinks: string[] = []) =>
      makeObserver({ ...options, policy: redactionConfigSchema.parse({ policy }).policy, sinks })(
        captureSchema.parse(
          makeCapture({
            requestBody: { model: 'gpt-4o', messages: [{ role: 'user', content: 'to alice@example.com' }] },
          }),
        ),
      ).content
    expect(keeping({ rules: [{ tenants: ['blue'], content: 'off' }] })).toBeUndefined()
    expect(JSON.stringify(keeping({ rules: [{ routes: ['openai'], content: 'full' }] }))).toContain('alice@example.com')
    expect(keeping({ default: { content: 'off', sinks: { langfuse: 'full' } } }, ['langfuse'])?.unredacted).toBe(true)
    expect(JSON.stringify(keeping({ default: { content: 'off', sinks: { loki: 'redacted' } } }, ['loki']))).toContain(
      'to [EMAIL]',
    )
  })
  it('is redacted and bounded', () => {
    const secret = 'my mail is alice@example.com, '
    const call = observed({
      requestBody: { model: 'gpt-4o', messages: [{ role: 'user', content: secret.repeat(1000) }] },
    })
    const text = JSON.stringify(call.content)
    expect(call.content?.truncated).toBe(true)
    expect(text).toContain('[EMAIL]')
    expect(text).not.toMatch(/alice@/)
    expect(text.length).toBeLessThan(5000)
  })
})

describe('a stream without usage', () => {
  const body = makeStream([
    {
      id: 'c-1',
      object: 'chat.completion.chunk',
      model: 'gpt-4o',
      choices: [{ index: 0, delta: { content: 'Violets' }, finish_reason: 'stop' }],
    },
    '[DONE]',
  ])
  const silent = (capture: Partial<Capture> = {}): Capture =>
    captureSchema.parse(
      makeCapture({
        log: answered(200, { 'content-type': 'text/event-stream' })!,
        requestBody: { model: 'gpt-4o', stream: true, messages: [{ role: 'user', content: 'Roses' }] },
        responseBody: body,
        capture,
      }),
    )
  const texts: string[] = []
  const estimate = async (reading: Reading): Promise<Reading> => {
    texts.push(JSON.stringify(reading.content))
    return { ...reading, usage: { input: 8, output: 3 }, usageSource: 'estimated', usageReason: 'why + how' }
  }
  const estimating = (parts: Partial<ObserveOptions & { estimateWhenContentOff: boolean }> = {}) =>
    makeEstimatingObserver({ ...options, estimateWhenContentOff: false, ...parts }, estimate)
  beforeEach(() => {
    texts.length = 0
  })

  it('is estimated before it is priced, on its text before redaction', async () => {
    expect(await estimating()(silent())).toMatchObject({
      usage: { input: 8, output: 3 },
      usageSource: 'estimated',
      usageReason: 'why + how',
      cost: { state: 'priced', picoUsd: 8 * 2_500_000 + 3 * 10_000_000 },
    })
    expect(texts).toHaveLength(1)
  })

  it.each<[string, Partial<Capture>, boolean]>([
    ['the route says no content', { content: 'off' }, true],
    ['the operator says no content', {}, false],
  ])('%s: nobody looks at the text', async (_name, capture, content) => {
    expect(await estimating({ content })(silent(capture))).toMatchObject({
      usageSource: 'unknown',
      cost: { state: 'unpriced', reason: 'no_usage' },
    })
    expect(texts).toEqual([])
  })

  it.each<[string, Partial<Capture>, boolean]>([
    ['the route says no content', { content: 'off' }, true],
    ['the operator says no content', {}, false],
  ])('%s, and that it may be counted: counted, and no word is kept', async (_name, capture, content) => {
    const call = await estimating({ content, estimateWhenContentOff: true })(silent(capture))
    expect(call.usageSource).toBe('estimated')
    expect(texts[0]).toContain('Roses')
    expect(JSON.stringify(call)).not.toMatch(/Roses|Violets/)
    expect(call).not.toHaveProperty('content')
  })

  it('only such a call takes time', () => {
    const observer = makeEstimatingObserver({ ...options, estimateWhenContentOff: false }, (reading) => reading)
    expect(observer(captureSchema.parse(makeCapture()))).toEqual(observed())
  })
})

describe('traceparent', () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const request = { ...log.request, headers: { traceparent } }
  it('counts on trusted routes alone', () => {
    expect(observed({ log: { request, route: { name: 'trusted' } } }).trace.parentSpanId).toBe('b7ad6b7169203331')
    expect(observed({ log: { request } }).trace).toMatchObject({ originalTraceId: '0af7651916cd43dd8448eb211c80319c' })
  })

  it('so does baggage: who called and whose trace it is; personal data in it is masked', () => {
    const baggage = 'langfuse_user_id=app-user,langfuse_trace_name=for%20anna%40example.com,langfuse_version=3'
    const sent = { ...log.request, headers: { traceparent, baggage } }
    const call = observed({ log: { request: sent, route: { name: 'trusted' } } })
    expect(call).toMatchObject({ user: 'app-user', baggage: { version: '3' } })
    expect(JSON.stringify(call)).not.toContain('anna@example.com')
    const open = observed({ log: { request: sent } })
    expect([open.user, open.baggage]).toEqual([undefined, undefined])
  })
})

const DOCUMENTS = ['kong-3.9.3-logs', 'kong-log-documented'].map((name) =>
  join(import.meta.dirname, '../../../shared/data', name),
)
describe.skipIf(!DOCUMENTS.every(existsSync) && process.env.CI === undefined)(
  'documents of Kong, without bodies',
  () => {
    const documents = DOCUMENTS.flatMap((folder) =>
      existsSync(folder) || process.env.CI !== undefined
        ? readdirSync(folder)
            .filter((name) => name.endsWith('.json') && !name.startsWith('js-')) // those are what a plugin printed
            .map((name) => [name, join(folder, name)] as const)
        : [],
    )
    const observeFile = (file: string) =>
      observe(
        captureSchema.parse({
          v: 1,
          source: 'log',
          node: 'n',
          content: 'on',
          log: JSON.parse(readFileSync(file, 'utf8')),
        }),
      )
    it.each(documents)('%s is a call, and nothing unknown is free', (name, file) => {
      const call = observeFile(file)
      expect(CALL_STATUSES).toContain(call.status)
      if (call.cost.state === 'priced') expect(call.usageSource).toMatch(/gateway|provider/)
      if (call.cost.state === 'free' && call.cache !== 'hit' && call.httpStatus < 400)
        expect(call.usageSource, name).toBe('none')
      if (call.cache === 'hit') expect(call.usage).toEqual({})
    })
    it.each<[string, Partial<LlmCall>]>([
      ['c-429', { status: 'rate_limited', usage: {} }],
      ['c2-500', { status: 'server_error', usage: {} }],
      ['e2-keyauth-401', { status: 'unauthorized', tenant: 'unattributed' }],
      ['g-client-abort', { status: 'aborted', usageSource: 'unknown' }],
      ['b-stream-include-usage', { status: 'ok', usageSource: 'unknown', stream: true }],
    ])('%s', (name, expected) => {
      const [, file] = documents.find(([document]) => document === `${name}.json`)!
      expect(observeFile(file)).toMatchObject(expected)
    })
  },
)

describe('any capture that the schema accepts', () => {
  const text = fc.string({ maxLength: 40, unit: 'binary' })
  const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null })
  const number = fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer())
  const status = fc.oneof(fc.constantFrom(200, 400, 429, 499, 500), fc.maxSafeInteger())
  const headers = fc.dictionary(
    fc.oneof(fc.constantFrom('content-type', 'content-encoding', 'traceparent', 'x-cache-status', '__proto__'), text),
    fc.oneof(
      text,
      fc.constantFrom('gzip', 'br', 'text/event-stream', 'application/json', 'Hit'),
      fc.boolean(),
      fc.array(text),
    ),
  )
  const json = fc.jsonValue({ maxDepth: 4 })
  const shaped = fc.record(
    {
      id: fc.oneof(text, json),
      model: fc.oneof(text, json),
      messages: json,
      usage: fc.oneof(json, fc.dictionary(fc.constantFrom('prompt_tokens', 'completion_tokens'), fc.maxSafeInteger())),
      choices: json,
      content: json,
      error: json,
      user: json,
      metadata: json,
    },
    { requiredKeys: [] },
  )
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array)),
    fc.oneof(json, shaped).map((value) => Buffer.from(JSON.stringify(value))),
    fc.oneof(json, shaped).map((value) => Buffer.from(`data: ${JSON.stringify(value)}\n\n`)),
    fc.oneof(json, shaped).map((value) => gzipSync(JSON.stringify(value))),
  )
  const body = maybe(
    fc.oneof(
      bytes.map((buffer) => buffer.toString('base64')),
      text,
    ),
  )
  const tags = maybe(
    fc.array(
      fc.oneof(
        text,
        text.map((name) => `tenant:${name}`),
      ),
    ),
  )
  const capture = fc.record({
    v: fc.constant(1 as const),
    source: fc.constantFrom('tap' as const, 'log' as const),
    node: fc.string({ minLength: 1, maxLength: 20 }),
    content: fc.constantFrom('on' as const, 'off' as const),
    sequence: maybe(fc.integer({ min: 1 })),
    log: fc.record({
      started_at: number,
      source: maybe(fc.oneof(fc.constant('kong'), text)),
      upstream_uri: maybe(fc.oneof(fc.constantFrom('/v1/chat/completions', '/v1/messages'), text)),
      request: fc.record({
        id: fc.string({ minLength: 1 }),
        method: fc.constantFrom('POST', 'GET'),
        uri: text,
        headers,
      }),
      response: fc.record({ status, headers }),
      latencies: maybe(fc.record({ request: maybe(number), kong: maybe(number), proxy: maybe(number) })),
      route: maybe(fc.record({ id: maybe(text), name: maybe(text), tags })),
      service: maybe(fc.record({ name: maybe(text), host: maybe(text), port: maybe(number), tags })),
      consumer: maybe(fc.record({ username: maybe(text), custom_id: maybe(text), tags })),
      ai: fc.oneof(json, fc.dictionary(fc.constantFrom('proxy', 'meta', 'usage', 'payload', 'cache'), json)),
    }),
    request_body: body,
    response_body: body,
    response_tail: body,
    response_bytes: maybe(fc.nat()),
    response_complete: maybe(fc.boolean()),
    first_byte_at: maybe(number),
  })

  it('becomes a call: nothing throws, numbers are numbers', () => {
    let accepted = 0
    fc.assert(
      fc.property(capture, (given) => {
        const parsed = captureSchema.safeParse(given)
        if (!parsed.success) return
        accepted++
        expectSound(observe(parsed.data as Capture))
      }),
      { numRuns: 1000 },
    )
    expect(accepted).toBeGreaterThan(500)
  })
})

function expectSound(call: LlmCall): void {
  expect(call.id).toMatch(/^[0-9a-f]{32}$/)
  expect(call.tenant).toMatch(/^[A-Za-z0-9._!-]{1,64}$/)
  expect(CALL_STATUSES).toContain(call.status)
  const counts = [call.startedAt, call.durationMs, call.timeToFirstByteMs ?? 0, ...Object.values(call.usage)]
  for (const count of counts) {
    expect(Number.isSafeInteger(count)).toBe(true)
    expect(count).toBeGreaterThanOrEqual(0)
  }
  if (call.cost.state === 'priced') expect(Number.isSafeInteger(call.cost.picoUsd)).toBe(true)
  expect(JSON.parse(JSON.stringify(call))).toEqual(call)
}
