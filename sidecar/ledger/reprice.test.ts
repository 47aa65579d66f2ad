import { spawn } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { costOfBill } from '../../pricing/cost-of-bill.ts'
import { openPriceBook } from '../../pricing/open-price-book.ts'
import type { PriceBook } from '../../pricing/price-book.ts'
import { openAdministration } from '../administration/server.ts'
import { billedPicoUsd, EXTRA_UNITS, type LlmCall, TOKEN_TYPES } from '../call.ts'
import { checkStore } from '../store/check.ts'
import { readStore } from '../store/open-for-reading.ts'
import { makeCall } from '../testing/make-call.ts'
import { storeInFolder, totals } from '../testing/store-in-folder.ts'
import { tableBook } from '../testing/table-book.ts'
import { repriceStore, rowsOf, writeStore } from '../testing/write-store.ts'
import { readUsage } from './read-usage.ts'
import type { RepriceOptions } from './reprice.ts'
import { listUnpriced } from './unpriced.ts'

const test = storeInFolder()
const NOVEMBER = { from: '2026-11-01', to: '2026-11-30' }
const FIRST = Date.parse('2026-11-01T00:00:00Z')
const COUNTED = ['cells', 'totals', 'counts', 'histograms', 'calls', 'call_kinds', 'labels']
const file = () => test.file
const run = (book: PriceBook, options: Partial<RepriceOptions> = {}) =>
  repriceStore(file(), { ...NOVEMBER, book, ...options })

/** Another process, at one pico-dollar a token. */
function repriceInChild() {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../testing/reprice-ledger.ts'), file()], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let adjusted = 0
  child.stdout.on('data', (text) => {
    adjusted = Number(text)
  })
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null; adjusted: number }>((resolve) =>
    child.on('close', (code, signal) => resolve({ code, signal, adjusted })),
  )
  return { child, ended }
}

/** As the pipeline prices it. */
function priced(call: LlmCall, book: PriceBook): LlmCall {
  const { tenant, provider, startedAt: at, durationMs, serviceTier, priceAttributes, billedLines, usage } = call
  const models = [call.responseModel, call.requestModel].filter((model) => model !== undefined)
  const { reportedPicoUsd } = call
  const cost = costOfBill(
    book,
    {
      tenant,
      provider,
      models,
      at,
      durationMs,
      ...(serviceTier !== undefined && { serviceTier }),
      ...(priceAttributes !== undefined && { attributes: priceAttributes }),
    },
    { usage, ...(billedLines && { lines: billedLines }), ...(reportedPicoUsd !== undefined && { reportedPicoUsd }) },
  )
  return { ...call, cost }
}
const callOf = (n: number, overrides: Partial<LlmCall> = {}) => {
  const model = overrides.model ?? 'gpt-4o'
  return makeCall({ startedAt: FIRST + n, model, requestModel: model, responseModel: model, ...overrides }, n)
}

