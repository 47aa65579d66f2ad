import { describe, expect, it } from 'vitest'
import { TOKEN_TYPES } from '../call.ts'
import { migrateStore } from '../store/migrations.ts'
import { openForWriting } from '../store/open-database.ts'
import type { Store } from '../store/store.ts'
import { makeCall } from '../testing/make-call.ts'
import { cellsAsTotals, storeInFolder, totals } from '../testing/store-in-folder.ts'
import { makeLedgerTables } from './ledger-tables.ts'

const test = storeInFolder()

describe('ledger', () => {
  it('counts calls, tokens by kind, cost and savings, exactly', async () => {
    const ledger = await test.open()
    await test.feed(ledger, [
      makeCall({}, 1),
      makeCall({}, 2),
      makeCall(
        { status: 'rate_limited', usage: {}, cost: { state: 'free', picoUsd: 0, reason: 'error', book: 'b' } },
        3,
      ),
      makeCall(
        {
          cache: 'hit',
          usage: {},
          usageSource: 'none',
          savedPicoUsd: 5,
          cost: { state: 'free', picoUsd: 0, reason: 'cache_hit', book: 'b' },
        },
        4,
      ),
      makeCall({ usage: {}, usageSource: 'unknown', cost: { state: 'unpriced', reason: 'no_usage', book: 'b' } }, 5),
      makeCall({ guardrails: [{ guardrail: 'openai.content_filter', stage: 'output', action: 'blocked' }] }, 6),
    ])
    const seen = totals(ledger)
    const series = 'blue|openai|gpt-4o-2024-08-06'
    expect(seen.calls).toEqual({ [`${series}|ok`]: 5n, [`${series}|rate_limited`]: 1n })
    expect(seen.tokens).toEqual({
      [`${series}|input`]: 45n,
      [`${series}|cache_read`]: 30n,
      [`${series}|output`]: 21n,
      [`${series}|output_reasoning`]: 6n,
    })
    expect(seen.cost).toEqual({ [series]: 3n * 140_000_000n })
    expect(seen.saved).toEqual({ [series]: 5n })
    expect(seen.cache_requests).toEqual({ blue: 1n })
    expect(seen.cache_hits).toEqual({ blue: 1n })
    expect(seen.unpriced).toEqual({ [`${series}|no_usage`]: 1n })
    expect(seen.guardrail).toEqual({ 'blue|openai.content_filter|output|blocked': 1n })
    const [latency] = [...ledger.histogram('latency')]
    expect(latency).toMatchObject({ labels: ['blue', 'openai', 'gpt-4o-2024-08-06'], sumMs: 7500n })
    expect(latency!.counts.reduce((a, b) => a + b, 0n)).toBe(6n)
    await ledger.close()
  })

  it('counts look-ups of a semantic cache, limits, attempts, untapped routes and WebSockets', async () => {
    const ledger = await test.open()
    const gateway = { node: 'n', source: 'tap' as const, route: 'chat' }
    await test.feed(ledger, [
      makeCall({ cache: 'hit', durationMs: 20, cacheLookup: { embeddingsModel: 'e', picoUsd: 7 } }, 1),
      makeCall({ cache: 'miss', durationMs: 900, cacheLookup: { embeddingsModel: 'e' } }, 2),
      makeCall({ cache: 'miss', durationMs: 100, status: 'server_error' }, 3),
      makeCall({ rateLimit: { refusedBy: 'provider', budgets: [] }, status: 'rate_limited' }, 4),
      makeCall({ rateLimit: { budgets: [{ by: 'gateway', name: 'minute', remaining: 1 }] } }, 5),
      makeCall(
        { attempts: [{ failed: true, provider: 'azure.ai.openai' }, { failed: true }, { failed: false, picoUsd: 1 }] },
        6,
      ),
      makeCall({ gateway: { ...gateway, source: 'log' } }, 7),
      makeCall({ gateway, operation: 'realtime', usageSource: 'unknown', usageReason: 'websocket' }, 8),
    ])
    const check = (open: Store) => {
      const seen = totals(open)
      const series = 'blue|openai|gpt-4o-2024-08-06'
      expect(seen.cache_requests).toEqual({ blue: 3n })
      expect(seen.cache_calls).toEqual({ [`${series}|hit`]: 1n, [`${series}|miss`]: 1n })
      expect(seen.cache_milliseconds).toEqual({ [`${series}|hit`]: 20n, [`${series}|miss`]: 900n })
      expect(seen.lookup_cost).toEqual({ blue: 7n })
      expect(seen.unpriced_lookups).toEqual({ blue: 1n })
      expect(seen.rate_limited).toEqual({ 'blue|openai|provider': 1n })
      expect(seen.failed_attempts).toEqual({ 'blue|azure.ai.openai': 1n, 'blue|openai': 1n })
      expect(seen.untapped).toEqual({ chat: 1n })
      expect(seen.websockets).toEqual({ chat: 1n })
    }
    check(ledger)
    await ledger.close()
    const again = await test.open()
    check(again)
    await again.close()
  })

  it('an hour of millions of dollars in one cell stays exact', async () => {
    const picoUsd = Number.MAX_SAFE_INTEGER
    const ledger = await test.open()
    const cost = { state: 'priced', picoUsd, byUnit: {}, priceId: 'p', book: 'b' } as const
    for (let n = 0; n < 2000; n += 500)
      await ledger.append({
        calls: Array.from({ length: 500 }, (_, index) => makeCall({ cost, startedAt: 1_795_419_012_000 }, n + index)),
      })
    const exact = 2000n * BigInt(picoUsd)
    expect(exact).toBeGreaterThan(2n ** 63n)
    expect([...ledger.series('cost')][0]?.value).toBe(exact)
    await ledger.close()
    const again = await test.open()
    expect([...again.series('cost')][0]?.value).toBe(exact)
    await again.close()
  })

  it('tokens past int64 in one hour stay exact, also after a restart', async () => {
    const tokens = Number.MAX_SAFE_INTEGER
    const ledger = await test.open()
    for (let n = 0; n < 2500; n += 500)
      await ledger.append({
        calls: Array.from({ length: 500 }, (_, index) =>
          makeCall({ usage: { input: tokens, output: 1 }, startedAt: 1_795_419_012_000 }, n + index),
        ),
      })
    await ledger.close()
    const again = await test.open()
    const series = 'blue|openai|gpt-4o-2024-08-06'
    const exact = { [`${series}|input`]: 2500n * BigInt(tokens), [`${series}|output`]: 2500n }
    expect(exact[`${series}|input`]).toBeGreaterThan(2n * 2n ** 63n)
    expect(totals(again).tokens).toEqual(exact)
    expect(cellsAsTotals(test.file).tokens).toEqual(exact)
    expect(totals(again).calls).toEqual({ [`${series}|ok`]: 2500n })
    await again.close()
  })

  it('money carries into whole dollars with each addition, so that no column ever fills', () => {
    const file = test.file
    const database = openForWriting(file)
    migrateStore(database, file)
    const tables = makeLedgerTables(database)
    const cost = 999_999_999_999n
    const cell = {
      hour: 1,
      tenant: 't',
      provider: 'p',
      model: 'm',
      status: 'ok',
      calls: 1n,
      cost,
      saved: cost,
      cacheSaved: cost,
    }
    for (let times = 0; times < 50; times++)
      tables.apply({
        cells: [{ ...cell, tokens: TOKEN_TYPES.map(() => 0n) }],
        counts: [{ name: 'usage_source_cost', labels: ['t', 'provider'], value: cost }],
        histograms: [],
        newLabels: [],
        spend: [],
        adjusted: [],
      })
    const loaded = tables.load()
    expect(loaded.cells[0]).toMatchObject({ cost: 50n * cost, saved: 50n * cost, cacheSaved: 50n * cost })
    expect(loaded.counts.reduce((sum, { value }) => sum + value, 0n)).toBe(50n * cost)
    const stored = database.prepare('SELECT cost_usd, cost_pico FROM cells').get()
    expect(stored).toEqual({ cost_usd: 49, cost_pico: 1e12 - 50 })
    expect(database.prepare("SELECT value FROM counts WHERE metric = 'usage_source_cost'").get()).toEqual({
      value: 1e12 - 50,
    })
    database.close()
  })

  it('a call with amounts that cannot be is counted, and what is wrong with it too', async () => {
    const ledger = await test.open()
    const cost = { state: 'priced', byUnit: {}, priceId: 'p', book: 'b' } as const
    await test.feed(ledger, [
      makeCall({ cost: { ...cost, picoUsd: 1.5 }, usage: { input: -1, output: 3 }, durationMs: -4 }, 1),
      makeCall({ cost: { ...cost, picoUsd: 2 ** 60 }, startedAt: Number.NaN, savedPicoUsd: -1 }, 2),
      makeCall({}, 3),
    ])
    const seen = totals(ledger)
    expect(Object.values(seen.calls!)).toEqual([3n])
    expect(Object.values(seen.cost!)).toEqual([140_000_000n])
    expect(seen.malformed).toEqual({ cost: 2n, tokens: 1n, latency: 1n, saved: 1n })
    await ledger.close()
  })

  it('the same totals per tenant', async () => {
    const ledger = await test.open()
    await test.feed(ledger, [
      makeCall({}, 1),
      makeCall({ model: 'other', savedPicoUsd: 7 }, 2),
      makeCall({ tenant: 'red', usage: {}, cost: { state: 'unpriced', reason: 'no_usage', book: 'b' } }, 3),
    ])
    expect(ledger.perTenant()).toEqual([
      {
        tenant: 'blue',
        calls: 2n,
        tokens: { input: 30n, cache_read: 20n, output: 14n, output_reasoning: 4n },
        picoUsd: 280_000_000n,
        savedPicoUsd: 7n,
        unpriced: 0n,
      },
      { tenant: 'red', calls: 1n, tokens: {}, picoUsd: 0n, savedPicoUsd: 0n, unpriced: 1n },
    ])
    await ledger.close()
  })

  it('folds tenants and models beyond the limit, remembers whom it admitted, and counts what folded', async () => {
    const limits = { labelLimits: { tenants: 2, models: 1, series: 1_000_000 } }
    const ledger = await test.open(limits)
    await test.feed(
      ledger,
      ['a', 'b', 'c', 'a'].map((tenant, n) => makeCall({ tenant, model: `m-${n % 2}` }, n + 1)),
    )
    await ledger.close()
    const again = await test.open(limits)
    await test.feed(
      again,
      ['c', 'b'].map((tenant, n) => makeCall({ tenant, model: 'x'.repeat(500) }, n + 10)),
    )
    const seen = totals(again)
    expect(seen.calls).toEqual({
      'a|openai|m-0|ok': 1n,
      'a|openai|__other__|ok': 1n,
      'b|openai|__other__|ok': 2n,
      '__other__|openai|m-0|ok': 1n,
      '__other__|openai|__other__|ok': 1n,
    })
    expect(seen.folded).toEqual({ tenant: 2n, model: 4n })
    await again.close()
  })

  it('every token kind has its column', async () => {
    const ledger = await test.open()
    const usage = Object.fromEntries(TOKEN_TYPES.map((type, index) => [type, index + 1]))
    await test.feed(ledger, [makeCall({ usage }, 1)])
    await ledger.close()
    const again = await test.open()
    expect([...again.series('tokens')].map(({ labels, value }) => [labels[3], Number(value)]).sort()).toEqual(
      Object.entries(usage).sort(),
    )
    await again.close()
  })
})
