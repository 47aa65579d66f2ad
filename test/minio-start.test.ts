import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { waitUntil } from '../dev/wait-until.ts'

/** deploy/minio/start.sh with stand-ins for `minio` and its client `mc`. */
const script = join(import.meta.dirname, '../deploy/minio/start.sh')
const directory = mkdtempSync(join(tmpdir(), 'minio-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))
const bin = join(directory, 'bin')
mkdirSync(bin)
function program(name: string, text: string): void {
  writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`)
  chmodSync(join(bin, name), 0o755)
}
// Ready only once it has its data; says that it was ended, and with what.
program(
  'minio',
  `echo "$@" > '${directory}/server'; trap 'echo ended > "${directory}/ended"; exit 0' TERM; while :; do sleep 0.05; done`,
)
program(
  'mc',
  `case "$1" in ready) test -e '${directory}/server';; alias) echo "$@" > '${directory}/alias';; ilm) echo "$4" > '${directory}/bucket'; cat > '${directory}/rules.json';; esac`,
)
const read = (name: string) => readFileSync(join(directory, name), 'utf8').trim()
const env = {
  PATH: `${bin}:${process.env.PATH}`,
  MINIO_DATA: join(directory, 'data'),
  MINIO_ROOT_USER: 'langfuse',
  MINIO_ROOT_PASSWORD: 'secret',
  EVENT_RETENTION_DAYS: '30',
  MEDIA_RETENTION_DAYS: '90',
}

it('makes the bucket, gives it its lifecycle, and ends MinIO when it is ended', async () => {
  const running = spawn('sh', [script], { env, stdio: 'ignore' })
  const exit = once(running, 'exit')
  await waitUntil(async () => existsSync(join(directory, 'rules.json')) && read('rules.json').endsWith('}'))
  expect(existsSync(join(directory, 'data/langfuse'))).toBe(true)
  expect(read('bucket')).toBe('here/langfuse')
  expect(JSON.parse(read('rules.json')).Rules).toEqual([
    { ID: 'events', Status: 'Enabled', Filter: { Prefix: 'events/' }, Expiration: { Days: 30 } },
    { ID: 'media', Status: 'Enabled', Filter: { Prefix: 'media/' }, Expiration: { Days: 90 } },
    { ID: 'exports', Status: 'Enabled', Filter: { Prefix: 'exports/' }, Expiration: { Days: 7 } },
  ])
  expect(running.exitCode).toBeNull()
  running.kill('SIGTERM')
  await exit
  expect(read('ended')).toBe('ended')
})

it('a MinIO that does not start ends it too', () => {
  const broken = join(directory, 'broken')
  mkdirSync(broken)
  writeFileSync(join(broken, 'minio'), '#!/bin/sh\nexit 3\n')
  writeFileSync(join(broken, 'mc'), '#!/bin/sh\nexit 1\n')
  for (const name of ['minio', 'mc']) chmodSync(join(broken, name), 0o755)
  const { status } = spawnSync('sh', [script], { env: { ...env, PATH: `${broken}:${process.env.PATH}` } })
  expect(status).toBe(1)
})
