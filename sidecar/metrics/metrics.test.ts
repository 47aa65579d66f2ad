import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CALL_STATUSES, type LlmCall, USAGE_SOURCES } from '../call.ts'
import { LEDGER_SERIES, type Ledger, openLedger } from '../ledger/ledger.ts'
import { reprice } from '../ledger/reprice.ts'
import { newReceiveCounters } from '../receive.ts'
import { LEDGER_READER, type Spool } from '../spool/spool.ts'
import { openSqliteSpool } from '../spool/sqlite.ts'
import { makeCall } from '../testing/make-call.ts'
import { tableBook } from '../testing/table-book.ts'
import { FROM_LEDGER, makeExposition } from './exposition.ts'
import { type LabelsOf, METRICS, type MetricDefinition, type MetricName } from './metrics.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'exposition-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const READERS = [LEDGER_READER, 'otlp']
const open = async (tenants = 100) => {
  const spool = await openSqliteSpool({ file: join(folder, 'spool.db'), readers: READERS })
  const ledger = await openLedger({
    file: join(folder, 'ledger.db'),
    labelLimits: { tenants, models: 100 },
    gapGraceMs: 1000,
  })
  return { spool, ledger, close: () => Promise.all([ledger.close(), spool.close()]) }
}
async function feed({ spool, ledger }: { spool: Spool; ledger: Ledger }, calls: readonly LlmCall[]): Promise<void> {
  await spool.append(calls)
  const { lastPosition } = await spool.stats()
  const stop = new AbortController()
  const running = ledger.follow(spool, stop.signal)
  await expect.poll(() => ledger.position, { interval: 5 }).toBe(lastPosition)
  stop.abort()
  await running
}
async function render(sources: Pick<Parameters<typeof makeExposition>[0], 'ledger' | 'spool'>): Promise<string> {
  const exposition = makeExposition({
    ...sources,
    receive: newReceiveCounters(),
    deliver: new Map([['otlp', { retries: new Map([['http_500', 2]]), lastSuccessAt: 7000, inFlight: 0 }]]),
    book: { version: 'test', updated: '2026-01-01', stats: { loadedAt: 0, reloads: 0, failures: 0 } },
  })
  const text = (await exposition.render()).body
  exposition.close()
  return text
}
const samples = (text: string, name: string) =>
  text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .sort()

const calls = [
  makeCall({}, 1),
  makeCall({ status: 'rate_limited', cost: { state: 'free', picoUsd: 0, reason: 'error', book: 'b' } }, 2),
  makeCall({ tenant: 'red "\\\n quoted', model: 'm\ud800', durationMs: 90_000 }, 3),
  makeCall({ tenant: 'red "\\\n quoted', model: 'm\udfff', cache: 'miss', savedPicoUsd: 3 }, 4),
  makeCall({ guardrails: [{ guardrail: 'openai.content_filter', stage: 'output', action: 'blocked' }] }, 5),
]

describe('the METRICS table', () => {
  const table = Object.entries(METRICS as Record<string, MetricDefinition>)

  it('has names and labels as Prometheus wants them, and a help text for each', () => {
    for (const [name, { type, help, labels, buckets }] of table) {
      expect(name).toMatch(/^(llm|kong|observer)_[a-z_]+$/)
      expect(name.endsWith('_total')).toBe(type === 'counter')
      expect(help).toMatch(/^[A-Z].{10,}\.$/)
      for (const label of labels) expect(label).toMatch(/^[a-z_]+$/)
      expect(buckets !== undefined).toBe(type === 'histogram')
      expect(buckets ?? []).toEqual([...(buckets ?? [])].sort((a, b) => a - b))
    }
  })

  it('serves every series of the ledger once, with its labels in their order', () => {
    expect(FROM_LEDGER.map(({ series }) => series).sort()).toEqual(Object.keys(LEDGER_SERIES).sort())
    const renamed: Record<string, string> = { tenant: 'tenant_id', kind: 'label' }
    for (const { series, metric } of FROM_LEDGER)
      expect(METRICS[metric].labels).toEqual(LEDGER_SERIES[series].map((label) => renamed[label] ?? label))
  })

  it('lets only the labels of a metric be written', () => {
    const write = <M extends MetricName>(_name: M, labels: Record<LabelsOf<M>, string>) => labels
    write('llm_cost_usd_total', { tenant_id: 'a', provider: 'b', model: 'c' })
    // @ts-expect-error a label that the metric does not have
    write('llm_cost_usd_total', { tenant_id: 'a', provider: 'b', model: 'c', status: 'ok' })
    // @ts-expect-error a label is missing
    write('llm_cost_usd_total', { tenant_id: 'a', provider: 'b' })
  })
})

