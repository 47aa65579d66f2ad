import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

/** deploy/systemd, as systemd itself reads it. */
const folder = join(import.meta.dirname, '../deploy/systemd')
const UNITS = ['kong-llm-observer.service', 'kong-llm-observer-plugin-server.service']
const present = spawnSync('systemd-analyze', ['--version']).status === 0
if (!present) console.warn('skipped: the units of deploy/systemd need systemd-analyze')

describe('deploy/systemd', () => {
  it.skipIf(!present).each(UNITS)('%s: systemd has nothing to say', (unit) => {
    const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', join(folder, unit)], {
      encoding: 'utf8',
    })
    const said = `${stdout}${stderr}`.split('\n').filter((line) => line.includes('kong-llm-observer'))
    expect({ status, said }).toEqual({ status: 0, said: [] })
  })

  it('all meet in one folder, which stays while one of them is away; Kong’s is the socket that is made there', () => {
    for (const unit of UNITS) {
      const text = readFileSync(join(folder, unit), 'utf8')
      expect(text).toMatch(/^RuntimeDirectory=llm-observer$/m)
      expect(text).toMatch(/^RuntimeDirectoryMode=0755$/m)
      expect(text).toMatch(/^RuntimeDirectoryPreserve=yes$/m)
      expect(text).toMatch(/^User=llm-observer$/m)
    }
    expect(readFileSync(join(folder, UNITS[1]!), 'utf8')).toContain('kong-llm-observer-plugin-server /run/llm-observer')
    expect(readFileSync(join(folder, 'kong.service.d-llm-observer.conf'), 'utf8')).toContain(
      'SOCKET=/run/llm-observer/js.sock',
    )
  })
})
