import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { binariesPresent, findBinary } from './binary.ts'

const directory = mkdtempSync(join(tmpdir(), 'binary-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

describe('a server that is not installed', () => {
  const withPath = (path: string, act: () => void) => {
    vi.stubEnv('PATH', path)
    try {
      act()
    } finally {
      vi.unstubAllEnvs()
    }
  }

  it('is found on PATH when there is no pinned build; a file that cannot run is not it', () => {
    const name = 'nowhere-else' as Parameters<typeof findBinary>[0]
    const file = join(directory, name)
    writeFileSync(file, '')
    withPath(directory, () => expect(findBinary(name)).toBeUndefined())
    chmodSync(file, 0o755)
    withPath(directory, () => expect(findBinary(name)).toBe(file))
  })

  it('skips with the command that installs it, and fails in CI', () => {
    const name = 'not-there' as Parameters<typeof findBinary>[0]
    const warned = vi.spyOn(console, 'warn').mockImplementation(() => {})
    vi.stubEnv('CI', '')
    expect(binariesPresent(name)).toBe(false)
    expect(warned.mock.calls[0]?.[0]).toMatch(/skipped: not-there.*dev\/install-servers\.sh not-there/)
    vi.stubEnv('CI', 'true')
    expect(() => binariesPresent(name)).toThrow(/CI must have them/)
    vi.unstubAllEnvs()
    warned.mockRestore()
  })
})
