import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { binariesPresent } from '../dev/servers/binary.ts'
import { type Prometheus, startPrometheus } from '../dev/servers/prometheus.ts'
import { remoteWrite } from '../dev/servers/remote-write.ts'
import { evaluateRules, type Firing } from './testing/evaluate.ts'
import { RULES } from './testing/rule-files.ts'
import { week } from './testing/week.ts'
import { DAYS, INCIDENTS, WEEK_START } from './testing/week-plan.ts'

const DAY = 86_400_000
const SEED = Number(process.env.NOISE_SEED ?? 1)
const WEEK_END = WEEK_START + DAYS * DAY
const ALERTS = RULES.flatMap(({ alert }) => (alert === undefined || alert === 'LLMWatchdog' ? [] : [alert]))

/**
 * A week in which nothing is wrong (testing/week-plan.ts says what happens all the same), and a day on which something is:
 * the committed rules on a real Prometheus. The false-positive rate is the share of alert × day of the ordinary week on
 * which the alert fired, for whatever tenant, model or provider.
 */
describe.runIf(binariesPresent('prometheus'))('a generated week', () => {
  const directory = mkdtempSync(join(tmpdir(), 'noise-'))
  let prometheus: Prometheus
  let firings: Firing[]

  beforeAll(async () => {
    prometheus = await startPrometheus({
      directory,
      config: { global: {} },
      flags: [
        '--web.enable-remote-write-receiver',
        // All days in one block: samples come series by series, not in the order of time.
        '--storage.tsdb.min-block-duration=31d',
        '--storage.tsdb.max-block-duration=31d',
        '--storage.tsdb.retention.time=100y',
        '--query.max-samples=500000000',
      ],
    })
    const { series, down } = week(SEED, DAYS + 1)
    await remoteWrite(prometheus.url, series)
    firings = await evaluateRules(prometheus, { start: WEEK_START, end: WEEK_END + DAY - 60_000, down })
  })
  afterAll(async () => {
    await prometheus?.close()
    rmSync(directory, { recursive: true, force: true })
  })

  const during = (from: number, until: number) => firings.filter((one) => one.from < until && one.until >= from)

  it('less than 5 % false positives in the ordinary week, and no page', () => {
    const false_ = during(WEEK_START, WEEK_END).filter(({ alert }) => alert !== 'LLMWatchdog')
    const cells = new Set<string>()
    for (const { alert, from, until } of false_)
      for (let day = 0; day < DAYS; day++)
        if (from < WEEK_START + (day + 1) * DAY && until >= WEEK_START + day * DAY) cells.add(`${alert} on day ${day}`)
    const rate = cells.size / (ALERTS.length * DAYS)
    const share = `${(rate * 100).toFixed(2)} % (${cells.size} of ${ALERTS.length} alerts × ${DAYS} days)`
    process.stdout.write(`seed ${SEED}: false positives ${share}: ${[...cells].join(', ')}\n`)
    expect(false_.filter(({ priority }) => priority === 'P1' || priority === 'P2')).toEqual([])
    expect(rate).toBeLessThan(0.05)
  })

  it('the same rules fire on the day with incidents, for who is concerned and no earlier', () => {
    const [outage, theft] = INCIDENTS.map(({ from }) => WEEK_START + from * 60_000)
    const expected: [alert: string, labels: Record<string, string>, began: number, withinMinutes: number][] = [
      ['LLMProviderDown', { provider: 'openai' }, outage!, 2],
      ['LLMProviderErrors', { provider: 'openai' }, outage!, 8],
      ['LLMSuccessBurnFast', { slo: 'success' }, outage!, 20],
      ['LLMCostSpike', { tenant_id: 'green' }, theft!, 20],
      ['LLMCostAnomaly', { tenant_id: 'green', model: 'gpt-4o' }, theft!, 30],
      ['LLMBudgetExceeded', { tenant_id: 'green', period: 'day' }, theft!, 120],
    ]
    for (const [alert, labels, began, minutes] of expected) {
      const first = during(WEEK_END, WEEK_END + DAY)
        .filter((one) => one.alert === alert)
        .sort((one, other) => one.from - other.from)[0]
      expect(first, alert).toBeDefined()
      expect(first!.labels, alert).toMatchObject(labels)
      expect(first!.from, alert).toBeGreaterThanOrEqual(began)
      expect(first!.from, alert).toBeLessThan(began + minutes * 60_000)
    }
    expect(during(WEEK_END, WEEK_END + DAY).filter(({ alert }) => alert === 'LLMProviderDown')).toHaveLength(1)
  })

  it('the rules saw what they watch: in the ordinary week there were errors, pauses and a new tenant', async () => {
    const value = async (expr: string) =>
      (await prometheus.query(expr, (WEEK_END - 60_000) / 1000)).map((one) => one.value)
    expect((await value('sum(sum_over_time(provider:llm_errors:rate5m[7d])) > 0')).length).toBe(1)
    expect((await value('min_over_time(up{job="llm-observer"}[7d]) == 0')).length).toBe(1)
    expect((await value('resets(observer_captures_total[7d]) > 2')).length).toBe(1)
    expect(
      (await value('tenant:llm_cost_usd:rate5m{tenant_id="new"} unless tenant:llm_cost_usd:rate5m offset 6d')).length,
    ).toBe(1)
    expect((await value('tenant_model:llm_calls:band26h > 0')).length).toBeGreaterThan(6)
    expect((await value('slo:sli_error:ratio_rate3d > 0')).length).toBe(3)
  })
})
