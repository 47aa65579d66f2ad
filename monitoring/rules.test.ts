import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { SEVERITIES } from './alert.ts'
import { KEPT_SERIES, RECORDED, THINNED } from './recorded.ts'
import { milliseconds } from './testing/evaluate.ts'
import { definitionOf, isCounter, labelsOf, nodesOf, textOf, treeOf } from './testing/promql-tree.ts'
import { RULES, type Rule, recordedNamesIn } from './testing/rule-files.ts'

/** What pint checks, on the committed rule files: pint itself is not to be had where the tests run. */
const ALERTS = RULES.filter(({ alert }) => alert !== undefined)
const RECORDS = RULES.filter(({ record }) => record !== undefined)
const WRITTEN = { ...RECORDED, ...KEPT_SERIES }
const nameOf = (rule: Rule) => (rule.alert ?? rule.record)!
const TREES = RULES.map((rule) => ({ name: nameOf(rule), rule, tree: treeOf(rule.expr) }))

/** Fire at once, and why. */
const WITHOUT_FOR: Readonly<Record<string, string>> = {
  LLMWatchdog: 'fires always',
  LLMPriceFileRefused: 'one refusal is the whole event',
  LLMStoreRowsDamaged: 'one damaged row is the whole event',
}

describe('alerts', () => {
  it.each(ALERTS)(
    '$alert says how bad it is, what it is, what to do and where to look',
    ({ alert, labels, annotations }) => {
      expect(alert).toMatch(/^LLM([A-Z][a-z0-9]+)+$/)
      const { severity, priority, ...more } = labels!
      expect(severity).toBe(SEVERITIES[priority as keyof typeof SEVERITIES])
      expect(Object.keys(more).filter((label) => label !== 'slo')).toEqual([])
      expect(Object.keys(annotations!).sort()).toEqual(['dashboard_url', 'description', 'runbook_url', 'summary'])
      expect(annotations!.summary).toMatch(/^[A-Z0-9{].*[^.]$/)
      expect(annotations!.summary!.length).toBeLessThan(140)
      expect(annotations!.description).toMatch(/[.?]$/)
      expect(annotations!.runbook_url).toMatch(new RegExp(`/docs/runbooks/${alert}[.]md$`))
      expect(annotations!.dashboard_url).toMatch(/\/d\/llm-[a-z]+\?/)
    },
  )
  it('wait before they fire, or it is said why not', () => {
    expect(
      ALERTS.filter((rule) => rule.for === undefined)
        .map(nameOf)
        .sort(),
    ).toEqual(Object.keys(WITHOUT_FOR).sort())
  })
  it.each(TREES.filter(({ rule }) => rule.alert !== undefined))(
    '$name: templates use labels that the expression leaves',
    ({ rule, tree }) => {
      const texts = Object.values(rule.annotations!).join(' ')
      const used = [...texts.matchAll(/\$labels\.(\w+)/g)].map(([, label]) => label!)
      const left = labelsOf(tree)
      expect(used.filter((label) => !left.has(label) && !(label in rule.labels!))).toEqual([])
    },
  )
  it.each(TREES.filter(({ rule }) => rule.alert !== undefined && rule.alert !== 'LLMWatchdog'))(
    '$name compares',
    ({ tree }) => {
      const comparisons = nodesOf(tree, 'Gtr', 'Gte', 'Lss', 'Lte', 'Eql', 'Neq')
      const absent = nodesOf(tree, 'FunctionIdentifier').some((node) => textOf(tree, node) === 'absent')
      expect(comparisons.length + Number(absent)).toBeGreaterThan(0)
    },
  )
  it('an environment is named, so that a route can be chosen by it', () => {
    const without = TREES.filter(({ rule, tree }) => rule.alert !== undefined && !labelsOf(tree).has('environment'))
    expect(without.map(({ name }) => name).sort()).toEqual(['LLMObserverAbsent', 'LLMWatchdog'])
  })
})

describe('expressions', () => {
  const scrapes = parse(readFileSync(join(import.meta.dirname, '../deploy/prometheus/prometheus.yml'), 'utf8')) as {
    global: { scrape_interval: string }
    scrape_configs: { job_name: string; scrape_interval?: string }[]
  }
  const intervalOf = (series: string): number => {
    const ours = /^(llm_|observer_|kong_semantic_)/.test(series)
    const job = ours ? 'llm-observer' : (series.match(/^(kong|alertmanager|prometheus)_/)?.[1] ?? '')
    const found = scrapes.scrape_configs.find((one) => one.job_name === job)
    return milliseconds(found?.scrape_interval ?? scrapes.global.scrape_interval)
  }
  const seriesIn = (tree: ReturnType<typeof treeOf>, names: string[]) =>
    nodesOf(tree, ...names).map((node) => ({ node, series: textOf(tree, node).match(/^[\w:]+/)![0] }))

  it.each(TREES)('$name parses, and reads series that exist', ({ tree }) => {
    expect(nodesOf(tree, '⚠')).toEqual([])
    const unknown = seriesIn(tree, ['VectorSelector']).filter(({ series }) => definitionOf(series) === undefined)
    expect(unknown.map(({ series }) => series)).toEqual([])
  })
  it.each(TREES)('$name: rates are over four scrapes and more', ({ tree }) => {
    for (const { node, series } of seriesIn(tree, ['MatrixSelector'])) {
      if (!isCounter(series)) continue
      const window = milliseconds(textOf(tree, node).match(/\[(\w+)\]$/)![1]!)
      expect(window, textOf(tree, node)).toBeGreaterThanOrEqual(4 * intervalOf(series))
    }
  })
  it.each(TREES)('$name: counters are read as rates, and gauges are not', ({ name: rule, tree }) => {
    const rates = /^(rate|increase|irate|resets)$/
    for (const { node, series } of seriesIn(tree, ['VectorSelector'])) {
      // A series that is new is told by its absence a while ago: its value is what it has counted since.
      if (isBesideUnless(node)) continue
      const call = functionAround(node)
      const name = call === undefined ? '' : textOf(tree, call)
      const keeps = Object.hasOwn(KEPT_SERIES, rule) && name === 'last_over_time'
      if (isCounter(series) && !keeps) expect(name, textOf(tree, node)).toMatch(rates)
      else expect(name, textOf(tree, node)).not.toMatch(rates)
    }
  })
  it('what is per instance is about the instance: nothing of the calls is kept so, but for what only thins out or keeps', () => {
    const perInstance = TREES.filter(
      ({ name, tree }) => labelsOf(tree).has('instance') && !(name in THINNED || name in KEPT_SERIES),
    )
    for (const { name, tree } of perInstance)
      for (const { series } of seriesIn(tree, ['VectorSelector']))
        expect(series, name).not.toMatch(/^(llm_|kong_http|kong_semantic)/)
  })
})
describe('labels of an expression', () => {
  it.each([
    ['sum by (tenant_id) (rate(llm_calls_total[5m])) > 1', 'tenant_id'],
    ['sum(llm_budget_spent_usd) > 1', ''],
    ['sum by (a, b) (x) and on (a) sum by (c) (y)', 'a,b'],
    ['sum by (a, b) (x) / on (a) group_left () sum by (a) (y)', 'a,b'],
    ['sum by (a, b) (x) or sum by (a) (y)', 'a'],
    ['histogram_quantile(0.9, sum by (le, model) (x)) > 1', 'model'],
    ['absent(up{job="x"})', 'job'],
    ['time() - max by (a) (x) > 2 * 3', 'a'],
    ['rate(llm_repeated_answers_total[5m] offset 1h)', 'environment,instance,job,region,tenant_id'],
  ])('%s', (expr, labels) => {
    expect([...labelsOf(treeOf(expr))].sort().join()).toBe(labels)
  })
})
function isBesideUnless(node: ReturnType<typeof nodesOf>[number]): boolean {
  for (let above = node.parent; above !== null && above.name !== 'FunctionCall'; above = above.parent)
    if (above.name === 'BinaryExpr' && above.getChild('Unless')) return true
  return false
}
function functionAround(node: ReturnType<typeof nodesOf>[number]) {
  for (let above = node.parent; above !== null; above = above.parent) {
    if (above.name === 'FunctionCall') return above.getChild('FunctionIdentifier')!
    if (above.name === 'BinaryExpr' || above.name === 'AggregateExpr') return undefined
  }
  return undefined
}

describe('recorded series', () => {
  it('have names of level:metric:operations, and the labels that the table promises', () => {
    for (const { name, rule, tree } of TREES) {
      if (rule.record === undefined) continue
      expect(name).toMatch(/^[a-z_]+:[a-z0-9_]+:[a-z0-9_]+$/)
      const labels = labelsOf(tree)
      for (const label of Object.keys(rule.labels ?? {})) labels.add(label)
      expect([...labels].sort(), name).toEqual([...WRITTEN[name as keyof typeof WRITTEN]!.labels].sort())
    }
  })
  it('are those of the table, each written once for its labels', () => {
    expect([...new Set(RECORDS.map(nameOf))].sort()).toEqual(Object.keys(WRITTEN).sort())
    const keys = RULES.map((rule) => JSON.stringify([nameOf(rule), rule.labels]))
    expect(keys.filter((key, at) => keys.indexOf(key) !== at)).toEqual([])
    const expressions = RULES.map(({ expr }) => expr)
    expect(expressions.filter((expr, at) => expressions.indexOf(expr) !== at)).toEqual([])
  })
  it('are each read by an alert, a board or another rule', () => {
    const boards = join(import.meta.dirname, '../dashboards/grafana')
    const texts = readdirSync(boards).map((name) => readFileSync(join(boards, name), 'utf8'))
    const others = RULES.flatMap(({ record, expr }) => recordedNamesIn(expr).filter((name) => name !== record))
    const read = new Set([...others, ...texts.flatMap(recordedNamesIn)])
    expect(Object.keys(WRITTEN).filter((name) => !read.has(name))).toEqual([])
  })
  it('are written before they are read, within a file', () => {
    const written = new Set<string>()
    for (const { record, expr } of RECORDS) {
      for (const name of recordedNamesIn(expr))
        if (name !== record || !Object.hasOwn(KEPT_SERIES, name)) expect([...written], record).toContain(name)
      written.add(record!)
    }
  })
})
