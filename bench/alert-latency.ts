import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Alerting, startAlerting } from '../dev/servers/alerting.ts'
import { type Stack, startStack } from '../dev/stack.ts'
import { runTraffic } from '../dev/traffic/traffic.ts'
import { waitUntil } from '../dev/wait-until.ts'

const USAGE = `usage: node bench/alert-latency.ts [--rounds 3] [--rate 5]
From the first failing call of a provider to the message at PagerDuty and Slack: real Prometheus and Alertmanager with the
shipped configuration and rules, no interval shortened. --rate is calls a second over two providers. A round takes 2 minutes.
`
const WARM_SECONDS = 40
const LIMIT_SECONDS = 90

interface Round {
  /** Seconds since the first failing call was sent; undefined where it did not come within the limit. */
  scraped: number
  pending: number
  firing: number
  pagerduty: number
  slack: number
}

async function measure(ratePerSecond: number): Promise<Round> {
  const directory = mkdtempSync(join(tmpdir(), 'alert-latency-'))
  let stack: Stack | undefined
  let alerting: Alerting | undefined
  const stop = new AbortController()
  try {
    stack = await startStack({ directory, provider: { latencyMs: [20, 120] } })
    alerting = await startAlerting({ directory, sidecarUrl: stack.sidecarUrl })
    const { prometheus, sink } = alerting
    const traffic = { gatewayUrl: stack.gateway.url, concurrency: 8, ratePerSecond }
    // A phase of its own, so that where the outage falls within scrape and evaluation is left to chance.
    const wellSeconds = WARM_SECONDS + Math.random() * 15
    const calls = Math.round(wellSeconds * ratePerSecond)
    const { unexpected } = await runTraffic({ ...traffic, calls, mix: { 'openai-chat': 1, anthropic: 1 } })
    if (unexpected.length > 0) throw new Error(`calls failed before the outage: ${unexpected[0]}`)
    const errors = 'sum(llm_calls_total{status="server_error"}) > 0'
    if ((await prometheus.query(errors)).length > 0) throw new Error('errors were counted before the outage')
    if (sink.notifications('pagerduty').length > 0) throw new Error('there was a page before the outage')

    const from = Date.now()
    const seconds = (at: number) => (at - from) / 1000
    const failing = runTraffic({ ...traffic, calls: 100_000, seed: 2, mix: { 'error-500': 1 }, signal: stop.signal })
    const reached = async (what: () => Promise<boolean>) => {
      await waitUntil(what, { withinMs: LIMIT_SECONDS * 1000, everyMs: 100 })
      return seconds(Date.now())
    }
    const state = (name: string) => async () =>
      (await prometheus.query(`ALERTS{alertname="LLMProviderDown",alertstate="${name}"}`)).length > 0
    const told = (service: 'pagerduty' | 'slack') =>
      reached(async () => sink.notifications(service).length > 0).then(() =>
        seconds(sink.notifications(service)[0]!.at),
      )
    const [scraped, pending, firing, pagerduty, slack] = await Promise.all([
      reached(async () => (await prometheus.query(errors)).length > 0),
      reached(state('pending')),
      reached(state('firing')),
      told('pagerduty'),
      told('slack'),
    ])
    stop.abort()
    await failing
    for (const { title } of sink.notifications())
      if (!title.includes('LLMProviderDown') && !title.includes('LLMWatchdog')) throw new Error(`unexpected: ${title}`)
    return { scraped, pending, firing, pagerduty, slack }
  } finally {
    stop.abort()
    await alerting?.close()
    await stack?.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

const { values } = parseArgs({
  options: { rounds: { type: 'string' }, rate: { type: 'string' }, help: { type: 'boolean' } },
})
const rounds = Number(values.rounds ?? 3)
const rate = Number(values.rate ?? 5)
if (values.help || !Number.isInteger(rounds) || rounds < 1 || rounds > 20 || !(rate >= 1 && rate <= 200)) {
  process.stderr.write(USAGE)
  process.exitCode = values.help ? 0 : 2
} else {
  console.log(`${rate} calls a second over two providers that both begin to fail; seconds since the first failing call`)
  const all: Round[] = []
  for (let round = 1; round <= rounds; round++) {
    const seen = await measure(rate)
    all.push(seen)
    console.log(
      `round ${round}: scraped ${seen.scraped.toFixed(1)}, pending ${seen.pending.toFixed(1)}, firing ${seen.firing.toFixed(1)}, PagerDuty ${seen.pagerduty.toFixed(1)}, Slack ${seen.slack.toFixed(1)}`,
    )
  }
  const slowest = Math.max(...all.flatMap(({ pagerduty, slack }) => [pagerduty, slack]))
  console.log(`slowest message: ${slowest.toFixed(1)} s (the aim is under 60)`)
  if (slowest >= 60) process.exitCode = 1
}
