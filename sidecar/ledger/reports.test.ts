import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openPriceBook } from '../../pricing/open-price-book.ts'
import { makeCall } from '../testing/make-call.ts'
import { storeInFolder } from '../testing/store-in-folder.ts'
import { writeStore } from '../testing/write-store.ts'
import { repriceText, unpricedText } from './reports.ts'

const test = storeInFolder()
const at = (text: string) => ({ startedAt: Date.parse(text) })

describe('the commands reprice and unpriced', () => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [join(import.meta.dirname, '../main.ts'), ...args, '-c', 'observer.yaml'], {
      cwd: test.folder,
      encoding: 'utf8',
      env: { PATH: process.env.PATH ?? '' },
    })
  const days = ['--from', '2026-11-01', '--to', '2026-11-30']
  const prices = (rate: string) =>
    writeFileSync(
      join(test.folder, 'prices.yaml'),
      `rules: [{ id: own, provider: self, model: own-7b, rates: { input: ${rate}, output: ${rate} } }]\n`,
    )

  it('a model that gets its price later: listed, tried, adjusted, and no more listed', async () => {
    writeFileSync(join(test.folder, 'observer.yaml'), 'data: .\nprices: { file: prices.yaml }\n')
    prices('1')
    expect(run('reprice', ...days)).toMatchObject({ status: 1, stderr: expect.stringContaining('there is no store') })
    expect(run('reprice')).toMatchObject({ status: 2, stderr: expect.stringContaining('reprice: name the days') })

    const book = openPriceBook()
    const own = { provider: 'self', model: 'own-7b', requestModel: 'own-7b', usage: { input: 1_000_000 } }
    const unpriced = { state: 'unpriced', reason: 'unknown_provider', book: book.version } as const
    const { responseModel: _, ...call } = makeCall()
    await writeStore(test.file, [
      [
        { ...call, ...own, ...at('2026-11-02T10:00:00Z'), id: 'a'.repeat(32), cost: unpriced },
        { ...call, ...own, ...at('2026-11-03T11:30:00Z'), id: 'b'.repeat(32), tenant: 'red', cost: unpriced },
      ],
    ])
    const listed = run('unpriced')
    expect(listed).toMatchObject({ status: 0, stderr: '' })
    expect(listed.stdout).toBe(
      [
        'provider  model   reason            first seen               last seen                calls',
        'self      own-7b  unknown_provider  2026-11-02 10:00:00 UTC  2026-11-03 11:30:00 UTC      2\n',
      ].join('\n'),
    )
    expect(JSON.parse(run('unpriced', '--json', '--from', '2026-11-03', '--to', '2026-11-03').stdout)).toEqual({
      kept_from: null,
      models: [
        {
          provider: 'self',
          model: 'own-7b',
          reason: 'unknown_provider',
          calls: 1,
          first_seen: '2026-11-03T11:30:00.000Z',
          last_seen: '2026-11-03T11:30:00.000Z',
        },
      ],
    })
    const tried = run('reprice', ...days, '--dry-run')
    expect(tried.stdout).toContain('would be adjusted      2\n')
    expect(tried.stdout).toContain('Nothing was written')
    expect(run('reprice', ...days, '--tenant', 'blue').stdout).toMatch(/^adjusted +1$/m)
    const done = run('reprice', ...days)
    expect(done).toMatchObject({ status: 0, stderr: '' })
    expect(done.stdout).toMatch(/^Calls from 2026-11-01 to 2026-11-30 \(UTC\), priced as of their start by .*operator/)
    expect(done.stdout).toMatch(/^adjusted +1$/m)
    expect(done.stdout).toMatch(/^red +1 +1 +0 +1$/m)
    expect(run('reprice', ...days).stdout).toMatch(/^adjusted +0$/m)
    expect(run('unpriced').stdout).toBe('No unpriced calls.\n')
    prices('0.5')
    expect(run('reprice', ...days).stdout).toMatch(/^all +2 +0 +-1 +-1$/m)
  })
})

describe('reports', () => {
  it('say what was not looked at, and let no name steer the terminal', () => {
    const model = { provider: 'p', model: 'm\u001b[2J\n', reason: 'unknown_model', calls: 1234 }
    const text = repriceText(
      {
        keptFrom: Date.parse('2026-09-22T14:00:00Z'),
        seen: 2469,
        free: 1,
        unchanged: 1234,
        adjusted: 1234,
        merged: 3,
        unpriced: [model],
        tenants: [{ tenant: 'blue', adjusted: 1234, up: 2_500_000_000_000n, down: 1n }],
      },
      { from: '2026-09-01', to: '2026-09-30', dryRun: false, bookVersion: 'book' },
    )
    expect(text).toContain('Calls that started before 2026-09-22 14:00:00 UTC are not kept')
    expect(text).toMatch(/^bills too long to be kept +3$/m)
    expect(text).toMatch(/^blue +1,234 +2\.5 +-0\.000000000001 +2\.499999999999$/m)
    expect(text).toMatch(/^p +m \[2J +unknown_model +1,234$/m)
    expect(unpricedText({ keptFrom: 5, models: [{ ...model, firstAt: 0, lastAt: 0 }] })).not.toContain('\u001b')
  })
})
