import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parser } from '@grafana/lezer-logql'
import { afterAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { MASKED, UNTOUCHED } from './log-lines.ts'

const root = join(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const directory = mkdtempSync(join(tmpdir(), 'log-pipeline-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

interface Rule {
  alert: string
  expr: string
  labels: Record<string, string>
  annotations: Record<string, string>
}
const organisations = readdirSync(join(root, 'deploy/loki/rules'))
const rulesOf = (organisation: string): Rule[] =>
  readdirSync(join(root, 'deploy/loki/rules', organisation)).flatMap((name) =>
    (parse(read(`deploy/loki/rules/${organisation}/${name}`)) as { groups: { rules: Rule[] }[] }).groups.flatMap(
      ({ rules }) => rules,
    ),
  )
const kong = parse(read('kong.yml'), { merge: true }) as { consumers: { tags: string[] }[] }
const tenants = kong.consumers.map(({ tags }) => tags.find((tag) => tag.startsWith('tenant:'))!.slice(7)).sort()

function errorsIn(logql: string): string[] {
  const errors: string[] = []
  parser.parse(logql).iterate({
    enter: ({ type, from, to }) => {
      if (type.isError) errors.push(logql.slice(from, to))
    },
  })
  return errors
}

/** The shippers' expressions, as their own syntax writes them. */
const alloyMasks = [...read('deploy/alloy/config.alloy').matchAll(/expression = (".*")\n\s+replace\s+= (".*")/g)].map(
  ([, expression, mask]): [string, string] => [JSON.parse(expression!) as string, JSON.parse(mask!) as string],
)
const collectorMasks = [
  ...read('deploy/otel-collector/logs.yaml').matchAll(/- replace_pattern\(log\.body, (".*"), ("[^"]*[A-Z]\]")\)\n/g),
].map(([, expression, mask]): [string, string] => [JSON.parse(expression!) as string, JSON.parse(mask!) as string])

describe('redaction before shipping', () => {
  it('Alloy and the Collector have the same expressions in the same order', () => {
    expect(collectorMasks.length).toBe(6)
    expect(alloyMasks.map(([expression, mask]) => [expression.slice(1, -1), mask])).toEqual(collectorMasks)
    // Alloy replaces what a group holds: the whole match is one.
    for (const [expression] of alloyMasks) expect(expression).toMatch(/^\(.*\)$/)
  })

  // The expressions are in the part of RE2 that JavaScript reads alike.
  const shipped = (line: string) =>
    collectorMasks.reduce((text, [expression, mask]) => text.replace(new RegExp(expression, 'g'), mask), line)
  it.each(MASKED)('%s', (line, expected) => expect(shipped(line)).toBe(expected))
  it.each(UNTOUCHED)('untouched: %s', (line) => expect(shipped(line)).toBe(line))
})

describe('Alloy', () => {
  const config = read('deploy/alloy/config.alloy')
  it('each component that is named is there, and its braces match', () => {
    const defined = [...config.matchAll(/^([a-z_.]+) "([a-z_]+)" \{$/gm)].map(([, kind, label]) => `${kind}.${label}`)
    expect(defined).toHaveLength(5)
    const named = [...config.matchAll(/\b((?:discovery|loki)\.[a-z_]+\.[a-z_]+)\.(?:targets|output|receiver)\b/g)]
    expect(named.length).toBeGreaterThanOrEqual(4)
    for (const [, name] of named) expect(defined).toContain(name)
    const bare = config.replace(/"(?:\\.|[^"\\])*"/g, '""').replace(/\/\/.*$/gm, '')
    let depth = 0
    for (const sign of bare) {
      if (sign === '{') depth++
      if (sign === '}') depth--
      expect(depth).toBeGreaterThanOrEqual(0)
    }
    expect(depth).toBe(0)
  })

  it('keeps three labels and writes as the platform', () => {
    expect(config).toContain('values = ["service_name", "env", "level"]')
    expect(config).toContain('tenant_id = "platform"')
  })
})

describe('log-based alerts', () => {
  it('the platform has its rules; every tenant of kong.yml the same, and calls without one', () => {
    const withRules = [...tenants, 'unattributed']
    expect(organisations.sort()).toEqual(['platform', ...withRules].sort())
    const [first, ...others] = withRules.map((tenant) => read(`deploy/loki/rules/${tenant}/calls.yaml`))
    for (const other of others) expect(other).toBe(first)
  })

  it.each(
    organisations.flatMap((organisation) =>
      rulesOf(organisation).map((rule) => [organisation, rule.alert, rule] as const),
    ),
  )('%s: %s', (_organisation, name, { expr, labels, annotations }) => {
    expect(name).toMatch(/^LLM[A-Za-z]+$/)
    expect(labels).toMatchObject({
      severity: expect.stringMatching(/^(critical|warning|info)$/),
      priority: expect.stringMatching(/^P[1-4]$/),
    })
    expect(Object.keys(annotations).sort()).toEqual(['dashboard_url', 'description', 'runbook_url', 'summary'])
    expect(annotations.runbook_url).toBe(
      `https://github.com/kong-llm-observer/kong-llm-observer/blob/main/docs/runbooks/${name}.md`,
    )
    const board = /\/d\/([a-z-]+)/.exec(annotations.dashboard_url!)![1]!
    expect(readdirSync(join(root, 'dashboards/grafana'))).toContain(`${board}.json`)

    expect(errorsIn(expr)).toEqual([])
  })
})
