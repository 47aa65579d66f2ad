import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { administer } from './client.ts'
import { type Administration, administrationSocket, openAdministration } from './server.ts'

const store: Administration = {
  adjust: async () => true,
  replay: async () => 3,
  deadLetters: async () => [],
  confirmRollback: async () => {},
  rolledBack: 7,
}
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'administration-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('the administrative door', () => {
  it('answers tools, for its owner alone; a file that a dead process left is no obstacle, a living one is', async () => {
    writeFileSync(administrationSocket(folder), '')
    const door = await openAdministration(folder, store)
    expect(statSync(administrationSocket(folder)).mode & 0o077).toBe(0)
    const tool = await administer(folder)
    expect([await tool.replay('otlp'), await tool.confirmRollback()]).toEqual([3, 7])
    await tool.close()
    await expect(openAdministration(folder, store)).rejects.toThrow('already served')
    await door.close()
  })

  it('of a folder with a long name stands in a folder of its own, and not in one that others may write', async () => {
    const long = join(folder, 'x'.repeat(120))
    mkdirSync(long, { mode: 0o700 })
    const place = dirname(administrationSocket(long))
    expect(administrationSocket(long).length).toBeLessThan(108)
    try {
      const door = await openAdministration(long, store)
      const tool = await administer(long)
      expect(await tool.replay('otlp')).toBe(3)
      await tool.close()
      await door.close()
      chmodSync(place, 0o777)
      await expect(openAdministration(long, store)).rejects.toThrow('is open to other users')
    } finally {
      rmSync(place, { recursive: true, force: true })
    }
  })
})
