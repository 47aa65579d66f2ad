import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type AttributeValue, decodeJsonSpans, type ReceivedSpan } from '../../dev/sinks/decode-spans.ts'
import type { LlmCall } from '../call.ts'
import { GOLDEN_CALLS } from '../testing/golden-calls.ts'
import { makeCall } from '../testing/make-call.ts'
import { makeJsonSpans } from './json-spans.ts'
import { LANGFUSE_SCOPE } from './langfuse.ts'
import { type LangfuseProfile, writeLangfuseSpans } from './langfuse-observation.ts'
import { applicationsSchema, makePlaces } from './langfuse-place.ts'

/*
 * What a whole Langfuse 4.16 made of payloads, case by case (../shared/data/langfuse-otlp). Here our call is made of a
 * case's own data, and must be written as that case was sent: then the server's answer to the case is its answer to us.
 */
const file = join(import.meta.dirname, '../../../shared/data/langfuse-otlp/server-4.16.jsonl')
const absent = !existsSync(file)
if (absent && process.env.CI)
  throw new Error(`${file} is not there: what Langfuse makes of our spans cannot be checked`)

interface Case {
  id: string
  request: unknown[]
  status: number[]
  answers: {
    observations: (Record<string, unknown> & { id: string; type: string; totalCost: number })[]
    metrics: Record<'observations' | 'traces', Record<string, Record<string, unknown>[]>>
  }
  answersAfterMerge?: Case['answers']
}

const cases = new Map(
  absent
    ? []
    : readFileSync(file, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Case)
        .map((each) => [each.id, each]),
)
function caseOf(id: string): Case {
  const found = cases.get(id)
  if (found === undefined) throw new Error(`${file} has no case ${id}`)
  return found
}

/** Spans of the case that stand for ours; `application` are the app's own. */
function sentIn(id: string): { ours: ReceivedSpan[]; application: ReceivedSpan[] } {
  const ours: ReceivedSpan[] = []
  const application: ReceivedSpan[] = []
  for (const body of caseOf(id).request)
    for (const resource of (body as { resourceSpans: { scopeSpans: { scope: { name: string } }[] }[] }).resourceSpans)
      for (const scope of resource.scopeSpans) {
        const spans = decodeJsonSpans(
          Buffer.from(JSON.stringify({ resourceSpans: [{ ...resource, scopeSpans: [scope] }] })),
        )
        ;(scope.scope.name.includes('kong-llm-observer') ? ours : application).push(...spans)
      }
  return { ours, application }
}

function written(call: LlmCall, profile: Partial<LangfuseProfile> = {}): ReceivedSpan[] {
  return decodeJsonSpans(body(call, profile))
}
function body(call: LlmCall, profile: Partial<LangfuseProfile> = {}): Buffer {
  const writer = makeJsonSpans(LANGFUSE_SCOPE)
  writer.begin()
  writeLangfuseSpans(call, { environment: 'production', release: 'gw-1.0', content: true, ...profile }, writer)
  return writer.end()
}
const placed = (applications: Record<string, unknown>) => ({
  placeOf: makePlaces(applicationsSchema.parse(applications)),
})

/** What decides how Langfuse shows and sums a span: all but metadata, and the level that is its default. */
function shapeOf(spans: readonly ReceivedSpan[]) {
  const names = new Map(spans.map(({ spanId, attributes }) => [spanId, String(attributes.get(TYPE))]))
  return spans.map(({ spanId: _, parentSpanId, start, end, attributes }) => ({
    under: parentSpanId === '' ? 'nothing' : (names.get(parentSpanId) ?? 'another'),
    start,
    end,
    ...decisive(attributes),
  }))
}
function without(shape: object, ...names: string[]): object {
  return Object.fromEntries(Object.entries(shape).filter(([name]) => !names.includes(name)))
}
const TYPE = 'langfuse.observation.type'
function decisive(attributes: ReceivedSpan['attributes']): Record<string, AttributeValue> {
  return Object.fromEntries(
    [...attributes].flatMap(([name, value]) => {
      if (name.includes('.metadata.') || (name.endsWith('.level') && value === 'DEFAULT')) return []
      return [[name, name.endsWith('_details') ? JSON.stringify(sorted(JSON.parse(String(value)))) : value]]
    }),
  )
}
const sorted = (details: Record<string, number>) =>
  Object.fromEntries(Object.entries(details).sort(([a], [b]) => (a < b ? -1 : 1)))

