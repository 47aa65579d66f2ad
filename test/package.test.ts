import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '..')

/** What a user gets: the tarball, installed into an empty folder. Under node_modules Node strips no types. */
describe('the packed tarball', () => {
  const folder = mkdtempSync(join(tmpdir(), 'packed-'))
  const installed = join(folder, 'node_modules/kong-llm-observer')
  const command = join(folder, 'node_modules/.bin/kong-llm-observer')
  const run = (file: string, args: string[], env: Record<string, string> = {}) =>
    spawnSync(file, args, {
      cwd: folder,
      encoding: 'utf8',
      env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? folder, ...env },
    })

  beforeAll(() => {
    const tarball = execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], {
      cwd: root,
      encoding: 'utf8',
    })
      .trim()
      .split('\n')
      .at(-1)!
    writeFileSync(join(folder, 'package.json'), '{"private":true}')
    const install = run('npm', [
      'install',
      '--no-audit',
      '--no-fund',
      '--ignore-scripts',
      '--loglevel=error',
      '--prefer-offline',
      join(folder, tarball),
    ])
    expect(install.status, install.stderr).toBe(0)
  }, 180_000)
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('holds no TypeScript and no test', () => {
    const files = readdirSync(installed, { recursive: true, encoding: 'utf8' }).filter(
      (file) => !file.startsWith('node_modules'),
    )
    expect(files.filter((file) => /\.test\.|(?<!\.d)\.ts$/.test(file))).toEqual([])
    expect(files).toContain('kong.yml')
  })

  it('--check-config says what is valid, and all that is not', () => {
    writeFileSync(join(folder, 'observer.yaml'), 'listen:\n  port: 8086\n')
    const valid = run(command, ['--check-config'])
    expect(valid).toMatchObject({ status: 0, stdout: expect.stringContaining('observer.yaml: valid') })
    writeFileSync(join(folder, 'wrong.yaml'), 'listen:\n  port: 99999\nspool:\n  limit: lots\n')
    const invalid = run(command, ['--check-config', '--config', 'wrong.yaml'])
    expect(invalid.status).toBe(2)
    expect(invalid.stderr).toContain('wrong.yaml:2: listen.port')
    expect(invalid.stderr).toContain('wrong.yaml:4: spool.limit')
  })

  it('its plugin loads in the real kong-js-pluginserver', () => {
    // As a user does it: the printed settings, run by a shell.
    const settings = run(command, ['plugin-server']).stdout
    expect(settings).toContain(installed)
    const dump = run('bash', ['-c', `${settings}\nexec $KONG_PLUGINSERVER_JS_QUERY_CMD`])
    expect(dump.status, dump.stderr).toBe(0)
    expect(JSON.parse(dump.stdout)).toMatchObject([{ Name: 'llm-observer', Phases: ['log'] }])
  })
})
