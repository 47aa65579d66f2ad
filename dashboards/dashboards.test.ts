import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parser as logqlParser } from '@grafana/lezer-logql'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { build } from '../monitoring/build.ts'
import { TABLES } from '../monitoring/promql.ts'
import { THINNED } from '../monitoring/recorded.ts'
import { TABLE_NAMES } from '../monitoring/testing/promql-check.ts'
import { METRICS } from '../sidecar/metrics/metrics.ts'
import { isOverItsOwnWindow, isUntargeted } from './lint.ts'
import { type SelectorInQuery, selectorsIn } from './selectors.ts'
import {
  type Board,
  type BoardPanel,
  COMMITTED_BOARDS,
  panelsOf,
  prometheusTargets,
  queryOf,
} from './testing/committed-boards.ts'

const LINT_FILE = join(import.meta.dirname, 'grafana/.lint')
const lint = parse(readFileSync(LINT_FILE, 'utf8')) as {
  exclusions: Record<string, { reason: string; entries: { dashboard: string; panel: string }[] }>
}
/** Of grafana's list, those that the boards use; a new one is looked up and added. */
const UNITS = ['currencyUSD', 'short', 'none', 'percentunit', 's', 'ms', 'reqps', 'cps', 'cpm', 'bytes', 'Bps']
const BUILT_IN = /^__/

interface Place {
  board: Board
  panel: BoardPanel
  selector: SelectorInQuery
}
const PLACES: readonly Place[] = COMMITTED_BOARDS.flatMap((board) =>
  panelsOf(board).flatMap((panel) =>
    prometheusTargets(panel).flatMap(({ expr }) => selectorsIn(expr).map((selector) => ({ board, panel, selector }))),
  ),
)
const named = ({ board, panel }: Place) => `${board.title}: ${panel.title}`
const excepted = (rule: string) =>
  lint.exclusions[rule]!.entries.map(({ dashboard, panel }) => `${dashboard}: ${panel}`).sort()
const distinct = (names: readonly string[]) => [...new Set(names)].sort()
/** `$tenant`, `${tenant}`, `${__data.fields.Tenant}` …, in all that Grafana fills in. */
const variablesIn = (text: string) =>
  [...text.matchAll(/\$(?:(\w+)|\{(\w+)[^}]*\})/g)].map((match) => match[1] ?? match[2]!)

it('the committed files are what `npm run monitoring` writes', () => {
  expect(build(false)).toEqual([])
})

it('are the eight boards of the platform, in a schema that old and new Grafana read', () => {
  expect(COMMITTED_BOARDS.map(({ title }) => title)).toEqual([
    'LLM Cost & ceilings',
    'LLM Gateway (Kong)',
    'LLM Guardrails & quality',
    'LLM Platform Overview',
    'LLM Providers & models',
    'LLM SLO',
    'LLM Telemetry health',
    'LLM Tenant',
  ])
  for (const { schemaVersion, description } of COMMITTED_BOARDS) {
    expect(schemaVersion).toBe(42)
    expect(description).toMatch(/\?|Safe to share/)
  }
})

describe('what dashboard-linter asks for', () => {
  describe.each(COMMITTED_BOARDS.map((board) => [board.title, board] as const))('%s', (_, board) => {
    const variables = new Map(board.templating.list.map((variable) => [variable.name, variable]))

    it('data sources are variables with the names and labels that it knows', () => {
      expect(board.templating.list[0]).toMatchObject({
        name: 'prometheus_datasource',
        label: 'Prometheus data source',
        type: 'datasource',
        query: 'prometheus',
      })
      const loki = variables.get('loki_datasource')
      if (loki !== undefined) expect(loki).toMatchObject({ label: 'Loki data source', query: 'loki' })
      for (const panel of panelsOf(board))
        for (const { datasource } of panel.targets!)
          expect(datasource.uid, panel.title).toBe(`\${${datasource.type}_datasource}`)
    })

    it('job and instance are variables of many values, from a label, read anew with the time range', () => {
      for (const name of ['job', 'instance']) {
        const variable = variables.get(name)
        expect(variable).toMatchObject({ type: 'query', multi: true, includeAll: true, allValue: '.+', refresh: 2 })
        expect(variable?.label.toLowerCase()).toBe(name)
      }
      for (const variable of variables.values())
        if (variable.type === 'query')
          expect(queryOf(variable)).toMatch(
            new RegExp(`^label_values\\(\\w+(?:\\{.*\\})?, ${labelOf(variable.name)}\\)$`),
          )
    })

    it('every panel has a title, a description, a unit that is known, and queries', () => {
      for (const { title, description, fieldConfig, targets } of panelsOf(board)) {
        expect(title).toMatch(/\S/)
        expect(description, title).toMatch(/\S.*\.$/)
        expect(UNITS, title).toContain(fieldConfig.defaults.unit)
        for (const { properties } of fieldConfig.overrides)
          for (const { id, value } of properties) if (id === 'unit') expect(UNITS, title).toContain(value)
        expect(targets!.length, title).toBeGreaterThan(0)
        for (const { expr } of targets!) expect(expr, title).toMatch(/\S/)
      }
      expect(new Set(panelsOf(board).map(({ title }) => title)).size).toBe(panelsOf(board).length)
    })
  })

  it.each([
    ['target-job-rule', 'job'],
    ['target-instance-rule', 'instance'],
  ])('%s: every query chooses by $%s, but for those of the exceptions', (rule, label) => {
    const without = PLACES.filter(({ selector }) => selector.matchers[label] !== `${label}=~"$${label}"`)
    expect(distinct(without.filter(({ selector }) => !isUntargeted(selector)).map(named))).toEqual([])
    expect(excepted(rule)).toEqual(distinct(without.map(named)))
  })

  it('target-rate-interval-rule: rates are over $__rate_interval, but for numbers over a range that is told', () => {
    const own = PLACES.filter(({ selector }) => isOverItsOwnWindow(selector))
    for (const place of own) {
      const { range } = place.selector
      const told = `${place.panel.title} ${place.panel.description}`
      if (range !== '$__range') expect(told, named(place)).toMatch({ '1h': /last hour/ }[range!] ?? /^$/)
      else expect(place.panel.type, named(place)).toMatch(/^(stat|table)$/)
    }
    expect(excepted('target-rate-interval-rule')).toEqual(distinct(own.map(named)))
  })

  it('every exception has its reason', () => {
    for (const { reason } of Object.values(lint.exclusions)) expect(reason).toMatch(/\w+ \w+.*\.$/)
    expect(Object.keys(lint.exclusions).sort()).toEqual([
      'target-instance-rule',
      'target-job-rule',
      'target-rate-interval-rule',
    ])
  })
})

