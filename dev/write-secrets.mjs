// `npm run secrets`: writes .env for docker-compose.yml – each secret random, the file readable by its owner alone.
// An .env that is there is never touched. Plain JavaScript, for whatever Node is on the machine.
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const [file = join(root, '.env')] = process.argv.slice(2)

// In .env.example a value `random:32` stands for so many random bytes, in hex, with what stands before it.
const text = readFileSync(join(root, '.env.example'), 'utf8').replace(
  /^([A-Z0-9_]+=.*?)random:(\d+)$/gm,
  (_, before, bytes) => before + randomBytes(Number(bytes)).toString('hex'),
)
try {
  writeFileSync(file, text, { mode: 0o600, flag: 'wx' })
  console.log(`${file} written, for its owner alone. The passwords of Grafana and Langfuse stand in it.`)
} catch (error) {
  if (error.code !== 'EEXIST') throw error
  console.error(`${file} is there already and stays as it is: delete it first, if new secrets are wanted.`)
  process.exitCode = 1
}
