import type { Cost, Usage, UsageUnit } from '../sidecar/call.ts'
import type { PriceBook, PriceKey } from './price-book.ts'
import { ROUNDED_BILLS } from './reported-bills.ts'

/** What is to be paid for one answer. */
export interface Bill {
  usage: Usage
  /** Where an answer is billed in lines, each at its own model (absent: the answer's): they are what is paid. */
  lines?: readonly { model?: string; usage: Usage; prompt?: number }[]
  /** The provider's own bill for this very answer: the amount, with the list price beside it. */
  reportedPicoUsd?: number
}
type Priced = Extract<Cost, { state: 'priced' }>

/** Starts the price id of a cost that the provider itself told. */
export const REPORTED = 'reported:'

/** The provider's own bill where it tells one (design law 9), else by the book. */
export function costOfBill(book: PriceBook, key: PriceKey, bill: Bill): Cost {
  const cost = bookedCost(book, key, bill)
  const { reportedPicoUsd } = bill
  if (reportedPicoUsd === undefined) return cost
  const rounding = Object.hasOwn(ROUNDED_BILLS, key.provider) ? ROUNDED_BILLS[key.provider]! : 0
  if (cost.state === 'priced' && Math.abs(cost.picoUsd - reportedPicoUsd) <= rounding) return cost
  return {
    state: 'priced',
    picoUsd: reportedPicoUsd,
    // The same parts where list and bill agree; else one sum, of which nobody tells the parts.
    byUnit: cost.state === 'priced' && cost.picoUsd === reportedPicoUsd ? cost.byUnit : { requests: reportedPicoUsd },
    priceId: `${REPORTED}${key.provider}`,
    book: cost.book,
    ...(cost.state === 'priced' ? { listPicoUsd: cost.picoUsd } : {}),
    ...(cost.state === 'priced' && cost.cacheSavedPicoUsd !== undefined
      ? { cacheSavedPicoUsd: cost.cacheSavedPicoUsd }
      : {}),
  }
}

function bookedCost(book: PriceBook, key: PriceKey, { usage, lines }: Bill): Cost {
  if (lines === undefined) return book.costOf(key, usage)
  let total: Cost = { state: 'free', picoUsd: 0, reason: 'not_billable', book: book.version }
  for (const line of lines) {
    const own = book.costOf(
      {
        ...key,
        ...(line.model === undefined ? {} : { models: [line.model] }),
        ...(line.prompt === undefined ? {} : { prompt: line.prompt }),
      },
      line.usage,
    )
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
  const unpricedFees = [...new Set([...(a.unpricedFees ?? []), ...(b.unpricedFees ?? [])])]
  return {
    ...a,
    picoUsd,
    byUnit,
    ...(unpricedFees.length > 0 ? { unpricedFees } : {}),
    ...(a.tiered === true || b.tiered === true ? { tiered: true } : {}),
    priceId: a.priceId === b.priceId ? a.priceId : `${a.priceId} + ${b.priceId}`.slice(0, 1024),
  }
}
