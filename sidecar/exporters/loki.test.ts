import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type LokiSink, startLokiSink } from '../../dev/sinks/loki.ts'
import type { LlmCall } from '../call.ts'
import { deliver, newDeliverStats } from '../deliver.ts'
import { makeLogger } from '../logger.ts'
import { makeCall } from '../testing/make-call.ts'
import { makeMemorySpool } from '../testing/memory-spool.ts'
import type { Exporter } from './exporter.ts'
import { lokiBody, lokiConfigSchema, makeLokiExporter } from './loki.ts'

const never = new AbortController().signal
const DAY_MS = 24 * 3600 * 1000

describe('Loki', () => {
  let sink: LokiSink
  let exporter: Exporter
  beforeEach(async () => {
    sink = await startLokiSink({ now: () => makeCall().startedAt })
    exporter = makeLokiExporter(lokiConfigSchema.parse({ url: `${sink.url}/`, environment: 'production' }), {
      environment: {},
    })
  })
  afterEach(async () => {
    await exporter.close()
    await sink.close()
  })
  const entryOf = async (call: LlmCall) => {
    await exporter.send([call], never)
    return sink.entries().find(({ callId }) => callId === call.id)!
  }

  it.each<[Partial<LlmCall>, string]>([
    [{}, 'info'],
    [{ status: 'client_error', httpStatus: 404 }, 'warn'],
    [{ status: 'rate_limited', httpStatus: 429 }, 'warn'],
    [{ status: 'blocked', httpStatus: 400 }, 'warn'],
    [{ status: 'aborted', httpStatus: 499 }, 'warn'],
    [{ status: 'server_error', httpStatus: 502 }, 'error'],
    [{ status: 'timeout', httpStatus: 504 }, 'error'],
  ])('three labels and no more: %j is %s', async (overrides, level) => {
    const { labels } = await entryOf(makeCall(overrides))
    expect(labels).toEqual({ service_name: 'kong-llm-observer', env: 'production', level })
  })

  it('the environment of the call, where it has one', async () => {
    expect((await entryOf(makeCall({ environment: 'staging' }))).labels.env).toBe('staging')
  })

  it('what is metadata or a label is not in the line as well', async () => {
    const { labels, metadata, line } = await entryOf(
      makeCall({ user: 'u', session: 's', team: 't', app: 'a', cache: 'hit', savedPicoUsd: 5, environment: 'e' }),
    )
    expect(metadata).toMatchObject({
      trace_id: makeCall().trace.traceId,
      request_id: 'request-1',
      model: 'gpt-4o-2024-08-06',
      provider: 'openai',
    })
    const names = new Set(Object.keys(line))
    expect([...Object.keys(metadata), ...Object.keys(labels)].filter((name) => names.has(name))).toEqual([])
    expect(Object.values(metadata).every((value) => typeof value === 'string')).toBe(true)
  })

  it('the line adds up: every kind of token, and money as exact text', async () => {
    const { line } = await entryOf(makeCall())
    expect(line).toMatchObject({
      tokens: { input: 15, cache_read: 10, output: 7, output_reasoning: 2 },
      cost_state: 'priced',
      cost_pico_usd: '140000000',
    })
    const unpriced = await entryOf(makeCall({ cost: { state: 'unpriced', reason: 'unknown_model', book: 'b' } }, 2))
    expect(unpriced.line).toMatchObject({ cost_state: 'unpriced', cost_reason: 'unknown_model' })
    expect(unpriced.line).not.toHaveProperty('cost_pico_usd')
  })

  it('carries no content', async () => {
    await exporter.send(
      [
        makeCall({
          content: {
            system: 'SECRET',
            tools: 'SECRET',
            input: [{ role: 'user', parts: [{ type: 'text', content: 'SECRET' }] }],
            output: [{ role: 'assistant', parts: [{ type: 'reasoning', content: 'SECRET' }] }],
          },
        }),
      ],
      never,
    )
    expect(sink.entries()).toHaveLength(1)
    expect(sink.lastBody().toString()).not.toContain('SECRET')
  })

  it('entries of a stream in the order of time, times as text in nanoseconds', () => {
    const at = (startedAt: number, n: number) => makeCall({ startedAt }, n)
    const { streams } = JSON.parse(lokiBody([at(3000, 1), at(1000.5, 2), at(2000, 3)], 'e')) as {
      streams: { values: [string, string, object][] }[]
    }
    expect(streams).toHaveLength(1)
    expect(streams[0]!.values.map(([time]) => time)).toEqual(['1000500000', '2000000000', '3000000000'])
  })

  it('calls alike in all but their id are two entries', async () => {
    const twin = { ...makeCall({}, 2), startedAt: makeCall().startedAt, requestId: makeCall().requestId }
    await exporter.send([makeCall(), twin], never)
    expect(sink.entries()).toHaveLength(2)
  })

  it('one request for each tenant, under its organisation', async () => {
    const tenants = ['blue', 'red', 'blue', '..', '.']
    const batch = tenants.map((tenant, n) => makeCall({ tenant }, n))
    expect(await exporter.send(batch, never)).toEqual({ sent: 5, rejected: [] })
    expect(sink.requests()).toBe(4)
    const organisations = sink.entries().map(({ tenant }) => tenant)
    expect(organisations.filter((tenant) => tenant === 'blue')).toHaveLength(2)
    // Loki refuses these two as organisations.
    expect(organisations).not.toContain('.')
    expect(organisations).not.toContain('..')
    expect(new Set(organisations).size).toBe(4)
  })

  it('one entry that Loki will never take costs that entry alone', async () => {
    const old = makeCall().startedAt - 8 * DAY_MS
    const spool = makeMemorySpool(['loki'])
    await spool.append(
      Array.from({ length: 20 }, (_, n) =>
        makeCall({ tenant: n % 2 ? 'blue' : 'red', ...(n === 13 && { startedAt: old }) }, n),
      ),
    )
    const stop = new AbortController()
    await deliver(
      {
        ...spool,
        commit: async (reader, upTo, settled) => {
          await spool.commit(reader, upTo, settled)
          if (upTo === 20) stop.abort()
        },
      },
      exporter,
      { logger: makeLogger('ERROR', { write: () => {} }), signal: stop.signal, stats: newDeliverStats() },
    )
    expect((await spool.deadLetters()).map(({ call, reason }) => [call.requestId, reason])).toEqual([
      ['request-13', 'http_400'],
    ])
    expect(sink.entries()).toHaveLength(19)
    expect(spool.settled('loki').filter(({ outcome }) => outcome === 'sent')).toHaveLength(19)
  })
})
