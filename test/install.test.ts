import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { freePort } from '../dev/free-port.ts'
import { parseConfig } from '../sidecar/config.ts'

/** What docs/install.md says to type, as far as it can be typed here. */
const root = join(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const page = read('docs/install.md')
const directory = mkdtempSync(join(tmpdir(), 'install-'))
chmodSync(directory, 0o755)
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const section = (heading: string) => page.split(/^## /m).find((part) => part.startsWith(heading))!
const block = (heading: string) => /```sh\n(.*?)```/s.exec(section(heading))![1]!

describe('Without Docker: systemd', () => {
  const commands = block('Without Docker: systemd')

  it('its observer.yaml is valid, and meets the units where they look', () => {
    const yaml = /<<'YAML'\n(.*?)YAML\n/s.exec(commands)![1]!
    const config = parseConfig(yaml, 'observer.yaml', { OBSERVER_INTAKE_TOKEN: 'a'.repeat(64) })
    expect(config.listen.socket).toBe('/run/llm-observer/sidecar.sock')
    expect(config.listen.tokens.intake).toBeDefined()
    const unit = read('deploy/systemd/kong-llm-observer.service')
    expect(unit).toContain('EnvironmentFile=-/etc/kong-llm-observer/secrets.env')
    expect(config.data).toBe('/var/lib/llm-observer')
    expect(unit).toMatch(/^StateDirectory=llm-observer$/m)
  })

  it('installs files that the package has, and no command that bash does not read', () => {
    const files = [...commands.matchAll(/\$package"?\/(deploy\/[\w./-]+?)"?(?:\*\S*)? /g)].map(([, file]) => file!)
    expect(files.length).toBe(3)
    for (const file of files)
      expect(() => read(file.endsWith('kong-llm-observer') ? `${file}.service` : file)).not.toThrow()
    expect(spawnSync('bash', ['-n'], { input: commands }).status).toBe(0)
  })
})

describe('Check kong.yml', () => {
  const bin = join(directory, 'bin')
  mkdirSync(bin)
  const program = join(root, 'dev/gateway/testing/kong-command.ts')
  writeFileSync(join(bin, 'kong'), `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`)
  chmodSync(join(bin, 'kong'), 0o755)

  const check = async (file: string) => {
    const folder = mkdtempSync(join(directory, 'kong-'))
    chmodSync(folder, 0o755)
    writeFileSync(join(folder, 'kong.yml'), file)
    return spawnSync('bash', ['-c', block('Check kong.yml').replace('18000', String(await freePort()))], {
      cwd: folder,
      encoding: 'utf8',
      env: { PATH: `${bin}:${process.env.PATH}`, TMPDIR: folder },
    })
  }
  it('a good file: Kong starts on it, and ends', async () => {
    expect(await check(read('kong.yml'))).toMatchObject({
      status: 0,
      stdout: 'Kong started\nKong stopped (gracefully)\n',
    })
  })
  it('a wrong one: 1, and what is wrong', async () => {
    const wrong = read('kong.yml').replace(/content: "off"/, 'content: off')
    expect(await check(wrong)).toMatchObject({ status: 1, stderr: expect.stringContaining("in 'content'") })
  })
})
