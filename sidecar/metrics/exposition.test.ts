import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { CALL_STATUSES, decimalUsd, type LlmCall, USAGE_SOURCES } from '../call.ts'
import { LOSS_REASONS } from '../capture.ts'
import { makeDelta } from '../ledger/delta.ts'
import { makeLabelFold } from '../ledger/fold-labels.ts'
import type { Sample } from '../ledger/series.ts'
import type { Store } from '../store/store.ts'
import { makeTotals } from '../store/totals.ts'
import { expositionSources, samplesOf, scrape } from '../testing/exposition-of.ts'
import { makeCall } from '../testing/make-call.ts'
import { storeInFolder } from '../testing/store-in-folder.ts'
import { tableBook } from '../testing/table-book.ts'
import { repriceStore } from '../testing/write-store.ts'
import { makeExposition } from './exposition.ts'
import { METRICS, type MetricDefinition } from './metrics.ts'

const test = storeInFolder()
const free = { state: 'free', picoUsd: 0, reason: 'error', book: 'b' } as const
const calls = [
  makeCall({ gateway: { node: 'n', source: 'tap', epoch: 'e', sequence: 1 } }, 1),
  makeCall({ status: 'rate_limited', cost: free }, 2),
  makeCall({ tenant: 'red "\\\n quoted', model: 'm\ud800', durationMs: 90_000 }, 3),
  makeCall({ tenant: 'red "\\\n quoted', model: 'm\udfff', cache: 'miss', savedPicoUsd: 3 }, 4),
  makeCall({ guardrails: [{ guardrail: 'openai.content_filter', stage: 'output', action: 'blocked' }] }, 5),
]
const BLUE = 'tenant_id="blue",provider="openai",model="gpt-4o-2024-08-06"'
const ofLedger = (text: string) =>
  text
    .split('\n')
    .filter((line) => /^(llm|kong)_/.test(line))
    .sort()