describe.each(COMMITTED_BOARDS.map((board) => [board.title, board] as const))('%s', (_, board) => {
  const own = new Set(board.templating.list.map(({ name }) => name))
  const inPanels = JSON.stringify(board.panels)
  const inAll = JSON.stringify([board.panels, board.templating.list, board.annotations.list])

  it('uses no variable that it does not have, and has none that it does not use', () => {
    expect(distinct(variablesIn(inAll).filter((name) => !own.has(name) && !BUILT_IN.test(name)))).toEqual([])
    const used = new Set(variablesIn(inPanels))
    expect([...own].filter((name) => !used.has(name))).toEqual([])
  })

  it('asks only for series that somebody exports', () => {
    for (const { panel, selector } of PLACES.filter((place) => place.board === board))
      expect(TABLE_NAMES, panel.title).toContain(selector.name)
    for (const { target } of board.annotations.list)
      for (const { name } of selectorsIn(target.expr)) expect(Object.keys(TABLES)).toContain(name)
    for (const panel of panelsOf(board))
      for (const { expr, datasource } of panel.targets!)
        if (datasource.type === 'loki')
          logqlParser.parse(expr).iterate({ enter: ({ type }) => expect(type.isError, expr).toBe(false) })
  })

  it('shows deployments and incidents, and leads to the other boards', () => {
    expect(board.annotations.list.map(({ name }) => name)).toEqual(['Deployments', 'Incidents'])
    expect(board.links).toMatchObject([
      { type: 'dashboards', tags: ['llm-observer'], includeVars: true, keepTime: true },
    ])
    const uids = new Set(COMMITTED_BOARDS.map(({ uid }) => uid))
    for (const [, uid] of inPanels.matchAll(/"url":"\/d\/([\w-]+)/g)) expect(uids).toContain(uid)
  })

  it('panels have numbers of their own, stand within the 24 columns and on nobody else’s place', () => {
    expect(new Set(board.panels.map(({ id }) => id)).size).toBe(board.panels.length)
    const taken = new Map<string, string>()
    for (const { title, gridPos } of board.panels) {
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken.get(`${x} ${y}`), `${title} at ${x}, ${y}`).toBeUndefined()
          taken.set(`${x} ${y}`, title)
        }
    }
  })

  /** Grafana stacks panels at full width below 769 px, in the order of their places; a table scrolls sideways. */
  it('on a phone: the answer first, and within the first columns of a table', () => {
    const first = panelsOf(board)[0]!
    expect(first.type).toBe('stat')
    expect(first.gridPos).toMatchObject({ x: 0, y: 0 })
    for (const { type, title, gridPos, transformations, fieldConfig } of panelsOf(board)) {
      // Lower, and a graph has no room left beside its legend; higher than the screen, and it cannot be seen at once.
      expect(gridPos.h, title).toBeGreaterThanOrEqual(4)
      expect(gridPos.h, title).toBeLessThanOrEqual(12)
      if (type !== 'table') continue
      const { indexByName, renameByName } = transformations!.find(({ id }) => id === 'organize')!.options as {
        indexByName: Record<string, number>
        renameByName: Record<string, string>
      }
      const shown = Object.keys(indexByName).sort((a, b) => indexByName[a]! - indexByName[b]!)
      const answer = shown.findIndex((name) => name.startsWith('Value'))
      expect(answer, `${title}: columns before the answer`).toBeLessThanOrEqual(5)
      expect(transformations!.at(-1)).toMatchObject({ id: 'sortBy' })
      expect(fieldConfig.overrides.map(({ matcher }) => matcher.options)).toEqual(
        expect.arrayContaining(shown.filter((name) => name.startsWith('Value')).map((name) => renameByName[name]!)),
      )
    }
  })
})