/** The call of a case: its span's times, its user and session, the tokens and the money that all cases share. */
function callOf(span: ReceivedSpan, overrides: Partial<LlmCall> = {}): LlmCall {
  const text = (name: string) => span.attributes.get(name) as string | undefined
  const user = text('langfuse.user.id')
  const session = text('langfuse.session.id')
  return makeCall({
    tenant: 'acme',
    ...(user !== undefined && { user }),
    ...(session !== undefined && { session }),
    environment: 'production',
    startedAt: Number(span.start / 1_000_000n),
    durationMs: Number((span.end - span.start) / 1_000_000n),
    gateway: { node: 'n', source: 'tap' },
    requestModel: 'gpt-4o',
    responseModel: 'gpt-4o',
    model: 'gpt-4o',
    usage: { input: 10, output: 5 },
    cost: {
      state: 'priced',
      picoUsd: 30_000_000_000,
      byUnit: { input: 10_000_000_000, output: 20_000_000_000 },
      priceId: 'p',
      book: 'b',
    },
    content: {
      input: [{ role: 'user', parts: [{ type: 'text', content: 'Hello' }] }],
      output: [{ role: 'assistant', parts: [{ type: 'text', content: 'Hi there' }] }],
    },
    trace: { traceId: span.traceId, spanId: span.spanId },
    ...overrides,
  })
}
/** Under the application's span, on a trusted route. */
function joinedCall(span: ReceivedSpan, baggage?: LlmCall['baggage']): LlmCall {
  return callOf(span, {
    trace: {
      traceId: span.traceId,
      spanId: span.spanId,
      parentSpanId: span.parentSpanId,
      parentBy: 'caller',
    },
    ...(baggage !== undefined && { baggage }),
  })
}
const PARAMETERS = { temperature: 0.2, maxTokens: 100 }

