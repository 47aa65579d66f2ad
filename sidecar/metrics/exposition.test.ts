import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { CALL_STATUSES } from '../call.ts'
import { type Ledger, openLedger } from '../ledger/ledger.ts'
import { newReceiveCounters } from '../receive.ts'
import { LEDGER_READER, type Spool } from '../spool/spool.ts'
import { openSqliteSpool } from '../spool/sqlite.ts'
import { makeCall } from '../testing/make-call.ts'
import { makeExposition } from './exposition.ts'
import { METRICS, type MetricDefinition } from './metrics.ts'
import { picoToUsd } from './pico-to-usd.ts'

const folder = mkdtempSync(join(tmpdir(), 'exposition-'))
let spool: Spool
let ledger: Ledger
let exposition: ReturnType<typeof makeExposition>
let text: string

beforeAll(async () => {
  spool = await openSqliteSpool({ file: join(folder, 'spool.db'), readers: [LEDGER_READER, 'otlp'] })
  ledger = await openLedger({
    file: join(folder, 'ledger.db'),
    labelLimits: { tenants: 10, models: 10 },
    gapGraceMs: 1000,
  })
  const calls = [
    makeCall({ durationMs: 100, gateway: { node: 'n', source: 'tap', epoch: 'e', sequence: 1 } }, 1),
    makeCall({ durationMs: 101 }, 2),
    makeCall(
      {
        durationMs: 400_000,
        tenant: 'ev"il\\ten\nant',
        guardrails: [{ guardrail: 'g', stage: 'input', action: 'blocked' }],
        status: 'blocked',
      },
      3,
    ),
  ]
  await spool.append(calls)
  await spool.commit('otlp', 1, [{ position: 1, tenant: 'blue', outcome: 'sent', reason: '' }])
  const stop = new AbortController()
  const following = ledger.follow(spool, stop.signal)
  await vi.waitUntil(() => ledger.position === 3)
  stop.abort()
  await following
  const deliver = new Map([
    ['otlp', { retries: new Map([['http_500', 2]]), lastSuccessAt: 1_800_000_000_000, inFlight: 2 }],
  ])
  exposition = makeExposition({
    ledger,
    spool,
    receive: newReceiveCounters(),
    deliver,
    book: { version: 'book@1', updated: '2026-01-01', stats: { loadedAt: 1000, reloads: 0, failures: 0 } },
  })
  text = (await exposition.render()).body
})
afterAll(async () => {
  exposition.close()
  await ledger.close()
  await spool.close()
  rmSync(folder, { recursive: true, force: true })
})

describe('/metrics', () => {
  it('has every metric of the table, with help and type', () => {
    for (const [name, { type, help }] of Object.entries(METRICS as Record<string, MetricDefinition>)) {
      expect(text).toContain(`# HELP ${name} ${help}`)
      expect(text).toContain(`# TYPE ${name} ${type}`)
    }
  })

  it('names and labels are those of the conventions', () => {
    for (const [name, { labels, type }] of Object.entries(METRICS as Record<string, MetricDefinition>)) {
      expect(name).toMatch(/^(llm|kong|observer)_[a-z_]+$/)
      expect(name.endsWith('_total')).toBe(type === 'counter')
      for (const label of labels) expect(label).toMatch(/^[a-z_]+$/)
    }
    expect(METRICS.llm_latency_seconds.buckets).toEqual(
      expect.arrayContaining([0.1, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300]),
    )
  })

  it('every outcome of a known series is there, at 0 where it never happened', () => {
    for (const status of CALL_STATUSES)
      expect(text).toMatch(
        new RegExp(`^llm_calls_total\\{tenant_id="blue",.*status="${status}"\\} ${status === 'ok' ? 2 : 0}$`, 'm'),
      )
  })

  it('histograms are cumulative, and end in +Inf = count', () => {
    const bucket = (le: string) =>
      Number(new RegExp(`^llm_latency_seconds_bucket\\{tenant_id="blue".*le="${le}"\\} (\\d+)$`, 'm').exec(text)?.[1])
    expect([bucket('0\\.1'), bucket('0\\.5'), bucket('300'), bucket('\\+Inf')]).toEqual([1, 2, 2, 2])
    expect(text).toMatch(/^llm_latency_seconds_sum\{tenant_id="blue".*\} 0\.201$/m)
    expect(text).toMatch(/^llm_latency_seconds_count\{tenant_id="blue".*\} 2$/m)
    expect(text).toMatch(/^llm_latency_seconds_bucket\{tenant_id="ev.*le="300"\} 0$/m)
  })

  it('tells of readers, sinks, the book and the plugin', () => {
    expect(text).toMatch(/^observer_reader_lag_calls\{reader="otlp",tenant_id="blue"\} 1$/m)
    expect(text).toMatch(/^observer_sink_calls_total\{sink="otlp",tenant_id="blue",outcome="sent",reason=""\} 1$/m)
    expect(text).toMatch(/^observer_sink_retries_total\{sink="otlp",reason="http_500"\} 2$/m)
    expect(text).toMatch(/^observer_sink_in_flight_calls\{sink="otlp"\} 2$/m)
    expect(text).toMatch(/^observer_capture_gaps_total\{node="n"\} 0$/m)
    expect(text).toMatch(/^observer_plugin_dropped_total\{reason="queue_full"\} 0$/m)
    expect(text).toMatch(/^observer_price_book_info\{version="book@1"\} 1$/m)
  })

  it('scrapes at the same time do not mix', async () => {
    const scrapes = await Promise.all(Array.from({ length: 8 }, async () => (await exposition.render()).body))
    const ledgerLines = (scrape: string) => scrape.split('\n').filter((line) => /^(llm|kong)_/.test(line))
    for (const scrape of scrapes) expect(ledgerLines(scrape)).toEqual(ledgerLines(text))
  })
})

describe('pico-USD → float64', () => {
  it.each([
    [0n, 0],
    [1n, 1e-12],
    [152_500_000n, 0.0001525],
    [-5n, -5e-12],
    [123_456_789_012_345_678n, 123456.78901234567],
  ])('%s', (pico, usd) => expect(picoToUsd(pico)).toBe(usd))
  it('is the nearest float64 of the exact decimal', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 22n }), (pico) => {
        const text = pico.toString().padStart(13, '0')
        expect(picoToUsd(pico)).toBe(Number(`${text.slice(0, -12)}.${text.slice(-12)}`))
      }),
    )
  })
})
