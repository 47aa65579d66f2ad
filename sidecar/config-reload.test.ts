import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { configSchema } from './config.ts'
import { planReload, RELOADABLE, snapshotOf } from './config-reload.ts'

const snapshot = (settings: object, environment: Record<string, string> = {}) =>
  snapshotOf(configSchema.parse(settings), environment)
const loki = (more: object = {}) => ({ exporters: { loki: { url: 'http://loki:3100', ...more } } })

/** Settings of every section, with a value of each that is not the default. */
const OTHER: [section: string, settings: object][] = [
  ['log', { log: { level: 'DEBUG' } }],
  ['listen.tokens', { listen: { tokens: { intake: 'a', metrics: 'open' } } }],
  ['listen.hosts', { listen: { hosts: ['observer.example.com'] } }],
  ['attribution', { attribution: { trustedRoutes: ['r'] } }],
  ['semanticCache', { semanticCache: { rules: [{ header: 'x-cache', hit: ['HIT'] }] } }],
  ['redaction', { redaction: { patterns: ['email'] } }],
  ['content', { content: { enabled: false } }],
  ['providers', { providers: { llm: 'openai' } }],
  ['budgets', { budgets: { tenants: { blue: { month: 10 } } } }],
  ['estimate.whenContentOff', { estimate: { whenContentOff: false } }],
  ['estimate.maxTextBytes', { estimate: { maxTextBytes: '1MiB' } }],
]
const RESTART: [section: string, settings: object][] = [
  ['listen.host', { listen: { host: '::1' } }],
  ['listen.port', { listen: { port: 9000 } }],
  ['listen.socket', { listen: { socket: '/run/s.sock' } }],
  ['listen.maxBodyBytes', { listen: { maxBodyBytes: '8MiB' } }],
  ['data', { data: './other' }],
  ['store.logLimit', { store: { logLimit: '2GiB' } }],
  ['ledger.maxModels', { ledger: { maxModels: 7 } }],
  ['ledger.maxSeries', { ledger: { maxSeries: 5000 } }],
  ['backup.keep', { backup: { keep: 7 } }],
  ['prices.file', { prices: { file: 'p.yaml' } }],
  ['estimate.enabled', { estimate: { enabled: false } }],
  ['estimate.workers', { estimate: { workers: 2 } }],
  ['estimate.queueBytes', { estimate: { queueBytes: '1MiB' } }],
  ['estimate.timeoutMs', { estimate: { timeoutMs: 1000 } }],
  ['exporters.loki.url', loki()],
]

describe('a reload', () => {
  it.each(OTHER)('of %s takes effect', (section, settings) => {
    const next = snapshot(settings)
    const plan = planReload(snapshot({}), next)
    expect(plan.applied.every((path) => path === section || path.startsWith(`${section}.`))).toBe(true)
    expect(plan.applied).not.toEqual([])
    expect(plan.needsRestart).toEqual([])
    expect(plan.snapshot).toEqual(next)
  })

  it.each(RESTART)('of %s needs a restart, and the old value stays in force', (section, settings) => {
    const current = snapshot({})
    const plan = planReload(current, snapshot({ ...settings, log: { level: 'WARN' } }))
    expect(plan.applied).toEqual(['log.level'])
    expect(plan.needsRestart).toContain(section)
    expect(plan.snapshot.config).toEqual({ ...current.config, log: { level: 'WARN' } })
    // Told until the restart, each time that the file is read.
    expect(planReload(plan.snapshot, snapshot(settings)).needsRestart).toContain(section)
  })

  it('speaks of every setting that there is', () => {
    const sections = [...OTHER, ...RESTART].map(([section]) => section)
    const full = snapshot({ ...Object.assign({}, ...OTHER.map(([, settings]) => settings)), ...loki() })
    for (const path of [...full.settings.keys(), ...snapshot({}).settings.keys()]) {
      if (path.startsWith('exporters.')) continue
      const section = path
        .split('.')
        .slice(0, ['listen', 'estimate'].includes(path.split('.')[0]!) ? 2 : 1)
        .join('.')
      expect(
        sections.some((known) => known === section || known.startsWith(`${section}.`)),
        path,
      ).toBe(true)
    }
    for (const section of RELOADABLE)
      expect(section.startsWith('exporters.') || OTHER.some(([known]) => known === section), section).toBe(true)
  })

  it('of a sink takes effect, but for whether there is one', () => {
    const changed = planReload(snapshot(loki()), snapshot(loki({ timeoutMs: 5, headers: { a: 'b' } })))
    expect(changed).toMatchObject({
      applied: ['exporters.loki.headers.a', 'exporters.loki.timeoutMs'],
      needsRestart: [],
    })
    const gone = planReload(snapshot(loki()), snapshot({}))
    expect(gone.applied).toEqual([])
    expect(gone.snapshot.config.exporters.loki?.url).toBe('http://loki:3100')
    const come = planReload(snapshot({}), snapshot(loki()))
    expect(come.snapshot.config.exporters).toEqual({})
  })

  it('of how a sink is delivered to waits for the restart, its other settings do not', () => {
    const plan = planReload(snapshot(loki()), snapshot(loki({ timeoutMs: 5, poisonAfterMs: 7 })))
    expect(plan).toMatchObject({
      applied: ['exporters.loki.timeoutMs'],
      needsRestart: ['exporters.loki.poisonAfterMs'],
    })
    expect(plan.snapshot.config.exporters.loki).toMatchObject({ timeoutMs: 5, poisonAfterMs: 60_000 })
  })

  it('of tokens waits for the restart where the host does', () => {
    const current = snapshot({ listen: { host: '0.0.0.0', tokens: { intake: 'a', metrics: 'open' } } })
    const plan = planReload(current, snapshot({ log: { level: 'WARN' } }))
    expect(plan.applied).toEqual(['log.level'])
    expect(plan.snapshot.config.listen).toEqual(current.config.listen)
  })

  it('knows a secret whose file or variable has changed, and shows none', () => {
    const folder = mkdtempSync(join(tmpdir(), 'reload-'))
    const file = join(folder, 'token')
    writeFileSync(file, 'hunter1')
    const settings = { listen: { tokens: { intake: { file } } }, ...loki({ headers: { a: { env: 'A' } } }) }
    const before = snapshot(settings, { A: 'hunter3' })
    expect(planReload(before, snapshot(settings, { A: 'hunter3' }))).toMatchObject({ applied: [], needsRestart: [] })
    writeFileSync(file, 'second')
    expect(planReload(before, snapshot(settings, { A: 'hunter4' })).applied).toEqual([
      'exporters.loki.headers.a',
      'listen.tokens.intake',
    ])
    expect([...before.settings.values()].join()).not.toMatch(/hunter/)
    rmSync(folder, { recursive: true })
  })
})
