import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type LangfuseSink, startLangfuseSink } from '../../dev/sinks/langfuse.ts'
import { type StoredObservation, storedOf } from '../../dev/sinks/langfuse-mapping.ts'
import { decimalUsd, type LlmCall, TOKEN_TYPES, totalTokens } from '../call.ts'
import { tenantId } from '../tenant.ts'
import { GOLDEN_CALLS } from '../testing/golden-calls.ts'
import { makeCall } from '../testing/make-call.ts'
import { type LangfuseConfig, langfuseConfigSchema, makeLangfuseExporter } from './langfuse.ts'
import { langfuseEnvironment } from './langfuse-observation.ts'

const never = new AbortController().signal
const keys = { publicKey: 'pk-lf-a', secretKey: 'sk-lf-a' }
const greenKeys = { publicKey: 'pk-lf-green', secretKey: 'sk-lf-green' }

let sink: LangfuseSink
beforeAll(async () => {
  sink = await startLangfuseSink({ ...keys, otherProjects: [greenKeys] })
})
beforeEach(() => sink.setFault(undefined))
afterAll(() => sink.close())

async function send(calls: readonly LlmCall[], config: Partial<Record<keyof LangfuseConfig, unknown>> = {}) {
  const exporter = makeLangfuseExporter(langfuseConfigSchema.parse({ url: sink.url, ...keys, ...config }), {
    environment: {},
  })
  try {
    return await exporter.send(calls, never)
  } finally {
    await exporter.close()
  }
}

/** What Langfuse stores of the call: the root of its trace, if it is ours, the call itself, and what guarded it. */
async function storedTrace(call: LlmCall, config = {}) {
  expect(await send([call], config)).toEqual({ sent: 1, rejected: [] })
  const all = sink
    .observations()
    .filter(({ traceId }) => traceId === call.trace.traceId)
    .map(storedOf)
  const own = all.find(({ spanId }) => spanId === call.trace.spanId)
  expect(own).toBeDefined()
  return {
    root: all.find(({ name }) => name === 'llm call'),
    call: own!,
    guardrails: all.filter(({ type, spanId }) => type === 'GUARDRAIL' && spanId !== own!.spanId),
  }
}
async function stored(call: LlmCall, config = {}): Promise<StoredObservation> {
  return (await storedTrace(call, config)).call
}

describe('scores of guardrail events', () => {
  const guarded = (n: number, overrides: Partial<LlmCall> = {}) =>
    makeCall(
      {
        guardrails: [
          {
            guardrail: 'azure.ai.openai.content_filter',
            stage: 'output',
            action: 'blocked',
            reason: 'hate',
            categories: { hate: 'high' },
          },
          { guardrail: 'kong.ai-sanitizer', stage: 'input', action: 'masked', count: 2 },
        ],
        ...overrides,
      },
      n,
    )
  const scoresOf = (call: LlmCall) => sink.scores().filter(({ traceId }) => traceId === call.trace.traceId)
  beforeEach(() => sink.setScoreFault(undefined))

  it('stand on the event’s observation, in the project of the tenant', async () => {
    const call = guarded(501, { tenant: 'green' })
    expect(await send([call, makeCall({}, 502)], { tenants: { green: greenKeys } })).toEqual({ sent: 2, rejected: [] })
    const [filter, sanitizer, ...others] = scoresOf(call)
    expect(others).toEqual([])
    expect(filter).toMatchObject({
      project: greenKeys.publicKey,
      id: `${call.id}-guardrail-0`,
      name: 'guardrail:azure.ai.openai.content_filter',
      dataType: 'CATEGORICAL',
      value: 'blocked',
      comment: 'hate',
      environment: 'default',
      metadata: { stage: 'output', categories: { hate: 'high' }, tenant_id: 'green' },
    })
    expect(sanitizer).toMatchObject({ value: 'masked', metadata: { count: 2 } })
    const observed = sink.observations().filter(({ traceId }) => traceId === call.trace.traceId)
    for (const { observationId } of [filter!, sanitizer!])
      expect(observed.map(({ spanId }) => spanId)).toContain(observationId)
  })

  it('sent again they are the same scores', async () => {
    const call = guarded(503)
    await send([call])
    await send([call])
    expect(scoresOf(call)).toHaveLength(2)
  })

  it('none where there was no event, or where they are turned off', async () => {
    const before = sink.scoreRequests()
    await send([makeCall({}, 504)])
    await send([guarded(505)], { scores: false })
    expect(sink.scoreRequests()).toBe(before)
  })

  it.each([500, 429, 503, 401])('%i: the batch comes again, and its spans are not sent twice', async (status) => {
    const call = guarded(510 + status)
    const exporter = makeLangfuseExporter(langfuseConfigSchema.parse({ url: sink.url, ...keys }), { environment: {} })
    sink.setScoreFault(status)
    const before = sink.received()
    expect(await exporter.send([call], never)).toMatchObject({ retry: expect.any(String) })
    sink.setScoreFault(undefined)
    expect(await exporter.send([call], never)).toEqual({ sent: 1, rejected: [] })
    expect(sink.received() - before).toBe(4)
    expect(scoresOf(call)).toHaveLength(2)
    expect(exporter.scores).toEqual({ sent: 2, refused: 0 })
    await exporter.close()
  })

  it.each([400, 404, 413])('%i: refused for good, counted, and the call is sent all the same', async (status) => {
    const call = guarded(1100 + status)
    const exporter = makeLangfuseExporter(langfuseConfigSchema.parse({ url: sink.url, ...keys }), { environment: {} })
    sink.setScoreFault(status)
    expect(await exporter.send([call], never)).toEqual({ sent: 1, rejected: [] })
    expect(exporter.scores).toEqual({ sent: 0, refused: 2 })
    await exporter.close()
  })
})

