import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { binariesPresent, binary } from '../dev/servers/binary.ts'
import { COLLECTOR_FILES, type Collector, startCollector } from '../dev/servers/collector.ts'
import { type OtlpSink, startOtlpSink } from '../dev/sinks/otlp.ts'
import { waitUntil } from '../dev/wait-until.ts'
import type { LlmCall } from '../sidecar/call.ts'
import { makeOtlpExporter, otlpConfigSchema } from '../sidecar/exporters/otlp.ts'
import { makeCall } from '../sidecar/testing/make-call.ts'

const directory = mkdtempSync(join(tmpdir(), 'tail-sampling-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const DOLLAR = 1_000_000_000_000
const ORDINARY = 1000

/** A trace of its own for each call; the ids of the ordinary ones differ over all their digits, as a hash does. */
function call(n: number, overrides: Partial<LlmCall> = {}): LlmCall {
  const made = makeCall(overrides, n)
  return { ...made, trace: { traceId: made.id, spanId: made.id.slice(0, 16) } }
}
const priced = (picoUsd: number): LlmCall['cost'] => ({
  state: 'priced',
  picoUsd,
  byUnit: { input: picoUsd },
  priceId: 'p',
  book: 'b',
})

const KEPT = {
  error: call(1, { status: 'server_error', httpStatus: 500 }),
  'refused by the gateway': call(2, { status: 'rate_limited', httpStatus: 429 }),
  slow: call(3, { durationMs: 10_500 }),
  costly: call(4, { cost: priced(DOLLAR / 2) }),
  'blocked by a guardrail': call(5, {
    guardrails: [{ guardrail: 'ai-prompt-guard', stage: 'input', action: 'blocked' }],
  }),
  'masked by a guardrail': call(6, { guardrails: [{ guardrail: 'ai-sanitizer', stage: 'input', action: 'masked' }] }),
}
const LEFT_OUT = {
  'just not slow': call(7, { durationMs: 9_500 }),
  'just not costly': call(8, { cost: priced(DOLLAR / 2 - 1) }),
  'without a price': call(9, { cost: { state: 'unpriced', reason: 'unknown_model', book: 'b' } }),
}

describe.skipIf(!binariesPresent('otelcol'))('the Collector on deploy/otel-collector/config.yaml', () => {
  it.each([
    ['config.yaml', [COLLECTOR_FILES.traces]],
    ['config.yaml with logs.yaml', [COLLECTOR_FILES.traces, COLLECTOR_FILES.logs]],
  ])('takes %s', (_name, files) => {
    const { status, stderr } = spawnSync(
      binary('otelcol'),
      ['validate', ...files.flatMap((file) => ['--config', file])],
      { encoding: 'utf8', env: { COLLECTOR_STORAGE: join(directory, 'validated') } },
    )
    expect(stderr).toBe('')
    expect(status).toBe(0)
  })

  async function run(name: string, percentage: number, calls: readonly LlmCall[], act: (at: Running) => Promise<void>) {
    const tempo = await startOtlpSink()
    const collector = await startCollector({
      directory: join(directory, name),
      files: [COLLECTOR_FILES.traces],
      environment: {
        COLLECTOR_TEMPO: tempo.url,
        COLLECTOR_DECISION_WAIT: '1s',
        COLLECTOR_METRICS_FLUSH: '1s',
        COLLECTOR_SAMPLING_PERCENTAGE: String(percentage),
      },
    })
    const exporter = makeOtlpExporter(otlpConfigSchema.parse({ endpoint: collector.otlpUrl }), { environment: {} })
    try {
      for (let from = 0; from < calls.length; from += 200)
        expect(await exporter.send(calls.slice(from, from + 200), new AbortController().signal)).toMatchObject({
          rejected: [],
        })
      await act({ tempo, collector, exporter })
    } finally {
      await exporter.close()
      await collector.close()
      await tempo.close()
    }
  }
  interface Running {
    tempo: OtlpSink
    collector: Collector
    exporter: ReturnType<typeof makeOtlpExporter>
  }

  it('keeps errors, slow, costly and guardrail traces, and leaves the rest out; the span metrics count all of them', async () => {
    const calls = [...Object.values(KEPT), ...Object.values(LEFT_OUT)]
    await run('rules', 0, calls, async ({ tempo, collector }) => {
      // An exemplar stands in the metrics of one flush: it is looked for each time.
      let exemplars = ''
      await waitUntil(async () => {
        exemplars += (await collector.spanMetrics()).split('\n').flatMap((line) => line.split(' # ')[1] ?? [])
        return {
          done: tempo.spans().length >= Object.keys(KEPT).length && (await counted(collector)) === calls.length,
          seen: `${tempo.spans().length} spans at Tempo, ${await counted(collector)} counted`,
        }
      })
      const arrived = new Set(tempo.spans().map(({ traceId }) => traceId))
      const names = Object.entries({ ...KEPT, ...LEFT_OUT })
      expect(names.filter(([, { trace }]) => arrived.has(trace.traceId)).map(([name]) => name)).toEqual(
        Object.keys(KEPT),
      )
      // What is kept is kept whole.
      const costly = tempo.spans().find(({ traceId }) => traceId === KEPT.costly.trace.traceId)!
      expect(costly.attributes.get('kong.llm.cost.pico_usd')).toBe(BigInt(DOLLAR / 2))

      const metrics = await collector.spanMetrics()
      expect(metrics.trimEnd().endsWith('# EOF')).toBe(true)
      const series = (name: string) => metrics.split('\n').filter((line) => line.startsWith(`${name}{`))
      const errors = series('traces_span_metrics_calls_total').filter((line) => line.includes('STATUS_CODE_ERROR'))
      expect(errors.reduce((sum, line) => sum + Number(/\} (\S+)/.exec(line)![1]), 0)).toBe(2)
      expect(errors[0]).toMatch(/gen_ai_provider_name="openai".*tenant_id="blue"/)
      expect(metrics.includes('span_name=')).toBe(false)
      const slow = series('traces_span_metrics_duration_seconds_bucket').filter((line) => line.includes('le="10.24"'))
      expect(slow.reduce((sum, line) => sum + Number(/\} (\S+)/.exec(line)![1]), 0)).toBe(calls.length - 1)
      expect(calls.some(({ trace }) => exemplars.includes(`trace_id="${trace.traceId}"`))).toBe(true)
    })
  })

  it('keeps a tenth of the ordinary ones by the id of the trace: the same of both ends of a trace', async () => {
    const ordinary = Array.from({ length: ORDINARY }, (_, n) => call(1000 + n))
    const last = call(1, { status: 'server_error', httpStatus: 500 })
    await run('share', 10, ordinary, async ({ tempo, collector, exporter }) => {
      // Decisions fall in the order of arrival: when the last trace is there, all before it are decided.
      await waitUntil(async () => (await counted(collector)) === ORDINARY)
      await exporter.send([last], new AbortController().signal)
      await waitUntil(async () => tempo.spans().some(({ traceId }) => traceId === last.trace.traceId))
      const kept = tempo.spans().length - 1
      // Binomial(1000, 0.1): six standard deviations are ±57.
      expect(kept).toBeGreaterThan(43)
      expect(kept).toBeLessThan(157)
    })
  })

  it('one tree: the spans of client, Kong and call are kept together for what one of them holds', async () => {
    const traceId = 'a'.repeat(31)
    const trace = (n: number) => `${traceId}${n}`
    const child = call(50, { status: 'timeout', httpStatus: 504 })
    const ofCall = { ...child, trace: { traceId: trace(1), spanId: '3'.repeat(16), parentSpanId: '2'.repeat(16) } }
    const ordinary = { ...call(51), trace: { traceId: trace(2), spanId: '6'.repeat(16), parentSpanId: '5'.repeat(16) } }
    await run('tree', 0, [ofCall, ordinary], async ({ tempo, collector }) => {
      for (const [n, from] of [
        [1, 1],
        [2, 4],
      ] as const) {
        const response = await fetch(`${collector.otlpUrl}/v1/traces`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(clientAndKong(trace(n), from, ofCall.startedAt)),
        })
        expect(response.status).toBe(200)
      }
      await waitUntil(async () => tempo.spans().length >= 3)
      // All five are counted, and both traces decided: the second one's decision fell with the first one's.
      await waitUntil(async () => (await counted(collector)) === 6)
      const spans = tempo.spans()
      expect(new Set(spans.map((span) => span.traceId))).toEqual(new Set([trace(1)]))
      const parentOf = new Map(spans.map(({ spanId, parentSpanId }) => [spanId, parentSpanId]))
      expect(parentOf.get('3'.repeat(16))).toBe('2'.repeat(16))
      expect(parentOf.get('2'.repeat(16))).toBe('1'.repeat(16))
      expect(parentOf.get('1'.repeat(16))).toBe('')
    })
  })

  it('Tempo away: nothing is lost, and it arrives once Tempo answers', async () => {
    await run('outage', 0, [], async ({ tempo, exporter }) => {
      tempo.setFault({ kind: 'status', status: 503 })
      await exporter.send([KEPT.error], new AbortController().signal)
      await waitUntil(async () => tempo.faulted() >= 2)
      expect(tempo.spans()).toEqual([])
      tempo.setFault(undefined)
      await waitUntil(async () => tempo.spans().length === 1)
    })
  })

  it('killed while Tempo is away: what waited on disk arrives after the start', async () => {
    const tempo = await startOtlpSink()
    const options = {
      directory: join(directory, 'killed'),
      files: [COLLECTOR_FILES.traces],
      environment: { COLLECTOR_TEMPO: tempo.url, COLLECTOR_DECISION_WAIT: '1s' },
    }
    tempo.setFault({ kind: 'status', status: 503 })
    const collector = await startCollector(options)
    const exporter = makeOtlpExporter(otlpConfigSchema.parse({ endpoint: collector.otlpUrl }), { environment: {} })
    try {
      await exporter.send([KEPT.error], new AbortController().signal)
      await waitUntil(async () => tempo.faulted() >= 1)
      await collector.child.kill('SIGKILL')
      tempo.setFault(undefined)
      await collector.child.start()
      await waitUntil(async () => tempo.spans().length === 1)
    } finally {
      await exporter.close()
      await collector.close()
      await tempo.close()
    }
  })
})

/** A client's root span and Kong's server span under it, as OTLP JSON. */
function clientAndKong(traceId: string, from: number, startedAt: number) {
  const start = BigInt(startedAt) * 1_000_000n
  const span = (id: number, name: string, kind: number, parent?: number) => ({
    traceId,
    spanId: String(id).repeat(16),
    ...(parent !== undefined && { parentSpanId: String(parent).repeat(16) }),
    name,
    kind,
    startTimeUnixNano: String(start),
    endTimeUnixNano: String(start + 5_000_000n),
    status: {},
  })
  return {
    resourceSpans: [
      {
        resource: { attributes: [{ key: 'service.name', value: { stringValue: 'kong' } }] },
        scopeSpans: [{ spans: [span(from, 'answer', 3), span(from + 1, 'kong', 2, from)] }],
      },
    ],
  }
}

async function counted(collector: Collector): Promise<number> {
  const lines = (await collector.spanMetrics()).split('\n')
  return lines
    .filter((line) => line.startsWith('traces_span_metrics_calls_total{'))
    .reduce((sum, line) => sum + Number(/\} (\S+)/.exec(line)![1]), 0)
}
