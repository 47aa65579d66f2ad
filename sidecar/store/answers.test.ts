import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { budgetsConfigSchema, makeBudgets } from '../budgets/budgets.ts'
import type { AnswerIdentity, Cost, LlmCall } from '../call.ts'
import { listUnpriced } from '../ledger/unpriced.ts'
import { makeCall } from '../testing/make-call.ts'
import { storeInFolder, totals } from '../testing/store-in-folder.ts'
import { tableBook } from '../testing/table-book.ts'
import { repriceStore } from '../testing/write-store.ts'
import { checkStore } from './check.ts'
import { readStore } from './open-for-reading.ts'
import type { Store } from './store.ts'

const test = storeInFolder()
const DAY_MS = 86_400_000
const priced = (picoUsd: number): Cost => ({
  state: 'priced',
  picoUsd,
  byUnit: {},
  priceId: `at ${picoUsd}`,
  book: 'b',
})
const unpriced: Cost = { state: 'unpriced', reason: 'no_usage', book: 'b' }
const free: Cost = { state: 'free', picoUsd: 0, reason: 'not_billable', book: 'b' }
const KEY = 'api.openai.com response resp_1'

/** A call that made an answer, or that retrieves it. */
function callOf(n: number, cost: Cost, answer: Partial<AnswerIdentity> = {}, change: Partial<LlmCall> = {}): LlmCall {
  return makeCall(
    { startedAt: test.clock + n, cost, answer: { key: KEY, retrieval: false, final: true, ...answer }, ...change },
    n,
  )
}
const poll = (n: number, cost: Cost, answer: Partial<AnswerIdentity> = {}, change: Partial<LlmCall> = {}) =>
  callOf(n, cost, { retrieval: true, ...answer }, change)

const sumOf = (values: Record<string, bigint> = {}) => Object.values(values).reduce((sum, value) => sum + value, 0n)
const adjustedBy = (values: Record<string, bigint> = {}) =>
  Object.entries(values).reduce((sum, [labels, value]) => (labels.endsWith('|up') ? sum + value : sum - value), 0n)
/** What the bill says of a store: first prices and adjustments. */
const bill = (store: Store) => {
  const { cost, adjusted_cost } = totals(store)
  return sumOf(cost) + adjustedBy(adjusted_cost)
}
const ofTenant = (store: Store, tenant: string) => {
  const only = (values: Record<string, bigint> = {}) =>
    Object.fromEntries(Object.entries(values).filter(([labels]) => labels.startsWith(`${tenant}|`)))
  const { cost, adjusted_cost } = totals(store)
  return sumOf(only(cost)) + adjustedBy(only(adjusted_cost))
}
const repeats = (store: Store) => sumOf(totals(store).repeats)
async function closeSound(store: Store): Promise<void> {
  await store.close()
  expect(checkStore(test.file).flatMap(({ wrong }) => wrong)).toEqual([])
}

