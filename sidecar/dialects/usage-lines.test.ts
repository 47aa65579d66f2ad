import fc from 'fast-check'
import { expect, it } from 'vitest'
import { openPriceBook } from '../../pricing/open-price-book.ts'
import { price } from '../pipeline/price.ts'
import { makeExchange } from '../testing/make-exchange.ts'
import type { Exchange } from './dialect.ts'
import { read } from './index.ts'
import { PROMPT_STEPS, type UsageLines } from './usage-lines.ts'

const PLACE = { method: 'GET', host: 'api.anthropic.com', path: '/v1/messages/batches/msgbatch_1/results' }
const MODELS = ['claude-sonnet-5', 'claude-haiku-5-5', 'claude-sonnet-4-5-20250929']
const book = openPriceBook()

interface Result {
  model: string
  usage: { input_tokens: number; output_tokens: number; cache_read_input_tokens: number }
}
const lineOf = ({ model, usage }: Result, index: number) =>
  JSON.stringify({
    custom_id: `r${index}`,
    result: {
      type: 'succeeded',
      message: { id: `m${index}`, type: 'message', role: 'assistant', model, content: [], usage },
    },
  })

/** What the running reader keeps. */
function sumsOf(results: readonly Result[]): UsageLines {
  const groups = new Map<string, { model: string; lines: number; promptOver: number; sums: Record<string, number> }>()
  for (const { model, usage } of results) {
    const prompt = usage.input_tokens + usage.cache_read_input_tokens
    const promptOver = PROMPT_STEPS.findLast((step) => prompt > step) ?? 0
    const key = `${model} ${promptOver}`
    const group = groups.get(key) ?? { model, lines: 0, promptOver, sums: {} }
    groups.set(key, group)
    group.lines++
    for (const [name, count] of Object.entries(usage)) group.sums[name] = (group.sums[name] ?? 0) + count
  }
  return { lines: results.length, skipped: 0, groups: [...groups.values()] }
}
const amountOf = (exchange: Exchange) => {
  const reading = read(exchange)
  const context = { book, tenant: '', provider: 'anthropic', startedAt: Date.UTC(2026, 10, 23), durationMs: 0 }
  const { cost } = price(reading, { ...context, httpStatus: 200, cache: undefined })
  return { cost: cost.state === 'priced' ? cost.picoUsd : cost, usage: reading.usage, source: reading.usageSource }
}

it('sums of a result file of any length cost what its lines cost, to the pico-dollar a group', () => {
  const result = fc.record({
    model: fc.constantFrom(...MODELS),
    usage: fc.record({
      input_tokens: fc.integer({ min: 0, max: 400_000 }),
      output_tokens: fc.integer({ min: 0, max: 5000 }),
      cache_read_input_tokens: fc.integer({ min: 0, max: 100_000 }),
    }),
  })
  fc.assert(
    fc.property(fc.array(result, { minLength: 1, maxLength: 40 }), (results) => {
      const whole = amountOf(makeExchange(undefined, results.map(lineOf).join('\n'), PLACE))
      const usageLines = sumsOf(results)
      // The tap kept the beginning alone.
      const summed = amountOf(
        makeExchange(undefined, results.map(lineOf).join('\n').slice(0, 50), { ...PLACE, usageLines }),
      )
      expect(summed).toEqual(whole)
    }),
    { numRuns: 50 },
  )
})

it('lines that nobody could read make the sums partial', () => {
  const usageLines = {
    ...sumsOf([{ model: MODELS[0]!, usage: { input_tokens: 1, output_tokens: 1, cache_read_input_tokens: 0 } }]),
    skipped: 1,
  }
  expect(read(makeExchange(undefined, '{', { ...PLACE, usageLines }))).toMatchObject({
    usageSource: 'partial',
    usageReason: 'body_cut',
  })
  expect(
    read(makeExchange(undefined, '{', { ...PLACE, usageLines: { lines: 0, skipped: 3, groups: [] } })),
  ).toMatchObject({
    usageSource: 'unknown',
  })
})
