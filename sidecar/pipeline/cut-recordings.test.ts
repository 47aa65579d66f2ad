import { describe, expect, it } from 'vitest'
import { openPriceBook } from '../../pricing/open-price-book.ts'
import { amountOf, cutAt, recordings, silentDifferences } from '../testing/cut-recordings.ts'

const all = recordings()
const present = all.length > 0
if (!present) process.stdout.write('skipped: ../shared/data/provider-exchanges is not there\n')

describe.skipIf(!present && process.env.CI === undefined)('recorded answers, cut as the tap cuts them', () => {
  const book = openPriceBook()
  const priced = all.map((recording) => ({ recording, whole: amountOf(recording.exchange, book) }))

  it('are there', () => expect(all.length).toBeGreaterThan(700))

  it.each([1024, 2048, 5000, 16_384, 65_536])('at %i bytes cost what the whole costs, or say why not', (cap) => {
    expect(silentDifferences(priced, cap, book)).toEqual([])
  })

  it('at the shipped cap at most one in twenty is marked, and no key of a usage object is unread', () => {
    const cut = all.map((recording) => amountOf(cutAt(recording, 256 * 1024), book))
    expect(cut.filter(({ reasons }) => reasons.length > 0).length / all.length).toBeLessThanOrEqual(0.05)
    expect(cut.flatMap(({ unreadUsage }) => unreadUsage)).toEqual([])
  })
})
