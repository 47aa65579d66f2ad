import { openSqliteSpool } from '../spool/sqlite.ts'
import { makeCall } from './make-call.ts'

// A child that appends batches of ten and prints the first number of each acknowledged one, until it is killed.
const [file, first] = process.argv.slice(2)
const spool = await openSqliteSpool({ file: file!, readers: ['ledger', 'otlp'] })
for (let n = Number(first); ; n += 10) {
  const appended = await spool.append(Array.from({ length: 10 }, (_, index) => makeCall({}, n + index)))
  if (appended === 'full') throw new Error('full')
  process.stdout.write(`${n}\n`)
}
