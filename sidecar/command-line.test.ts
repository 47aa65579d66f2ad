import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseCommandLine, UsageError } from './command-line.ts'

describe('command line', () => {
  it.each([
    [[], { name: 'serve' }],
    [['serve', '-c', 'f'], { name: 'serve', config: 'f' }],
    [['--check-config', '--config', 'f'], { name: 'check-config', config: 'f' }],
    [['dead-letters', 'list', '--reader', 'loki'], { name: 'dead-letters', action: 'list', sink: 'loki' }],
    [['dead-letters', 'replay'], { name: 'dead-letters', action: 'replay' }],
    [['plugin-server'], { name: 'plugin-server' }],
    [
      ['reprice', '--from', '2026-11-01', '--to', '2026-11-30', '--tenant', 'blue', '--dry-run'],
      { name: 'reprice', from: '2026-11-01', to: '2026-11-30', tenant: 'blue', dryRun: true },
    ],
    [['unpriced'], { name: 'unpriced', json: false }],
    [
      ['unpriced', '--json', '--from', '2026-11-01', '--to', '2026-11-01', '-c', 'f'],
      { name: 'unpriced', json: true, config: 'f', period: { from: '2026-11-01', to: '2026-11-01' } },
    ],
    [['--help'], { name: 'help' }],
  ])('%j', (argv, command) => expect(parseCommandLine(argv)).toEqual(command))
  it.each([
    [['--chekc-config']],
    [['fly']],
    [['dead-letters']],
    [['serve', 'now']],
    [['reprice']],
    [['reprice', '--from', '2026-11-01']],
    [['reprice', '--from', '2026-11-31', '--to', '2026-12-01']],
    [['reprice', '--from', '2026-11-02', '--to', '2026-11-01']],
    [['reprice', 'all', '--from', '2026-11-01', '--to', '2026-11-01']],
    [['unpriced', '--to', '2026-11-01']],
  ])('%j is refused', (argv) => {
    expect(() => parseCommandLine(argv)).toThrow(UsageError)
  })

  const run = (...args: string[]) =>
    spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), ...args], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH ?? '' },
    })
  it('exits with 2 and the usage on a wrong word, with 2 and the problems on a wrong file', () => {
    expect(run('fly')).toMatchObject({ status: 2, stderr: expect.stringContaining('no such command: fly') })
    expect(run('--check-config', '-c', '/no/such.yaml')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('/no/such.yaml: cannot be read (ENOENT)'),
    })
  })
  it('says its version', () => expect(run('--version').stdout).toMatch(/^\d+\.\d+\.\d+\n$/))
})
