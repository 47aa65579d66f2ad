import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeChild } from '../dev/child-process.ts'
import { freePort } from '../dev/free-port.ts'
import { sumOfMetric } from '../dev/metrics-text.ts'
import { waitUntil } from '../dev/wait-until.ts'
import { connectAsKong } from '../plugin/testing/kong-side.ts'
import { makeCapture } from '../sidecar/testing/make-capture.ts'

const root = join(import.meta.dirname, '..')

/** What a user gets: the tarball, installed into an empty folder. Under node_modules Node strips no types. */
describe('the packed tarball', () => {
  const folder = mkdtempSync(join(tmpdir(), 'packed-'))
  const installed = join(folder, 'node_modules/kong-llm-observer')
  const command = join(folder, 'node_modules/.bin/kong-llm-observer')
  const run = (file: string, args: string[], env: Record<string, string> = {}) =>
    spawnSync(file, args, {
      // The test's own time limit cannot end what holds up its thread.
      timeout: 150_000,
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
      '--fetch-timeout=20000',
      '--fetch-retries=5',
      join(folder, tarball),
    ])
    expect(install.status, install.error?.message ?? install.stderr).toBe(0)
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('holds no TypeScript and no test', () => {
    const files = readdirSync(installed, { recursive: true, encoding: 'utf8' }).filter(
      (file) => !file.startsWith('node_modules'),
    )
    expect(files.filter((file) => /\.test\.|(?<!\.d)\.ts$/.test(file))).toEqual([])
    expect(files).toEqual(expect.arrayContaining(['kong.yml', 'deploy/kong/dump.json', 'deploy/konnect/schema.lua']))
  })

  it('tap prints the tap as a plugin of Kong', () => {
    const { status, stdout, stderr } = run(command, ['tap', '--sidecar-url', 'unix:/run/s.sock'])
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(JSON.parse(stdout)).toMatchObject({
      name: 'pre-function',
      config: { log: [expect.stringContaining('unix:/run/s.sock')] },
    })
  })

  it('--check-config says what is valid, and all that is not', () => {
    writeFileSync(join(folder, 'observer.yaml'), 'listen:\n  port: 8086\n')
    const valid = run(command, ['--check-config'])
    expect(valid).toMatchObject({ status: 0, stdout: expect.stringContaining('observer.yaml: valid') })
    writeFileSync(join(folder, 'wrong.yaml'), 'listen:\n  port: 99999\nstore:\n  logLimit: lots\n')
    const invalid = run(command, ['--check-config', '--config', 'wrong.yaml'])
    expect(invalid.status).toBe(2)
    expect(invalid.stderr).toMatch(/wrong\.yaml:2:\d+: listen\.port/)
    expect(invalid.stderr).toMatch(/wrong\.yaml:4:\d+: store\.logLimit/)
  })

  it('its plugin loads in the real kong-js-pluginserver', () => {
    // As a user does it: the printed settings, run by a shell.
    const settings = run(command, ['plugin-server']).stdout
    expect(settings).toContain(installed)
    const dump = run('bash', ['-c', `${settings}\nexec $KONG_PLUGINSERVER_JS_QUERY_CMD`])
    expect(dump.status, dump.stderr).toBe(0)
    expect(JSON.parse(dump.stdout)).toMatchObject([{ Name: 'llm-observer', Phases: ['log'] }])
  })

  it('a call goes through the packed plugin and the packed sidecar', async () => {
    const socket = join(folder, 'sidecar.sock')
    const port = await freePort()
    const metrics = async () => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    writeFileSync(
      join(folder, 'run.yaml'),
      `listen: { port: ${port}, socket: ${socket} }\ndata: ${join(folder, 'data')}\n`,
    )
    const sidecar = makeChild({
      name: 'packed sidecar',
      command,
      args: ['--config', join(folder, 'run.yaml')],
      logFile: join(folder, 'sidecar.log'),
      ready: async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok,
    })
    const settings = run(command, ['plugin-server']).stdout
    const [, startCommand] = /START_CMD="\/bin\/sh -c '(.*)'"/.exec(settings)!
    // In a folder that nobody has made yet.
    const runFolder = join(folder, 'run', 'llm-observer')
    const pluginServer = makeChild({
      name: 'packed plugin server',
      command: '/bin/sh',
      args: ['-c', startCommand!.replaceAll('/var/run/llm-observer', runFolder)],
      logFile: join(folder, 'plugin-server.log'),
      ready: async () => existsSync(join(runFolder, 'js.sock')),
    })
    try {
      await Promise.all([sidecar.start(), pluginServer.start()])
      const kong = await connectAsKong(join(runFolder, 'js.sock'))
      const instance = await kong.startInstance({ source: 'tap', sidecar_url: `unix:${socket}`, linger_ms: 1 })
      const { content: _content, ...tapped } = makeCapture()
      expect(await kong.event(instance, () => tapped)).toEqual(['kong.ctx.shared.get'])
      await waitUntil(async () => sumOfMetric(await metrics(), 'llm_calls_total') === 1)
      expect(sumOfMetric(await metrics(), 'llm_tokens_total', { tenant_id: 'blue' })).toBe(34)
      kong.close()
    } finally {
      await pluginServer.kill('SIGTERM')
      await sidecar.kill('SIGTERM')
    }
  })
})
