import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type Child, makeChild } from '../dev/child-process.ts'
import { freePort } from '../dev/free-port.ts'
import { waitUntil } from '../dev/wait-until.ts'
import { CAPTURE_VERSION } from '../sidecar/capture.ts'
import { makeCapture } from '../sidecar/testing/make-capture.ts'

const root = join(import.meta.dirname, '..')
let folder: string
let port: number
let child: Child | undefined

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'reload-'))
  port = await freePort()
})
afterEach(async () => {
  await child?.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

const file = () => join(folder, 'observer.yaml')
const log = () => readFileSync(join(folder, 'log'), 'utf8')
const logged = (text: string) => waitUntil(async () => ({ done: log().includes(text), seen: log().slice(-500) }))
const settings = (more = '') => writeFileSync(file(), `listen: { port: ${port} }\n${more}`)

async function start(args: string[], env: Record<string, string> = {}): Promise<Child> {
  child = makeChild({
    name: 'sidecar',
    command: process.execPath,
    args: [join(root, 'sidecar/main.ts'), ...args],
    env,
    logFile: join(folder, 'log'),
    ready: async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok,
  })
  await child.start()
  return child
}

async function post(n: number) {
  const capture = makeCapture({ n, log: { workspace_name: 'retail' } })
  const response = await fetch(`http://127.0.0.1:${port}/v1/captures`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      v: CAPTURE_VERSION,
      plugin: { version: '0', instance: 'test' },
      dropped: [],
      captures: [capture],
    }),
  })
  expect(response.status).toBe(202)
}
const metrics = async () => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()

it('SIGHUP and a changed file put new settings in force; an invalid file changes nothing; nothing ends the process', async () => {
  settings()
  const sidecar = await start(['-c', file()])
  await post(1)
  await waitUntil(async () => (await metrics()).includes('tenant_id="blue"'))

  settings('attribution: { rules: [workspace] }\nstore: { logLimit: 2GiB }\n')
  sidecar.signal('SIGHUP')
  await logged('new settings are in force')
  await logged('"settings":["store.logLimit"],"msg":"changed settings need a restart and are not in force"')
  await post(2)
  await waitUntil(async () => (await metrics()).includes('tenant_id="retail"'))

  settings('attribution: { rules: [nonsense] }\n')
  await logged('the configuration is not valid; the one before stays in force')
  sidecar.signal('SIGHUP')
  await post(3)
  expect(sidecar.running()).toBe(true)
  await sidecar.kill('SIGTERM')
  expect(log()).toContain('"msg":"stopped"')
})

it('the example file starts as it is, without any environment, and its store is for its owner alone', async () => {
  copyFileSync(join(root, 'observer.example.yaml'), file())
  const sidecar = await start(['-c', file()], { OBSERVER_LISTEN_PORT: String(port) })
  const data = join(folder, 'data')
  await post(1)
  expect(existsSync(data)).toBe(true)
  expect((statSync(data).mode & 0o777).toString(8)).toBe('700')
  for (const name of ['spool.db', 'ledger.db'])
    if (existsSync(join(data, name))) expect((statSync(join(data, name)).mode & 0o077).toString(8)).toBe('0')
  expect(log()).not.toMatch(/"level":"(WARN|ERROR)"/)
  await sidecar.kill('SIGTERM')
})
