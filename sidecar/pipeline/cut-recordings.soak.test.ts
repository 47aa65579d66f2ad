import { describe, expect, it } from 'vitest'
import { openPriceBook } from '../../pricing/open-price-book.ts'
import { amountOf, recordings, silentDifferences } from '../testing/cut-recordings.ts'

const all = recordings()
const present = all.length > 0

/** Every length of every recording in steps of 2 %, from 1 KB on: minutes. */
describe.skipIf(!present && process.env.CI === undefined)('recorded answers, cut anywhere', () => {
  const book = openPriceBook()

  it('cost what the whole costs, or say why not', () => {
    const silent: string[] = []
    for (const recording of all) {
      const one = [{ recording, whole: amountOf(recording.exchange, book) }]
      for (let cap = 1024; cap < recording.bytes.length; cap = Math.ceil(cap * 1.02) + 1)
        silent.push(...silentDifferences(one, cap, book))
    }
    expect(silent).toEqual([])
  })
})