describe('/metrics', () => {
  it('has every metric of the table, with help and type, and no series twice', async () => {
    const store = await test.open({ sinks: ['otlp'] })
    await test.feed(store, calls)
    // Prometheus sees the bytes: what differs only in what UTF-8 cannot carry is the same series.
    const text = Buffer.from(await scrape({ store })).toString()
    for (const [name, { type, help }] of Object.entries(METRICS as Record<string, MetricDefinition>))
      expect(text).toContain(
        `\n# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`.slice(name === 'llm_calls_total' ? 1 : 0),
      )
    const lines = text.split('\n').filter((line) => line !== '')
    const series = lines.filter((line) => !line.startsWith('#')).map((line) => line.slice(0, line.lastIndexOf(' ')))
    expect(series.length).toBeGreaterThan(100)
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

  it('says what the ledger says, with every status of a called model, and every reason of a loss, at 0 before it happens', async () => {
    const store = await test.open({ sinks: ['otlp'] })
    await test.feed(store, calls)
    const text = await scrape({ store })
    const counts: Partial<Record<string, number>> = { ok: 2, rate_limited: 1 }
    expect(samplesOf(text, 'llm_calls_total').filter((line) => line.includes('"blue"'))).toEqual(
      CALL_STATUSES.map((status) => `llm_calls_total{${BLUE},status="${status}"} ${counts[status] ?? 0}`).sort(),
    )
    expect(samplesOf(text, 'observer_captures_lost_total')).toEqual(
      [
        'observer_captures_lost_total{node="n",reason="gap"} 0',
        ...LOSS_REASONS.map((reason) => `observer_captures_lost_total{node="",reason="${reason}"} 0`),
      ].sort(),
    )
    expect(samplesOf(text, 'llm_cost_usd_total')).toContain(`llm_cost_usd_total{${BLUE}} 0.00028`)
    // A control character is a space; what Prometheus' text format escapes is escaped.
    expect(samplesOf(text, 'kong_semantic_cache_requests_total')).toEqual([
      'kong_semantic_cache_requests_total{tenant_id="red \\"\\\\  quoted"} 1',
    ])
    expect(samplesOf(text, 'observer_sink_calls_total').filter((line) => line.includes('"blue"'))).toEqual([
      'observer_sink_calls_total{sink="otlp",tenant_id="blue",outcome="sent",reason=""} 0',
    ])
    // One bucket line for each bound; the last is all calls, and so is the count.
    const latency = samplesOf(text, 'llm_latency_seconds_bucket').filter((line) => line.includes('"blue"'))
    expect(latency).toHaveLength(METRICS.llm_latency_seconds.buckets.length + 1)
    const bucket = (le: string) => latency.find((line) => line.includes(`le="${le}"`))?.split(' ')[1]
    expect([bucket('1'), bucket('2'), bucket('300'), bucket('+Inf')]).toEqual(['0', '3', '3', '3'])
    expect(samplesOf(text, 'llm_latency_seconds_sum')[0]).toMatch(/ 3\.75$/)
    expect(samplesOf(text, 'llm_latency_seconds_count')[0]).toMatch(/ 3$/)
    await store.close()
  })

  it('tells of sinks, of the store, and of the book', async () => {
    const store = await test.open({ sinks: ['otlp', 'loki'] })
    await test.feed(store, calls)
    await store.settle('otlp', {
      upTo: 3,
      outcomes: [
        { position: 1, tenant: 'blue', outcome: 'sent', reason: '' },
        { position: 2, tenant: 'blue', outcome: 'rejected', reason: 'http_400' },
      ],
      held: [{ position: 3, tenant: 'red "\\\n quoted' }],
      deadLetters: [{ entry: { position: 2, call: calls[1]! }, reason: 'http_400' }],
    })
    test.clock += 5000
    const text = await scrape({
      store,
      now: () => test.clock,
      limits: { logBytes: 4096, series: 900 },
      writeFailures: new Map([['disk_full', 3]]),
      damagedRows: () => 2,
      deliver: new Map([
        [
          'otlp',
          {
            retries: new Map([['http_500', 2]]),
            lastSuccessAt: 7000,
            inFlight: 2,
            lastError: undefined,
            held: new Map(),
          },
        ],
      ]),
    })
    const has = (...lines: readonly string[]) => expect(text.split('\n')).toEqual(expect.arrayContaining([...lines]))
    has(
      'observer_sink_calls_total{sink="otlp",tenant_id="blue",outcome="rejected",reason="http_400"} 1',
      'observer_sink_calls_total{sink="otlp",tenant_id="blue",outcome="sent",reason=""} 1',
      'observer_sink_lag_calls{sink="otlp",tenant_id="blue"} 1',
      'observer_sink_lag_calls{sink="otlp",tenant_id="red \\"\\\\  quoted"} 2',
      'observer_sink_lag_calls{sink="loki",tenant_id="blue"} 3',
      'observer_sink_lag_seconds{sink="otlp"} 5',
      'observer_sink_held_calls{sink="otlp"} 1',
      'observer_dead_letters{sink="otlp"} 1',
      'observer_sink_retries_total{sink="otlp",reason="http_500"} 2',
      'observer_sink_in_flight_calls{sink="otlp"} 2',
      'observer_sink_last_success_timestamp_seconds{sink="otlp"} 7',
      'observer_log_limit_bytes 4096',
      'observer_series_limit 900',
      'observer_store_writable 1',
      'observer_store_write_failures_total{cause="disk_full"} 3',
      'observer_store_damaged_rows_total 2',
      'observer_store_rolled_back_captures 0',
      'observer_price_book_info{version="book@1"} 1',
    )
    const { logBytes, fileBytes, deadLetterBytes } = await store.stats()
    expect(logBytes).toBeGreaterThan(0)
    expect(deadLetterBytes).toBeGreaterThan(0)
    has(
      `observer_log_bytes ${logBytes}`,
      `observer_dead_letter_bytes ${deadLetterBytes}`,
      `observer_store_file_bytes ${fileBytes}`,
    )
    await store.close()
  })

  it('says the same of the ledger after a restart, and scrapes at the same time do not mix', async () => {
    const store = await test.open()
    await test.feed(store, calls)
    const before = ofLedger(await scrape({ store }))
    expect(before.length).toBeGreaterThan(60)
    const exposition = makeExposition(expositionSources({ store }))
    const scrapes = await Promise.all(
      Array.from({ length: 4 }, async () => (await exposition.render(undefined)).body.join('')),
    )
    for (const text of scrapes) expect(ofLedger(text)).toEqual(before)
    exposition.close()
    await store.close()
    const again = await test.open()
    expect(ofLedger(await scrape({ store: again }))).toEqual(before)
    await again.close()
  })

  it('shows what repricing wrote meanwhile beside the cost as first priced, and savings by their kind', async () => {
    const store = await test.open()
    const { cost } = makeCall()
    await test.feed(store, [
      makeCall({ cost: { ...cost, cacheSavedPicoUsd: 12_500_000 } as LlmCall['cost'] }, 1),
      makeCall({ cache: 'hit', cost: { ...free, reason: 'cache_hit' }, savedPicoUsd: 7 }, 2),
      makeCall({ usageSource: 'estimated' }, 3),
    ])
    const before = await scrape({ store })
    expect(samplesOf(before, 'llm_adjusted_calls_total')).toEqual([])
    expect(samplesOf(before, 'llm_savings_usd_total')).toEqual([`llm_savings_usd_total{${BLUE}} 0.000000000007`])
    expect(samplesOf(before, 'llm_cache_savings_usd_total')).toEqual([`llm_cache_savings_usd_total{${BLUE}} 0.0000125`])
    expect(samplesOf(before, 'llm_usage_source_calls_total')).toContain(
      'llm_usage_source_calls_total{tenant_id="blue",source="estimated"} 1',
    )
    expect(USAGE_SOURCES).toContain('estimated')
    await store.close()

    const days = { from: '2026-11-01', to: '2026-11-30' }
    for (const picoUsd of [5_000_000, 3_000_000])
      await repriceStore(test.file, { ...days, book: tableBook(`${picoUsd}`, { 'gpt-4o-2024-08-06': picoUsd }) })
    const again = await test.open()
    const after = await scrape({ store: again })
    // 34 tokens a call: 140,000,000 → 170,000,000 → 102,000,000 pico-USD, twice.
    expect(samplesOf(after, 'llm_adjusted_calls_total')).toEqual([`llm_adjusted_calls_total{${BLUE}} 4`])
    expect(samplesOf(after, 'llm_cost_adjustment_usd_total')).toEqual([
      `llm_cost_adjustment_usd_total{${BLUE},direction="down"} 0.000136`,
      `llm_cost_adjustment_usd_total{${BLUE},direction="up"} 0.00006`,
    ])
    const counted = (text: string) =>
      ofLedger(text).filter((line) => !/^llm_(adjusted|cost_adjustment|budget)_/.test(line))
    expect(counted(after)).toEqual(counted(before))
    await again.close()
  })

  it('the tenants of the log stand under the labels of the ledger: beyond the limit they are one', async () => {
    const store = await test.open({ sinks: ['otlp'], labelLimits: { tenants: 2, models: 100, series: 100_000 } })
    await test.feed(
      store,
      ['a', 'b', 'c', 'd'].map((tenant, n) => makeCall({ tenant }, n + 1)),
    )
    await store.settle('otlp', {
      upTo: 4,
      outcomes: ['a', 'b', 'c', 'd'].map((tenant, n) => ({ position: n + 1, tenant, outcome: 'sent', reason: '' })),
    })
    const line = (tenant: string, count: number) =>
      `observer_sink_calls_total{sink="otlp",tenant_id="${tenant}",outcome="sent",reason=""} ${count}`
    expect(samplesOf(await scrape({ store }), 'observer_sink_calls_total')).toEqual([
      line('__other__', 2),
      line('a', 1),
      line('b', 1),
    ])
    await store.close()
  })

  it('refused calls make no lines: of 100 tenants × 500 models that a client made up there is one series a tenant', async () => {
    const store = await test.open()
    const limits = { tenants: 1000, models: 500, series: 200_000 }
    const fold = makeLabelFold(limits, { names: [], models: [] })
    const totals = makeTotals(
      limits,
      { labels: [], cells: [], counts: [], histograms: [], adjustments: [] },
      test.clock,
    )
    const refused = makeCall({ status: 'unauthorized', cost: free, usage: {} })
    for (let tenant = 0; tenant < 100; tenant++) {
      const delta = makeDelta(fold)
      for (let model = 0; model < 500; model++) {
        const call = { ...refused, tenant: `t${tenant}`, model: `junk-${model}` }
        delta.add(call, fold.admitCall(call), 0n)
      }
      totals.apply(delta.take(), test.clock)
    }
    const text = await scrape({ store: { ...withGetters(store), ...totals }, now: () => test.clock })
    expect(samplesOf(text, 'llm_calls_total')).toHaveLength(100 * CALL_STATUSES.length)
    expect(samplesOf(text, 'llm_calls_total').every((line) => line.includes('model="__other__"'))).toBe(true)
    expect(text).not.toContain('junk-')
    const perTenant = text.split('\n').filter((line) => line.includes('tenant_id="t7"'))
    expect(perTenant.length).toBeLessThan(45)
    await store.close()
  })

  it('leaves out series that have been idle, and they come back with their value', async () => {
    const store = await test.open()
    const idleMs = 86_400_000
    const read = async () => await scrape({ store, idleMs, now: () => test.clock })
    const failing = { status: 'server_error', cost: free } as const
    await test.feed(store, [makeCall({}, 1), makeCall(failing, 2), makeCall({ tenant: 'red' }, 3)])
    const before = await read()
    expect(samplesOf(before, 'llm_cost_usd_total')).toHaveLength(2)

    test.clock += idleMs + 1
    await test.feed(store, [makeCall({}, 4)])
    const idle = await read()
    // Of budgets every tenant is shown: they are amounts of a period that is running.
    expect(
      ofLedger(idle).filter((line) => line.includes('tenant_id="red"') && !line.startsWith('llm_budget_')),
    ).toEqual([])
    // A counter never goes back: what is shown of blue has its value, the failure of long ago too.
    expect(samplesOf(idle, 'llm_calls_total')).toEqual(
      CALL_STATUSES.map(
        (status) =>
          `llm_calls_total{${BLUE},status="${status}"} ${status === 'ok' ? 2 : status === 'server_error' ? 1 : 0}`,
      ).sort(),
    )
    expect(samplesOf(idle, 'llm_latency_seconds_count')).toEqual([`llm_latency_seconds_count{${BLUE}} 3`])

    await test.feed(store, [makeCall({ tenant: 'red' }, 5)])
    const back = samplesOf(await read(), 'llm_calls_total').filter((line) => line.includes('"red"'))
    expect(back).toHaveLength(CALL_STATUSES.length)
    expect(back.find((line) => line.includes('"ok"'))).toMatch(/ 2$/)
    await store.close()
  })

  it('still answers when the store cannot write or read, and what it has counted stands', async () => {
    const store = await test.open({ sinks: ['otlp'] })
    await test.feed(store, calls)
    const no = () => Promise.reject(new Error('the disk is full'))
    const trouble = { cause: 'disk_full', message: 'the disk is full', attempts: 4 } as const
    const text = await scrape({
      store: { ...withGetters(store), confirmGaps: no, readSpend: no, stats: no, trouble },
    })
    expect(samplesOf(text, 'observer_store_writable')).toEqual(['observer_store_writable 0'])
    expect(samplesOf(text, 'llm_calls_total')).toEqual(samplesOf(await scrape({ store }), 'llm_calls_total'))
    expect(samplesOf(text, 'llm_calls_total')).not.toEqual([])
    await store.close()
  })
})

describe('exact money', () => {
  it('beyond what a float holds', async () => {
    const store = await test.open()
    const most = Number.MAX_SAFE_INTEGER
    const cost = (picoUsd: number) => ({ ...makeCall().cost, picoUsd }) as LlmCall['cost']
    await test.feed(
      store,
      [...Array(7)].map((_, n) => makeCall({ cost: cost(n === 6 ? 1 : most) }, n + 1)),
    )
    // 6 × 9,007,199,254,740,991 + 1
    expect(samplesOf(await scrape({ store }), 'llm_cost_usd_total')).toEqual([
      `llm_cost_usd_total{${BLUE}} 54043.195528445947`,
    ])
    await store.close()
  })

  it('as text it is the amount, to the last pico-dollar', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), (pico) => {
        const [, sign, dollars, decimals = ''] = /^(-?)(\d+)(?:\.(\d{0,11}[1-9]))?$/.exec(decimalUsd(pico))!
        expect(BigInt(`${sign}${dollars}${decimals.padEnd(12, '0')}`)).toBe(pico)
      }),
    )
  })
})

