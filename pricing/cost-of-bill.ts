import type { Cost, Usage, UsageUnit } from '../sidecar/call.ts'
import type { PriceBook, PriceKey } from './price-book.ts'

/** What is to be paid for one answer. */
export interface Bill {
  usage: Usage
  /** Where an answer is billed in lines, each at its own model (absent: the answer's): they are what is paid. */
  lines?: readonly { model?: string; usage: Usage }[]
  /** What the provider itself says that it takes: counts where the book has no price. */
  reportedPicoUsd?: number
}
type Priced = Extract<Cost, { state: 'priced' }>

/** Starts the price id of a cost that the provider reported and no book could check. */
export const REPORTED = 'reported:'

/** By the book; where it has no price, what the provider reported. */
export function costOfBill(book: PriceBook, key: PriceKey, bill: Bill): Cost {
  const cost = bookedCost(book, key, bill)
  const { reportedPicoUsd } = bill
  if (cost.state !== 'unpriced' || cost.reason === 'overflow' || reportedPicoUsd === undefined) return cost
  return {
    state: 'priced',
    picoUsd: reportedPicoUsd,
    byUnit: { requests: reportedPicoUsd },
    priceId: `${REPORTED}${key.provider}`,
    book: cost.book,
  }
}

function bookedCost(book: PriceBook, key: PriceKey, { usage, lines }: Bill): Cost {
  if (lines === undefined) return book.costOf(key, usage)
  let total: Cost = { state: 'free', picoUsd: 0, reason: 'not_billable', book: book.version }
  for (const line of lines) {
    const own = book.costOf(line.model === undefined ? key : { ...key, models: [line.model] }, line.usage)
    if (own.state !== 'priced') return own
    total = total.state === 'priced' ? sumOf(total, own) : own
    if (total.state !== 'priced') return total
  }
  return total
}

function sumOf(a: Priced, b: Priced): Cost {
  const picoUsd = a.picoUsd + b.picoUsd
  if (!Number.isSafeInteger(picoUsd)) return { state: 'unpriced', reason: 'overflow', book: a.book }
  const byUnit = { ...a.byUnit }
  for (const unit of Object.keys(b.byUnit) as UsageUnit[]) byUnit[unit] = (byUnit[unit] ?? 0) + (b.byUnit[unit] ?? 0)
  return { ...a, picoUsd, byUnit, priceId: a.priceId === b.priceId ? a.priceId : `${a.priceId} + ${b.priceId}` }
}
