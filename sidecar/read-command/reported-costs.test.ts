import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { REPORTED } from '../../pricing/cost-of-bill.ts'
import { openPriceBook } from '../../pricing/open-price-book.ts'
import { parseExchangeLine } from './exchange-line.ts'
import { readLine } from './result-line.ts'

const FILE = join(import.meta.dirname, '../../../shared/data/provider-exchanges/exchanges.jsonl')
const present = existsSync(FILE)
if (!present) process.stdout.write('skipped: ../shared/data/provider-exchanges is not there\n')

/** Perplexity says each part of a cost to a hundred-thousandth of a dollar: our list is the more exact number. */
const ROUNDED: Readonly<Record<string, number>> = { 'perplexity chat': 1.5e-5 }

describe.skipIf(!present && process.env.CI === undefined)('costs that providers report themselves', () => {
  it('are the amount; our list says the same wherever the price is public', async () => {
    const book = openPriceBook()
    const tally = new Map<string, { same: number; reported: number; all: number }>()
    const others: string[] = []
    for (const text of present ? readFileSync(FILE, 'utf8').trimEnd().split('\n') : []) {
      const row = JSON.parse(text) as {
        id: string
        provider: string
        endpoint: string
        response_headers: { date?: string }
        expected: { provider_cost_usd: number | null }
      }
      const theirs = row.expected.provider_cost_usd
      if (theirs === null || theirs === 0) continue
      // At the price of the day on which it was recorded.
      const recorded = Date.parse(row.response_headers.date ?? '')
      const at = Number.isNaN(recorded) ? Date.UTC(2026, 10, 23) : recorded
      const { line } = await readLine(
        parseExchangeLine(JSON.stringify({ ...row, at }), Date.now),
        book,
        async (it) => it,
      )
      const key = `${row.provider} ${row.endpoint}`
      const count = tally.get(key) ?? { same: 0, reported: 0, all: 0 }
      tally.set(key, count)
      count.all++
      expect(Math.abs(Number(line.reported_usd) - theirs)).toBeLessThanOrEqual(1e-12)
      // To the pico-dollar, but for what is rounded.
      expect(Math.abs(Number(line.total_usd) - theirs)).toBeLessThanOrEqual(ROUNDED[key] ?? 1e-12)
      const list = line.list_usd ?? (line.price_id?.startsWith(REPORTED) ? undefined : line.total_usd)
      if (list == null) count.reported++
      else if (Math.abs(Number(list) - theirs) <= (ROUNDED[key] ?? Math.max(1e-8, theirs * 1e-6))) count.same++
      else
        others.push(`${key} ${row.id} ${line.response_model ?? line.request_model}: theirs ${theirs}, our list ${list}`)
    }
    const report = [...tally].map(
      ([key, { same, reported, all }]) =>
        `${same} of ${all} reproduced${reported > 0 ? `, ${reported} taken over (no public price)` : ''}  ${key}`,
    )
    process.stdout.write(`reported costs\n  ${report.join('\n  ')}\notherwise\n  ${others.join('\n  ')}\n`)
    // OpenRouter routes to hosts with prices of their own, or gives a discount; xAI's pictures cost by size and quality, which
    // the list of the model does not know.
    expect(others.filter((other) => !/^(?:openrouter|xai images) /.test(other))).toEqual([])
    const sums = [...tally.values()]
    expect(sums.reduce((sum, { same }) => sum + same, 0)).toBeGreaterThan(
      sums.reduce((sum, { all }) => sum + all, 0) / 2,
    )
  })
})
