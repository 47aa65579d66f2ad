import { describe, expect, it } from 'vitest'
import type { LlmCall } from '../call.ts'
import { expositionSources } from '../testing/exposition-of.ts'
import { makeCall } from '../testing/make-call.ts'
import { storeInFolder } from '../testing/store-in-folder.ts'
import { makeExemplars } from './exemplars.ts'
import { makeExposition } from './exposition.ts'

const OPENMETRICS = 'application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2'

describe('exemplars', () => {
  const labelsOf = ({ tenant, provider, model }: LlmCall) => ({ tenant, provider, model })
  const labels = ['blue', 'openai', 'gpt-4o']
  const at = { tenant: 'blue', provider: 'openai', model: 'gpt-4o', startedAt: 1_700_000_000_000 }

  it('of each bucket the last call; first tokens of good answers only', () => {
    const exemplars = makeExemplars(() => true, labelsOf)
    const calls = [
      makeCall({ ...at, durationMs: 90, timeToFirstByteMs: 4 }, 1),
      makeCall({ ...at, durationMs: 80, status: 'server_error', timeToFirstByteMs: 4 }, 2),
      makeCall({ ...at, durationMs: 3000 }, 3),
    ]
    exemplars.note(calls)
    expect(exemplars.of('latency', labels, 0)).toEqual({
      traceId: calls[1]!.trace.traceId,
      spanId: calls[1]!.trace.spanId,
      seconds: 0.08,
      at: at.startedAt + 80,
    })
    expect(exemplars.of('latency', labels, 4)?.traceId).toBe(calls[2]!.trace.traceId)
    expect(exemplars.of('latency', labels, 1)).toBeUndefined()
    expect(exemplars.of('first_token', labels, 1)?.traceId).toBe(calls[0]!.trace.traceId)
  })

  it('none of a repeated answer, and none whose span nobody keeps', () => {
    const exemplars = makeExemplars((call) => call.status !== 'ok', labelsOf)
    exemplars.note([makeCall({ ...at, durationMs: 90 }, 1)])
    exemplars.note([makeCall({ ...at, durationMs: 90, status: 'timeout', repeat: true }, 2)])
    expect(exemplars.of('latency', labels, 0)).toBeUndefined()
    exemplars.note([makeCall({ ...at, durationMs: 90, status: 'timeout' }, 3)])
    expect(exemplars.of('latency', labels, 0)).toBeDefined()
  })
})

describe('OpenMetrics', () => {
  const test = storeInFolder()

  it('only where it is asked for; the same series with the same values', async () => {
    // The store tells of calls that it has counted, and labels them.
    const exemplars = makeExemplars(
      () => true,
      (call) => store.labelsOf(call),
    )
    const store = await test.open({ onCounted: (calls) => exemplars.note(calls) })
    const calls = [
      makeCall({ tenant: 'blue', durationMs: 300, timeToFirstByteMs: 50 }, 1),
      makeCall({ tenant: 'ev"il\\ten\nant', durationMs: 3000 }, 2),
    ]
    await test.feed(store, calls)
    const exposition = makeExposition(expositionSources({ store, exemplars }))
    const read = async (accept: string) => {
      const { contentType, body } = await exposition.render(accept)
      return { contentType, text: body.join('') }
    }
    const plain = await read('text/plain')
    expect(plain.contentType).toMatch(/^text\/plain/)
    expect(plain.text).not.toContain('trace_id')
    const open = await read(OPENMETRICS)
    expect(open.contentType).toMatch(/^application\/openmetrics-text/)
    expect(open.text.endsWith('\n# EOF\n')).toBe(true)
    expect(open.text).not.toContain('\n\n')
    expect(open.text).toContain('\n# TYPE llm_calls counter\n')
    const shown = [...open.text.matchAll(/^llm_latency_seconds_bucket.* # \{trace_id="(\w+)",span_id="(\w+)"\}/gm)]
    expect(shown.map(([, traceId, spanId]) => ({ traceId, spanId }))).toEqual(calls.map(({ trace }) => trace))
    const ledgerLines = (text: string) =>
      text.split('\n').flatMap((line) => (/^(llm|kong)_/.test(line) ? [line.split(' # {')[0]] : []))
    expect(ledgerLines(open.text)).toEqual(ledgerLines(plain.text))
    exposition.close()
    await store.close()
  })
})
