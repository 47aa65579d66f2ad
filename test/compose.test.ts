import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'

/** docker-compose.yml, checked as far as it goes without Docker. */
const root = join(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const directory = mkdtempSync(join(tmpdir(), 'compose-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const secrets = join(directory, '.env')
execFileSync(process.execPath, [join(root, 'dev/write-secrets.mjs'), secrets])
const environment = parseEnv(readFileSync(secrets, 'utf8')) as Record<string, string>

describe('npm run secrets', () => {
  it('writes for its owner alone, and never over what is there', () => {
    expect(statSync(secrets).mode & 0o777).toBe(0o600)
    const before = readFileSync(secrets, 'utf8')
    const again = spawnSync(process.execPath, [join(root, 'dev/write-secrets.mjs'), secrets], { encoding: 'utf8' })
    expect(again.status).toBe(1)
    expect(again.stderr).toContain('is there already')
    expect(readFileSync(secrets, 'utf8')).toBe(before)
    for (const value of Object.values(environment)) if (value.length > 12) expect(again.stderr).not.toContain(value)
  })

  it('no secret twice, none the same the next time, none left as it stands in the example', () => {
    const other = join(directory, 'other.env')
    execFileSync(process.execPath, [join(root, 'dev/write-secrets.mjs'), other])
    const second = parseEnv(readFileSync(other, 'utf8'))
    const random = Object.entries(environment).filter(([name]) => /random:/.test(exampleOf(name)))
    expect(random.length).toBeGreaterThan(10)
    for (const [name, value] of random) {
      expect(value).not.toContain('random:')
      expect(value.length).toBeGreaterThanOrEqual(32)
      expect(value).not.toBe(second[name])
    }
    expect(new Set(random.map(([, value]) => value)).size).toBe(random.length)
    expect(environment.LANGFUSE_ENCRYPTION_KEY).toMatch(/^[0-9a-f]{64}$/)
  })

  const exampleOf = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(read('.env.example'))![1]!

  it('git and image builds leave .env alone', () => {
    for (const file of ['.gitignore', '.dockerignore']) expect(read(file).split('\n')).toContain('.env')
  })
})

describe('the text of docker-compose.yml', () => {
  const text = read('docker-compose.yml')
  const files = [
    text,
    read('deploy/kong/docker-compose.yml'),
    read('deploy/stack/core.yml'),
    read('deploy/stack/full.yml'),
  ]
  const variables = files.flatMap((file) => [...file.matchAll(/(?<!\$)\$\{([A-Z0-9_]+)(:?[?-])?([^}]*)\}/g)])

  it('a variable that is wanted is in .env.example; one that has a default is no secret', () => {
    const example = parseEnv(read('.env.example'))
    const compose = variables.map(([, name, operator, rest]) => ({ name: name!, operator, rest }))
    expect(compose.length).toBeGreaterThan(30)
    for (const { name, operator, rest } of compose) {
      if (operator === ':?') expect(example, name).toHaveProperty(name)
      else {
        expect(operator, name).toBe(':-')
        // Providers' credentials may be absent: then they are empty.
        // A former name may stand in for one that is wanted.
        if (/PASSWORD|SECRET|TOKEN|_KEY|SALT|AUTHORIZATION/.test(name))
          expect(rest, name).toMatch(/^(\$\{OBSERVER_TOKEN:\?.*)?$/)
      }
    }
    const used = new Set([
      // Compose's own, and which services it has.
      'COMPOSE_PROFILES',
      ...compose.map(({ name }) => name),
      ...[...text.matchAll(/environment: ([A-Z_]+) \}/g)].map(([, name]) => name!),
    ])
    expect(Object.keys(example).filter((name) => !used.has(name))).toEqual([])
  })

  it('no literal secret', () => {
    for (const file of files)
      for (const [line, , value] of file.matchAll(
        /^\s+([A-Z0-9_]*(?:PASSWORD|SECRET|TOKEN|SALT|_KEY|AUTH|DATABASE_URL|_PASS)[A-Z0-9_]*): *(?:&\w+ )?(.*)$/gm,
      )) {
        if (/_(DISABLE_SIGNUP|PUBLIC_KEY)\b|AUTH_DISABLE|ANONYMOUS|ACCESS_KEY_ID: langfuse/.test(line)) continue
        expect(value, line).toMatch(/\$\{[A-Z0-9_]+:[?-]|^\*/)
      }
  })

  it('the demo’s known token is the demo’s alone', () => {
    expect(parseEnv(read('deploy/demo.env')).OBSERVER_INTAKE_TOKEN).toBe('demo-token-known-to-everybody')
    expect(text + read('.env.example')).not.toContain('demo-token')
    expect(read('dev/demo-kong.yml')).toContain('intake_token: demo-token-known-to-everybody')
  })
})

describe('deploy/kong/start.sh', () => {
  const start = (file: string, variables: Record<string, string>) => {
    const copy = join(directory, 'copy.yml')
    const { stderr } = spawnSync('sh', [join(root, 'deploy/kong/start.sh')], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, KONG_YML: join(root, file), KONG_DECLARATIVE_CONFIG: copy, ...variables },
    })
    return { stderr, text: readFileSync(copy, 'utf8') }
  }
  const socket = 'unix:/var/run/llm-observer/sidecar.sock'

  it.each(['kong.yml', 'dev/demo-kong.yml'])(
    '%s: plugin and tap find the sidecar where the containers share it',
    (file) => {
      const { text, stderr } = start(file, { SIDECAR_URL: socket, DEMO_PROVIDER: 'demo-provider:9500' })
      // This machine is no container of Kong's: that is said after the copy was written.
      expect(stderr).toContain('no image of Kong')
      expect(text).not.toMatch(/127\.0\.0\.1:(8086|9500)/)
      expect(text).toContain(`local SIDECAR_URL = "${socket}"`)
      expect(text).toMatch(new RegExp(`sidecar_url: ["']?${socket}["']?$`, 'm'))
      expect(text.length - read(file).length).toBeLessThan(2000)
      expect(() => parse(text, { merge: true })).not.toThrow()
    },
  )

  it('as `kong` it makes the copy anew for `reload`, and is Kong’s command for the rest', () => {
    const kong = join(directory, 'kong')
    symlinkSync(join(root, 'deploy/kong/start.sh'), kong)
    const copy = join(directory, 'reloaded.yml')
    const own = join(directory, 'changed.yml')
    const run = (...args: string[]) =>
      spawnSync('sh', [kong, ...args], {
        encoding: 'utf8',
        env: {
          PATH: process.env.PATH,
          KONG_YML: own,
          KONG_DECLARATIVE_CONFIG: copy,
          SIDECAR_URL: socket,
          KONG_BINARY: '/bin/echo',
        },
      }).stdout
    for (const [command, copied] of [
      ['reload', true],
      ['health', false],
      ['restart', true],
    ] as const) {
      rmSync(copy, { force: true })
      writeFileSync(own, `# ${command}\nurl: http://127.0.0.1:8086\n`)
      expect(run(command, '-p', '/prefix')).toBe(`${command} -p /prefix\n`)
      expect(existsSync(copy)).toBe(copied)
      if (copied) expect(readFileSync(copy, 'utf8')).toBe(`# ${command}\nurl: ${socket}\n`)
    }
  })

  it('what names an address of its own stays as it is', () => {
    const own = join(directory, 'own.yml')
    writeFileSync(own, 'url: http://10.0.0.1:8086\nother: http://127.0.0.1:80861\n')
    const { text } = start('kong.yml', { KONG_YML: own, SIDECAR_URL: socket })
    expect(text).toBe(readFileSync(own, 'utf8'))
  })
})

describe('Grafana’s provisioning', () => {
  const { datasources } = parse(read('deploy/grafana/provisioning/datasources/datasources.yaml')) as {
    datasources: { uid: string; type: string; jsonData: Record<string, unknown> }[]
  }
  it('the uids that boards and links name', () => {
    expect(datasources.map(({ uid }) => uid)).toEqual(['prometheus', 'loki', 'tempo', 'alertmanager'])
    const named = [...JSON.stringify(datasources).matchAll(/"datasourceUid":"([a-z]+)"/g)].map(([, uid]) => uid)
    expect(new Set(named)).toEqual(new Set(['prometheus', 'loki', 'tempo']))
  })

  it('boards are where the provider looks', () => {
    const { providers } = parse(read('deploy/grafana/provisioning/dashboards/dashboards.yaml')) as {
      providers: { options: { path: string } }[]
    }
    expect(providers[0]!.options.path).toBe('/etc/grafana/dashboards')
    expect(read('docker-compose.yml')).toContain('./dashboards/grafana:/etc/grafana/dashboards:ro')
  })
})
