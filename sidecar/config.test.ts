import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseDocument } from 'yaml'
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

/** Paths of settings; a list or an empty mapping is one. */
function leavesOf(value: unknown, path: string[] = []): string[][] {
  const members = value !== null && typeof value === 'object' && !Array.isArray(value) ? Object.entries(value) : []
  return members.length === 0 ? [path] : members.flatMap(([name, member]) => leavesOf(member, [...path, name]))
}
const hasPath = (value: unknown, path: readonly string[]): boolean =>
  path.length === 0 ||
  (value !== null && typeof value === 'object' && Object.hasOwn(value, path[0]!)
    ? hasPath((value as Record<string, unknown>)[path[0]!], path.slice(1))
    : false)

describe('observer.yaml', () => {
  it('is not needed: every setting has a default', () => {
    const config = loadConfig(undefined, {})
    expect(config).toMatchObject({ listen: { host: '127.0.0.1', port: 8086 }, data: './data', exporters: {} })
    expect(config.store.logLimit).toBe(1024 ** 3)
  })

  const example = readFileSync(join(import.meta.dirname, '../observer.example.yaml'), 'utf8')

  it('the example is the defaults, every one of them', () => {
    expect(parseConfig(example, 'observer.example.yaml', {})).toEqual(configSchema.parse({}))
    const shown = parseDocument(example).toJS() as Record<string, unknown>
    const { exporters: _, ...defaults } = configSchema.parse({})
    for (const path of leavesOf(defaults)) expect(hasPath(shown, path), path.join('.')).toBe(true)
  })

  it('the sinks of the example, once the marks are taken away, have their defaults too', () => {
    const [before, sinks] = example.split('exporters: {}\n') as [string, string]
    const { exporters } = parseConfig(
      `${before}exporters:\n${sinks.replaceAll(/^#/gm, '')}`,
      'observer.example.yaml',
      {},
    )
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
store:
  logLimit: lots
log: { level: LOUD }
exporters:
  otlp: { endpoint: "not an address" }
`
    const found = problems(wrong)
    expect(found).toHaveLength(5)
    expect(found).toContainEqual(expect.stringMatching(/^observer\.yaml:2:9: listen\.port: /))
    expect(found).toContainEqual(expect.stringContaining('hots'))
    expect(found).toContainEqual(expect.stringMatching(/^observer\.yaml:5:13: store\.logLimit: write a size as 512MiB/))
    expect(found).toContainEqual(expect.stringMatching(/^observer\.yaml:6:15: log\.level: /))
    expect(found).toContainEqual(expect.stringMatching(/^observer\.yaml:8:21: exporters\.otlp\.endpoint: /))
  })

  it.each([
    ['listen: 7', 'observer.yaml:1:9: listen: write a mapping (name: value), not a number'],
    ['log:\n  - x', 'observer.yaml:2:3: log: write a mapping (name: value), not a list'],
    ['exporters: { otlp: }', 'observer.yaml:1:20: exporters.otlp: write a mapping (name: value), not nothing'],
    ['log: { level: LOUD }', 'observer.yaml:1:15: log.level: write one of DEBUG, INFO, WARN, ERROR'],
    ['log: { levle: INFO }', 'observer.yaml:1:15: log.levle: no such setting; did you mean level?'],
    ['content: { x: 1 }', 'observer.yaml:1:15: content.x: no such setting; there are enabled, maxBytes'],
    [
      'ledger: { maxModels: 1.5 }',
      'observer.yaml:1:22: ledger.maxModels: write a whole number, not a number with decimals',
    ],
    ['ledger: { maxModels: 0 }', 'observer.yaml:1:22: ledger.maxModels: write at least 1'],
    ['content: { enabled: "yes" }', 'observer.yaml:1:21: content.enabled: write true or false, not a text'],
    [
      'store: { logLimit: 8MiB }',
      'observer.yaml:1:20: store.logLimit: must hold one request of listen.maxBodyBytes: write at least 16MiB',
    ],
    ['a: *b', 'observer.yaml:1:4: an alias (*name) without its anchor (&name) before it'],
    ['a: 1\n---\nb: 2', 'observer.yaml:2:1: a second document begins with ---: keep one document in the file'],
    ['log:\n  level: "INFO', /^observer\.yaml:2:\d+: Missing closing "quote$/],
  ])('%j is refused in plain words', (text, message) =>
    expect(problems(text)).toContainEqual(typeof message === 'string' ? message : expect.stringMatching(message)),
  )

  it('a bomb of aliases is refused, and does no harm', () => {
    const levels = ['a: &l0 [1,1,1,1,1,1,1,1,1,1]']
    for (let level = 1; level < 8; level++) levels.push(`b${level}: &l${level} [${`*l${level - 1},`.repeat(10)}]`)
    expect(problems(levels.join('\n'))).toEqual([expect.stringMatching(/^observer\.yaml:2:\d+: too many aliases/)])
  })

  it('a file that nests without end is refused, and does no harm', () => {
    for (const open of ['[', '{a: ', '- '])
      expect(problems(`a: ${open.repeat(20_000)}`.slice(open === '- ' ? 3 : 0)).slice(0, 2)).toEqual([
        expect.stringMatching(/^observer\.yaml:1:\d+: nests too deep to be read$/),
      ])
  })

  it('a section with nothing under it has its defaults', () => {
    expect(parseConfig('exporters:\n  # otlp:\nlog:\n', 'f', {})).toEqual(configSchema.parse({}))
  })

  it.each([
    ['listen: [', /^observer\.yaml:\d+:\d+: /],
    ['a: 1\na: 2', /^observer\.yaml:2:1: .*unique/],
    ['just text', /^observer\.yaml:1:1: expected a mapping/],
  ])('%j is refused with its line', (text, message) => expect(problems(text)[0]).toMatch(message))

  it('a file that is not there is named', () => {
    expect(() => loadConfig('/no/such/observer.yaml', {})).toThrow('/no/such/observer.yaml: cannot be read (ENOENT)')
  })

  it('others than this machine need a token for captures, and a word on metrics', () => {
    expect(problems('listen: { host: 0.0.0.0 }')).toEqual([
      expect.stringMatching(/:1:9: listen\.tokens\.intake: listening on 0\.0\.0\.0 .*set a token/),
      expect.stringMatching(/:1:9: listen\.tokens\.metrics: listening on 0\.0\.0\.0 .*or write open/),
    ])
    expect(problems('listen: { host: 0.0.0.0, tokens: { intake: t, metrics: open } }')).toEqual([])
    for (const host of ['127.0.0.1', '127.1.2.3', '::1', 'localhost'])
      expect(problems(`listen: { host: "${host}" }`)).toEqual([])
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
    expect(problems('', { OBSERVER_LISTEN_PROT: '1', OBSERVER_X: '' })).toEqual([
      'OBSERVER_LISTEN_PROT: no such setting; did you mean OBSERVER_LISTEN_PORT?',
      'OBSERVER_X: no such setting (docs/configuration.md names all); rename the variable if it is not meant for us',
    ])
  })
  it('service links of Kubernetes are not meant for us', () => {
    const links = {
      OBSERVER_SERVICE_HOST: '10.0.0.7',
      OBSERVER_SERVICE_PORT: '8086',
      OBSERVER_SERVICE_PORT_HTTP: '8086',
      OBSERVER_PORT: 'tcp://10.0.0.7:8086',
      OBSERVER_PORT_8086_TCP: 'tcp://10.0.0.7:8086',
      OBSERVER_PORT_8086_TCP_PROTO: 'tcp',
      OBSERVER_PORT_8086_TCP_PORT: '8086',
      OBSERVER_PORT_8086_TCP_ADDR: '10.0.0.7',
      OBSERVER_TWO_SERVICE_HOST: '10.0.0.8',
      // Of a Service named observer-listen.
      OBSERVER_LISTEN_PORT: 'tcp://10.0.0.9:80',
    }
    expect(parseConfig('', 'f', links).listen.port).toBe(8086)
  })
  it('a field that is missing names the variable that asks for it, and the one that would give it', () => {
    expect(problems('', { OBSERVER_LANGFUSE_URL: 'http://langfuse:3000' })).toEqual([
      'OBSERVER_LANGFUSE_URL: exporters.langfuse.publicKey: is missing: write a text, as OBSERVER_LANGFUSE_PUBLIC_KEY or in the file',
      'OBSERVER_LANGFUSE_URL: exporters.langfuse.secretKey: write a secret as text, { env: NAME } or { file: PATH }, as OBSERVER_LANGFUSE_SECRET_KEY or in the file',
    ])
  })
  it('a port that is no number is said as it stands', () => {
    expect(problems('', { OBSERVER_LISTEN_PORT: '80a' })).toEqual([
      'OBSERVER_LISTEN_PORT: listen.port: write a whole number, not "80a"',
    ])
  })
  it('a former name is read, and the present one goes before it', () => {
    const token = (environment: Record<string, string>) =>
      parseConfig('', 'f', environment).listen.tokens.intake?.[0]?.reveal({})
    expect(token({ OBSERVER_TOKEN: 'old' })).toBe('old')
    expect(token({ OBSERVER_TOKEN: 'old', OBSERVER_INTAKE_TOKEN: 'new' })).toBe('new')
    expect(parseConfig('listen: { token: old }', 'f', {}).listen.tokens.intake?.[0]?.reveal({})).toBe('old')
  })
  it('spool.limit and OBSERVER_SPOOL_LIMIT are store.logLimit', () => {
    const limit = (text: string, environment: Record<string, string> = {}) =>
      parseConfig(text, 'f', environment).store.logLimit / 1024 ** 3
    expect(limit('spool: { limit: 2GiB }')).toBe(2)
    expect(limit('spool: { limit: 3GiB }\nstore: { logLimit: 2GiB }')).toBe(2)
    expect(limit('', { OBSERVER_SPOOL_LIMIT: '2GiB' })).toBe(2)
    expect(limit('spool: { limit: 3GiB }', { OBSERVER_SPOOL_LIMIT: '2GiB' })).toBe(2)
    expect(limit('', { OBSERVER_SPOOL_LIMIT: '3GiB', OBSERVER_STORE_LOG_LIMIT: '2GiB' })).toBe(2)
  })
  it('a fault under a former name is told at its place; what else stands in a former section is no setting', () => {
    expect(problems('log: { level: INFO }\nspool:\n  limit: lots\n')).toEqual([
      'observer.yaml:3:10: store.logLimit: write a size as 512MiB, 2GiB or a number of bytes',
    ])
    expect(problems('listen: { token: 7 }\n')).toEqual([
      expect.stringMatching(/^observer\.yaml:1:18: listen\.tokens\.intake: /),
    ])
    expect(problems('spool: { limit: 1GiB, keep: 1 }\n')).toEqual([
      expect.stringMatching(/^observer\.yaml:1:8: spool: no such/),
    ])
  })
})

describe('secrets', () => {
  it('never show, however the configuration is printed', () => {
    const config = parseConfig('listen: { token: hunter2 }', 'f', {})
    expect(JSON.stringify(config)).not.toContain('hunter2')
    expect(String(config.listen.tokens.intake?.[0])).toBe('***')
    expect(problems('listen: { token: [hunter2] }').join()).not.toContain('hunter2')
  })
  it('come from a file, and a missing one is named', () => {
    const folder = mkdtempSync(join(tmpdir(), 'secret-'))
    const file = join(folder, 'token')
    writeFileSync(file, 'hunter2\n')
    const config = parseConfig(`listen: { token: { file: "${file}" } }`, 'f', {})
    expect(config.listen.tokens.intake?.[0]?.reveal({})).toBe('hunter2')
    rmSync(folder, { recursive: true })
    expect(() => config.listen.tokens.intake?.[0]?.reveal({})).toThrow(`${file}: a secret is to come from this file`)
  })
})
