import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { prepareDataFolder, prepareSocketFolder } from './data-folder.ts'

const root = mkdtempSync(join(tmpdir(), 'data-folder-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8)

describe('the data folder', () => {
  it('is made for its owner alone', () => {
    const folder = join(root, 'new', 'data')
    expect(prepareDataFolder(folder)).toEqual([])
    expect(modeOf(folder)).toBe('700')
    expect(prepareDataFolder(folder)).toEqual([])
  })

  it('is closed where others could read it, its own files too, and says so', () => {
    const folder = join(root, 'old')
    mkdirSync(folder)
    chmodSync(folder, 0o755)
    for (const [name, mode] of [
      ['ledger.db', 0o644],
      ['ledger.db-wal', 0o644],
      ['spool.db', 0o600],
      ['notes.txt', 0o644],
    ] as const) {
      writeFileSync(join(folder, name), '')
      chmodSync(join(folder, name), mode)
    }
    expect(prepareDataFolder(folder).sort()).toEqual([
      `${folder} was open to other users (755) and is not any more`,
      `${join(folder, 'ledger.db')} was open to other users (644) and is not any more`,
      `${join(folder, 'ledger.db-wal')} was open to other users (644) and is not any more`,
    ])
    expect(
      ['.', 'ledger.db', 'ledger.db-wal', 'spool.db', 'notes.txt'].map((name) => modeOf(join(folder, name))),
    ).toEqual(['700', '600', '600', '600', '644'])
    expect(prepareDataFolder(folder)).toEqual([])
  })

  it('that is a file, or lies under one, is named', () => {
    writeFileSync(join(root, 'file'), '')
    for (const folder of [join(root, 'file'), join(root, 'file', 'data')])
      expect(() => prepareDataFolder(folder)).toThrow(`data: ${folder} is, or lies under, a file`)
  })
})

it('the folder of a socket is made, or named', () => {
  prepareSocketFolder(join(root, 'run', 'a.sock'))
  expect(statSync(join(root, 'run')).isDirectory()).toBe(true)
  expect(() => prepareSocketFolder(join(root, 'file', 'run', 'a.sock'))).toThrow(
    /listen\.socket: the folder .*run cannot be made \(ENOTDIR\): make it/,
  )
})
