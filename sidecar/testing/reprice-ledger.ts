import { reprice } from '../ledger/reprice.ts'
import { tableBook } from './table-book.ts'

// A child that reprices November 2026, at one pico-dollar a token, until it is done or killed.
const [file] = process.argv.slice(2)
const summary = await reprice(file!, {
  from: '2026-11-01',
  to: '2026-11-30',
  book: tableBook('new', { 'gpt-4o': 1 }),
  now: Date.now,
})
process.stdout.write(`${summary.adjusted}\n`)
