import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ConfigError, configSchema, loadConfig, parseConfig } from './config.ts'

const problems = (text: string, environment: Record<string, string> = {}) => {
  try {
    parseConfig(text, 'observer.yaml', environment)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

describe('observer.yaml', () => {
  it('is not needed: every setting has a default', () => {
    const config = loadConfig(undefined, {})
    expect(config).toMatchObject({ listen: { host: '127.0.0.1', port: 8086 }, data: './data', exporters: {} })
    expect(config.spool.limit).toBe(1024 ** 3)
  })

  it('the example shows every setting, with its default', () => {
    const text = readFileSync(join(import.meta.dirname, '../observer.example.yaml'), 'utf8')
    const { exporters, ...shown } = parseConfig(text, 'observer.example.yaml', {})
    const { exporters: _none, ...defaults } = configSchema.parse({})
    expect(shown).toEqual(defaults)
    expect(Object.keys(exporters).sort()).toEqual(['langfuse', 'loki', 'otlp'])
    const minimal = configSchema.parse({
      exporters: {
        otlp: { endpoint: 'http://127.0.0.1:4318' },
        langfuse: {
          url: 'http://127.0.0.1:3000',
          publicKey: 'pk-lf-example',
          secretKey: { env: 'LANGFUSE_SECRET_KEY' },
        },
        loki: { url: 'http://127.0.0.1:3100' },
      },
    })
    expect(JSON.stringify(exporters)).toBe(JSON.stringify(minimal.exporters))
  })

  it('says all that is wrong at once, with file, line and field', () => {
    const wrong = `listen:
  port: 99999
  hots: x
spool:
  limit: lots
log: { level: LOUD }
exporters:
  otlp: { endpoint: "not an address" }
`
    const found = problems(wrong)
    expect(found).toHaveLength(5)
    expect(found).toContainEqual(expect.stringMatching(/^observer\.yaml:2: listen\.port: /))
    expect(found).toContainEqual(expect.stringContaining('hots'))
    expect(found).toContainEqual(expect.stringMatching(/^observer\.yaml:5: spool\.limit: write a size as 512MiB/))
    expect(found).toContainEqual(expect.stringMatching(/^observer\.yaml:6: log\.level: /))
    expect(found).toContainEqual(expect.stringMatching(/^observer\.yaml:8: exporters\.otlp\.endpoint: /))
  })

  it.each([
    ['listen: [', /^observer\.yaml:\d+: /],
    ['a: 1\na: 2', /^observer\.yaml:2: .*unique/],
    ['just text', /^observer\.yaml:1: expected a mapping/],
  ])('%j is refused with its line', (text, message) => expect(problems(text)[0]).toMatch(message))

  it('a file that is not there is named', () => {
    expect(() => loadConfig('/no/such/observer.yaml', {})).toThrow('/no/such/observer.yaml: cannot be read (ENOENT)')
  })

  it('others than this machine need a token', () => {
    expect(problems('listen: { host: 0.0.0.0 }')[0]).toMatch(/listen\.token: listening on 0\.0\.0\.0 .*set a token/)
    expect(problems('listen: { host: 0.0.0.0, token: t }')).toEqual([])
  })
})

describe('environment', () => {
  it('stands above the file', () => {
    const config = parseConfig('listen: { port: 1 }', 'f', {
      OBSERVER_LISTEN_PORT: '9000',
      OBSERVER_LOKI_URL: 'http://loki:3100',
      HOME: '/x',
    })
    expect(config.listen.port).toBe(9000)
    expect(config.exporters.loki?.url).toBe('http://loki:3100')
  })
  it('a wrong value names the variable', () => {
    expect(problems('', { OBSERVER_LISTEN_PORT: 'many' })[0]).toMatch(/^OBSERVER_LISTEN_PORT: listen\.port: /)
  })
  it('a variable that nobody knows is a mistake', () => {
    expect(problems('', { OBSERVER_LISTEN_PROT: '1' })[0]).toMatch(/^OBSERVER_LISTEN_PROT: no such setting/)
  })
})

describe('secrets', () => {
  it('never show, however the configuration is printed', () => {
    const config = parseConfig('listen: { token: hunter2 }', 'f', {})
    expect(JSON.stringify(config)).not.toContain('hunter2')
    expect(String(config.listen.token)).toBe('***')
    expect(problems('listen: { token: [hunter2] }').join()).not.toContain('hunter2')
  })
  it('come from a file, and a missing one is named', () => {
    const folder = mkdtempSync(join(tmpdir(), 'secret-'))
    const file = join(folder, 'token')
    writeFileSync(file, 'hunter2\n')
    const config = parseConfig(`listen: { token: { file: "${file}" } }`, 'f', {})
    expect(config.listen.token?.reveal({})).toBe('hunter2')
    rmSync(folder, { recursive: true })
    expect(() => config.listen.token?.reveal({})).toThrow(`${file}: a secret is to come from this file`)
  })
})
