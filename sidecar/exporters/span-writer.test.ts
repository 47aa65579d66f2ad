import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BENCH_TEXTS, DEFAULT_LOAD, makeBenchCaptures } from '../../bench/bench-capture.ts'
import { openPriceBook } from '../../pricing/open-price-book.ts'
import { type LlmCall, type Message, type MessagePart, TOKEN_TYPES } from '../call.ts'
import { attributionConfigSchema } from '../pipeline/attribute.ts'
import { makeObserver } from '../pipeline/observe.ts'
import { makeRedactor, redactionConfigSchema } from '../redaction/redact.ts'
import { GOLDEN_CALLS } from '../testing/golden-calls.ts'
import { makeCall } from '../testing/make-call.ts'
import { makeReferenceSpans } from '../testing/reference-spans.ts'
import { makeJsonSpans } from './json-spans.ts'
import { LANGFUSE_SCOPE } from './langfuse.ts'
import { writeLangfuseSpans } from './langfuse-observation.ts'
import { applicationsSchema, makePlaces } from './langfuse-place.ts'
import { makeProtobufSpans } from './protobuf-spans.ts'
import type { SpanWriter } from './span-writer.ts'
import { eventsOf, headOf, setContentAttributes, setStandardAttributes } from './spans.ts'

const WRITERS = { protobuf: makeProtobufSpans(), json: makeJsonSpans(), langfuse: makeJsonSpans(LANGFUSE_SCOPE) }
const REFERENCES = {
  protobuf: makeReferenceSpans('protobuf'),
  json: makeReferenceSpans('json'),
  langfuse: makeReferenceSpans('json', LANGFUSE_SCOPE),
}

const placeOf = makePlaces(applicationsSchema.parse({ routes: { silent: { money: 'app' } } }))

function plainSpans(calls: readonly LlmCall[], writer: SpanWriter): Buffer {
  writer.begin()
  for (const call of calls) {
    writer.open(headOf(call))
    setStandardAttributes(call, writer.set)
    setContentAttributes(call, writer.set)
    writer.close(eventsOf(call))
  }
  return writer.end()
}

function langfuseSpans(calls: readonly LlmCall[], writer: SpanWriter): Buffer {
  writer.begin()
  const profile = { environment: 'bench', release: '1', content: true, placeOf }
  for (const call of calls) writeLangfuseSpans(call, profile, writer)
  return writer.end()
}

/** A reference keeps the last value of a name, a writer all: so none may be set twice. */
function expectNamesOnce(calls: readonly LlmCall[]): void {
  let names = new Set<string>()
  const once: SpanWriter = {
    begin: () => {},
    open: () => {
      names = new Set()
    },
    set(name, value) {
      if (value === undefined || value === null) return
      expect(names).not.toContain(name)
      names.add(name)
    },
    close: () => {},
    end: () => Buffer.alloc(0),
  }
  plainSpans(calls, once)
  langfuseSpans(calls, once)
}

function expectEqual(calls: readonly LlmCall[]): void {
  for (const protocol of ['protobuf', 'json', 'langfuse'] as const)
    for (const spans of [plainSpans, langfuseSpans]) {
      const own = spans(calls, WRITERS[protocol])
      const reference = spans(calls, REFERENCES[protocol])
      if (own.equals(reference)) continue
      // As text: a difference can be read.
      expect(own.toString('latin1')).toBe(reference.toString('latin1'))
    }
}

function benchCalls(text: (typeof BENCH_TEXTS)[number], load: Partial<typeof DEFAULT_LOAD> = {}): LlmCall[] {
  const observe = makeObserver({
    book: openPriceBook(),
    attribution: attributionConfigSchema.parse({}),
    semanticCache: { rules: [] },
    redactor: makeRedactor(redactionConfigSchema.parse({})),
    providers: {},
    maxContentBytes: 1024 * 1024,
    content: true,
  })
  const captureOf = makeBenchCaptures({ ...DEFAULT_LOAD, text, ...load })
  return Array.from({ length: 100 }, (_, n) => observe(captureOf(n + 1)))
}

