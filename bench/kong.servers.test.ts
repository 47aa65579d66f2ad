import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'

/**
 * A dry run: bench/kong.sh with stand-ins for `kong` and `wrk`, so that a user with both gets a table and no error of the script's.
 * What it says of Kong's cost needs a Kong.
 */
const directory = mkdtempSync(join(tmpdir(), 'kong-bench-'))
chmodSync(directory, 0o755)
afterAll(() => rmSync(directory, { recursive: true, force: true }))
const script = join(import.meta.dirname, 'kong.sh')
const missing = ['curl', 'openssl', 'pgrep'].filter(
  (tool) => spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0,
)
if (missing.length > 0) console.warn(`skipped: bench/kong.sh needs ${missing.join(', ')}`)

function standIn(name: string, program: string, settings = ''): string {
  const folder = mkdtempSync(join(directory, `${name}-`))
  chmodSync(folder, 0o755)
  const file = join(folder, name)
  writeFileSync(
    file,
    `#!/bin/sh\n${settings} exec '${process.execPath}' '${join(import.meta.dirname, program)}' "$@"\n`,
  )
  chmodSync(file, 0o755)
  return folder
}
const KONG = '../dev/gateway/testing/kong-command.ts'
const run = (path: string, ...args: string[]) =>
  spawnSync('bash', [script, ...args], { encoding: 'utf8', env: { ...process.env, PATH: path, TMPDIR: directory } })
/** Of Kong, the plugin server and the stand-ins: all name the folder of the run. */
const left = () => spawnSync('pgrep', ['-fa', join(directory, 'tmp.')], { encoding: 'utf8' }).stdout

describe('bench/kong.sh', () => {
  it('says what is missing, and claims nothing', () => {
    const { status, stderr } = run('/usr/bin:/bin')
    expect({ status, stderr }).toMatchObject({ status: 3, stderr: expect.stringContaining('Nothing was measured') })
    expect(run(process.env.PATH!, 'soon').status).toBe(2)
  })

  it.skipIf(missing.length > 0)('measures each way beside its peers, and says the differences and the goals', () => {
    const path = `${standIn('kong', KONG)}:${standIn('wrk', 'testing/wrk-stand-in.ts')}:${process.env.PATH}`
    const { status, stdout, stderr } = run(path, '1', '1')
    expect({ status, stderr, left: left() }, stdout).toEqual({ status: 0, stderr: '', left: '' })
    const figures = /^\S+ +[\d.]+ req\/s {3}p50 +[\d.]+ms .* Kong +\d+ µs, Node +\d+ µs/gm
    // Five ways and two, at saturation and as an LLM workload.
    expect(stdout.match(figures)).toHaveLength(14)
    expect(stdout.match(/^\S+ +p50 [\d.]+ ms {3}p99 [\d.]+ ms {3}300 requests$/gm)).toHaveLength(7)
    // What was observed came: one warm-up and one measurement of 25 are told apart.
    for (const way of ['observed', 'ship-tap'])
      expect(stdout.match(new RegExp(`^${way} .*arrived 25 of 25$`, 'gm'))).toHaveLength(2)
    for (const way of ['tap', 'ship-tap', 'http-log', 'observed', 'opentelemetry'])
      expect(stdout).toMatch(new RegExp(`^saturation +${way} +Kong [+-]\\d+ µs`, 'm'))
    expect(stdout.match(/ (met|MISSED)$/gm)).toHaveLength(5)
  })

  it.skipIf(missing.length > 0).each([
    ['refused', /kong does not start: .*bind\(\)/s],
    ['fatal', /kong started and does not answer: .*cannot be respawned/s],
  ])('Kong that cannot start (%s): its own words, and nothing is left', (fault, said) => {
    const path = `${standIn('kong', KONG, `STAND_IN_KONG=${fault}`)}:${standIn('wrk', 'testing/wrk-stand-in.ts')}:${process.env.PATH}`
    const { status, stderr } = run(path, '1')
    expect(stderr).toMatch(said)
    expect({ status, left: left() }).toEqual({ status: 1, left: '' })
  })
})
