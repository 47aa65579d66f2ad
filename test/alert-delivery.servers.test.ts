import { mkdtempSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { sumOfMetric } from '../dev/metrics-text.ts'
import { type Alertmanager, startAlertmanager } from '../dev/servers/alertmanager.ts'
import { binariesPresent } from '../dev/servers/binary.ts'
import { type AlertmanagerFile, type Route, shippedAlertmanager } from '../dev/servers/shipped-alertmanager.ts'
import { holds } from '../dev/servers/time-intervals.ts'
import { type NotificationSink, startNotificationSink } from '../dev/sinks/notifications.ts'
import { waitUntil } from '../dev/wait-until.ts'

/** The shipped file on a real Alertmanager; only its waits are shorter, and its services are stand-ins. */
describe.skipIf(!binariesPresent('alertmanager'))('what is delivered', () => {
  let directory: string
  let sink: NotificationSink
  let config: AlertmanagerFile
  let alertmanager: Alertmanager

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'alert-delivery-'))
    sink = await startNotificationSink()
    const shipped = shippedAlertmanager({ directory, secrets: sink.secrets, pagerdutyUrl: sink.pagerdutyUrl })
    config = { ...shipped, route: quick(shipped.route) }
    alertmanager = await startAlertmanager({ directory, config })
  })
  afterEach(async () => {
    await alertmanager?.close()
    await sink?.close()
    rmSync(directory, { recursive: true, force: true })
  })

  const annotations = {
    summary: 'Provider openai fails most calls',
    description: '87 % of the calls failed.',
    runbook_url: 'https://runbooks.example/LLMProviderDown.md',
    dashboard_url: 'https://grafana.example/d/llm-providers?var-provider=openai',
  }
  const alert = (alertname: string, priority: string, labels: Record<string, string> = {}) => ({
    labels: { alertname, priority, severity: 'critical', environment: 'production', ...labels },
    annotations,
  })
  const ended = (one: ReturnType<typeof alert>) => ({ ...one, endsAt: new Date().toISOString() })
  const log = () => readFileSync(join(directory, 'alertmanager.log'), 'utf8')
  const metrics = async () => (await fetch(`${alertmanager.url}/metrics`)).text()
  /** The time intervals that hold an alert's group back. */
  async function mutedBy(alertname: string): Promise<string[]> {
    const response = await fetch(`${alertmanager.url}/api/v2/alerts/groups?filter=alertname%3D${alertname}`)
    const groups = (await response.json()) as { alerts: { status: { mutedBy: string[] } }[] }[]
    return groups.flatMap(({ alerts }) => alerts.flatMap(({ status }) => status.mutedBy))
  }
  const arrived = (service: Parameters<NotificationSink['notifications']>[0], count = 1) =>
    waitUntil(async () => {
      const all = sink.notifications()
      const seen = `${all.map((one) => `${one.service} ${one.status}`)}; refused: ${sink.refused()}`
      return { done: all.filter((one) => one.service === service).length >= count, seen }
    })
  /** A second alert on the same way: when it has come, an earlier one had its chance. */
  async function afterAnother(service: 'slack' | 'teams', priority: string) {
    const before = sink.notifications(service).length
    await alertmanager.post(alert('LLMLater', priority))
    await waitUntil(async () =>
      sink
        .notifications(service)
        .slice(before)
        .some(({ title }) => title.includes('LLMLater')),
    )
  }

  it('P1: the team on duty and the channel; then that it is over', async () => {
    const moment = new Date()
    const [a, b] = ['oncall-a', 'oncall-b'].map(
      (name) => config.time_intervals.find((interval) => interval.name === name)!.time_intervals,
    )
    expect(holds(a!, moment)).not.toBe(holds(b!, moment))
    const page = alert('LLMProviderDown', 'P1', { provider: 'openai' })
    await alertmanager.post(page)
    await arrived('pagerduty')
    await arrived('slack')
    const [paged] = sink.notifications('pagerduty')
    expect(paged).toMatchObject({
      addressee: sink.secrets[holds(a!, moment) ? 'pagerduty_oncall_a' : 'pagerduty_oncall_b'],
      status: 'firing',
      title: '[P1 FIRING] LLMProviderDown production openai: Provider openai fails most calls',
      body: {
        event_action: 'trigger',
        client_url: annotations.dashboard_url,
        links: [
          { href: annotations.runbook_url, text: 'Runbook' },
          { href: annotations.dashboard_url, text: 'Dashboard' },
        ],
        payload: { severity: 'critical', class: 'LLMProviderDown', component: 'openai', group: 'production' },
      },
    })
    expect(paged!.text).toContain('87 % of the calls failed.')
    const [told] = sink.notifications('slack')
    expect(told!.title).toBe('[P1 FIRING] LLMProviderDown production openai')
    expect(told!.text).toContain(`<${annotations.runbook_url}|Runbook>`)

    await alertmanager.post(ended(page))
    await arrived('pagerduty', 2)
    await arrived('slack', 2)
    const over = sink.notifications('pagerduty')[1]!
    expect(over.status).toBe('resolved')
    expect(over.body.dedup_key).toBe(paged!.body.dedup_key)
    expect(sink.notifications('slack')[1]!.status).toBe('resolved')
    expect(sink.refused()).toEqual([])
    // What a service needs to know is in its own message; nothing of it in any text.
    const texts = sink.notifications().map(({ title, text }) => title + text)
    for (const secret of Object.values(sink.secrets)) expect(texts.join()).not.toContain(secret)
    expect(new Set(sink.notifications().map(({ service }) => service))).toEqual(new Set(['pagerduty', 'slack']))
  })

  it('P2: the channel alone, one message for each tenant, all models of a tenant in one', async () => {
    await alertmanager.post(
      alert('LLMCostSpike', 'P2', { tenant_id: 'blue', model: 'a' }),
      alert('LLMCostSpike', 'P2', { tenant_id: 'blue', model: 'b' }),
      alert('LLMCostSpike', 'P2', { tenant_id: 'red', model: 'a' }),
    )
    await arrived('slack', 2)
    expect(
      sink
        .notifications()
        .map(({ service, title }) => `${service} ${title}`)
        .sort(),
    ).toEqual(['slack [P2 FIRING 2] LLMCostSpike production blue', 'slack [P2 FIRING] LLMCostSpike production red'])
  })

  it('P3: Teams in business hours; what comes out of hours is told when they begin', async () => {
    const open = { name: 'business-hours', time_intervals: [{}] }
    const others = config.time_intervals.filter(({ name }) => !['business-hours', 'holidays'].includes(name))
    const holidays = { name: 'holidays', time_intervals: [{ years: ['1999'] }] }
    const closed = { name: 'business-hours', time_intervals: [{ years: ['1999'] }] }
    await alertmanager.reload({ ...config, time_intervals: [...others, holidays, closed] })
    await alertmanager.post(alert('LLMUnpricedCalls', 'P3', { model: 'new-model' }))
    await afterAnother('slack', 'P2')
    expect(sink.notifications('teams')).toEqual([])
    expect(await mutedBy('LLMUnpricedCalls')).toEqual(['business-hours'])

    await alertmanager.reload({ ...config, time_intervals: [...others, holidays, open] })
    await arrived('teams')
    const [told] = sink.notifications('teams')
    expect(told!.title).toBe('P3 FIRING: LLMUnpricedCalls production')
    expect(told!.text).toContain('- model: new-model')
    expect(told!.text).toContain(`[Dashboard](${annotations.dashboard_url})`)

    await alertmanager.reload({ ...config, time_intervals: [...others, { ...holidays, time_intervals: [{}] }, open] })
    await alertmanager.post(alert('LLMPricesOld', 'P3'))
    await waitUntil(async () => (await mutedBy('LLMPricesOld')).includes('holidays'))
    expect(sink.refused()).toEqual([])
  })

  it('P4: nobody. The watchdog: again and again', async () => {
    await alertmanager.post(alert('LLMTrafficAnomaly', 'P4', { tenant_id: 'blue' }), alert('LLMWatchdog', 'P4'))
    await arrived('watchdog', 3)
    await afterAnother('slack', 'P2')
    expect(sink.notifications().filter(({ title }) => title.includes('LLMTrafficAnomaly'))).toEqual([])
    expect(sink.notifications('slack').filter(({ title }) => title.includes('LLMWatchdog'))).toEqual([])
  })

  it('an endpoint that answers 500 twice, then 200: tried again, told once', async () => {
    sink.setFault({ kind: 'status', status: 500, times: 2 })
    await alertmanager.post(alert('LLMCostSpike', 'P2', { tenant_id: 'blue' }))
    await arrived('slack')
    await afterAnother('slack', 'P2')
    expect(sink.notifications('slack').filter(({ title }) => title.includes('LLMCostSpike'))).toHaveLength(1)
    expect(sink.faulted()).toBe(2)
    expect(sumOfMetric(await metrics(), 'alertmanager_notifications_failed_total')).toBe(0)
  })

  it('a secret that is missing: counted, its file is named, the other receivers are told; put there, it is told', async () => {
    const file = join(directory, 'secrets/slack_oncall_url')
    unlinkSync(file)
    await alertmanager.post(alert('LLMProviderDown', 'P1', { provider: 'openai' }))
    await arrived('pagerduty')
    await waitUntil(
      async () =>
        sumOfMetric(await metrics(), 'alertmanager_notifications_failed_total', { integration: 'slack' }) >= 1,
    )
    expect(log()).toContain(`open ${file}: no such file or directory`)
    writeFileSync(file, sink.secrets.slack_oncall_url)
    await arrived('slack')
    expect(sink.notifications('slack')[0]!.title).toContain('LLMProviderDown')
  })

  it('an endpoint that is gone: the log has no secret', async () => {
    await sink.close()
    await alertmanager.post(alert('LLMProviderDown', 'P1', { provider: 'openai' }), alert('LLMWatchdog', 'P4'))
    await waitUntil(async () => /slack.*connection refused/.test(log()) && /pagerduty.*connection refused/.test(log()))
    await waitUntil(async () => /watchdog.*connection refused/.test(log()))
    for (const secret of Object.values(sink.secrets)) expect(log()).not.toContain(secret)
  })

  it('restarted: what was told is not told again, what is over still is', async () => {
    const spike = alert('LLMCostSpike', 'P2', { tenant_id: 'blue' })
    await alertmanager.post(spike)
    await arrived('slack')
    // The service has it a moment before Alertmanager knows that it has: ended in between, it would tell it again.
    await waitUntil(
      async () =>
        sumOfMetric(await metrics(), 'alertmanager_notification_requests_total', { integration: 'slack' }) >= 1,
    )
    await alertmanager.child.kill('SIGTERM')
    await alertmanager.child.start()
    expect(await alertmanager.alerts()).toEqual([])
    await alertmanager.post(spike)
    await afterAnother('slack', 'P2')
    expect(sink.notifications('slack').filter(({ title }) => title.includes('LLMCostSpike'))).toHaveLength(1)
    await alertmanager.post(ended(spike))
    await waitUntil(async () =>
      sink.notifications('slack').some(({ title }) => title.includes('RESOLVED] LLMCostSpike')),
    )
  })

  it('a silence holds it back, by alert and tenant', async () => {
    const response = await fetch(`${alertmanager.url}/api/v2/silences`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        matchers: [
          { name: 'alertname', value: 'LLMCostSpike', isRegex: false },
          { name: 'tenant_id', value: 'blue', isRegex: false },
        ],
        startsAt: new Date().toISOString(),
        endsAt: new Date(Date.now() + 3_600_000).toISOString(),
        createdBy: 'test',
        comment: 'test',
      }),
    })
    expect(response.status).toBe(200)
    await alertmanager.post(alert('LLMCostSpike', 'P2', { tenant_id: 'blue' }))
    await alertmanager.post(alert('LLMCostSpike', 'P2', { tenant_id: 'red' }))
    await afterAnother('slack', 'P2')
    const titles = sink.notifications('slack').map(({ title }) => title)
    expect(titles.filter((title) => title.includes('blue'))).toEqual([])
    expect(titles.filter((title) => title.includes('red'))).toHaveLength(1)
  })

  const month = { tenant_id: 'blue', period: 'month' }
  it.each([
    ['100 % of a budget', ['LLMBudgetExceeded', 'P2', month], ['LLMBudgetNearlySpent', 'P3', month], true],
    ['80 % of a budget', ['LLMBudgetNearlySpent', 'P3', month], ['LLMBudgetHalfSpent', 'P4', month], true],
    [
      'another tenant’s budget',
      ['LLMBudgetExceeded', 'P2', month],
      ['LLMBudgetNearlySpent', 'P3', { ...month, tenant_id: 'red' }],
      false,
    ],
    [
      'another period’s',
      ['LLMBudgetExceeded', 'P2', month],
      ['LLMBudgetNearlySpent', 'P3', { ...month, period: 'day' }],
      false,
    ],
    [
      'a provider that is down',
      ['LLMProviderDown', 'P1', { provider: 'openai' }],
      ['LLMLatencyHigh', 'P3', { provider: 'openai', model: 'gpt-4o' }],
      true,
    ],
    [
      'another provider',
      ['LLMProviderDown', 'P1', { provider: 'openai' }],
      ['LLMLatencyHigh', 'P3', { provider: 'anthropic' }],
      false,
    ],
    [
      'what a provider’s outage does not explain',
      ['LLMProviderDown', 'P1', { provider: 'openai' }],
      ['LLMUnpricedCalls', 'P3', { provider: 'openai', model: 'x' }],
      false,
    ],
    [
      'the same SLO',
      ['LLMSuccessBurnFast', 'P1', { slo: 'success' }],
      ['LLMSuccessBurnSlow', 'P3', { slo: 'success' }],
      true,
    ],
    [
      'another SLO',
      ['LLMSuccessBurnFast', 'P1', { slo: 'success' }],
      ['LLMLatencyBurnSlow', 'P3', { slo: 'latency' }],
      false,
    ],
    [
      'the same SLO, P2 and P3',
      ['LLMFreshnessBurnFast', 'P2', { slo: 'freshness' }],
      ['LLMFreshnessBurnSlow', 'P3', { slo: 'freshness' }],
      true,
    ],
    [
      'a sidecar that is down',
      ['LLMObserverDown', 'P1', { instance: 'a:8086' }],
      ['LLMSinkBehind', 'P3', { instance: 'a:8086' }],
      true,
    ],
    [
      'another sidecar',
      ['LLMObserverDown', 'P1', { instance: 'a:8086' }],
      ['LLMSinkBehind', 'P3', { instance: 'b:8086' }],
      false,
    ],
    [
      'a sidecar that is down, and the SLO of all',
      ['LLMObserverDown', 'P1', { instance: 'a:8086' }],
      ['LLMFreshnessBurnFast', 'P2', { slo: 'freshness' }],
      true,
    ],
    [
      'one sidecar of two that is down, and the silence of the other',
      ['LLMObserverDown', 'P1', { instance: 'a:8086' }],
      ['LLMTrafficStopped', 'P2', {}],
      false,
    ],
    [
      'one Kong of two that is down, and the silence of the other',
      ['LLMKongDown', 'P1', { instance: 'a:8100' }],
      ['LLMTrafficStopped', 'P2', {}],
      false,
    ],
    [
      'a store that cannot write, and the refusals that it makes',
      ['LLMStoreUnwritable', 'P1', { instance: 'a:8086' }],
      ['LLMReceiveRefused', 'P2', { reason: 'store_unavailable' }],
      true,
    ],
    [
      'a store that cannot write, and other refusals',
      ['LLMStoreUnwritable', 'P1', { instance: 'a:8086' }],
      ['LLMReceiveRefused', 'P2', { reason: 'unauthorized' }],
      false,
    ],
    [
      'captures that are not valid, by their cost',
      ['LLMCapturesDropped', 'P2', { reason: 'invalid' }],
      ['LLMCapturesInvalid', 'P3', {}],
      true,
    ],
    [
      'captures that are lost for another reason',
      ['LLMCapturesDropped', 'P2', { reason: 'queue_full' }],
      ['LLMCapturesInvalid', 'P3', {}],
      false,
    ],
    ['no sidecar at all', ['LLMObserverAbsent', 'P1', { environment: '' }], ['LLMTrafficStopped', 'P2', {}], true],
    [
      'another environment',
      ['LLMObserverDown', 'P1', { environment: 'staging', instance: 'a:8086' }],
      ['LLMFreshnessBurnFast', 'P2', { slo: 'freshness' }],
      false,
    ],
    ['a critical alert of no tenant', ['LLMKongDown', 'P1', {}], ['LLMCapturesInvalid', 'P3', {}], false],
    ['a critical alert of the same tenant', ['LLMTenantForged', 'P2', month], ['LLMUsageUnknown', 'P3', month], false],
  ] satisfies [string, Posted, Posted, boolean][])(
    '%s: %j inhibits %j: %s',
    async (_what, source: Posted, target: Posted, inhibited) => {
      await alertmanager.post(alert(...source))
      await waitUntil(async () => (await alertmanager.alerts(`alertname="${source[0]}"`)).length === 1)
      await alertmanager.post(alert(...target))
      await waitUntil(async () => {
        const [one] = await alertmanager.alerts(`alertname="${target[0]}"`)
        return {
          done:
            one?.status.state === (inhibited ? 'suppressed' : 'active') && one.status.inhibitedBy.length === +inhibited,
          seen: JSON.stringify(one?.status),
        }
      })
    },
  )
})

type Posted = [alertname: string, priority: string, labels: Record<string, string>]

/** The same tree with waits that a test can wait for. */
function quick(route: Route): Route {
  return {
    ...route,
    ...(route.group_wait === undefined ? {} : { group_wait: '100ms' }),
    ...(route.group_interval === undefined ? {} : { group_interval: '500ms' }),
    ...(route.repeat_interval === '1m' ? { repeat_interval: '600ms' } : {}),
    ...(route.routes === undefined ? {} : { routes: route.routes.map(quick) }),
  }
}