describe.skipIf(absent)('as a case that came out right on a whole Langfuse 4.16', () => {
  it('a root with its generation: root-and-generation', () => {
    const { ours } = sentIn('root-and-generation')
    const spans = written(callOf(ours[1]!, { parameters: PARAMETERS }))
    expect(shapeOf(spans)).toEqual(shapeOf(ours))
    const { observations, traces } = caseOf('root-and-generation').answers.metrics
    expect(observations.total).toEqual([{ cost: 0.03, count: 2 }])
    expect(traces.byUserId).toEqual([{ userId: 'user-root-and-generation', cost: 0.03, count: 1 }])
    expect(traces.byTraceName).toEqual([{ name: 'acme', cost: 0.03, count: 1 }])
    expect(traces.total).toMatchObject([{ tokens: 15, observations: 1, latencyMs: 1000 }])
  })

  it('guardrails beside the generation: root-generation-guardrail-embedding', () => {
    const { ours } = sentIn('root-generation-guardrail-embedding')
    const [root, guardrail, , generation] = ours
    const spans = written(
      callOf(generation!, {
        guardrails: [
          { guardrail: 'ai-prompt-guard', stage: 'input', action: 'masked', reason: 'masked: email', latencyMs: 5 },
        ],
      }),
    )
    const [ownRoot, ownGeneration, ownGuardrail] = shapeOf(spans)
    // The case has a root that begins before its generation; ours begin together.
    const { start: _s, end: _e, ...rootShape } = shapeOf([root!])[0]!
    expect(ownRoot).toMatchObject(rootShape)
    expect(ownGeneration).toEqual(shapeOf(ours)[3])
    const { under, ...guardrailShape } = shapeOf(ours)[1]!
    expect(under).toBe('span')
    expect(ownGuardrail).toMatchObject({
      under,
      ...guardrailShape,
      start: generation!.start,
      end: generation!.start + (guardrail!.end - guardrail!.start),
      // Beyond the case: a model to chart scores by, which Langfuse is kept from pricing as in `errors`.
      'langfuse.observation.model.name': 'gpt-4o',
      'langfuse.observation.usage_details': '{"total":0}',
      'langfuse.observation.cost_details': '{"total":0}',
    })
    const stored = caseOf('root-generation-guardrail-embedding').answers
    expect(stored.observations.find(({ type }) => type === 'GUARDRAIL')).toMatchObject({
      totalCost: 0,
      level: 'WARNING',
    })
    expect(stored.metrics.traces.total).toMatchObject([{ cost: 0.030001, count: 1 }])
  })

  it('an application’s trace, by its header alone: app-parent-quiet-child', () => {
    const id = 'app-parent-quiet-child'
    const { ours, application } = sentIn(id)
    const spans = written(joinedCall(ours[0]!), placed({ join: 'always' }))
    expect(shapeOf(spans)).toEqual(shapeOf(ours))
    expect(spans.map(({ spanId, parentSpanId }) => [spanId, parentSpanId])).toEqual([
      [ours[0]!.spanId, application[0]!.spanId],
    ])
    expect(caseOf(id).answers.metrics.traces.perTrace).toMatchObject([
      {
        name: 'support bot',
        userId: `app-user-${id}`,
        release: 'app-9',
        version: '2.0',
        environment: 'production',
        cost: 0.03,
      },
    ])
  })

  it('an application’s trace, with its baggage: app-parent-child-same-trace-fields', () => {
    const id = 'app-parent-child-same-trace-fields'
    const { ours } = sentIn(id)
    const spans = written(joinedCall(ours[0]!, { traceName: 'support bot', version: '2.0' }), placed({}))
    // Less than the case: no release, which baggage does not hold, and no tag of ours.
    expect(shapeOf(spans)).toEqual([without(shapeOf(ours)[0]!, 'langfuse.release', 'langfuse.trace.tags')])
    const { observations, traces } = caseOf(id).answers.metrics
    expect(observations.byTraceName).toContainEqual(expect.objectContaining({ traceName: 'support bot', cost: 0.03 }))
    expect(traces.perTrace).toMatchObject([{ name: 'support bot', release: 'app-9', version: '2.0', cost: 0.03 }])
  })

  it('where nobody knows yet whether Langfuse has the application’s span: generation-parent-missing-app-root', () => {
    const id = 'generation-parent-missing-app-root'
    const { ours } = sentIn(id)
    const spans = written(joinedCall(ours[0]!), placed({}))
    const rest = without(shapeOf(ours)[0]!, 'langfuse.release', 'langfuse.trace.tags', 'langfuse.trace.name')
    expect(shapeOf(spans)).toEqual([rest])
    expect(caseOf(id).answers.metrics.traces.total).toMatchObject([{ cost: 0.03, count: 1 }])
    // Without the mark the traces view would not have it at all.
    expect(caseOf('generation-parent-missing-no-app-root').answers.metrics.traces.perTrace).toEqual([])
  })

  it('the application’s generation has the money: the second of two-generations-one-silent', () => {
    const id = 'two-generations-one-silent'
    const silent = sentIn(id).ours[1]!
    const call = joinedCall(silent, { traceName: 'silent 1' })
    const spans = written(call, placed({ money: 'app' }))
    const shape = without(shapeOf(spans)[0]!, 'langfuse.environment')
    const rest = without(shapeOf([silent])[0]!, 'langfuse.environment', 'langfuse.release', 'langfuse.trace.tags')
    expect(shape).toEqual(rest)
    // The exact amount stays to be found.
    expect(spans[0]!.attributes.get('langfuse.observation.metadata.cost_pico_usd')).toBe('30000000000 pUSD')
    const ofTrace = caseOf(id).answers.metrics.traces.byTraceName
    expect(ofTrace).toContainEqual(expect.objectContaining({ name: 'silent 1', cost: 0.03 }))
  })

  it('prompt, version, tags and metadata of the application: baggage-attributes', () => {
    const id = 'baggage-attributes'
    const { ours } = sentIn(id)
    const call = callOf(ours[1]!, {
      baggage: {
        version: '3',
        traceName: 'checkout',
        tags: ['beta', 'eu'],
        metadata: { k: 'v' },
        prompt: { name: 'greeting', version: 1 },
      },
    })
    const [root, generation] = written(call)
    expect(root!.attributes.has('langfuse.observation.prompt.name')).toBe(false)
    for (const [name, value] of ours[1]!.attributes)
      if (name !== 'langfuse.trace.tags')
        expect([name, textOf(generation!.attributes.get(name))]).toEqual([name, textOf(value)])
    expect(generation!.attributes.get('langfuse.trace.tags')).toEqual(['tenant:acme', 'status:ok', 'beta', 'eu'])
    expect(caseOf(id).answers.observations.filter(({ promptLinked }) => promptLinked)).toContainEqual(
      expect.objectContaining({ promptName: 'greeting', promptVersion: 1, version: '3', traceName: 'checkout' }),
    )
  })

  it('tools, a tool call, its result: tools', () => {
    const { ours } = sentIn('tools')
    const [, first, second] = ours
    const tools = JSON.stringify(JSON.parse(String(first!.attributes.get('langfuse.observation.input'))).tools)
    const question = { role: 'user', parts: [{ type: 'text' as const, content: 'Weather in Paris?' }] }
    const asked = {
      role: 'assistant',
      parts: [{ type: 'tool_call' as const, id: 'call_1', name: 'get_weather', arguments: '{"city":"Paris"}' }],
    }
    const answer = {
      role: 'tool',
      parts: [{ type: 'tool_call_response' as const, id: 'call_1', response: '{"temp":15}' }],
    }
    const said = { role: 'assistant', parts: [{ type: 'text' as const, content: '15 degrees.' }] }
    const generationOf = (content: LlmCall['content']) =>
      content === undefined ? undefined : written(callOf(first!, { content }))[1]!.attributes
    const one = generationOf({ tools, input: [question], output: [asked] })!
    for (const name of ['langfuse.observation.input', 'langfuse.observation.output'])
      expect(one.get(name)).toBe(first!.attributes.get(name))
    const two = generationOf({ tools, input: [question, asked, answer], output: [said] })!
    // Which tool a result is of we do not know by name; its call's id says it.
    expect(two.get('langfuse.observation.input')).toBe(
      String(second!.attributes.get('langfuse.observation.input')).replace(
        '"name":"get_weather","content"',
        '"content"',
      ),
    )
    expect(two.get('langfuse.observation.output')).toBe(second!.attributes.get('langfuse.observation.output'))
  })

  it('thinking, and two choices: thinking-and-choices', () => {
    const { ours } = sentIn('thinking-and-choices')
    const [, thinking, choices] = ours
    const answerOf = (content: LlmCall['content'], parameters?: LlmCall['parameters']) =>
      written(
        callOf(thinking!, {
          ...(content !== undefined && { content }),
          ...(parameters !== undefined && { parameters }),
        }),
      )[1]!.attributes
    const thought = answerOf({
      output: [
        {
          role: 'assistant',
          parts: [
            { type: 'reasoning', content: 'Six times seven.' },
            { type: 'text', content: '42' },
          ],
        },
      ],
    })
    expect(JSON.parse(String(thought.get('langfuse.observation.output')))).toEqual(
      JSON.parse(String(thinking!.attributes.get('langfuse.observation.output'))),
    )
    const two = answerOf(
      { output: ['One', 'Two'].map((content) => ({ role: 'assistant', parts: [{ type: 'text', content }] })) },
      { choiceCount: 2, stopSequences: ['END'] },
    )
    for (const name of ['langfuse.observation.output', 'langfuse.observation.model.parameters'])
      expect(two.get(name)).toBe(choices!.attributes.get(name))
  })

  it('time to first token of a stream alone: stream-and-whole', () => {
    const { ours } = sentIn('stream-and-whole')
    const name = 'langfuse.observation.completion_start_time'
    const streamed = ours.find(({ attributes }) => attributes.has(name))!
    const own = (stream: boolean) => written(callOf(streamed, { stream, timeToFirstByteMs: 250 }))[1]!
    expect(own(true).attributes.get(name)).toBe(streamed.attributes.get(name))
    expect(own(false).attributes.has(name)).toBe(false)
    const times = caseOf('stream-and-whole').answers.observations.map(({ timeToFirstToken }) => timeToFirstToken)
    expect(times).toEqual(expect.arrayContaining([0.25, null]))
  })

  it('level, message and zeros of a failure: errors', () => {
    const { ours } = sentIn('errors')
    const failed = ours.find(({ attributes }) => attributes.get('langfuse.observation.level') === 'WARNING')!
    const call = callOf(failed, {
      status: 'blocked',
      httpStatus: 400,
      errorMessage: 'blocked by guardrail',
      usage: {},
      usageSource: 'none',
      cost: { state: 'free', picoUsd: 0, reason: 'error', book: 'b' },
    })
    const { attributes } = written(call)[1]!
    for (const name of ['level', 'status_message', 'usage_details', 'cost_details', 'model.name'])
      expect([name, attributes.get(`langfuse.observation.${name}`)]).toEqual([
        name,
        failed.attributes.get(`langfuse.observation.${name}`),
      ])
    for (const { totalCost } of caseOf('errors').answers.observations) expect(totalCost).toBe(0)
  })

  it('what is free or has no price is left at 0: cost-absent-or-zero', () => {
    const { ours } = sentIn('cost-absent-or-zero')
    const zero = ours.find(({ attributes }) => attributes.get('langfuse.observation.cost_details') === '{"total":0}')!
    const answer = caseOf('cost-absent-or-zero').answers.observations.find(({ id }) => id === zero.spanId)
    expect(answer).toMatchObject({ totalCost: 0 })
    for (const cost of [
      { state: 'free', picoUsd: 0, reason: 'cache_hit', book: 'b' },
      { state: 'unpriced', reason: 'unknown_model', book: 'b' },
    ] as const)
      expect(written(callOf(zero, { cost }))[1]!.attributes.get('langfuse.observation.cost_details')).toBe(
        '{"total":0}',
      )
  })

  it('metadata holds what is meant and no copies: scope-name-and-metadata', () => {
    const id = 'scope-name-and-metadata'
    expect(JSON.stringify(caseOf(id).request)).toContain(`"name":"${LANGFUSE_SCOPE}"`)
    const kept = caseOf(id).answers.observations.map(({ metadata }) => Object.keys(metadata as object))
    expect(kept.map((keys) => keys.some((key) => key.startsWith('attributes.')))).toEqual(
      expect.arrayContaining([true, false]),
    )
    const span = sentIn(id).ours[0]!
    for (const { attributes } of written(callOf(span)))
      expect([...attributes.keys()].filter((name) => !name.startsWith('langfuse.'))).toEqual([])
    expect(body(callOf(span)).includes(`"scope":{"name":"${LANGFUSE_SCOPE}"}`)).toBe(true)
  })

  it('cost by tenant: trace-name-is-tenant', () => {
    const { ours } = sentIn('trace-name-is-tenant')
    const span = ours[0]!
    const tenant = String(span.attributes.get('langfuse.trace.name'))
    for (const { attributes } of written(callOf(span, { tenant })))
      expect(attributes.get('langfuse.trace.name')).toBe(tenant)
    const { observations, traces } = caseOf('trace-name-is-tenant').answers.metrics
    expect([observations.byTraceName!.length, traces.byTraceName!.length]).toEqual([2, 2])
  })

  it.each(Object.entries(GOLDEN_CALLS))('sent again it is the same, byte for byte – %s: sent-twice', (_name, call) => {
    const [first, again] = caseOf('sent-twice').request
    expect(again).toEqual(first)
    expect(body(structuredClone(call)).equals(body(call))).toBe(true)
    expect(caseOf('sent-twice').answersAfterMerge!.metrics.observations.total).toMatchObject([{ cost: 0.03 }])
  })

  it('a new price: same ids, same start, the last wins: sent-again-new-cost', () => {
    const id = 'sent-again-new-cost'
    const { ours } = sentIn(id)
    const identity = ({ traceId, spanId, start, end }: ReceivedSpan) => [traceId, spanId, start, end]
    const generations = ours.filter(({ attributes }) => attributes.get(TYPE) === 'generation')
    expect(identity(generations[0]!)).toEqual(identity(generations.at(-1)!))
    const before = callOf(generations[0]!)
    const cost = { ...before.cost, picoUsd: 50_000_000_000, byUnit: { input: 50_000_000_000 } } as LlmCall['cost']
    const after = { ...before, cost }
    expect(written(after).map(identity)).toEqual(written(before).map(identity))
    expect(written(after)[1]!.attributes.get('langfuse.observation.cost_details')).toBe('{"input":0.05,"total":0.05}')
    expect(caseOf(id).answersAfterMerge!.metrics.traces.total).toMatchObject([{ cost: 0.05 }])
  })
})

function textOf(value: AttributeValue | undefined): unknown {
  return typeof value === 'bigint' ? String(value) : value
}