describe('what Langfuse stores', () => {
  it('a root with name, user, session, tags, prompt and answer; the call under it, with the money', async () => {
    const sent = makeCall({ user: 'u', session: 's' }, 690)
    const { root, call } = await storedTrace(sent)
    expect(root).toMatchObject({ parentSpanId: undefined, isAppRoot: true, type: 'SPAN', usageDetails: {} })
    expect(root!.modelName).toBeUndefined()
    expect(call).toMatchObject({ parentSpanId: root!.spanId, isAppRoot: false, type: 'GENERATION' })
    for (const span of [root!, call])
      expect(span).toMatchObject({
        traceName: 'blue',
        userId: 'u',
        sessionId: 's',
        tags: ['tenant:blue', 'status:ok', 'route:openai'],
        input: '{"messages":[{"role":"user","content":"Say hello"}]}',
        output: '{"role":"assistant","content":"Hello"}',
      })
  })

  it.each([
    ['tenant', 'blue'],
    ['app', 'assistant'],
    ['route', 'openai'],
    ['operation', 'chat'],
  ])('the trace is named by %s', async (traceName, name) => {
    const { root, call } = await storedTrace(makeCall({ app: 'assistant' }, 691), { traceName })
    expect([root!.traceName, call.traceName]).toEqual([name, name])
  })

  it('without an app the trace has the operation’s name', async () => {
    expect((await stored(makeCall({}, 692), { traceName: 'app' })).traceName).toBe('chat')
  })

  it('cached and reasoning tokens in buckets that do not overlap, cost as priced', async () => {
    const call = await stored(GOLDEN_CALLS['chat with cached tokens under a trusted parent']!)
    expect(call).toMatchObject({
      type: 'GENERATION',
      usageDetails: { input: 400, input_cached_tokens: 600, output: 150, output_reasoning_tokens: 50, total: 1200 },
      total_cost: 0.003750000001,
      pricedByLangfuse: false,
      modelName: 'gpt-4o-2024-08-06',
      userId: 'user-17',
      sessionId: 'conv-1',
      environment: 'production-eu',
      level: 'DEFAULT',
    })
    expect(call.metadata).toMatchObject({ tenant_id: 'blue', provider: 'openai', kong_ms: '2', upstream_ms: '300' })
    expect(call.modelParameters).toMatchObject({ temperature: 0.2, max_tokens: 512 })
    expect(Object.values(call.cost_details).reduce((a, b) => a + b, 0)).toBeCloseTo(2 * 0.003750000001, 12)
  })

  it('cache writes, and what is billed besides tokens', async () => {
    const call = await stored(GOLDEN_CALLS['stream with cache writes, a web search and a tool']!)
    expect(call.usageDetails).toEqual({
      input: 3,
      input_cached_tokens: 2000,
      input_cache_creation_5m: 1000,
      input_cache_creation_1h: 500,
      output: 300,
      web_searches: 2,
      total: 3803,
    })
    expect(call.total_cost).toBe(0.031859)
    expect(call.metadata.content_truncated).toBe('true')
  })

  it('an embedding is one', async () => {
    expect(await stored(GOLDEN_CALLS.embedding!)).toMatchObject({ type: 'EMBEDDING', total_cost: 1.6e-7 })
  })

  it.each([
    ['rerank', 'RETRIEVER'],
    ['guardrail', 'GUARDRAIL'],
    ['moderation', 'EVALUATOR'],
    ['count_tokens', 'SPAN'],
    ['mcp', 'TOOL'],
    ['a2a', 'AGENT'],
    ['batch', 'GENERATION'],
  ] as const)('%s is of type %s, with its cost', async (operation, type) => {
    const call = await stored(makeCall({ operation }, 693))
    expect(call).toMatchObject({ type, total_cost: 0.00014 })
  })

  it('time to first token of streams alone', async () => {
    const streamed = await stored(makeCall({ stream: true }, 694))
    expect(streamed.completionStartTime).toBe(new Date(1_795_419_012_318 + 694 + 310).toISOString())
    const whole = await stored(makeCall({}, 695))
    expect([whole.completionStartTime, whole.metadata.first_byte_ms]).toEqual([undefined, '310'])
  })

  it.each([
    ['openai-chat', { temperature: 0, n: 2, stop: ['END'], max_tokens: 5 }],
    ['anthropic-messages', { temperature: 0, choice_count: 2, stop_sequences: ['END'], max_tokens: 5 }],
  ])('parameters by their own names: %s', async (dialect, expected) => {
    const parameters = { temperature: 0, choiceCount: 2, stopSequences: ['END'], maxTokens: 5 }
    expect((await stored(makeCall({ dialect, parameters }, 696))).modelParameters).toEqual(expected)
  })

  it('a guardrail is an observation beside the call and not a second root', async () => {
    const { root, call, guardrails } = await storedTrace(GOLDEN_CALLS['blocked by a guardrail']!)
    expect(guardrails.map(({ type, isAppRoot, parentSpanId }) => [type, isAppRoot, parentSpanId])).toEqual([
      ['GUARDRAIL', false, root!.spanId],
      ['GUARDRAIL', false, root!.spanId],
    ])
    expect(guardrails[0]).toMatchObject({ level: 'WARNING', statusMessage: 'deny pattern', traceName: call.traceName })
    expect(guardrails.every(({ tags }) => tags.includes('tenant:blue'))).toBe(true)
    expect(new Set([call, ...guardrails].map(({ spanId }) => spanId)).size).toBe(3)
  })

  it('an error has level and message', async () => {
    const { root, call } = await storedTrace(GOLDEN_CALLS['rate limited']!)
    for (const span of [root!, call])
      expect(span).toMatchObject({ level: 'ERROR', statusMessage: 'Rate limit reached' })
  })

  it.each(['answered from the cache', 'without a price', 'rate limited'])(
    '%s: Langfuse is left no cost to make up',
    async (name) => {
      const call = await stored(GOLDEN_CALLS[name]!)
      expect(call).toMatchObject({ cost_details: { total: 0 }, total_cost: 0, pricedByLangfuse: false })
    },
  )

  it('what has no price, and what has no usage, can be found', async () => {
    expect((await stored(GOLDEN_CALLS['without a price']!)).tags).toEqual(
      expect.arrayContaining(['unpriced:unknown_model', 'usage:estimated']),
    )
    expect((await stored(GOLDEN_CALLS['a format nobody reads']!)).tags).toEqual(
      expect.arrayContaining(['unpriced:no_usage', 'usage:unknown']),
    )
  })

  it('no content where it is turned off', async () => {
    const call = makeCall({}, 700)
    const trace = await storedTrace(call, { content: false })
    for (const { input, output } of [trace.root!, trace.call]) expect([input, output]).toEqual([undefined, undefined])
    expect(sink.lastBody().includes('Say hello')).toBe(false)
  })

  it('every bucket names its side, so that Langfuse adds it to it', async () => {
    const usage = Object.fromEntries(TOKEN_TYPES.map((type, index) => [type, index + 1]))
    const call = makeCall({ usage }, 701)
    const { total, ...buckets } = (await stored(call)).usageDetails
    expect(Object.keys(buckets)).toHaveLength(TOKEN_TYPES.length)
    expect(total).toBe(totalTokens(call.usage))
    const sumOf = (side: string) =>
      Object.entries(buckets).reduce((sum, [bucket, tokens]) => sum + (bucket.includes(side) ? tokens : 0), 0)
    expect(sumOf('input') + sumOf('output')).toBe(total)
  })
})

