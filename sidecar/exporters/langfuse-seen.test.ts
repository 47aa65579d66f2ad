import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type LangfuseSink, startLangfuseSink } from '../../dev/sinks/langfuse.ts'
import { waitUntil } from '../../dev/wait-until.ts'
import type { LlmCall } from '../call.ts'
import { makeCall } from '../testing/make-call.ts'
import { makeJsonSpans } from './json-spans.ts'
import { langfuseConfigSchema, makeLangfuseExporter } from './langfuse.ts'
import { makeSeenApplications } from './langfuse-seen.ts'
import { SPAN_KIND } from './span-writer.ts'

const never = new AbortController().signal
const keys = { publicKey: 'pk-lf-a', secretKey: 'sk-lf-a' }
const PARENT = '00f067aa0ba902b7'

let sink: LangfuseSink
beforeAll(async () => {
  sink = await startLangfuseSink(keys)
})
afterAll(() => sink.close())

/** A call under an application's span, without baggage. */
const joined = (n: number, app: string) => {
  const call = makeCall({ app }, n)
  return { ...call, trace: { ...call.trace, parentSpanId: PARENT, parentBy: 'caller' as const } }
}

/** What the application's own SDK sends: its span around the call. */
async function sendApplications(call: LlmCall, type: 'span' | 'generation'): Promise<void> {
  const writer = makeJsonSpans('langfuse-sdk')
  writer.begin()
  const { startedAt: start, durationMs } = call
  const head = { traceId: call.trace.traceId, spanId: PARENT, parentSpanId: undefined, parentIsRemote: false }
  writer.open({
    ...head,
    name: 'app',
    kind: SPAN_KIND.internal,
    start: start - 50,
    end: start + durationMs + 50,
    error: undefined,
  })
  writer.set('langfuse.observation.type', type)
  writer.close([])
  const authorization = `Basic ${Buffer.from(`${keys.publicKey}:${keys.secretKey}`).toString('base64')}`
  const headers = { authorization, 'content-type': 'application/json', 'x-langfuse-ingestion-version': '4' }
  const answer = await fetch(`${sink.url}/api/public/otel/v1/traces`, {
    method: 'POST',
    headers,
    body: new Uint8Array(writer.end()),
  })
  expect(answer.status).toBe(200)
}

async function observed(app: string, type: 'span' | 'generation' | undefined, from: number) {
  const exporter = makeLangfuseExporter(langfuseConfigSchema.parse({ url: sink.url, ...keys }), { environment: {} }, 0)
  const spansOf = async (call: LlmCall) => {
    if (type !== undefined) await sendApplications(call, type)
    expect(await exporter.send([call], never)).toEqual({ sent: 1, rejected: [] })
    return sink.observations().filter(({ traceId, spanId }) => traceId === call.trace.traceId && spanId !== PARENT)
  }
  return { spansOf, close: () => exporter.close(), next: () => joined(from++, app) }
}
type Spans = Awaited<ReturnType<Awaited<ReturnType<typeof observed>>['spansOf']>>
const typesOf = (spans: Spans) => spans.map(({ attributes }) => attributes.get('langfuse.observation.type'))

describe('what Langfuse has of an application', () => {
  it('its generation comes along: ours has no usage and no cost from then on', async () => {
    const { spansOf, close, next } = await observed('wrapped', 'generation', 40_000)
    const first = await spansOf(next())
    expect(typesOf(first)).toEqual(['generation'])
    let last: Spans = []
    await waitUntil(async () => {
      last = await spansOf(next())
      return typesOf(last)[0] === 'span'
    })
    expect(
      [...last[0]!.attributes.keys()].filter((name) => /usage_details|cost_details|model\.name|app_root/.test(name)),
    ).toEqual([])
    await close()
  })

  it('its spans come without a generation: ours is the bill, and no root beside theirs', async () => {
    const { spansOf, close, next } = await observed('traced', 'span', 41_000)
    let last: Spans = await spansOf(next())
    expect(last[0]!.attributes.get('langfuse.internal.is_app_root')).toBe(true)
    await waitUntil(async () => {
      last = await spansOf(next())
      return !last[0]!.attributes.has('langfuse.internal.is_app_root')
    })
    expect(typesOf(last)).toEqual(['generation'])
    await close()
  })

  it('nothing comes: after three traces a call has a root of its own', async () => {
    const { spansOf, close, next } = await observed('elsewhere', undefined, 42_000)
    let last: Spans = []
    await waitUntil(async () => {
      last = await spansOf(next())
      return last.length === 2
    })
    expect(typesOf(last)).toEqual(['span', 'generation'])
    await close()
  })

  it.each([
    ['not to be had', { retry: 'http_404' }],
    ['no JSON', { ok: Buffer.from('<html>') }],
    ['without data', { ok: Buffer.from('{}') }],
    ['null', { ok: Buffer.from('null') }],
  ])('an answer that is %s changes nothing, and is not asked for again at once', async (_name, answer) => {
    let asked = 0
    const seen = makeSeenApplications({
      get: async () => {
        asked++
        return answer
      },
      keyOf: () => 'one',
      lookAfterMs: 0,
    })
    seen.taken(joined(1, 'x'))
    await waitUntil(async () => asked === 1)
    await new Promise((resolve) => setTimeout(resolve))
    seen.taken(joined(2, 'x'))
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect([asked, seen.of(joined(3, 'x'))]).toEqual([1, undefined])
    seen.close()
  })
})