describe('/metrics', () => {
  it('says what the ledger says, with every status at 0 from a series’ first call on', async () => {
    const store = await open()
    await feed(store, calls)
    const text = await render(store)
    const blue = 'tenant_id="blue",provider="openai",model="gpt-4o-2024-08-06"'
    const counts: Partial<Record<string, number>> = { ok: 2, rate_limited: 1 }
    expect(samples(text, 'llm_calls_total').filter((line) => line.includes('"blue"'))).toEqual(
      CALL_STATUSES.map((status) => `llm_calls_total{${blue},status="${status}"} ${counts[status] ?? 0}`).sort(),
    )
    expect(samples(text, 'llm_cost_usd_total')).toContain(`llm_cost_usd_total{${blue}} 0.00028`)
    expect(samples(text, 'kong_semantic_cache_hits_total')).toHaveLength(2)
    expect(samples(text, 'observer_sink_calls_total').filter((line) => line.includes('"blue"'))).toEqual([
      'observer_sink_calls_total{sink="otlp",tenant_id="blue",outcome="dropped",reason="spool_full"} 0',
      'observer_sink_calls_total{sink="otlp",tenant_id="blue",outcome="sent",reason=""} 0',
    ])
    expect(samples(text, 'observer_reader_lag_calls')).toContain(
      'observer_reader_lag_calls{reader="otlp",tenant_id="blue"} 3',
    )
    expect(samples(text, 'observer_sink_retries_total')).toEqual([
      'observer_sink_retries_total{sink="otlp",reason="http_500"} 2',
    ])
    // One bucket line for each bound; the last is all calls, and so is the count.
    const latency = samples(text, 'llm_latency_seconds_bucket').filter((line) => line.includes('"blue"'))
    expect(latency).toHaveLength(METRICS.llm_latency_seconds.buckets.length + 1)
    expect(latency.find((line) => line.includes('le="+Inf"'))).toMatch(/ 3$/)
    expect(latency.find((line) => line.includes('le="1"'))).toMatch(/ 0$/)
    expect(latency.find((line) => line.includes('le="2"'))).toMatch(/ 3$/)
    expect(samples(text, 'llm_latency_seconds_sum')[0]).toMatch(/ 3.75$/)
    await store.close()
  })

  it('writes no series twice and no metric without help and type', async () => {
    const store = await open()
    await feed(store, calls)
    // Prometheus sees the bytes: what differs only in what UTF-8 cannot carry is the same series.
    const lines = Buffer.from(await render(store))
      .toString()
      .split('\n')
      .filter((line) => line !== '')
    const series = lines.filter((line) => !line.startsWith('#')).map((line) => line.slice(0, line.lastIndexOf(' ')))
    expect(series.filter((line, index) => series.indexOf(line) !== index)).toEqual([])
    const described = new Set(lines.filter((line) => line.startsWith('# HELP')).map((line) => line.split(' ')[2]))
    const typed = new Set(lines.filter((line) => line.startsWith('# TYPE')).map((line) => line.split(' ')[2]))
    for (const line of series) {
      const name = /^[a-z0-9_]+/.exec(line)![0]
      const base = [name, name.replace(/_(bucket|sum|count)$/, '')].find((candidate) => described.has(candidate))
      expect(base, line).toBeDefined()
      expect(typed.has(base), line).toBe(true)
    }
    await store.close()
  })

  it('says the same of the ledger after a restart', async () => {
    const store = await open()
    await feed(store, calls)
    const ofLedger = (text: string) =>
      text
        .split('\n')
        .filter((line) => /^(llm|kong)_|durable/.test(line))
        .sort()
    const before = ofLedger(await render(store))
    await store.close()
    const again = await open()
    expect(ofLedger(await render(again))).toEqual(before)
    expect(before.length).toBeGreaterThan(60)
    await again.close()
  })

  it('shows what repricing wrote meanwhile beside the cost as first priced, and savings by their kind', async () => {
    const store = await open()
    const { cost } = makeCall()
    await feed(store, [
      makeCall({ cost: { ...cost, cacheSavedPicoUsd: 12_500_000 } as LlmCall['cost'] }, 1),
      makeCall(
        { cache: 'hit', cost: { state: 'free', picoUsd: 0, reason: 'cache_hit', book: 'b' }, savedPicoUsd: 7 },
        2,
      ),
      makeCall({ usageSource: 'estimated' }, 3),
    ])
    const blue = 'tenant_id="blue",provider="openai",model="gpt-4o-2024-08-06"'
    const adjustments = (up: string, down: string, entries: number) => [
      `llm_adjusted_calls_total{${blue}} ${entries}`,
      `llm_cost_adjustment_usd_total{${blue},direction="down"} ${down}`,
      `llm_cost_adjustment_usd_total{${blue},direction="up"} ${up}`,
    ]
    const shown = (text: string) => [
      ...samples(text, 'llm_adjusted_calls_total'),
      ...samples(text, 'llm_cost_adjustment_usd_total'),
    ]
    const before = await render(store)
    expect(shown(before)).toEqual(adjustments('0', '0', 0))
    expect(samples(before, 'llm_savings_usd_total')).toEqual([`llm_savings_usd_total{${blue}} 7e-12`])
    expect(samples(before, 'llm_cache_savings_usd_total')).toEqual([`llm_cache_savings_usd_total{${blue}} 0.0000125`])
    const sources = samples(before, 'llm_usage_source_calls_total')
    expect(sources).toHaveLength(USAGE_SOURCES.length)
    expect(sources).toContain('llm_usage_source_calls_total{tenant_id="blue",source="estimated"} 1')
    expect(samples(before, 'llm_usage_source_cost_usd_total')).toContain(
      'llm_usage_source_cost_usd_total{tenant_id="blue",source="partial"} 0',
    )

    const file = join(folder, 'ledger.db')
    const days = { from: '2026-11-01', to: '2026-11-30', now: Date.now }
    for (const picoUsd of [5_000_000, 3_000_000])
      await reprice(file, { ...days, book: tableBook(`${picoUsd}`, { 'gpt-4o-2024-08-06': picoUsd }) })
    const after = await render(store)
    // 34 tokens a call: 140,000,000 → 170,000,000 → 102,000,000 pico-USD, twice.
    expect(shown(after)).toEqual(adjustments('0.00006', '0.000136', 4))
    const counted = (text: string) =>
      text
        .split('\n')
        .filter((line) => /^(llm|kong)_/.test(line) && !/^llm_(adjusted|cost_adjustment|budget)_/.test(line))
    expect(counted(after)).toEqual(counted(before))
    await store.close()
  })

  it('the tenants of the spool stand under the labels of the ledger: beyond the limit they are one', async () => {
    const store = await open(2)
    await feed(
      store,
      ['a', 'b', 'c', 'd'].map((tenant, n) => makeCall({ tenant }, n + 1)),
    )
    await store.spool.commit('otlp', 4, [
      { position: 3, tenant: 'c', outcome: 'sent', reason: '' },
      { position: 4, tenant: 'd', outcome: 'sent', reason: '' },
    ])
    const sent = samples(await render(store), 'observer_sink_calls_total').filter((line) => line.includes('"sent"'))
    expect(sent).toEqual(
      [
        ['__other__', 2],
        ['a', 0],
        ['b', 0],
      ].map(
        ([tenant, count]) =>
          `observer_sink_calls_total{sink="otlp",tenant_id="${tenant}",outcome="sent",reason=""} ${count}`,
      ),
    )
    await store.close()
  })

  it('still answers when the ledger cannot write, and answers two scrapes at once alike', async () => {
    const store = await open()
    await feed(store, calls)
    const ledger: Ledger = { ...store.ledger, confirmGaps: () => Promise.reject(new Error('the disk is full')) }
    const exposition = makeExposition({
      ledger,
      spool: store.spool,
      receive: newReceiveCounters(),
      deliver: new Map(),
      book: { version: 'test', updated: '2026-01-01', stats: { loadedAt: 0, reloads: 0, failures: 0 } },
    })
    const [{ body: one }, { body: two }] = await Promise.all([exposition.render(), exposition.render()])
    expect(samples(one, 'llm_calls_total')).toEqual(samples(two, 'llm_calls_total'))
    expect(samples(one, 'llm_calls_total')).not.toEqual([])
    exposition.close()
    await store.close()
  })
})
