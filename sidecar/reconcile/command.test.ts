import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { LlmCall } from '../call.ts'
import { makeCall } from '../testing/make-call.ts'
import { writeStore } from '../testing/write-store.ts'

const folder = mkdtempSync(join(tmpdir(), 'reconcile-'))
const noon = Date.UTC(2026, 10, 1, 12)
const file = (name: string, content: unknown) => {
  const path = join(folder, name)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}
const run = (...args: string[]) =>
  spawnSync(process.execPath, [join(import.meta.dirname, '../main.ts'), 'reconcile', ...args], {
    encoding: 'utf8',
    cwd: folder,
    env: { PATH: process.env.PATH ?? '', OBSERVER_DATA: join(folder, 'data') },
  })
const days = ['--provider', 'openai', '--from', '2026-11-01', '--to', '2026-11-30']

beforeAll(async () => {
  const cost = { state: 'priced', picoUsd: 2_500_000_000, byUnit: {}, priceId: 'p', book: 'b' } as const
  const call = (n: number, changes: Partial<LlmCall>) =>
    makeCall({ startedAt: noon + n, usage: { input: 600, cache_read: 400, output: 50 }, cost, ...changes }, n)
  mkdirSync(join(folder, 'data'))
  await writeStore(join(folder, 'data/observer.db'), [
    [
      call(1, { tenant: 'blue' }),
      call(2, { tenant: 'red' }),
      call(3, { tenant: 'red', usageSource: 'estimated', usage: { input: 90, output: 10 } }),
      call(4, { tenant: 'red', model: 'claude', provider: 'anthropic' }),
    ],
  ])
})
afterAll(() => rmSync(folder, { recursive: true }))

const usage = (results: object[]) => ({ data: [{ start_time: noon / 1000 - 43_200, results }] })
const result = (project_id: string, more: object = {}) => ({
  model: 'gpt-4o-2024-08-06',
  project_id,
  input_tokens: 1000,
  input_cached_tokens: 400,
  output_tokens: 50,
  num_model_requests: 1,
  ...more,
})

it('compares by tenant, says where it differs, and ends with 3 where that is too much', () => {
  const names = file('names.yaml', 'tenants: { proj_blue: blue, proj_red: red }\n')
  const exported = file(
    'usage.json',
    usage([result('proj_blue'), result('proj_red', { input_tokens: 1100, output_tokens: 62, num_model_requests: 2 })]),
  )
  const found = run(...days, '--names', names, '--tolerance', '1', exported)
  expect(found.stderr).toBe('')
  expect(found.stdout).toContain('equal')
  expect(found.stdout).toContain('usage_not_reported')
  expect(found.status).toBe(0)
  const strict = run(...days, '--names', names, '--tolerance', '0.1', '--json', exported)
  expect(strict.status).toBe(3)
  expect(JSON.parse(strict.stdout).rows).toMatchObject([
    { tenant: 'blue', causes: ['equal'] },
    { tenant: 'red', causes: ['usage_not_reported'], ours: { tokens: { input: '690', output: '60' } } },
  ])
})

it('says what is wrong with what it was given, and ends with 2', () => {
  const said = (...args: string[]) => {
    const { status, stderr } = run(...args)
    return `${status}: ${stderr.split('\n')[0]}`
  }
  expect(said('x.json')).toMatch(/^2: .*name whose export it is/)
  expect(said('--provider', 'openai', 'x.json')).toMatch(/^2: .*name the days/)
  expect(said(...days)).toMatch(/^2: .*name the files/)
  expect(said(...days, 'none.json')).toMatch(/^2: .*none\.json: cannot be read \(ENOENT\)/)
  expect(said(...days, file('bad.json', '{"data":7}'))).toMatch(/^2: .*bad\.json: page 1: data: expected a list/)
  expect(said(...days, '--tolerance', 'x', 'a')).toMatch(/^2: .*--tolerance: a percentage, not x/)
})