describe('money', () => {
  const priced = (picoUsd: number, n: number) =>
    makeCall(
      { tenant: `t${n}`, cost: { state: 'priced', picoUsd, byUnit: { input: picoUsd }, priceId: 'p', book: 'b' } },
      n,
    )

  it('the decimal is the integer, up to 9,000 USD', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 9_000_000_000_000_000 }), (picoUsd) => {
        const text = decimalUsd(picoUsd)
        const [whole, fraction = ''] = text.split('.')
        expect(BigInt(whole! + fraction.padEnd(12, '0'))).toBe(BigInt(picoUsd))
        expect(JSON.parse(text)).toBe(Number(text))
      }),
    )
  })

  it('through float64, as Langfuse reads it, the last pico-USD holds up to 8,192 USD', async () => {
    const amounts = fc.sample(fc.integer({ min: 0, max: 8_191_999_999_999_999 }), { numRuns: 300, seed: 3 })
    for (let from = 0; from < amounts.length; from += 100)
      await send(amounts.slice(from, from + 100).map((amount, index) => priced(amount, 10_000 + from + index)))
    const totals = sink.perTenant()
    amounts.forEach((amount, index) => {
      expect(totals.get(`t${10_000 + index}`)?.picoUsd).toBe(BigInt(amount))
    })
  })

  it('above it the exact amount stands in the metadata', async () => {
    const call = await stored(priced(8_999_999_999_999_999, 9001))
    expect(call.metadata.cost_pico_usd).toBe('8999999999999999 pUSD')
  })
})

