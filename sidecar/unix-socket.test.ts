import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { listenOnSocket, prepareSocketFolder } from './unix-socket.ts'

const root = mkdtempSync(join(tmpdir(), 'unix-socket-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

it('the folder of a socket is made, or named', () => {
  writeFileSync(join(root, 'file'), '')
  prepareSocketFolder(join(root, 'run', 'a.sock'))
  expect(statSync(join(root, 'run')).isDirectory()).toBe(true)
  expect(() => prepareSocketFolder(join(root, 'file', 'run', 'a.sock'))).toThrow(
    /listen\.socket: the folder .*run cannot be made \(ENOTDIR\): make it/,
  )
})

it('users other than the sidecar’s may connect where a token is asked for, whatever the umask', async () => {
  const others = 0o002
  const before = process.umask(0o077)
  try {
    for (const forEveryone of [true, false]) {
      const path = join(root, `${forEveryone}.sock`)
      const close = await listenOnSocket(createServer(), path, { forEveryone })
      expect((statSync(path).mode & others) !== 0).toBe(forEveryone)
      await close()
    }
  } finally {
    process.umask(before)
  }
})