const text = fc.oneof(
  fc.string({ maxLength: 60 }),
  fc.string({ unit: 'binary', maxLength: 200 }),
  // What a writer may trip over: quotes, escapes, controls, lone surrogates, more than a byte a letter.
  fc.string({
    unit: fc.constantFrom('a', '"', '\\', '\n', '\u0000', '\u007f', 'é', '語', '😀', '\ud800', '\udc00', '\u2028'),
  }),
  fc.integer({ min: 0, max: 40_000 }).map((length) => 'wörd '.repeat(length / 5)),
  fc.constantFrom('', 'a'.repeat(48), 'a'.repeat(49), 'a'.repeat(127), 'a'.repeat(128), 'é'.repeat(64)),
)
const number = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double(),
  fc.constantFrom(0, -0, -1, 127, 128, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 53), 2 ** 63, -(2 ** 63), 1e21),
)
const time = fc.oneof(fc.integer({ min: 0, max: 4_000_000_000_000 }), fc.double({ min: 0, max: 4e12, noNaN: true }))
const part: fc.Arbitrary<MessagePart> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ type: fc.constant('text' as const), content: text }) },
  fc.record({ type: fc.constant('reasoning' as const), content: text }),
  fc.record(
    { type: fc.constant('tool_call' as const), id: text, name: text, arguments: text },
    { requiredKeys: ['type', 'name', 'arguments'] },
  ),
  fc.record(
    { type: fc.constant('tool_call_response' as const), id: text, response: text },
    { requiredKeys: ['type', 'response'] },
  ),
  fc.record({ type: fc.constant('other' as const), kind: text }),
)
const tool = fc.record(
  { name: text, description: text, input_schema: fc.dictionary(text, text, { maxKeys: 2 }) },
  { requiredKeys: ['name'] },
)
const message: fc.Arbitrary<Message> = fc.record(
  { role: text, parts: fc.array(part, { maxLength: 3 }), finishReason: text },
  { requiredKeys: ['role', 'parts'] },
)
const call: fc.Arbitrary<LlmCall> = fc
  .record(
    {
      startedAt: time,
      durationMs: fc.double({ min: 0, max: 1e6, noNaN: true }),
      timeToFirstByteMs: fc.integer({ min: 0, max: 100_000 }),
      requestModel: text,
      model: text,
      tenant: text,
      user: text,
      environment: text,
      gateway: fc.record({
        node: fc.constant('n'),
        source: fc.constant('tap' as const),
        route: fc.constantFrom('silent', 'other'),
      }),
      operation: fc.constantFrom('chat' as const, 'rerank' as const, 'unknown' as const),
      stream: fc.boolean(),
      status: fc.constantFrom('ok' as const, 'blocked' as const, 'server_error' as const),
      errorMessage: text,
      finishReasons: fc.array(text, { maxLength: 5 }),
      parameters: fc.record({
        temperature: number,
        maxTokens: number,
        stopSequences: fc.array(text, { maxLength: 3 }),
      }),
      usage: fc.dictionary(fc.constantFrom(...TOKEN_TYPES), fc.nat()) as fc.Arbitrary<LlmCall['usage']>,
      savedPicoUsd: number,
      baggage: fc.record(
        {
          version: text,
          traceName: text,
          tags: fc.array(text, { maxLength: 3 }),
          metadata: fc.dictionary(text, text, { maxKeys: 3 }),
          prompt: fc.record({ name: text, version: fc.nat() }, { requiredKeys: ['name'] }),
        },
        { requiredKeys: [] },
      ),
      trace: fc.record(
        {
          traceId: fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 32, maxLength: 32 }),
          spanId: fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 16, maxLength: 16 }),
          parentSpanId: fc.constant('00f067aa0ba902b7'),
          parentBy: fc.constantFrom('caller' as const, 'kong' as const),
          originalTraceId: text,
        },
        { requiredKeys: ['traceId', 'spanId'] },
      ),
      attempts: fc.array(fc.record({ failed: fc.boolean(), provider: text, startedAt: time, durationMs: number }), {
        maxLength: 3,
      }),
      guardrails: fc.array(
        fc.record(
          {
            guardrail: text,
            stage: fc.constantFrom('input' as const, 'output' as const),
            action: fc.constantFrom('blocked' as const, 'masked' as const),
            reason: text,
            categories: fc.dictionary(fc.string(), text, { maxKeys: 3 }),
            latencyMs: number,
          },
          { requiredKeys: ['guardrail', 'stage', 'action'] },
        ),
        { maxLength: 3 },
      ),
      content: fc.record(
        {
          system: text,
          input: fc.array(message, { maxLength: 3 }),
          output: fc.array(message, { maxLength: 2 }),
          tools: fc.oneof(
            text,
            fc.json(),
            fc.array(tool, { maxLength: 3 }).map((tools) => JSON.stringify(tools)),
          ),
          truncated: fc.constant(true),
        },
        { requiredKeys: [] },
      ),
    },
    { requiredKeys: ['guardrails'] },
  )
  .map((overrides) => makeCall(overrides as Partial<LlmCall>))

describe('span writers, byte for byte what otlp-transformer writes', () => {
  it.each(Object.entries(GOLDEN_CALLS))('%s', (_name, golden) => expectEqual([golden]))

  it('all golden calls in one request', () => {
    expectEqual(Object.values(GOLDEN_CALLS))
    expectNamesOnce(Object.values(GOLDEN_CALLS))
  })

  it.each(BENCH_TEXTS)('100 calls of the bench, %s', (name) => expectEqual(benchCalls(name)))

  it('texts of 256 KB', () => expectEqual(benchCalls('prose', { bytes: 256 * 1024 }).slice(0, 10)))

  it('any call', () => {
    fc.assert(
      fc.property(fc.array(call, { minLength: 1, maxLength: 4 }), (calls) => expectEqual(calls)),
      { numRuns: 60 },
    )
  })

  it('no spans', () => expectEqual([]))

  it('times beyond what 64 bits of nanoseconds hold: written, and the rest stays readable', () => {
    const far = makeCall({ startedAt: 8.64e15 })
    expect(JSON.parse(plainSpans([far], WRITERS.json).toString())).toMatchObject({
      resourceSpans: [{ scopeSpans: [{ spans: [{ startTimeUnixNano: '8640000000000000000000' }] }] }],
    })
    expect(plainSpans([far], WRITERS.protobuf).length).toBe(plainSpans([makeCall()], WRITERS.protobuf).length)
  })
})
