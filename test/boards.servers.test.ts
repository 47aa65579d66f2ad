import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Answer, askBoard, variablesOf } from '../dashboards/testing/ask-boards.ts'
import { boardTraffic } from '../dashboards/testing/board-traffic.ts'
import { COMMITTED_BOARDS, panelsOf, queryOf } from '../dashboards/testing/committed-boards.ts'
import { grafanaQuery, type Range, substitute } from '../dashboards/testing/grafana-query.ts'
import { startKongTarget } from '../dashboards/testing/kong-target.ts'
import { addedUp, byTenant, type LedgerRow, ledgerRows } from '../dashboards/testing/ledger-rows.ts'
import { QUIET_QUERIES } from '../dashboards/testing/quiet-queries.ts'
import { freePort } from '../dev/free-port.ts'
import { picoUsdOf } from '../dev/pico-usd.ts'
import { binariesPresent } from '../dev/servers/binary.ts'
import { type Prometheus, type Sample, startPrometheus } from '../dev/servers/prometheus.ts'
import { type PrometheusFile, shippedPrometheus } from '../dev/servers/shipped-prometheus.ts'
import { type Stack, startStack } from '../dev/stack.ts'
import { runTraffic } from '../dev/traffic/traffic.ts'
import { waitUntil } from '../dev/wait-until.ts'

const ROOT = join(import.meta.dirname, '..')
const TENANT = 'blue'
const NEW_PRICES = `rules:
  - { id: dearer, provider: openai, model: "gpt-4o*", multiply: 2 }
  - { id: cheaper, provider: anthropic, model: "*", multiply: 0.5 }
`
const now = () => Date.now() / 1000

/**
 * Every query of every board, asked of a real Prometheus with the shipped rules as Grafana would ask it: after ordinary
 * traffic of every kind, and in an incident. The numbers of the boards are those of the ledger.
 */
