import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { binariesPresent, binary } from '../dev/servers/binary.ts'
import { RULE_FILES, RULES } from './testing/rule-files.ts'
import { blocksIn, RUNBOOKS } from './testing/runbooks.ts'

const check = (...args: string[]) => spawnSync(binary('promtool'), ['check', 'rules', ...args], { encoding: 'utf8' })

describe.runIf(binariesPresent('promtool'))('promtool', () => {
  it('finds nothing to complain of in the rules', () => {
    const { status, stdout, stderr } = check('--lint=all', '--lint-fatal', ...RULE_FILES)
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toContain(`SUCCESS: ${RULES.filter(({ alert }) => alert !== undefined).length} rules found`)
  })

  it('takes all queries of the runbooks', () => {
    const rules = RUNBOOKS.flatMap(({ name, text }) =>
      blocksIn(text, 'promql').map((expr, index) => ({ record: `${name}:check${index}`, expr })),
    )
    const folder = mkdtempSync(join(tmpdir(), 'runbooks-'))
    try {
      const file = join(folder, 'queries.yaml')
      writeFileSync(file, stringify({ groups: [{ name: 'queries', rules }] }, { lineWidth: 0 }))
      const { status, stdout, stderr } = check(file)
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
      expect(stdout).toContain(`SUCCESS: ${rules.length} rules found`)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
