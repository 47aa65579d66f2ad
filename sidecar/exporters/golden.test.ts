import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ReceivedSpan } from '../../dev/sinks/decode-spans.ts'
import { type LangfuseSink, startLangfuseSink } from '../../dev/sinks/langfuse.ts'
import { type LokiSink, startLokiSink } from '../../dev/sinks/loki.ts'
import { type OtlpSink, startOtlpSink } from '../../dev/sinks/otlp.ts'
import { GOLDEN_CALLS } from '../testing/golden-calls.ts'
import { langfuseConfigSchema, makeLangfuseExporter } from './langfuse.ts'
import { lokiConfigSchema, makeLokiExporter } from './loki.ts'
import { makeOtlpExporter, otlpConfigSchema } from './otlp.ts'

const calls = Object.values(GOLDEN_CALLS)
const never = new AbortController().signal
const deps = { environment: {} }
const keys = { publicKey: 'pk-lf-test', secretKey: 'sk-lf-test' }

/** Golden files hold what a sink decodes from the wire. After a change that is meant: `npx vitest run -u sidecar/exporters`. */
function golden(name: string, value: unknown) {
  const text = `${JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? `int ${part}` : part), 2)}\n`
  return expect(text).toMatchFileSnapshot(join(import.meta.dirname, 'golden', `${name}.golden.json`))
}

/** Under the name of the call, so that a difference says which kind of call it is. */
function bySpan(spans: readonly ReceivedSpan[]) {
  const nameOf = (span: ReceivedSpan) =>
    Object.entries(GOLDEN_CALLS).find(([, { trace }]) => trace.traceId === span.traceId)![0]
  const plain = (attributes: ReceivedSpan['attributes']) => Object.fromEntries(attributes)
  return spans.map(({ attributes, events, ...span }) => ({
    call: nameOf({ ...span, attributes, events }),
    ...span,
    attributes: plain(attributes),
    events: events.map((event) => ({ ...event, attributes: plain(event.attributes) })),
  }))
}

describe('golden files of the wire', () => {
  let otlp: OtlpSink
  let langfuse: LangfuseSink
  let loki: LokiSink
  beforeAll(async () => {
    otlp = await startOtlpSink()
    langfuse = await startLangfuseSink(keys)
    loki = await startLokiSink({ now: () => calls[0]!.startedAt })
  })
  afterAll(() => Promise.all([otlp.close(), langfuse.close(), loki.close()]))

  it('OTLP, content opted in', async () => {
    const exporter = makeOtlpExporter(otlpConfigSchema.parse({ endpoint: otlp.url, content: true }), deps)
    expect(await exporter.send(calls, never)).toEqual({ sent: calls.length, rejected: [] })
    await exporter.close()
    await golden('otlp', bySpan(otlp.spans()))
  })

  it('Langfuse', async () => {
    const config = langfuseConfigSchema.parse({ url: langfuse.url, ...keys, release: '2026.11' })
    const exporter = makeLangfuseExporter(config, deps)
    expect(await exporter.send(calls, never)).toEqual({ sent: calls.length, rejected: [] })
    await exporter.close()
    await golden('langfuse', bySpan(langfuse.observations()))
  })

  it('Loki', async () => {
    const exporter = makeLokiExporter(lokiConfigSchema.parse({ url: loki.url }), deps)
    expect(await exporter.send(calls, never)).toEqual({ sent: calls.length, rejected: [] })
    await exporter.close()
    const entries = loki.entries().sort((a, b) => (a.at < b.at ? -1 : 1))
    await golden(
      'loki',
      entries.map(({ text: _, ...entry }) => entry),
    )
  })
})
