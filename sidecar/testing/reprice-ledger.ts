import { tableBook } from './table-book.ts'
import { repriceStore } from './write-store.ts'

// A child that reprices November 2026, at one pico-dollar a token, until it is done or killed.
const [file] = process.argv.slice(2)
const summary = await repriceStore(file!, {
  from: '2026-11-01',
  to: '2026-11-30',
  book: tableBook('new', { 'gpt-4o': 1 }),
})
process.stdout.write(`${summary.adjusted}\n`)