describe('reprice', () => {
  it('leaves first price + adjustments = what the book says, counted rows as they were, and nothing to do again', async () => {
    const models = ['a', 'b', 'c']
    const call = fc.record({
      tenant: fc.constantFrom('blue', 'red'),
      model: fc.constantFrom(...models),
      hour: fc.integer({ min: 0, max: 30 * 24 - 1 }),
      tokens: fc.integer({ min: 0, max: 1_000_000 }),
      kind: fc.constantFrom('priced', 'priced', 'priced', 'free', 'unknown'),
    })
    const rate = fc.option(fc.integer({ min: 0, max: 1_000_000_000 }), { nil: undefined, freq: 3 })
    const book = fc.dictionary(fc.constantFrom(...models), rate).map((rates) => JSON.parse(JSON.stringify(rates)))
    await fc.assert(
      fc.asyncProperty(
        fc.array(call, { minLength: 1, maxLength: 12 }),
        book,
        fc.array(book, { minLength: 1, maxLength: 3 }),
        async (given, firstRates, laterRates) => {
          const home = join(mkdtempSync(join(test.folder, 'run-')), 'observer.db')
          const first = tableBook('first', firstRates)
          const calls = given.map(({ tenant, model, hour, tokens, kind }, n): LlmCall => {
            const whole = callOf(n, { tenant, model, startedAt: FIRST + hour * 3_600_000, usage: { input: tokens } })
            if (kind === 'free')
              return { ...whole, cost: { state: 'free', picoUsd: 0, reason: 'error', book: 'first' } }
            if (kind === 'unknown')
              return {
                ...whole,
                usageSource: 'unknown',
                cost: { state: 'unpriced', reason: 'no_usage', book: 'first' },
              }
            return priced(whole, first)
          })
          await writeStore(home, [calls.slice(0, 5), calls.slice(5)])
          const counted = rowsOf(home, ...COUNTED)
          let grown = 0n
          for (const [index, rates] of laterRates.entries()) {
            const later = tableBook(`later ${index}`, rates)
            const options = { ...NOVEMBER, book: later }
            const wouldDo = await repriceStore(home, { ...options, dryRun: true })
            expect(await repriceStore(home, options)).toEqual(wouldDo)
            const entries = rowsOf(home, 'adjustments').adjustments!
            expect(await repriceStore(home, options)).toMatchObject({ adjusted: 0, tenants: [], seen: calls.length })
            expect(rowsOf(home, 'adjustments').adjustments).toEqual(entries)
            expect(rowsOf(home, ...COUNTED)).toEqual(counted)

            const should = new Map<string, bigint>()
            for (const one of calls) {
              const again = one.cost.state === 'free' || one.usageSource === 'unknown' ? one : priced(one, later)
              should.set(one.tenant, (should.get(one.tenant) ?? 0n) + BigInt(billedPicoUsd(again)))
            }
            const is = new Map<string, bigint>()
            for (const { tenant, costPicoUsd, adjustmentsPicoUsd } of readStore(home, (database) =>
              readUsage(database, NOVEMBER),
            ))
              is.set(tenant, (is.get(tenant) ?? 0n) + costPicoUsd + adjustmentsPicoUsd)
            expect(is).toEqual(should)
            // Each entry is the difference of its two prices, and the sums are those of the entries.
            for (const { old_cost, new_cost, difference } of entries as Record<string, bigint>[])
              expect(new_cost! - old_cost!).toBe(difference)
            const sums = rowsOf(home, 'adjustment_cells', 'adjustment_totals')
            for (const rows of Object.values(sums) as Record<string, bigint>[][]) {
              const sum = (name: string) => rows.reduce((all, row) => all + row[name]!, 0n)
              const of = (sign: bigint) =>
                (entries as { difference: bigint }[]).reduce(
                  (all, { difference }) => all + (difference * sign > 0n ? difference * sign : 0n),
                  0n,
                )
              expect(sum('entries')).toBe(BigInt(entries.length))
              expect(sum('up_usd') * 10n ** 12n + sum('up_pico')).toBe(of(1n))
              expect(sum('down_usd') * 10n ** 12n + sum('down_pico')).toBe(of(-1n))
              expect(sum('entries')).toBeGreaterThanOrEqual(grown)
            }
            grown = BigInt(entries.length)
          }
        },
      ),
      { numRuns: 25 },
    )
  })

  it('the book of the first price finds nothing to adjust: a call keeps all that its price depends on', async () => {
    const book = openPriceBook()
    const usage = fc.dictionary(fc.constantFrom(...TOKEN_TYPES, ...EXTRA_UNITS), fc.integer({ min: 0, max: 300_000 }), {
      maxKeys: 6,
    })
    const model = fc.constantFrom(
      ['openai', 'gpt-4o'],
      ['openai', 'gpt-5'],
      ['anthropic', 'claude-sonnet-4-5'],
      ['gcp.gemini', 'gemini-2.5-pro'],
      ['openai', 'gpt-4o-audio-preview'],
      ['cohere', 'rerank-v3.5'],
      ['perplexity', 'sonar-pro'],
      ['nobody', 'nothing'],
    )
    const call = fc.record(
      {
        model,
        usage,
        serviceTier: fc.constantFrom('priority', 'flex', 'batch', 'default', 'scale'),
        priceAttributes: fc.constantFrom(
          { batch: 'true' },
          { geo: 'us', speed: 'fast' },
          { search_context_size: 'low' },
        ),
        billedLines: fc.array(fc.record({ model, usage }), { maxLength: 3 }),
        reportedPicoUsd: fc.integer({ min: 0, max: 1e9 }),
        startedAt: fc.integer({ min: FIRST, max: FIRST + 29 * 86_400_000 }),
        durationMs: fc.nat(100_000),
      },
      { requiredKeys: ['model', 'usage', 'startedAt', 'durationMs'] },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(call, { minLength: 100, maxLength: 100 }), async (given) => {
        const home = join(mkdtempSync(join(test.folder, 'run-')), 'observer.db')
        const calls = given.map(({ model: [provider, name], billedLines, ...rest }, n) =>
          priced(
            callOf(n, {
              ...rest,
              provider: provider!,
              model: name!,
              ...(billedLines && {
                billedLines: billedLines.map((line) => ({ kind: 'message', model: line.model[1]!, usage: line.usage })),
              }),
            }),
            book,
          ),
        )
        await writeStore(home, [calls])
        const { adjusted, unchanged, free, unpriced } = await repriceStore(home, { ...NOVEMBER, book })
        expect({ adjusted, seen: unchanged + free }).toEqual({ adjusted: 0, seen: calls.length })
        expect(unpriced.reduce((sum, line) => sum + line.calls, 0)).toBe(
          calls.filter(({ cost }) => cost.state === 'unpriced').length,
        )
      }),
      { numRuns: 20 },
    )
  })

  it('an unpriced call becomes priced, and the reverse; the list of unpriced models follows', async () => {
    const calls = [callOf(1), callOf(2, { model: 'new' }), callOf(3, { model: 'new' })]
    await writeStore(file(), [calls.map((call) => priced(call, tableBook('old', { 'gpt-4o': 10 })))])
    const list = (models: ReturnType<typeof listUnpriced>['models']) =>
      models.map(({ model, reason, calls: count, firstAt, lastAt }) => [model, reason, count, firstAt, lastAt])
    expect(list(readStore(file(), (database) => listUnpriced(database)).models)).toEqual([
      ['new', 'unknown_model', 2, FIRST + 2, FIRST + 3],
    ])

    expect(await run(tableBook('both', { 'gpt-4o': 10, new: 0 }))).toMatchObject({
      adjusted: 2,
      unpriced: [],
      tenants: [{ tenant: 'blue', adjusted: 2, up: 0n, down: 0n }],
    })
    expect(list(readStore(file(), (database) => listUnpriced(database)).models)).toEqual([])
    expect(await run(tableBook('other', { new: 3 }))).toMatchObject({
      adjusted: 3,
      unpriced: [{ provider: 'openai', model: 'gpt-4o', reason: 'unknown_model', calls: 1 }],
      tenants: [{ tenant: 'blue', adjusted: 3, up: 2n * 34n * 3n, down: 340n }],
    })
    expect(list(readStore(file(), (database) => listUnpriced(database)).models)).toEqual([
      ['gpt-4o', 'unknown_model', 1, FIRST + 1, FIRST + 1],
    ])
    expect(
      list(readStore(file(), (database) => listUnpriced(database, { from: '2026-11-02', to: '2026-11-30' })).models),
    ).toEqual([])
    expect(
      rowsOf(file(), 'adjustments').adjustments!.map(({ call: _call, started_at: _at, at: _now, ...row }) => row),
    ).toMatchObject([
      { number: 1n, old_price_id: 'old:gpt-4o', new_price_id: null, new_reason: 'unknown_model', difference: -340n },
      { number: 1n, old_price_id: null, old_reason: 'unknown_model', new_price_id: 'both:new', difference: 0n },
      { number: 2n, old_price_id: 'both:new', new_price_id: 'other:new', difference: 102n, book: 'other' },
      { number: 1n, new_price_id: 'both:new' },
      { number: 2n, new_price_id: 'other:new' },
    ])
  })

  it('takes the days of the period whole, in UTC, and nothing beside; and only the calls asked for', async () => {
    const at = (text: string) => ({ startedAt: Date.parse(text) })
    const calls = [
      callOf(1, at('2026-10-31T23:59:59.999Z')),
      callOf(2, at('2026-11-01T00:00:00.000Z')),
      callOf(3, at('2026-11-02T23:59:59.999Z')),
      callOf(4, at('2026-11-03T00:00:00.000Z')),
      callOf(5, { ...at('2026-11-02T00:00:00.000Z'), tenant: 'red' }),
      callOf(6, { ...at('2026-11-02T00:00:00.000Z'), responseModel: 'gpt-4o-2024-08-06' }),
      callOf(7, { ...at('2026-11-02T00:00:00.000Z'), provider: 'azure.ai.openai' }),
    ]
    const old = tableBook('old', { 'gpt-4o': 1, 'gpt-4o-2024-08-06': 1 })
    await writeStore(file(), [calls.map((call) => priced(call, old))])
    const book = tableBook('new', { 'gpt-4o': 2, 'gpt-4o-2024-08-06': 2 })
    const seen = async (options: Partial<RepriceOptions>) =>
      (await run(book, { from: '2026-11-01', to: '2026-11-02', dryRun: true, ...options })).adjusted
    expect(await seen({})).toBe(5)
    expect(await seen({ tenant: 'red' })).toBe(1)
    expect(await seen({ provider: 'azure.ai.openai' })).toBe(1)
    expect(await seen({ model: 'gpt-4o-2024-08-06' })).toBe(1)
    expect(await seen({ model: 'gpt-4o' })).toBe(5)
    expect(await seen({ model: 'gpt-4o', tenant: 'nobody' })).toBe(0)
    expect(await seen({ from: '2026-11-03', to: '2026-11-03' })).toBe(1)
    expect(rowsOf(file(), 'adjustments').adjustments).toEqual([])
    await expect(seen({ from: '2026-11-31' })).rejects.toThrow('2026-11-31 is no day')
    expect((await run(book, { from: '2026-11-01', to: '2026-11-02' })).adjusted).toBe(5)
    expect(
      readStore(file(), (database) => readUsage(database, { from: '2026-10-31', to: '2026-11-03' })).map(
        ({ day, tenant, provider, adjustmentsPicoUsd }) => [`${day} ${tenant} ${provider}`, adjustmentsPicoUsd],
      ),
    ).toEqual([
      ['2026-10-31 blue openai', 0n],
      ['2026-11-01 blue openai', 34n],
      ['2026-11-02 blue azure.ai.openai', 34n],
      ['2026-11-02 blue openai', 68n],
      ['2026-11-02 red openai', 34n],
      ['2026-11-03 blue openai', 0n],
    ])
  })

  it('killed between slices: what is written is whole, the next run does the rest', async () => {
    const CALLS = 20_000
    const old = tableBook('old', { 'gpt-4o': 3 })
    const calls = Array.from({ length: CALLS }, (_, n) => priced(callOf(n), old))
    await writeStore(file(), [calls])
    const counted = rowsOf(file(), 'cells', 'totals', 'counts')
    const written = () => rowsOf(file(), 'adjustments').adjustments!.length
    const { child, ended } = repriceInChild()
    await expect.poll(written, { interval: 2 }).toBeGreaterThan(0)
    child.kill('SIGKILL')
    expect((await ended).signal).toBe('SIGKILL')
    const before = written()
    expect(before).toBeGreaterThan(0)
    expect(before).toBeLessThan(CALLS)
    expect(rowsOf(file(), 'adjustment_totals').adjustment_totals).toMatchObject([{ entries: BigInt(before) }])

    const rest = await run(tableBook('new', { 'gpt-4o': 1 }))
    expect(rest).toMatchObject({ seen: CALLS, adjusted: CALLS - before })
    expect(rowsOf(file(), 'adjustment_totals').adjustment_totals).toMatchObject([
      { entries: BigInt(CALLS), up_pico: 0n, down_pico: BigInt(CALLS) * 34n * 2n },
    ])
    expect(rowsOf(file(), 'cells', 'totals', 'counts')).toEqual(counted)
  })

  it('beside a sidecar that counts on, and beside itself: each call is adjusted once, and the sidecar shows it', async () => {
    const old = tableBook('old', { 'gpt-4o': 3 })
    const calls = Array.from({ length: 6000 }, (_, n) => priced(callOf(n), old))
    await writeStore(file(), [calls.slice(0, 3000)])
    const store = await test.open()
    const door = await openAdministration(test.folder, store)
    const counting = (async () => {
      for (let n = 3000; n < 6000; n += 100) await store.append({ calls: calls.slice(n, n + 100) })
    })()
    const two = await Promise.all([repriceInChild().ended, repriceInChild().ended])
    expect(two.map(({ code }) => code)).toEqual([0, 0])
    await counting
    const last = await run(tableBook('new', { 'gpt-4o': 1 }))
    expect(two[0].adjusted + two[1].adjusted + last.adjusted).toBe(6000)
    // What the tools wrote shows at once: the sidecar wrote it.
    expect(totals(store)).toMatchObject({
      cost: { 'blue|openai|gpt-4o': 6000n * 34n * 3n },
      adjusted_cost: { 'blue|openai|gpt-4o|up': 0n, 'blue|openai|gpt-4o|down': 6000n * 68n },
      adjusted_calls: { 'blue|openai|gpt-4o': 6000n },
    })
    await door.close()
    await store.close()
    const again = await test.open()
    expect(totals(again).adjusted_calls).toEqual({ 'blue|openai|gpt-4o': 6000n })
    await again.close()
    expect(checkStore(file()).flatMap(({ wrong }) => wrong)).toEqual([])
  })

  it('prices by the tenant’s own name, also where it is counted under __other__', async () => {
    const old = tableBook('old', { 'gpt-4o': 2, 'late/gpt-4o': 2 })
    const calls = ['early', 'late'].map((tenant, n) => priced(callOf(n, { tenant }), old))
    await writeStore(file(), [calls], { labelLimits: { tenants: 1, models: 100, series: 100_000 } })
    const { tenants } = await run(tableBook('new', { 'gpt-4o': 2, 'late/gpt-4o': 1 }))
    expect(tenants).toEqual([{ tenant: 'late', adjusted: 1, up: 0n, down: 34n }])
    expect(rowsOf(file(), 'adjustment_totals').adjustment_totals).toMatchObject([
      { tenant: '__other__', down_pico: 34n },
    ])
  })

  it('a bill whose lines were merged keeps its price, and is counted', async () => {
    const lines = [{ kind: 'batch_request', model: 'gpt-4o', usage: { input: 500 }, merged: 200 }]
    const old = tableBook('old', { 'gpt-4o': 1 })
    await writeStore(file(), [[priced(callOf(1, { billedLines: lines }), old), priced(callOf(2), old)]])
    expect(await run(tableBook('new', { 'gpt-4o': 2 }))).toMatchObject({ seen: 2, merged: 1, adjusted: 1 })
  })
})
