import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '..')
const ROOMS = 'plugin,sidecar,pricing,monitoring,dashboards,dev,test,bench'
const FILES = globSync(`{${ROOMS}}/**/*{.test,-contract}.ts`, {
  cwd: root,
  exclude: (name) => name.split('/').includes('node_modules'),
})
const texts = FILES.map((file) => ({ file, text: readFileSync(join(root, file), 'utf8') }))
const including = (pattern: RegExp) =>
  texts.filter(({ file, text }) => file !== 'test/tiers.test.ts' && pattern.test(text)).map(({ file }) => file)

describe('tiers of tests', () => {
  it('sees the files', () => {
    expect(FILES.length).toBeGreaterThan(150)
    expect(FILES.filter((file) => file.endsWith('.servers.test.ts')).length).toBeGreaterThan(15)
  })

  it('what asks for a server stands in a *.servers.test.ts', () => {
    const asking = including(/binariesPresent\('|start(?:Prometheus|Alertmanager|Alerting|Collector|Loki|Nginx)\(/)
    expect(asking.filter((file) => !file.endsWith('.servers.test.ts'))).toEqual([])
  })

  it('none asserts how long something took, or sets a limit that a busy machine reaches', () => {
    expect(including(/(?:performance\.now\(\)|Date\.now\(\)) - \w+\)(?:\.not)?\.toBeLess/)).toEqual([])
    expect(including(/expect\((?:took|elapsed|duration)\w*\)\.toBeLess/i)).toEqual([])
    expect(including(/^ {0,6}\}, [\d_]+\)$/m)).toEqual([])
    expect(including(/\b(?:it|test|describe)\b.*\{ timeout: \d/)).toEqual([])
    expect(including(/vi\.waitFor\(/)).toEqual([])
  })
})
