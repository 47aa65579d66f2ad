import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { SCHEMA } from '../plugin/config.ts'
import { ConfigError } from './config.ts'
import { checkConfig } from './config-check.ts'

const folder = mkdtempSync(join(tmpdir(), 'config-check-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const GOOD = '7f3a9c1e5b8d2046af13c97e60d4b825'

/** Errors and warnings of a configuration, without the file's path. */
function check(yaml: string, environment: Record<string, string> = {}, file = join(folder, 'o.yaml')) {
  writeFileSync(file, yaml)
  const short = (texts: readonly string[]) => texts.map((text) => text.replaceAll(`${folder}/`, ''))
  try {
    return { errors: [] as string[], warnings: short(checkConfig(file, environment).warnings) }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return { errors: short(error.problems), warnings: [] as string[] }
  }
}

describe('what --check-config refuses', () => {
  it.each<[string, string, RegExp]>([
    [
      'a secret of a variable that is not set',
      'listen: { tokens: { intake: { env: NOPE } } }',
      /^o\.yaml:1:29: listen\.tokens\.intake: the environment variable NOPE is not set/,
    ],
    [
      'a secret of a file that is not there',
      'exporters: { loki: { url: "http://x", headers: { a: { file: none } } } }',
      /^o\.yaml:1:53: exporters\.loki\.headers\.a: none: .* cannot be read \(ENOENT\)/,
    ],
    [
      'a token of one letter that others can reach',
      'listen: { host: 0.0.0.0, tokens: { intake: a, metrics: open } }',
      /listen\.tokens\.intake: a token needs 128 random bits/,
    ],
    [
      'a token that repeats itself',
      `listen: { host: 0.0.0.0, tokens: { intake: ${'ab'.repeat(32)}, metrics: open } }`,
      /listen\.tokens\.intake: .* repeats itself/,
    ],
    [
      'a token with a space',
      'listen: { tokens: { api: "two words" } }',
      /listen\.tokens\.api: a token is printable ASCII without spaces/,
    ],
    [
      'a variable that nobody fills in',
      `listen: { tokens: { intake: "\${SIDECAR_TOKEN}" } }`,
      /^o\.yaml:1:29: listen\.tokens\.intake: \$\{SIDECAR_TOKEN\} is not filled in here: write \{ env: SIDECAR_TOKEN \}/,
    ],
    [
      'the same in an address',
      `exporters: { loki: { url: "http://\${HOST}:3100" } }`,
      /exporters\.loki\.url: \$\{HOST\} is not filled in/,
    ],
    [
      'a log of one byte',
      'store: { logLimit: 1 }',
      /^o\.yaml:1:20: store\.logLimit: write a size from 1MiB to 16384GiB$/,
    ],
    ['a body of ten bytes', 'listen: { maxBodyBytes: 10 }', /listen\.maxBodyBytes: write a size from 64KiB to 256MiB/],
    [
      'a log that holds no batch',
      'store: { logLimit: 2MiB }',
      /store\.logLimit: must hold one request of listen\.maxBodyBytes: write at least 16MiB/,
    ],
    [
      'a budget of a tenant that cannot be',
      'budgets: { tenants: { __other__: { month: 10 } } }',
      /budgets\.tenants\.__other__: no call ever has the tenant __other__/,
    ],
    [
      'sampling of such a tenant',
      'exporters: { otlp: { endpoint: "http://x", sampling: { tenants: { platform: 0 } } } }',
      /sampling\.tenants\.platform: no call ever has the tenant platform/,
    ],
    [
      'a project of such a tenant',
      'exporters: { langfuse: { url: "http://x", publicKey: a, secretKey: b, tenants: { platform: { publicKey: c, secretKey: d } } } }',
      /langfuse\.tenants\.platform: no call ever/,
    ],
    [
      'a tenant that stands there twice',
      'budgets: { tenants: { acme/eu: { day: 1 }, "acme!2Feu": { day: 2 } } }',
      /is the same tenant as "acme\/eu": write it once/,
    ],
    [
      'a provider misspelled',
      'providers: { llm: opnai }',
      /^o\.yaml:1:19: providers\.llm: no provider is called opnai: did you mean openai\?/,
    ],
    [
      'an OTLP address with its path',
      'exporters: { otlp: { endpoint: "http://x:4318/otlp/v1/traces/" } }',
      /endpoint: write the base address, http:\/\/x:4318\/otlp: \/v1\/traces is added/,
    ],
    [
      'an OTLP address with half of it',
      'exporters: { otlp: { endpoint: "http://x:4318/v1" } }',
      /endpoint: write the base address, http:\/\/x:4318: /,
    ],
    [
      'a Loki address with its path',
      'exporters: { loki: { url: "http://x/loki/api/v1/push" } }',
      /loki\.url: write the base address, http:\/\/x: \/loki\/api\/v1\/push is added/,
    ],
    [
      'a Langfuse address with its path',
      'exporters: { langfuse: { url: "https://x/api/public/otel", publicKey: a, secretKey: b } }',
      /langfuse\.url: write the base address, https:\/\/x: /,
    ],
    [
      'an address with a query',
      'exporters: { otlp: { endpoint: "http://x:4318/?api-key=s3cret" } }',
      /endpoint: write the address without query and fragment: a key goes into exporters\.otlp\.headers$/,
    ],
    [
      'an address with a password',
      'exporters: { otlp: { endpoint: "http://u:s3cret@x:4318" } }',
      /endpoint: write the address without user and password/,
    ],
    [
      'an address that is none',
      'exporters: { otlp: { endpoint: "x:4318" } }',
      /endpoint: write an address as http:\/\/host:port/,
    ],
    [
      'a header with a space in its name',
      'exporters: { otlp: { endpoint: "http://x", headers: { "x y": a } } }',
      /headers\.x y: is no name of a header/,
    ],
    [
      'a header that the exporter sets',
      'exporters: { loki: { url: "http://x", headers: { X-Scope-OrgID: a } } }',
      /headers\.X-Scope-OrgID: is set by the exporter itself/,
    ],
    [
      'a header twice',
      'exporters: { loki: { url: "http://x", headers: { a: b, A: c } } }',
      /headers\.A: stands here twice/,
    ],
    [
      'a header value with a line break',
      'exporters: { loki: { url: "http://x", headers: { a: "s3cret\\nb" } } }',
      /headers\.a: its value holds a character that HTTP headers cannot carry \(value withheld\)$/,
    ],
    [
      'a credential as a label',
      'attribution: { user: [{ by: header, name: Authorization }] }',
      /attribution\.user\.0: authorization never leaves Kong/,
    ],
    [
      'rules that need a trusted route, and none',
      'attribution: { rules: [trusted_header, path] }',
      /attribution\.rules: trusted_header, path: these find a tenant on trustedRoutes alone/,
    ],
    [
      'an estimate that waits longer than any plugin',
      'estimate: { timeoutMs: 60000 }',
      /estimate\.timeoutMs: write less than 60000: no plugin waits longer/,
    ],
    [
      'a sink that waits for days',
      'exporters: { loki: { url: "http://x", timeoutMs: 1e9 } }',
      /exporters\.loki\.timeoutMs: write at most 600000/,
    ],
    ['a price file that is not there', 'prices: { file: none.yaml }', /^none\.yaml: cannot be read \(ENOENT\)/],
  ])('%s', (_what, yaml, message) => {
    const { errors } = check(yaml)
    expect(errors).toEqual([expect.stringMatching(message)])
    expect(errors.join()).not.toContain('s3cret')
  })

  it('all of a file at once, of the schema and beyond it', () => {
    const yaml =
      'listen: { port: lots, tokens: { api: { env: NOPE } } }\nproviders: { llm: opnai }\nlog: { level: LOUD }\n'
    expect(
      check(yaml, { OBSERVER_X: '1' })
        .errors.map((text) => text.split(': ').slice(0, 2).join(': '))
        .sort(),
    ).toEqual([
      'OBSERVER_X: no such setting (docs/configuration.md names all); rename the variable if it is not meant for us',
      'o.yaml:1:17: listen.port',
      'o.yaml:1:38: listen.tokens.api',
      'o.yaml:2:19: providers.llm',
      'o.yaml:3:15: log.level',
    ])
  })

  it('each mistake of a price file, at its place', () => {
    writeFileSync(
      join(folder, 'p.yaml'),
      `rules:
  - { id: a, provider: openai, tenant: __other__, multiply: 0.5 }
  - { id: c, provider: openai, from: 2026-02-31, multiply: 0.5 }
  - { id: d, provider: openai, model: gpt-4o, rates: { input: 2500000 } }
  - { id: e, provider: openai, multiply: 500 }
`,
    )
    expect(check('prices: { file: p.yaml }').errors).toEqual([
      expect.stringMatching(/^p\.yaml:2:40: rules\.0\.tenant: no call ever has the tenant __other__/),
      'p.yaml:3:38: rules.1.from: write a date of the calendar as 2026-11-30',
      expect.stringMatching(/^p\.yaml:4:63: rules\.2\.rates\.input: write at most 10000: dollars for a million tokens/),
      expect.stringMatching(/^p\.yaml:5:42: rules\.3\.multiply: write a factor of at most 100/),
    ])
    writeFileSync(
      join(folder, 'p.yaml'),
      'rules:\n  - { id: b, provider: opnai, model: gpt-4o, rates: { input: 1 } }\n',
    )
    expect(check('prices: { file: p.yaml }').errors).toEqual([
      'p.yaml:2:24: rules.0.provider: no provider is called opnai: did you mean openai?',
    ])
    // A name of one's own is not a mistake.
    writeFileSync(join(folder, 'p.yaml'), 'rules:\n  - { id: b, provider: my_gpus, rates: { input: 1 } }\n')
    expect(check('prices: { file: p.yaml }\nproviders: { llm: my_gpus }')).toEqual({ errors: [], warnings: [] })
  })

  it('a data folder that is a file, and a store that would be left behind', () => {
    writeFileSync(join(folder, 'file'), '')
    expect(check('data: file').errors).toEqual([
      expect.stringMatching(/^o\.yaml:1:7: data: file is a file: write the path of a folder$/),
    ])
    const cwd = process.cwd()
    const work = join(folder, 'work')
    mkdirSync(join(work, 'data'), { recursive: true })
    writeFileSync(join(work, 'data', 'ledger.db'), '')
    process.chdir(work)
    try {
      expect(check('data: ./data').errors).toEqual([
        expect.stringMatching(
          /data: is data \(relative to the folder of the configuration file\), which holds no store; there is one in work\/data: move it/,
        ),
      ])
      expect(check('data: ./data', { OBSERVER_DATA: './data' }).errors).toEqual([])
      mkdirSync(join(folder, 'data'))
      writeFileSync(join(folder, 'data', 'ledger.db'), '')
      expect(check('data: ./data').errors).toEqual([])
    } finally {
      process.chdir(cwd)
    }
  })

  it('no estimate that any plugin would wait for is refused, and no other is taken', () => {
    const [, longest] = (
      SCHEMA.find((field) => 'send_timeout_ms' in field) as unknown as {
        send_timeout_ms: { between: [number, number] }
      }
    ).send_timeout_ms.between
    expect(check(`estimate: { timeoutMs: ${longest} }`).errors).toHaveLength(1)
    expect(check(`estimate: { timeoutMs: ${longest - 1000} }`).errors).toEqual([])
  })

  it('an empty name of a file', () => {
    expect(() => checkConfig('', {})).toThrow('the name of the configuration file is empty')
  })
})

describe('what --check-config warns of', () => {
  it.each<[string, string, RegExp]>([
    [
      'a short token that only this machine can send',
      'listen: { tokens: { intake: a } }',
      /listen\.tokens\.intake: a token needs 128 random bits/,
    ],
    [
      'a token that no door asks for',
      `listen: { tokens: { api: ${GOOD} } }`,
      /^o\.yaml:1:26: listen\.tokens\.api: no door of this version asks for this token$/,
    ],
    [
      'one token for two doors',
      `listen: { tokens: { intake: ${GOOD}, metrics: ${GOOD} } }`,
      /listen\.tokens\.metrics: is the token of listen\.tokens\.intake too/,
    ],
    [
      'a provider that nobody knows',
      'providers: { llm: my_own_gpus }',
      /providers\.llm: no provider is called my_own_gpus: its calls have a price only by rules of yours/,
    ],
    [
      'a header that the tap keeps to itself',
      'attribution: { user: [{ by: header, name: x-my-user }] }',
      /attribution\.user\.0: x-my-user is not let through by the tap/,
    ],
    [
      'such a header of an answer',
      'semanticCache: { rules: [{ header: My-Cache, hit: [HIT] }] }',
      /semanticCache\.rules\.0\.header: my-cache is not let through/,
    ],
    [
      'no rule',
      'attribution: { rules: [] }',
      /attribution\.rules: no rule: every call will be of the tenant unattributed/,
    ],
    [
      'an estimate that waits longer than a plugin does by default',
      'estimate: { timeoutMs: 5000 }',
      /estimate\.timeoutMs: must be less than the plugin's send_timeout_ms, by default 5000/,
    ],
    [
      'losses told too early',
      'ledger: { gapGraceSeconds: 5 }',
      /ledger\.gapGraceSeconds: Kong lets a capture wait for 60 s/,
    ],
    [
      'a request smaller than a batch',
      'listen: { maxBodyBytes: 1MiB }',
      /listen\.maxBodyBytes: a batch of the plugin has up to 1048576 bytes/,
    ],
    [
      'content that is not redacted',
      'redaction: { enabled: false }',
      /redaction\.enabled: content is kept and not redacted/,
    ],
    ['a former name', `listen: { token: ${GOOD} }`, /^o\.yaml: listen\.token is called listen\.tokens\.intake now/],
    ['the former limit of the log', 'spool: { limit: 2GiB }', /^o\.yaml: spool\.limit is called store\.logLimit now$/],
  ])('%s', (_what, yaml, message) => {
    expect(check(yaml)).toEqual({ errors: [], warnings: [expect.stringMatching(message)] })
  })

  it('a former variable', () => {
    expect(check('', { OBSERVER_TOKEN: GOOD }).warnings).toEqual([
      'OBSERVER_TOKEN: is called OBSERVER_INTAKE_TOKEN now',
    ])
    expect(check('', { OBSERVER_SPOOL_LIMIT: '2GiB' }).warnings).toEqual([
      'OBSERVER_SPOOL_LIMIT: is called OBSERVER_STORE_LOG_LIMIT now',
    ])
  })

  it.each([
    '{}',
    'providers: { "LLM.Internal": openai, vllm-svc: azure.ai.openai }',
    'semanticCache: { rules: [{ header: x-cache-mine, hit: [HIT] }] }',
    'content: { enabled: false }\nredaction: { enabled: false }',
    `listen: { host: 0.0.0.0, tokens: { intake: [${GOOD}, ${[...GOOD].reverse().join('')}], metrics: open } }`,
    'exporters: { otlp: { endpoint: "https://gw.example.com/otlp" }, loki: { url: "http://loki:3100/" } }',
    `redaction: { custom: [{ name: X, pattern: '\\$\\{[A-Z]+\\}' }] }`,
    'budgets: { tenants: { unattributed: { month: 10 }, 企業甲: { day: 1 } } }',
  ])('nothing of %s', (yaml) => expect(check(yaml)).toEqual({ errors: [], warnings: [] }))
})

describe('paths', () => {
  it('start at the folder of the file, those of the environment at the working directory', () => {
    const sub = join(folder, 'etc')
    mkdirSync(sub)
    writeFileSync(join(sub, 'key'), GOOD)
    writeFileSync(join(sub, 'prices.yaml'), 'rules: []')
    const file = join(sub, 'observer.yaml')
    writeFileSync(file, 'data: ./store\nprices: { file: prices.yaml }\nlisten: { tokens: { intake: { file: key } } }\n')
    const { config } = checkConfig(file, {})
    expect(config.data).toBe(join(sub, 'store'))
    expect(config.prices.file).toBe(join(sub, 'prices.yaml'))
    expect(config.listen.tokens.intake?.[0]?.reveal({})).toBe(GOOD)
    expect(checkConfig(file, { OBSERVER_DATA: './elsewhere' }).config.data).toBe('./elsewhere')
    expect(checkConfig(undefined, {}).config.data).toBe('./data')
  })
})