describe('a scrape of 112,000 series', () => {
  it('lets the event loop go after each slice, whatever the series are', async () => {
    // A clock that moves by what is written, not by the machine: 0.01 ms a series, and a slice may take 5 ms.
    const perSeries = 0.01
    let clock = 0
    let freeAt = 0
    let longest = 0
    let turns = 0
    const spy = vi.spyOn(performance, 'now').mockImplementation(() => clock)
    let running = true
    const turn = () => {
      turns++
      freeAt = clock
      if (running) setImmediate(turn)
    }
    setImmediate(turn)
    const written = (made: Map<string, Sample[]>) =>
      function* (name: string) {
        for (const sample of made.get(name) ?? []) {
          clock += perSeries
          longest = Math.max(longest, clock - freeAt)
          yield sample
        }
      }
    const store = await test.open()
    const made = new Map<string, Sample[]>([
      ['calls', manySeries(7000, CALL_STATUSES)],
      ['tokens', manySeries(28_000, ['input', 'output'])],
    ])
    const text = await scrape({ store: { ...withGetters(store), series: written(made), readSpend: async () => [] } })
    running = false
    spy.mockRestore()
    await store.close()
    expect(samplesOf(text, 'llm_tokens_total')).toHaveLength(56_000)
    expect(samplesOf(text, 'llm_calls_total')).toHaveLength(56_000)
    // A slice is noticed at most 64 lines late.
    expect(longest).toBeLessThanOrEqual(5 + 65 * perSeries)
    expect(turns).toBeGreaterThanOrEqual((112_000 * perSeries) / (5 + 65 * perSeries))
  })
})

/** The values of getters as they stand, so that a store can be spread. */
function withGetters(store: Store): Store {
  return { ...store, seriesInUse: store.seriesInUse, rolledBack: store.rolledBack, trouble: store.trouble }
}

function manySeries(models: number, kinds: readonly string[]): Sample[] {
  return Array.from({ length: models }, (_, model) =>
    kinds.map((kind) => ({
      labels: [`tenant-${model % 100}`, 'openai', `model-${model}`, kind],
      value: 1n,
      changedAt: Date.now(),
    })),
  ).flat()
}
