import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'

const root = join(import.meta.dirname, '..')
const folder = mkdtempSync(join(tmpdir(), 'skipped-tests-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const reporter = JSON.stringify(join(import.meta.dirname, 'skipped-tests.ts'))
writeFileSync(
  join(folder, 'vitest.config.ts'),
  `import { SkippedTests } from ${reporter}\nexport default { test: { globals: true, reporters: [new SkippedTests(), 'default'] } }\n`,
)
writeFileSync(
  join(folder, 'server.test.ts'),
  `console.warn('skipped: nosuch is not on PATH')\ndescribe.skip('the server', () => { it('a', () => {}); it('b', () => {}) })\nit('c', () => {})\n`,
)
writeFileSync(join(folder, 'data.test.ts'), `describe.skip('recordings', () => { it('d', () => {}) })\n`)

function run(ci: string, ...args: string[]) {
  const vitest = join(root, 'node_modules/vitest/vitest.mjs')
  const { status, stdout, stderr } = spawnSync(process.execPath, [vitest, 'run', '--root', folder, ...args], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH ?? '', CI: ci, NO_COLOR: '1' },
  })
  return { status, stdout, stderr }
}
const LINES = ['  server.test.ts: 2 of 3 – nosuch is not on PATH', '  data.test.ts: 1 of 1 – recordings']

it('a newcomer reads what was skipped and why; the run passes', () => {
  const { status, stdout, stderr } = run('')
  expect({ status, stderr }).toEqual({ status: 0, stderr: expect.stringContaining('Skipped for what is not here') })
  for (const line of LINES) expect(stderr).toContain(line)
  expect(stdout).toMatch(/Tests +1 passed \| 3 skipped/)
})

it('with CI set the same run fails', () => {
  const { status, stderr } = run('true')
  expect(status).toBe(1)
  for (const line of LINES) expect(stderr).toContain(line)
})

it('tests that nobody asked for are not listed', () => {
  const { status, stderr } = run('true', '-t', 'c')
  expect({ status, stderr }).toEqual({ status: 0, stderr: expect.not.stringContaining('of 3') })
})
