import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Alerting, startAlerting } from '../dev/servers/alerting.ts'
import { binariesPresent } from '../dev/servers/binary.ts'
import { type Stack, startStack } from '../dev/stack.ts'
import { runTraffic } from '../dev/traffic/traffic.ts'
import { waitUntil } from '../dev/wait-until.ts'

/**
 * A provider fails behind the gateway; the shipped rules on a real Prometheus and the shipped routes on a real Alertmanager
 * make it a page. How long that takes is measured by bench/alert-latency.ts.
 */
describe.skipIf(!binariesPresent('prometheus', 'alertmanager'))('from a failing call to a page', () => {
  const directory = mkdtempSync(join(tmpdir(), 'alert-from-call-'))
  let stack: Stack
  let alerting: Alerting

  beforeAll(async () => {
    stack = await startStack({ directory, provider: { latencyMs: [0, 20] } })
    alerting = await startAlerting({
      directory,
      sidecarUrl: stack.sidecarUrl,
      // What an Alertmanager lost with a crash, Prometheus tells again; by itself after a minute.
      prometheusFlags: ['--rules.alert.resend-delay=5s'],
    })
  })
  afterAll(async () => {
    await alerting?.close()
    await stack?.close()
    rmSync(directory, { recursive: true, force: true })
  })

  it('is delivered although Alertmanager crashes on the way and its services fail at first', async () => {
    const { prometheus, alertmanager, sink } = alerting
    const stop = new AbortController()
    const traffic = { gatewayUrl: stack.gateway.url, calls: 100_000, concurrency: 8, ratePerSecond: 10 }
    const well = runTraffic({ ...traffic, mix: { 'openai-chat': 1, anthropic: 1 }, signal: stop.signal })
    const promise = waitUntil(
      async () =>
        (await prometheus.query('sum by (provider) (rate(llm_calls_total{status="ok"}[30s])) > 0')).length === 2,
    )
    await promise.finally(() => stop.abort())
    expect((await well).unexpected).toEqual([])
    expect(await prometheus.query('ALERTS{alertname!="LLMWatchdog"}')).toEqual([])

    const enough = new AbortController()
    const failing = runTraffic({ ...traffic, seed: 2, mix: { 'error-500': 1 }, signal: enough.signal })
    try {
      const known = () => alertmanager.alerts('alertname="LLMProviderDown"')
      await waitUntil(async () => (await known()).length === 2)
      const labels = { alertname: 'LLMProviderDown', environment: 'production', priority: 'P1', severity: 'critical' }
      expect((await known()).map((alert) => alert.labels).sort((a, b) => (a.provider! < b.provider! ? -1 : 1))).toEqual(
        [
          { ...labels, provider: 'anthropic' },
          { ...labels, provider: 'openai' },
        ],
      )
      expect(new Set((await known()).flatMap(({ receivers }) => receivers.map(({ name }) => name)))).toEqual(
        new Set(['pagerduty-oncall-a', 'pagerduty-oncall-b', 'slack-oncall']),
      )
      await alertmanager.child.kill('SIGKILL')
      sink.setFault({ kind: 'status', status: 500, times: 2 })
      await alertmanager.child.start()

      await waitUntil(async () => {
        const told = sink.notifications()
        const of = (service: string) => new Set(told.filter((one) => one.service === service).map(({ title }) => title))
        const seen = told.map(({ service, title }) => `${service}: ${title}`).join('; ')
        return { done: of('pagerduty').size === 2 && of('slack').size === 2 && of('watchdog').size === 1, seen }
      })
    } finally {
      enough.abort()
    }
    expect((await failing).unexpected).toEqual([])
    expect(sink.faulted()).toBe(2)
    expect(sink.refused()).toEqual([])
    const paged = sink.notifications('pagerduty').map(({ title }) => title)
    expect(new Set(paged)).toEqual(
      new Set(
        ['anthropic', 'openai'].map(
          (provider) => `[P1 FIRING] LLMProviderDown production ${provider}: Provider ${provider} fails most calls`,
        ),
      ),
    )
    const openai = sink.notifications('slack').find(({ title }) => title.endsWith('openai'))
    expect(openai!.text).toMatch(/% of the calls of openai in the last 30 seconds failed/)
    expect(openai!.text).toMatch(/docs\/runbooks\/LLMProviderDown\.md\|Runbook>/)
    expect(openai!.text).toMatch(/var-provider=openai\|Dashboard>/)
    // Nobody else: not Teams, and no other alert.
    expect(sink.notifications('teams')).toEqual([])
    expect(sink.notifications('slack').filter(({ title }) => !title.includes('LLMProviderDown'))).toEqual([])
  })
})