describe('the metrics of the sidecar', () => {
  /** Read by no board, and why. */
  const UNDRAWN: Readonly<Record<string, string>> = {
    llm_adjusted_calls_total: 'what repricing changed is drawn in dollars',
    llm_repeated_answers_total: 'polls and replays cost nothing',
    llm_usage_source_calls_total: 'LLMUsageUnknown reads it; the board draws the cost by source',
    kong_semantic_cache_answers_total: 'for a query by hand: how much sooner a cached answer ends',
    kong_semantic_cache_answer_seconds_total: 'the same',
    kong_semantic_cache_unpriced_lookups_total: 'look-ups without a price are rare: docs/capture.md',
    llm_budget_period_start_timestamp_seconds: 'recording rules read it',
    llm_budget_period_end_timestamp_seconds: 'recording rules read it',
    observer_websockets_total: 'realtime is counted and not read: docs/capture.md',
    observer_received_bytes_total: 'for sizing a machine, by hand',
    observer_sink_in_flight_calls: 'lag says whether a sink keeps up',
    observer_sink_last_success_timestamp_seconds: 'runbooks read it',
    observer_langfuse_scores_total: 'LLMScoresRefused reads it',
    observer_estimate_queue_bytes: 'runbooks read it',
    observer_price_book_info: 'its value is always 1',
    observer_price_book_loaded_timestamp_seconds: 'runbooks read it',
    observer_price_book_reloads_total: 'LLMPriceFileRefused reads it',
  }

  it('are each drawn by a board, or it is said why not', () => {
    const read = new Set(PLACES.map(({ selector }) => selector.name.replace(/_(?:bucket|sum|count)$/, '')))
    for (const [name, counter] of Object.entries(THINNED)) if (read.has(name)) read.add(counter)
    const undrawn = Object.keys(METRICS).filter((name) => !read.has(name))
    expect(undrawn.sort()).toEqual(Object.keys(UNDRAWN).sort())
  })
})

describe('LLM Tenant can be shown to its tenant', () => {
  const board = COMMITTED_BOARDS.find(({ uid }) => uid === 'llm-tenant')!

  it('every query names the tenant, of which there is one at a time', () => {
    expect(board.templating.list.find(({ name }) => name === 'tenant')).toMatchObject({
      multi: false,
      includeAll: false,
    })
    for (const { panel, selector } of PLACES.filter((place) => place.board === board))
      expect(selector.matchers.tenant_id, panel.title).toBe('tenant_id="$tenant"')
  })

  it('the tenant is named, never a pattern: acme.eu does not see acme-eu', () => {
    expect(JSON.stringify(board)).not.toMatch(/tenant(_id)?=~/)
  })

  it('no annotation tells of another tenant', () => {
    for (const { target } of board.annotations.list)
      for (const { name, matchers } of selectorsIn(target.expr))
        if ((TABLES[name as keyof typeof TABLES].labels as readonly string[]).includes('tenant_id'))
          expect(['tenant_id="$tenant"', 'tenant_id=""']).toContain(matchers.tenant_id)
  })
})

describe('from a number to one call', () => {
  it('latencies show exemplars: points that lead to a trace', () => {
    const withExemplars = COMMITTED_BOARDS.flatMap((board) =>
      panelsOf(board)
        .filter(({ targets }) => targets!.some(({ exemplar }) => exemplar === true))
        .map(({ title }) => `${board.uid}: ${title}`),
    )
    expect(withExemplars).toEqual([
      'llm-overview: Latency',
      'llm-providers: Latency p95 by model',
      'llm-providers: Time to first token p95 by model',
      'llm-tenant: Latency',
    ])
  })

  it('exemplars, log lines and traces lead on: Tempo, Langfuse, Loki', () => {
    const file = join(import.meta.dirname, '../deploy/grafana/provisioning/datasources/datasources.yaml')
    const { datasources } = parse(readFileSync(file, 'utf8')) as {
      datasources: { type: string; jsonData: Record<string, unknown> }[]
    }
    const of = (type: string) => datasources.find((one) => one.type === type)!.jsonData
    const toTraceAndLangfuse = [
      expect.objectContaining({ datasourceUid: 'tempo' }),
      expect.objectContaining({ url: expect.stringMatching(/^\$LANGFUSE_TRACES\//), urlDisplayLabel: 'Langfuse' }),
    ]
    expect(of('prometheus').exemplarTraceIdDestinations).toEqual(toTraceAndLangfuse)
    expect(of('loki').derivedFields).toEqual(toTraceAndLangfuse)
    expect(of('tempo').tracesToLogsV2).toMatchObject({ datasourceUid: 'loki' })
    expect(of('tempo').tracesToMetrics).toMatchObject({ datasourceUid: 'prometheus' })
  })
})

function labelOf(variable: string): string {
  return variable === 'tenant' ? 'tenant_id' : variable
}
