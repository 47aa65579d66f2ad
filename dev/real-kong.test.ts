import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'

/**
 * `npm run demo -- --kong` with the stand-in for the command `kong` (gateway/testing/kong-command.ts), which fails where the real
 * one was seen to: YAML 1.1, a worker of another user, a master that stays when its command ends.
 */
const root = join(import.meta.dirname, '..')
const NOBODY = 65_534
const isRoot = process.getuid?.() === 0
const directory = mkdtempSync(join(tmpdir(), 'real-kong-'))
chmodSync(directory, 0o755)
afterAll(() => rmSync(directory, { recursive: true, force: true }))
const bin = join(directory, 'bin')
mkdirSync(bin)
writeFileSync(
  join(bin, 'kong'),
  `#!/bin/sh\nexec '${process.execPath}' '${join(root, 'dev/gateway/testing/kong-command.ts')}' "$@"\n`,
)
chmodSync(join(bin, 'kong'), 0o755)
/** Says how the stand-in fails: the demo hands Kong no variables of its own. */
function kongThat(fails: string): string {
  const folder = join(directory, fails)
  mkdirSync(folder)
  writeFileSync(join(folder, 'kong'), `#!/bin/sh\nSTAND_IN_KONG=${fails} exec '${join(bin, 'kong')}' "$@"\n`)
  chmodSync(join(folder, 'kong'), 0o755)
  return folder
}

let runs = 0
function demo({ user, path = bin }: { user?: number; path?: string } = {}) {
  const temporary = join(directory, `run-${++runs}`)
  mkdirSync(temporary, { mode: 0o700 })
  if (user !== undefined) chownSync(temporary, user, user)
  else chmodSync(temporary, 0o755)
  const { status, stdout, stderr } = spawnSync(process.execPath, ['dev/demo.ts', '--kong', '--calls', '30'], {
    cwd: root,
    encoding: 'utf8',
    env: { PATH: `${path}:${process.env.PATH}`, TMPDIR: temporary, HOME: temporary },
    ...(user !== undefined && { uid: user, gid: user }),
  })
  // Sidecar, plugin server, Kong's master and worker all have the folder in their command lines.
  const left = spawnSync('pgrep', ['-f', '-a', temporary], { encoding: 'utf8' }).stdout
  return { status, stdout, stderr, left, files: readdirSync(temporary) }
}

describe('npm run demo -- --kong', () => {
  it.each<[who: string, user: number | undefined]>([
    ['as the user that runs the tests', undefined],
    // Root's tests run it as another user too.
    ...(isRoot ? [['as nobody', NOBODY] as [string, number]] : []),
  ])('%s: every column is the access log’s, and nothing is left', (_who, user) => {
    const { status, stdout, stderr, left, files } = demo(user === undefined ? {} : { user })
    expect({ status, stderr, left, files }, stdout).toEqual({ status: 0, stderr: '', left: '', files: [] })
    expect(stdout).toMatch(/^all +30 +[\d,]+ +[\d.]+( +0){5}$/m)
    expect(stdout).toContain('captures lost on the way: 0')
  })

  it('Kong that refuses to start: its own words, and nothing is left', () => {
    const { status, stderr, left, files } = demo({ path: kongThat('refused') })
    expect(stderr).toMatch(/demo failed: kong does not start \(exit code 1\):.*bind\(\) to .* failed/s)
    expect({ status, left, files }).toEqual({ status: 1, left: '', files: [] })
  })

  it('Kong that starts and whose worker ends: said at once, with what to look at', () => {
    const { status, stderr, left, files } = demo({ path: kongThat('fatal') })
    expect(stderr).toMatch(
      /does not answer: its worker ended.*can that user enter .*fatal code 2 and cannot be respawned/s,
    )
    expect({ status, left, files }).toEqual({ status: 1, left: '', files: [] })
  })
})

describe('the stand-in', () => {
  const kong = (content: string, ...args: string[]) => {
    const file = join(directory, 'declarative.yml')
    const plugin = `{ name: llm-observer, config: { content: ${content} } }`
    writeFileSync(file, `_format_version: "3.0"\nservices: [{ name: a, url: "http://a", plugins: [${plugin}] }]\n`)
    return spawnSync(join(bin, 'kong'), args, {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, KONG_DECLARATIVE_CONFIG: file, KONG_PREFIX: join(directory, 'prefix') },
    })
  }
  it('reads YAML 1.1, where off is false', () => {
    const { status, stderr } = kong('off', 'start')
    expect({ status, stderr }).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("in 'content': expected a string"),
    })
  })
  it('has Kong’s fault in `config parse`', () => {
    expect(kong('"off"', 'config', 'parse', 'kong.yml').stderr).toContain("attempt to index upvalue 'kong'")
  })
})
