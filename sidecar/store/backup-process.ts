import { writeBackup } from './backup.ts'

// `node backup-process.ts <store> <to>`: started by backup.ts. What it throws ends it, and stands on its stderr.
// SQLite makes the file, and prompts rest in it.
process.umask(0o077)
const [store, to] = process.argv.slice(2) as [string, string]
process.stdout.write(String(writeBackup(store, to).bytes))