describe.skipIf(!binariesPresent('prometheus'))('boards', () => {
  const directory = mkdtempSync(join(tmpdir(), 'boards-'))
  const priceFile = join(directory, 'prices.yaml')
  let stack: Stack
  let kong: Awaited<ReturnType<typeof startKongTarget>>
  let prometheus: Prometheus
  let config: PrometheusFile
  let traffic: ReturnType<typeof boardTraffic>
  /** Between the two rounds of ordinary traffic. */
  let between: { at: number; rows: Map<string, LedgerRow> }
  let settled: { at: number; rows: Map<string, LedgerRow> }

  beforeAll(async () => {
    writeFileSync(priceFile, 'rules: []\n')
    stack = await startStack({
      directory,
      provider: { latencyMs: [5, 60], chunkDelayMs: [0, 2] },
      plugin: { linger_ms: 20 },
      sidecar: {
        prices: { file: priceFile },
        ledger: { gapGraceSeconds: 3, maxModels: 30 },
        budgets: { default: { month: 100 }, tenants: { [TENANT]: { day: 20, week: 50, month: 100 } } },
      },
    })
    kong = await startKongTarget(stack.accessLog)
    traffic = boardTraffic(stack)
    const port = await freePort()
    const { host } = new URL(stack.sidecarUrl)
    config = hurried(
      shippedPrometheus({ targets: { 'llm-observer': host, kong: kong.host, prometheus: `127.0.0.1:${port}` } }),
      join(directory, 'rules'),
    )
    const flags = ['--enable-feature=exemplar-storage']
    prometheus = await startPrometheus({ directory: join(directory, 'prometheus'), port, config, flags })
  })
  afterAll(async () => {
    await prometheus?.close()
    await kong?.close()
    await stack?.close()
    rmSync(directory, { recursive: true, force: true })
  })

  const counted = () =>
    waitUntil(async () => {
      const [sample] = await prometheus.query('sum(llm_calls_total)')
      return { done: sample?.value === traffic.calls(), seen: `${sample?.value} of ${traffic.calls()}` }
    })
  /** Every query, over the last quarter of an hour. */
  async function askAll(): Promise<Answer[]> {
    const range = { from: now() - 900, to: now() }
    return (
      await Promise.all(COMMITTED_BOARDS.map((board) => askBoard(prometheus, board, { tenant: TENANT, range })))
    ).flat()
  }
  async function ask(board: string, panel: string, refId: string, range: Range, tenant = TENANT): Promise<Sample[]> {
    const found = COMMITTED_BOARDS.find(({ uid }) => uid === board)!
    const target = panelsOf(found)
      .find(({ title }) => title === panel)!
      .targets!.find((one) => one.refId === refId)!
    const { expr } = grafanaQuery(target.expr, { range, variables: variablesOf(found, tenant) })
    return prometheus.query(expr, range.to)
  }

  it('ordinary traffic of every kind: every query returns data, and something else than 0', async () => {
    await traffic.everyKind(1)
    await counted()
    between = { at: now(), rows: ledgerRows(stack.ledgerFile) }
    writeFileSync(priceFile, NEW_PRICES)
    const day = new Date().toISOString().slice(0, 10)
    await promisify(execFile)(process.execPath, [
      join(ROOT, 'sidecar/main.ts'),
      ...['reprice', '--from', day, '--to', day, '--config', join(directory, 'observer.yaml')],
    ])
    await traffic.everyKind(2)
    await counted()
    settled = { at: now(), rows: ledgerRows(stack.ledgerFile) }
    let answers: Answer[] = []
    await waitUntil(
      async () => {
        answers = await askAll()
        const missing = answers.filter(({ name, state }) => state !== 'data' && QUIET_QUERIES[name] === undefined)
        return {
          done: missing.length === 0,
          seen: missing.map(({ name, state, query }) => `${name} ${state}: ${query}`).join('\n'),
        }
      },
      { everyMs: 1000 },
    )
    const names = new Set(answers.map(({ name }) => name))
    expect(names.size).toBe(answers.length)
    expect(Object.keys(QUIET_QUERIES).filter((name) => !names.has(name))).toEqual([])
    const listed = answers.filter(({ name }) => QUIET_QUERIES[name] !== undefined)
    const noLongerQuiet = listed.filter(({ name, state }) => {
      const { ordinary } = QUIET_QUERIES[name]!
      return ordinary === 'sometimes' ? state === 'empty' : state !== ordinary
    })
    expect(noLongerQuiet).toEqual([])
  })

  it('cost, calls and tokens are the ledger’s, for all, for each tenant, for each model', async () => {
    const range = { from: settled.at - 900, to: settled.at }
    const whole = addedUp(settled.rows.values())
    expect(whole.calls).toBe(traffic.calls())
    expect(whole.picoUsd).toBeGreaterThan(0n)
    const one = async (board: string, panel: string, tenant?: string) => {
      const samples = await ask(board, panel, 'A', range, tenant)
      expect(samples.length, panel).toBeLessThanOrEqual(1)
      // A tenant that has had no token, or no dollar, has no series of them.
      return samples[0]?.value ?? 0
    }
    expect(picoUsdOf(String(await one('llm-overview', 'Total cost, last 24 h')))).toBe(whole.picoUsd)
    expect(picoUsdOf(String(await one('llm-cost', 'Cost')))).toBe(whole.picoUsd)
    expect(await one('llm-overview', 'Calls, last 24 h')).toBe(whole.calls)
    expect(await one('llm-overview', 'Tokens, last 24 h')).toBe(whole.tokens)

    const tenants = byTenant(settled.rows)
    expect([...tenants.keys()].sort()).toEqual(['blue', 'gold', 'green', 'red', 'unattributed'])
    for (const [tenant, { calls, tokens, picoUsd }] of tenants) {
      expect(picoUsdOf(String(await one('llm-tenant', 'Cost', tenant))), tenant).toBe(picoUsd)
      expect(await one('llm-tenant', 'Calls', tenant), tenant).toBe(calls)
      expect(await one('llm-tenant', 'Tokens', tenant), tenant).toBe(tokens)
    }
    const table = async (board: string, panel: string, labels: readonly string[], wanted: Map<string, LedgerRow>) => {
      const column = async (refId: string) =>
        new Map(
          (await ask(board, panel, refId, range)).map((sample) => [
            labels.map((label) => sample.labels[label]).join(' '),
            sample.value,
          ]),
        )
      const [cost, calls] = [await column('A'), await column('B')]
      expect([...calls.keys()].sort(), panel).toEqual([...wanted.keys()].sort())
      for (const [key, row] of wanted) {
        expect(calls.get(key), key).toBe(row.calls)
        expect(picoUsdOf(String(cost.get(key) ?? 0)), key).toBe(row.picoUsd)
      }
      return column('C')
    }
    await table('llm-overview', 'Tenants, last 24 h', ['tenant_id'], tenants)
    const tokens = await table('llm-cost', 'Chargeback', ['tenant_id', 'provider', 'model'], settled.rows)
    for (const [key, row] of settled.rows) expect(tokens.get(key) ?? 0, key).toBe(row.tokens)
  })

  it('a range holds what was called within it, to the pico-dollar', async () => {
    // Grafana's ranges are whole seconds; nothing is called in the second after it settled.
    const range = { from: between.at, to: between.at + Math.ceil(settled.at - between.at) }
    await waitUntil(async () => now() > range.to)
    const before = addedUp(between.rows.values())
    const after = addedUp(settled.rows.values())
    const [cost] = await ask('llm-cost', 'Cost', 'A', range)
    expect(picoUsdOf(String(cost!.value))).toBe(after.picoUsd - before.picoUsd)
    expect(after.picoUsd - before.picoUsd).toBeGreaterThan(0n)
  })

  it.each(COMMITTED_BOARDS.map((board) => [board.title, board] as const))(
    'variables and annotations of %s',
    async (_, board) => {
      const variables = variablesOf(board, TENANT)
      for (const variable of board.templating.list.filter(({ type }) => type === 'query')) {
        const [, selector, label] = /^label_values\((.*), (\w+)\)$/.exec(substitute(queryOf(variable), variables))!
        const query = new URLSearchParams({ 'match[]': selector!, start: String(now() - 900), end: String(now()) })
        const values = await prometheus.api<string[]>(`/label/${label}/values?${query}`)
        expect(values.length, variable.name).toBeGreaterThan(0)
        if (variable.name === 'tenant') expect(values).toContain(TENANT)
      }
      const range = { from: now() - 900, to: now() }
      for (const { name, target } of board.annotations.list) {
        const { expr, start, end, stepSeconds } = grafanaQuery(target.expr, { range, variables })
        await expect(prometheus.queryRange(expr, { start, end, stepSeconds }), name).resolves.toBeInstanceOf(Array)
      }
    },
  )

  it('exemplars: a point of a latency leads to a trace that Tempo and Langfuse were sent', async () => {
    const sent = new Set(stack.otlp.spans().map(({ traceId }) => traceId))
    const range = { from: now() - 900, to: now() }
    // By the boards' own queries: Prometheus looks for exemplars of the series that they name.
    const asking = COMMITTED_BOARDS.flatMap((board) =>
      panelsOf(board).flatMap(({ title, targets }) =>
        targets!.filter(({ exemplar }) => exemplar === true).map((target) => ({ board, title, target })),
      ),
    )
    expect(asking.length).toBeGreaterThan(0)
    for (const { board, title, target } of asking) {
      const { expr } = grafanaQuery(target.expr, { range, variables: variablesOf(board, TENANT) })
      const found = await prometheus.api<{ exemplars: { labels: Record<string, string> }[] }[]>('/query_exemplars', {
        query: expr,
        start: String(range.from),
        end: String(range.to),
      })
      const ids = found.flatMap(({ exemplars }) => exemplars.map(({ labels }) => labels.trace_id))
      expect(ids.length, `${board.title}: ${title}`).toBeGreaterThan(0)
      expect(ids.filter((id) => !sent.has(id!))).toEqual([])
    }
  })

  it('an incident: the queries that it takes return data', async () => {
    // The sidecar is killed while calls go on, and is away for a scrape; then the plugin server, with what it holds.
    await stack.sidecar.kill('SIGKILL')
    await waitUntil(async () => (await prometheus.query('up{job="llm-observer"} == 0')).length === 1)
    stack.langfuse.setFault({ kind: 'status', status: 500 })
    stack.otlp.setFault({ kind: 'status', status: 400 })
    stack.loki.setFault({ kind: 'hang' })
    await stack.sidecar.start()
    const calls = { gatewayUrl: stack.gateway.url, calls: 20, concurrency: 8 }
    await runTraffic({ ...calls, seed: 3, mix: { 'openai-chat': 1 } })
    await stack.pluginServer.kill('SIGKILL')
    await runTraffic({ ...calls, seed: 4, mix: { 'openai-chat': 1 } })
    await stack.gateway.idle()
    await stack.pluginServer.start()
    writeFileSync(priceFile, 'rules: [{ nonsense: true }]\n')
    writeFileSync(join(directory, 'rules', 'broken.yaml'), BROKEN_RULE)
    await prometheus.reload({ ...config, rule_files: [join(directory, 'rules', '*.yaml')] })
    // Twice, with a scrape between: that the first event of a kind shows is told in dashboards/dashboards.servers.test.ts.
    const malformed = async (times: number) =>
      (await prometheus.query('sum(observer_malformed_amounts_total)'))[0]?.value === times
    await traffic.incident()
    await waitUntil(() => malformed(1))
    await traffic.incident()
    await runTraffic({ ...calls, seed: 5, mix: { 'openai-chat': 1 } })
    let answers: Answer[] = []
    await waitUntil(
      async () => {
        answers = (await askAll()).filter(({ name }) => QUIET_QUERIES[name] !== undefined)
        const missing = answers.filter(
          ({ name, state }) =>
            state === 'empty' || (state === 'zero' && QUIET_QUERIES[name]!.zeroInIncident === undefined),
        )
        return {
          done: missing.length === 0,
          seen: missing.map(({ name, state, query }) => `${name} ${state}: ${query}`).join('\n'),
        }
      },
      { everyMs: 1000 },
    )
    expect(answers.length).toBe(Object.keys(QUIET_QUERIES).length)
  })
})

/** Evaluates to an error: one series on the left, many on the right. */
const BROKEN_RULE = `groups:
  - name: broken
    interval: 5s
    rules: [{ record: "a:b:c", expr: "up * on () up" }]
`

/** The shipped files, hurried: scrapes and rules come every few seconds. What they ask is untouched. */
function hurried(config: PrometheusFile, folder: string): PrometheusFile {
  mkdirSync(folder, { recursive: true })
  for (const name of ['recording.yaml', 'alerts.yaml']) {
    const text = readFileSync(join(ROOT, 'deploy/prometheus/rules', name), 'utf8')
    writeFileSync(join(folder, name), text.replace(/interval: \d+[sm]$/gm, 'interval: 5s'))
  }
  return {
    ...config,
    rule_files: [join(folder, '*.yaml')],
    scrape_configs: config.scrape_configs.map((job) => ({ ...job, scrape_interval: '2s', scrape_timeout: '2s' })),
  }
}
