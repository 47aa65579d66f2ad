import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { gzipSync } from 'node:zlib'
import { openPriceBook } from '../pricing/open-price-book.ts'
import type { LlmCall } from '../sidecar/call.ts'
import { type Capture, captureSchema } from '../sidecar/capture.ts'
import { makeJsonSpans } from '../sidecar/exporters/json-spans.ts'
import { writeLangfuseSpans } from '../sidecar/exporters/langfuse-observation.ts'
import { lokiBody } from '../sidecar/exporters/loki.ts'
import { makeProtobufSpans } from '../sidecar/exporters/protobuf-spans.ts'
import type { SpanWriter } from '../sidecar/exporters/span-writer.ts'
import { eventsOf, headOf, setContentAttributes, setStandardAttributes } from '../sidecar/exporters/spans.ts'
import { attributionConfigSchema } from '../sidecar/pipeline/attribute.ts'
import { makeObserver } from '../sidecar/pipeline/observe.ts'
import { plainCapture } from '../sidecar/plain-capture.ts'
import { makeRedactor, redactionConfigSchema } from '../sidecar/redaction/redact.ts'
import { makeReferenceSpans } from '../sidecar/testing/reference-spans.ts'
import { BENCH_TEXTS, DEFAULT_LOAD, makeBenchCaptures } from './bench-capture.ts'

// node bench/stages.ts [--root other/checkout]: the work of the sidecar's main thread, stage by stage, on one thread.
const BATCH = 100
const ROUNDS = 60
/** Each stage in turn, again and again, so that a slow moment of the machine hits all alike. */
const PASSES = 5

const { values } = parseArgs({ options: { root: { type: 'string' }, bytes: { type: 'string', default: '4096' } } })

type MakeObserver = typeof makeObserver
const other =
  values.root === undefined
    ? undefined
    : await Promise.all([
        import(join(resolve(values.root), 'sidecar/pipeline/observe.ts')),
        import(join(resolve(values.root), 'sidecar/redaction/redact.ts')),
      ])
const otherObserver = other?.[0].makeObserver as MakeObserver | undefined

function observerOf(make: MakeObserver, redact: typeof makeRedactor) {
  return make({
    book: openPriceBook(),
    attribution: attributionConfigSchema.parse({}),
    semanticCache: { rules: [] },
    redactor: redact(redactionConfigSchema.parse({})),
    providers: {},
    maxContentBytes: 2 * 1024 * 1024,
    content: true,
  })
}

function plainSpans(calls: readonly LlmCall[], writer: SpanWriter, content: boolean): Buffer {
  writer.begin()
  for (const call of calls) {
    writer.open(headOf(call))
    setStandardAttributes(call, writer.set)
    if (content) setContentAttributes(call, writer.set)
    writer.close(eventsOf(call))
  }
  return writer.end()
}

function langfuseSpans(calls: readonly LlmCall[], writer: SpanWriter): Buffer {
  writer.begin()
  for (const call of calls)
    writeLangfuseSpans(call, { environment: 'bench', release: undefined, content: true }, writer)
  return writer.end()
}

for (const text of BENCH_TEXTS) {
  const captureOf = makeBenchCaptures({ ...DEFAULT_LOAD, text, bytes: Number(values.bytes) })
  const captures = Array.from({ length: BATCH }, (_, n) => captureOf(n + 1))
  const body = JSON.stringify(captures)
  const given = () => JSON.parse(body) as Capture[]
  const parsed = given()
  const observe = observerOf(makeObserver, makeRedactor)
  const calls = parsed.map(observe)
  const protobuf = makeProtobufSpans()
  const json = makeJsonSpans()
  const referenceProtobuf = makeReferenceSpans('protobuf')
  const referenceJson = makeReferenceSpans('json')
  const traces = langfuseSpans(calls, json)
  const stages: Record<string, () => unknown> = {
    'JSON.parse of the batch': given,
    'captures by zod': () => parsed.map((capture) => captureSchema.safeParse(capture)),
    'captures by the plain check': () => parsed.map(plainCapture),
    observe: () => parsed.map(observe),
    'row: JSON.stringify of the call': () => calls.map((call) => JSON.stringify(call)),
    'OTLP protobuf': () => plainSpans(calls, protobuf, false),
    'OTLP protobuf by otlp-transformer': () => plainSpans(calls, referenceProtobuf, false),
    'OTLP protobuf with content': () => plainSpans(calls, protobuf, true),
    'OTLP protobuf with content by otlp-transformer': () => plainSpans(calls, referenceProtobuf, true),
    'Langfuse JSON': () => langfuseSpans(calls, json),
    'Langfuse JSON by otlp-transformer': () => langfuseSpans(calls, referenceJson),
    'Langfuse gzip': () => gzipSync(traces, { level: 1 }),
    Loki: () => lokiBody(calls, 'bench'),
  }
  if (otherObserver !== undefined) {
    const observeOther = observerOf(otherObserver, other![1].makeRedactor)
    stages[`observe of ${values.root}`] = () => parsed.map(observeOther)
  }
  const best = new Map<string, number>()
  for (let pass = 0; pass <= PASSES; pass++)
    for (const [name, work] of Object.entries(stages)) {
      const before = process.cpuUsage()
      for (let round = 0; round < ROUNDS; round++) work()
      const { user, system } = process.cpuUsage(before)
      const micros = (user + system) / (ROUNDS * BATCH)
      // The first pass warms.
      if (pass > 0) best.set(name, Math.min(best.get(name) ?? Number.POSITIVE_INFINITY, micros))
    }
  process.stdout.write(`\n${text}, ${values.bytes} bytes of content: µs CPU a call, the best of ${PASSES} passes\n`)
  for (const [name, micros] of best) process.stdout.write(`  ${name.padEnd(50)} ${micros.toFixed(1)}\n`)
}