describe('one answer is billed once', () => {
  it('retrievals of a billed answer are repeats: no cost, no tokens, and said so to whoever reads the log', async () => {
    const counted: (boolean | undefined)[] = []
    const store = await test.open({
      sinks: ['otlp'],
      onCounted: (calls) => counted.push(...calls.map(({ repeat }) => repeat)),
    })
    await test.feed(store, [callOf(1, priced(100)), poll(2, priced(100))], [poll(3, priced(100))])
    expect([bill(store), repeats(store)]).toEqual([100n, 2n])
    expect(totals(store).adjusted_cost).toEqual({})
    expect(sumOf(totals(store).tokens)).toBe(34n)
    expect(counted).toEqual([undefined, true, true])
    const { entries } = (await store.read('otlp', { calls: 10, bytes: 1e6 }, AbortSignal.timeout(5000)))!
    expect(entries.map(({ call }) => [call.repeat, call.cost.state])).toEqual([
      [undefined, 'priced'],
      [true, 'free'],
      [true, 'free'],
    ])
    await closeSound(store)
  })

  it('a retrieval that is sent again is the same call', async () => {
    const store = await test.open()
    await test.feed(store, [callOf(1, priced(100), { final: false })], [poll(2, priced(150))], [poll(2, priced(150))])
    expect([bill(store), repeats(store)]).toEqual([150n, 1n])
    expect(totals(store).adjusted_calls).toEqual({ 'blue|openai|gpt-4o-2024-08-06': 1n })
    await closeSound(store)
  })

  it.each([
    ['an estimate', priced(100), priced(70)],
    ['an estimate that was too low', priced(100), priced(130)],
    ['an unpriced amount', unpriced, priced(70)],
    ['an answer that was free until it is there', free, priced(70)],
  ] as const)(
    '%s is replaced by the final amount, as an adjustment of the earlier call',
    async (_what, before, after) => {
      const budgets = makeBudgets(budgetsConfigSchema.parse({}))
      const store = await test.open({ budgets })
      await test.feed(store, [callOf(1, before, { final: false }, { tenant: 'red' })])
      await test.feed(store, [poll(2, after, {}, { tenant: 'blue' })], [poll(3, priced(999), {}, { tenant: 'blue' })])
      const last = 'picoUsd' in after ? BigInt(after.picoUsd) : 0n
      expect([bill(store), ofTenant(store, 'red'), ofTenant(store, 'blue')]).toEqual([last, last, 0n])
      expect(totals(store).repeats).toEqual({ blue: 2n })
      // Nothing of it is without a price any more.
      test.clock += 1000
      const spend = (await store.readSpend()).filter(({ tenant, period }) => tenant === 'red' && period === 'month')
      expect(spend.map(({ spent, unpriced }) => [spent, unpriced])).toEqual([[last, 0n]])
      await closeSound(store)
      expect(readStore(test.file, (database) => listUnpriced(database)).models).toEqual([])
    },
  )

  it('a final amount is never changed by a later word, nor a price by the lack of one', async () => {
    const store = await test.open()
    await test.feed(store, [callOf(1, priced(100))], [poll(2, priced(300))])
    expect(bill(store)).toBe(100n)
    const other = { key: 'other', final: false }
    await test.feed(store, [callOf(3, priced(50), other)], [poll(4, unpriced, { key: 'other' })])
    expect(bill(store)).toBe(150n)
    await closeSound(store)
  })

  it('cumulative usage bills the difference, and never falls before the last word', async () => {
    const store = await test.open()
    const amounts = [10, 40, 30, 90]
    await test.feed(store, [callOf(1, priced(amounts[0]!), { final: false })])
    const seen: bigint[] = []
    for (const [index, amount] of amounts.entries()) {
      await test.feed(store, [poll(index + 2, priced(amount), { final: false })])
      seen.push(bill(store))
    }
    expect(seen).toEqual([10n, 40n, 40n, 90n])
    await test.feed(store, [poll(9, priced(60), { final: true })])
    expect(bill(store)).toBe(60n)
    expect(totals(store).cost).toEqual({ 'blue|openai|gpt-4o-2024-08-06': 10n })
    await closeSound(store)
  })

  it('the first retrieval of an answer that nobody billed is billed, to whom retrieves it; a poll by another consumer bills nobody twice', async () => {
    const store = await test.open()
    await test.feed(
      store,
      [poll(1, priced(100), {}, { tenant: 'red', consumer: 'r' })],
      [poll(2, priced(100), {}, { tenant: 'blue', consumer: 'b' })],
      [poll(3, priced(100), {}, { tenant: 'red', consumer: 'r' })],
    )
    expect([ofTenant(store, 'red'), ofTenant(store, 'blue'), repeats(store)]).toEqual([100n, 0n, 2n])
    await closeSound(store)
  })

  it('whoever makes an answer is billed, whatever id it bears: vLLM takes ids of clients, Ollama has 999', async () => {
    const store = await test.open()
    const calls = Array.from({ length: 5 }, (_, n) => callOf(n + 1, priced(100), { key: 'ollama chatcmpl-7' }))
    await test.feed(store, calls.slice(0, 3), calls.slice(3))
    // Answers that have no retrieval are not even remembered.
    const { answer: _answer, ...plain } = callOf(6, priced(100))
    await test.feed(store, [plain])
    expect([bill(store), repeats(store)]).toEqual([600n, 0n])
    // A retrieval is one of the last that bore the id.
    await test.feed(store, [callOf(7, priced(10), { final: false, key: 'ollama chatcmpl-7' })])
    await test.feed(store, [poll(8, priced(30), { key: 'ollama chatcmpl-7' })])
    expect([bill(store), repeats(store)]).toEqual([630n, 1n])
    await closeSound(store)
  })

  it('one answer id twice in a trace, a chain of gateways: both are billed, and it is counted', async () => {
    const store = await test.open()
    const trace = makeCall({}, 1).trace
    const through = (n: number, change: Partial<LlmCall> = {}) => {
      const { answer: _, ...call } = callOf(n, priced(100), {}, { responseId: 'chatcmpl-1', trace, ...change })
      return call as LlmCall
    }
    const other = { ...trace, traceId: 'f'.repeat(32) }
    await test.feed(store, [through(1), through(2), through(3, { trace: other })], [through(4, { responseId: 'x' })])
    expect(bill(store)).toBe(400n)
    expect(totals(store).reasons).toEqual({ 'blue|same_answer_id': 1n })
    await closeSound(store)
  })

  it('what was billed is known after a restart', async () => {
    const store = await test.open()
    await test.feed(store, [callOf(1, priced(100), { final: false })], [poll(2, priced(40), { final: false })])
    await store.close()
    const again = await test.open()
    await test.feed(again, [poll(3, priced(160), { final: false })])
    await again.close()
    const third = await test.open()
    await test.feed(third, [poll(4, priced(130))], [poll(5, priced(130))])
    expect([bill(third), repeats(third)]).toEqual([130n, 4n])
    await closeSound(third)
  })

  it('an answer is forgotten with the line of its call: a retrieval after that is billed as the first one', async () => {
    const retention = { callRetentionMs: 10 * DAY_MS }
    const store = await test.open(retention)
    await test.feed(store, [callOf(1, priced(100), { final: false })])
    test.clock += 11 * DAY_MS
    // A clock alone makes nothing old: a call of that day does.
    await test.feed(store, [makeCall({ startedAt: test.clock, cost: priced(0) }, 9)])
    await store.close()
    const again = await test.open(retention)
    const database = new DatabaseSync(test.file, { readOnly: true })
    expect(database.prepare('SELECT count(*) AS count FROM answers').get()).toEqual({ count: 0 })
    database.close()
    await test.feed(again, [poll(2, priced(70))], [poll(3, priced(70))])
    expect([bill(again), repeats(again)]).toEqual([170n, 1n])
    await closeSound(again)
  })

  it.each([
    ['an estimate', { usage: { input: 500 }, usageSource: 'estimated' }],
    ['an unknown usage', { usage: {}, usageSource: 'unknown', cost: unpriced }],
    ['an answer that was free until it is there', { usage: {}, usageSource: 'none', cost: free }],
  ] as const)('later prices are made from what the last word brought, not from %s', async (_what, change) => {
    const model = 'gpt-4o-2024-08-06'
    const book = (rate: number) => tableBook(`at ${rate}`, { [model]: rate })
    const startedAt = Date.parse('2026-11-03T12:00:00Z')
    const store = await test.open()
    const origin = callOf(1, priced(500 * 2), { final: false }, { startedAt, ...change })
    const last = poll(2, priced(34 * 2), {}, { startedAt: startedAt + 1, tenant: 'red' })
    await test.feed(store, [origin], [last])
    expect(bill(store)).toBe(68n)
    await closeSound(store)
    const days = { from: '2026-11-01', to: '2026-11-30' }
    // At the same prices there is nothing to do.
    expect(await repriceStore(test.file, { ...days, book: book(2) })).toMatchObject({ adjusted: 0, unpriced: [] })
    for (const rate of [3, 5])
      expect(await repriceStore(test.file, { ...days, book: book(rate) })).toMatchObject({ adjusted: 1 })
    expect(await repriceStore(test.file, { ...days, book: book(5) })).toMatchObject({ adjusted: 0, unpriced: [] })
    const again = await test.open()
    expect([ofTenant(again, 'blue'), ofTenant(again, 'red')]).toEqual([170n, 0n])
    await closeSound(again)
  })

  it.each([
    ['an unknown usage', { usage: {}, usageSource: 'unknown', cost: unpriced }, 0n],
    ['an estimate', { usage: { input: 500 }, usageSource: 'estimated', cost: priced(1000) }, 1000n],
  ] as const)(
    'final usage without a price replaces %s, and a later price file prices it',
    async (_what, change, stands) => {
      const model = 'gpt-4o-2024-08-06'
      const startedAt = Date.parse('2026-11-03T12:00:00Z')
      const noPrice: Cost = { state: 'unpriced', reason: 'unknown_model', book: 'b' }
      const store = await test.open()
      const origin = callOf(1, change.cost, { final: false }, { startedAt, ...change })
      await test.feed(store, [origin], [poll(2, noPrice, {}, { startedAt: startedAt + 1, tenant: 'red' })])
      // No price never takes a price away.
      expect(bill(store)).toBe(stands)
      await closeSound(store)
      const days = { from: '2026-11-01', to: '2026-11-30' }
      const priceFile = { ...days, book: tableBook('at 3', { [model]: 3 }) }
      expect(await repriceStore(test.file, priceFile)).toMatchObject({ adjusted: 1, unpriced: [] })
      const again = await test.open()
      expect([ofTenant(again, 'blue'), ofTenant(again, 'red')]).toEqual([34n * 3n, 0n])
      await closeSound(again)
    },
  )

  it('any order of origins, retrievals, repeats and words: cost + adjustments is what the last word says of each answer', async () => {
    const word = fc.record({
      answer: fc.integer({ min: 0, max: 3 }),
      retrieval: fc.boolean(),
      final: fc.boolean(),
      amount: fc.option(fc.integer({ min: 0, max: 1000 }), { freq: 5 }),
      tenant: fc.constantFrom('blue', 'red'),
    })
    // One store for all runs: each has answers of its own.
    const store = await test.open()
    let run = 0
    let n = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(word, { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 1, max: 5 }),
        async (words, batch) => {
          run++
          const before = { blue: ofTenant(store, 'blue'), red: ofTenant(store, 'red') }
          const expected = { blue: 0n, red: 0n }
          // The last origin of each answer: who pays, what it is billed at, and whether that was the last word.
          const answers = new Map<number, { tenant: 'blue' | 'red'; amount: number | undefined; final: boolean }>()
          const calls = words.map(({ answer, retrieval, final, amount, tenant }) => {
            const known = answers.get(answer)
            if (!retrieval || known === undefined) {
              answers.set(answer, { tenant, amount: amount ?? undefined, final })
              expected[tenant] += BigInt(amount ?? 0)
            } else if (!known.final) {
              const rises = amount !== null && amount > (known.amount ?? 0)
              if (amount !== null && (rises || final)) {
                expected[known.tenant] += BigInt(amount - (known.amount ?? 0))
                known.amount = amount
              }
              known.final = final
            }
            const cost = amount === null ? unpriced : priced(amount)
            return callOf(++n, cost, { key: `run ${run} answer ${answer}`, retrieval, final }, { tenant })
          })
          for (let at = 0; at < calls.length; at += batch) await test.feed(store, calls.slice(at, at + batch))
          for (const tenant of ['blue', 'red'] as const)
            expect(ofTenant(store, tenant) - before[tenant], tenant).toBe(expected[tenant])
        },
      ),
      { numRuns: 60 },
    )
    expect(n).toBeGreaterThan(100)
    await closeSound(store)
  })
})
