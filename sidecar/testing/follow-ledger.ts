import { openLedger } from '../ledger/ledger.ts'
import { openSqliteSpool } from '../spool/sqlite.ts'

// A child that follows a spool and says when it has counted something, until it is killed.
const [spoolFile, ledgerFile] = process.argv.slice(2)
const spool = await openSqliteSpool({ file: spoolFile!, readers: ['ledger'] })
const ledger = await openLedger({ file: ledgerFile!, labelLimits: { tenants: 100, models: 100 }, gapGraceMs: 1000 })
const start = ledger.position
void ledger.follow(spool, new AbortController().signal)
setInterval(() => {
  if (ledger.position > start || ledger.position === 4000) process.stdout.write('counted\n')
}, 1)