describe('environments', () => {
  it.each([
    ['Production EU', 'production-eu'],
    ['langfuse-x', 'x-langfuse-x'],
    ['', 'default'],
    ['ü'.repeat(50), '-'.repeat(40)],
  ])('%s → %s', (name, expected) => expect(langfuseEnvironment(name)).toBe(expected))

  it('no name is one that Langfuse would silently replace', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (name) => {
        expect(langfuseEnvironment(name)).toMatch(/^(?!langfuse)[a-z0-9-_]{1,40}$/)
      }),
    )
  })
})

describe('projects', () => {
  const tenants = { green: greenKeys }
  const mixed = (from: number) =>
    ['blue', 'green', 'red', 'green'].map((tenant, index) => makeCall({ tenant }, from + index))
  const projectsOf = (calls: readonly LlmCall[]) =>
    calls.map(({ trace }) => sink.observations().find(({ traceId }) => traceId === trace.traceId)?.project)

  it('a tenant with keys of its own goes to its own project, all others to the default one', async () => {
    const calls = mixed(20_000)
    const before = sink.requests()
    expect(await send(calls, { tenants })).toEqual({ sent: 4, rejected: [] })
    expect(projectsOf(calls)).toEqual(['pk-lf-a', 'pk-lf-green', 'pk-lf-a', 'pk-lf-green'])
    expect(sink.requests() - before).toBe(2)
  })

  it('the project of a tenant is found by the name as the operator writes it', async () => {
    const calls = [makeCall({ tenant: tenantId('acme/eu') }, 20_050), makeCall({ tenant: 'acme_eu' }, 20_051)]
    expect(await send(calls, { tenants: { 'acme/eu': greenKeys } })).toEqual({ sent: 2, rejected: [] })
    expect(projectsOf(calls)).toEqual(['pk-lf-green', 'pk-lf-a'])
  })

  it('one project in trouble: its calls come again, and nothing is stored twice', async () => {
    const calls = mixed(20_100)
    const before = sink.observations().length
    sink.setFault({ kind: 'status', status: 500, times: 1 })
    expect(await send(calls, { tenants })).toMatchObject({
      sent: 2,
      failed: [{ indexes: { length: 2 }, failure: { retry: 'http_500' } }],
    })
    expect(await send(calls, { tenants })).toEqual({ sent: 4, rejected: [] })
    expect(sink.observations().length - before).toBe(2 * 4)
  })

  it('wrong keys of one tenant are the operator’s to mend: its calls alone wait', async () => {
    const wrong = { green: { publicKey: 'pk-lf-green', secretKey: 'sk-lf-old' } }
    const cause = `${new URL(sink.url).host} answered 401`
    const failure = { retry: 'unauthorized', scope: 'tenant', cause }
    const calls = mixed(20_200)
    expect(await send(calls, { tenants: wrong })).toEqual({
      sent: 2,
      rejected: [],
      failed: [{ indexes: [1, 3], failure }],
    })
    expect(projectsOf(calls)).toEqual(['pk-lf-a', undefined, 'pk-lf-a', undefined])
    expect(await send([calls[1]!], { tenants: wrong })).toEqual(failure)
  })

  it('a wrong common key is no tenant’s own: the sink as a whole does not take calls', async () => {
    const result = await send([makeCall({ tenant: 'red' }, 20_250)], { secretKey: 'sk-lf-old', tenants })
    expect(result).toMatchObject({ retry: 'unauthorized' })
    expect(result).not.toHaveProperty('scope')
  })

  it('keeps apart the tenants with keys of their own', async () => {
    const exporter = makeLangfuseExporter(langfuseConfigSchema.parse({ url: sink.url, ...keys, tenants }), {
      environment: {},
    })
    expect([exporter.apart?.('green'), exporter.apart?.('blue')]).toEqual([true, false])
    await exporter.close()
  })

  it('an id that Langfuse does not take refuses the whole batch, so that the caller halves it', async () => {
    const calls = mixed(20_300)
    calls[2] = makeCall({ trace: { traceId: '0'.repeat(32), spanId: '1'.repeat(16) } }, 20_302)
    expect(await send(calls)).toMatchObject({ drop: 'http_400' })
    expect(projectsOf(calls)).toEqual([undefined, undefined, undefined, undefined])
  })
})
