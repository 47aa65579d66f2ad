import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { makeChild } from '../dev/child-process.ts'
import { connectAsKong } from '../plugin/testing/kong-side.ts'
import { somebodyServes } from '../sidecar/unix-socket.ts'

/** The plugin server as docs/install.md starts it outside of Docker: bin/kong-llm-observer-plugin-server.js. */
const program = join(import.meta.dirname, '../bin/kong-llm-observer-plugin-server.js')
const NOBODY = 65_534
const directory = mkdtempSync(join(tmpdir(), 'plugin-server-process-'))
chmodSync(directory, 0o755)
afterAll(() => rmSync(directory, { recursive: true, force: true }))

it('makes its folder, and Kong may connect as whatever user it runs, whatever the umask', async () => {
  const folder = join(directory, 'run/llm-observer')
  const socket = join(folder, 'js.sock')
  const server = makeChild({
    name: 'plugin server',
    command: '/bin/sh',
    // The usual one of a service; the folder is made before it is opened to others.
    args: ['-c', `umask 022; exec '${process.execPath}' '${program}' '${folder}'`],
    logFile: join(directory, 'log'),
    ready: () => somebodyServes(socket),
  })
  await server.start()
  try {
    expect(statSync(socket).mode & 0o777).toBe(0o777)
    expect(statSync(folder).mode & 0o777).toBe(0o755)
    const kong = await connectAsKong(socket)
    expect(await kong.startInstance({ sidecar_url: 'http://127.0.0.1:1' })).toEqual(expect.any(Number))
    kong.close()
    if (process.getuid?.() !== 0) return
    const connecting = `require('net').connect('${socket}').on('connect', () => process.exit(0)).on('error', () => process.exit(1))`
    expect(spawnSync(process.execPath, ['-e', connecting], { uid: NOBODY, gid: NOBODY, cwd: '/' }).status).toBe(0)
  } finally {
    await server.kill('SIGTERM')
  }
})

it('says what is wrong with its folder, and how it is called', () => {
  writeFileSync(join(directory, 'file'), '')
  const run = (...args: string[]) => spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' })
  expect(run(join(directory, 'file/run'))).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/file\/run cannot be made \(ENOTDIR\): make it/),
  })
  for (const args of [['--help'], ['a', 'b']])
    expect(run(...args)).toMatchObject({ status: 2, stderr: expect.stringContaining('usage:') })
})
