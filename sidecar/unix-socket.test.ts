import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { prepareSocketFolder } from './unix-socket.ts'

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
