import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { checkConfig } from './config-check.ts'
import { type ReloadPlan, snapshotOf } from './config-reload.ts'
import { type ConfigWatch, watchConfig } from './config-watch.ts'
import { makeLogger } from './logger.ts'

const TOKEN = '7f3a9c1e5b8d2046af13c97e60d4b825'
let folder: string
let watching: ConfigWatch | undefined
let plans: ReloadPlan[]
let lines: { level: string; msg: string; problem?: string; settings?: string[] }[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'config-watch-'))
  plans = []
  lines = []
})
afterEach(() => {
  watching?.close()
  rmSync(folder, { recursive: true, force: true })
})

function start(file: string | undefined, apply = (plan: ReloadPlan) => void plans.push(plan)) {
  const { config } = checkConfig(file, {})
  watching = watchConfig({
    file,
    environment: {},
    snapshot: snapshotOf(config, {}),
    logger: makeLogger('INFO', { write: (line) => void lines.push(JSON.parse(line)) }),
    apply,
  })
  return watching
}
const said = (msg: RegExp) => lines.filter((line) => msg.test(line.msg))
const file = () => join(folder, 'observer.yaml')

describe('a changed configuration', () => {
  it('takes effect, and what needs a restart is named', async () => {
    writeFileSync(file(), 'log: { level: INFO }')
    const { snapshot: _, ...watch } = start(file())
    writeFileSync(file(), 'log: { level: DEBUG }\nlisten: { port: 9 }')
    await vi.waitUntil(() => plans.length === 1)
    expect(plans[0]).toMatchObject({ applied: ['log.level'], needsRestart: ['listen.port'] })
    expect(said(/new settings are in force/)).toMatchObject([{ level: 'INFO', settings: ['log.level'] }])
    expect(said(/need a restart/)).toMatchObject([{ level: 'WARN', settings: ['listen.port'] }])
    watch.reload('SIGHUP')
    expect(plans).toHaveLength(1)
    expect(said(/need a restart/)).toHaveLength(2)
  })

  it('that is not valid changes nothing, with each problem at its line, once', async () => {
    writeFileSync(file(), 'log: { level: INFO }')
    const watch = start(file())
    writeFileSync(file(), 'log: { level: LOUD }\nproviders: { llm: opnai }')
    await vi.waitUntil(() => said(/not valid/).length === 2)
    expect(said(/not valid/).map(({ problem }) => problem)).toEqual([
      expect.stringMatching(/observer\.yaml:1:15: log\.level: write one of DEBUG/),
      expect.stringMatching(/observer\.yaml:2:19: providers\.llm: /),
    ])
    watch.reload('SIGHUP')
    expect(said(/not valid/)).toHaveLength(4)
    rmSync(file())
    watch.reload('SIGHUP')
    expect(said(/not valid/).at(-1)?.problem).toMatch(/cannot be read \(ENOENT\)/)
    expect(plans).toEqual([])
    writeFileSync(file(), 'log: { level: WARN }')
    await vi.waitUntil(() => plans.length === 1)
    expect(watch.snapshot.config.log.level).toBe('WARN')
  })

  it('in a secret’s file takes effect, as Kubernetes puts it there', async () => {
    const secrets = join(folder, 'secrets')
    for (const [name, text] of [
      ['..1', TOKEN],
      ['..2', [...TOKEN].reverse().join('')],
    ] as const) {
      mkdirSync(join(secrets, name), { recursive: true })
      writeFileSync(join(secrets, name, 'token'), text)
    }
    symlinkSync('..1', join(secrets, '..data'))
    symlinkSync('..data/token', join(secrets, 'token'))
    writeFileSync(file(), 'listen: { tokens: { intake: { file: secrets/token } } }')
    start(file())
    symlinkSync('..2', join(secrets, '..next'))
    renameSync(join(secrets, '..next'), join(secrets, '..data'))
    await vi.waitUntil(() => plans.length === 1)
    expect(plans[0]!.applied).toEqual(['listen.tokens.intake'])
  })

  it('that cannot be put in force leaves the one before', () => {
    writeFileSync(file(), 'log: { level: INFO }')
    const watch = start(file(), () => {
      throw new Error('no such thing')
    })
    writeFileSync(file(), 'log: { level: WARN }')
    watch.reload('SIGHUP')
    expect(said(/not valid/)).toMatchObject([{ problem: 'no such thing' }])
    expect(watch.snapshot.config.log.level).toBe('INFO')
  })

  it('is asked for without a file too', () => {
    start(undefined).reload('SIGHUP')
    expect(said(/has not changed/)).toHaveLength(1)
  })
})
