import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { binariesPresent, binary } from '../dev/servers/binary.ts'
import {
  type AlertmanagerFile,
  readShippedAlertmanagerFile,
  SHIPPED_ALERTMANAGER_FILE,
} from '../dev/servers/shipped-alertmanager.ts'

const root = join(import.meta.dirname, '..')
const directory = mkdtempSync(join(tmpdir(), 'alertmanager-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

function amtool(...args: string[]) {
  const { stdout, stderr, status } = spawnSync(binary('amtool'), args, { encoding: 'utf8' })
  return { status, said: `${stdout}${stderr}` }
}
const shipped = readShippedAlertmanagerFile()

describe.skipIf(!binariesPresent('amtool'))('amtool', () => {
  it('takes the shipped file and its templates', () => {
    const { status, said } = amtool('check-config', SHIPPED_ALERTMANAGER_FILE)
    expect(said).toMatch(/1 templates\s+SUCCESS/)
    expect(status).toBe(0)
  })

  it.each([
    ['a receiver that is not there', { route: { receiver: 'nobody' } }, /undefined receiver "nobody"/],
    [
      'a time interval that is not there',
      { time_intervals: [] },
      /undefined time interval "(oncall-a|business-hours|holidays)"/,
    ],
    ['a field that is not known', { inhibit_rule: [] }, /field inhibit_rule not found/],
    ['a template that is broken', { templates: ['broken.tmpl'] }, /broken\.tmpl:1: missing value for if/],
  ] satisfies [string, object, RegExp][])('%s: the error says so', (_what, change, error) => {
    writeFileSync(join(directory, 'broken.tmpl'), '{{ define "x" }}{{ if }}{{ end }}')
    const file = join(directory, 'alertmanager.yml')
    writeFileSync(file, stringify({ ...shipped, templates: [], ...change }))
    const { status, said } = amtool('check-config', file)
    expect(said).toMatch(error)
    expect(status).not.toBe(0)
  })

  const P1 = 'pagerduty-oncall-a,pagerduty-oncall-b,slack-oncall'
  const about = [[], ['tenant_id=blue'], ['provider=openai'], ['tenant_id=blue', 'provider=openai', 'model=gpt-4o']]
  it.each([
    ['P1', 'critical', P1],
    ['P2', 'critical', 'slack-oncall'],
    ['P2', 'warning', 'slack-oncall'],
    ['P3', 'warning', 'teams'],
    ['P4', 'info', 'dashboard-only'],
    // What has no priority, or one that nobody knows, is not lost.
    ['', 'critical', 'slack-oncall'],
    ['P5', 'info', 'slack-oncall'],
  ])('priority "%s", severity %s: %s', (priority, severity, receivers) => {
    for (const labels of about) {
      const { status, said } = routed(receivers, [
        'alertname=LLMSomething',
        `severity=${severity}`,
        ...(priority === '' ? [] : [`priority=${priority}`]),
        'environment=production',
        ...labels,
      ])
      expect(said.trim()).toBe(receivers)
      expect(status).toBe(0)
    }
  })

  it('the watchdog goes to the dead man’s switch alone, whatever its priority', () => {
    for (const priority of ['P1', 'P4'])
      expect(routed('watchdog', ['alertname=LLMWatchdog', `priority=${priority}`]).status).toBe(0)
  })

  it('the verification is one: another receiver fails', () => {
    const { status, said } = routed('teams', ['priority=P1'])
    expect(status).not.toBe(0)
    expect(said).toContain('pagerduty-oncall-a')
  })

  it('docs/alerting.md: a tenant’s own channel, as it says, comes before the priorities and ends no page', () => {
    const text = readFileSync(join(root, 'docs/alerting.md'), 'utf8')
    const example = /```yaml\n# a tenant's own channel\n([\s\S]*?)```/.exec(text)?.[1]
    expect(example).toBeDefined()
    const { routes, receivers } = parseExample(example!)
    const file = join(directory, 'with-tenant.yml')
    const [watchdog, ...rest] = shipped.route.routes!
    writeFileSync(
      file,
      stringify({
        ...shipped,
        templates: [],
        route: { ...shipped.route, routes: [watchdog, ...routes, ...rest] },
        receivers: [...shipped.receivers, ...receivers],
      }),
    )
    const test = (receiver: string, ...labels: string[]) =>
      amtool('config', 'routes', 'test', `--config.file=${file}`, `--verify.receivers=${receiver}`, ...labels)
    expect(test(`slack-tenant-blue,${P1}`, 'tenant_id=blue', 'priority=P1').said.trim()).toBe(`slack-tenant-blue,${P1}`)
    expect(test('slack-tenant-blue,teams', 'tenant_id=blue', 'priority=P3').status).toBe(0)
    expect(test('teams', 'tenant_id=red', 'priority=P3').status).toBe(0)
    expect(test('watchdog', 'alertname=LLMWatchdog', 'tenant_id=blue').status).toBe(0)
  })

  function routed(receivers: string, labels: readonly string[]) {
    return amtool(
      'config',
      'routes',
      'test',
      `--config.file=${SHIPPED_ALERTMANAGER_FILE}`,
      `--verify.receivers=${receivers}`,
      ...labels,
    )
  }

  describe('templates', () => {
    const annotations = {
      summary: 'Provider openai fails most calls',
      description: '87 % of the calls failed.',
      runbook_url: 'https://runbooks.example/LLMProviderDown.md',
      dashboard_url: 'https://grafana.example/d/llm-providers?var-provider=openai&from=now-3h',
    }
    const labels = { alertname: 'LLMProviderDown', severity: 'critical', priority: 'P1', provider: 'openai' }
    const alert = (more: Record<string, string> = {}, status = 'firing') => ({
      status,
      labels: { ...labels, ...more },
      annotations,
      startsAt: '2026-11-24T10:00:00Z',
      endsAt: '0001-01-01T00:00:00Z',
    })
    const data = (alerts: ReturnType<typeof alert>[], group: Record<string, string> = {}) => ({
      receiver: 'x',
      status: alerts.some(({ status }) => status === 'firing') ? 'firing' : 'resolved',
      alerts,
      groupLabels: { alertname: labels.alertname, provider: 'openai', ...group },
      commonLabels: alerts.length === 1 ? alerts[0]!.labels : labels,
      commonAnnotations: annotations,
      externalURL: 'https://alertmanager.example',
    })
    function render(name: string, of: unknown): string {
      const file = join(directory, 'data.json')
      writeFileSync(file, JSON.stringify(of))
      const { status, said } = amtool(
        'template',
        'render',
        `--template.glob=${join(root, 'deploy/alertmanager/templates/*.tmpl')}`,
        `--template.data=${file}`,
        `--template.text={{ template "${name}" ${name === 'llm.text' ? '.Alerts' : '.'} }}`,
      )
      expect(status, said).toBe(0)
      return said
    }

    it('subjects say priority, state, what and of whom', () => {
      expect(render('llm.subject', data([alert()]))).toBe(
        '[P1 FIRING] LLMProviderDown openai: Provider openai fails most calls',
      )
      expect(render('llm.slack.title', data([alert({}, 'resolved'), alert({}, 'resolved')]))).toBe(
        '[P1 RESOLVED 2] LLMProviderDown openai',
      )
      expect(render('llm.teams.title', data([alert()]))).toBe('P1 FIRING: LLMProviderDown openai')
      expect(render('llm.subject', { ...data([alert()]), commonLabels: {}, commonAnnotations: {} })).toBe(
        '[no priority FIRING]  openai',
      )
    })

    it.each([
      ['llm.text', /^runbook: https:\/\/runbooks\.example\/LLMProviderDown\.md$/m],
      ['llm.slack.text', /<https:\/\/runbooks\.example\/LLMProviderDown\.md\|Runbook>/],
      ['llm.teams.text', /\[Runbook\]\(https:\/\/runbooks\.example\/LLMProviderDown\.md\)/],
    ])('%s has summary, description, labels, time, runbook and dashboard', (name, runbook) => {
      const text = render(name, data([alert({ tenant_id: 'blue' })]))
      for (const part of ['Provider openai fails most calls', '87 % of the calls failed.', 'tenant_id: blue'])
        expect(text).toContain(part)
      expect(text).toContain('since: 2026-11-24 10:00:00 UTC')
      expect(text).toMatch(runbook)
      expect(text.replaceAll('&amp;', '&')).toContain(annotations.dashboard_url)
    })

    it('a colour for each state', () => {
      expect(render('llm.slack.color', data([alert()]))).toBe('danger')
      expect(render('llm.slack.color', data([alert({ severity: 'warning' })]))).toBe('warning')
      expect(render('llm.slack.color', data([alert({}, 'resolved')]))).toBe('good')
      expect(render('llm.pagerduty.severity', data([alert({ severity: 'page' })]))).toBe('critical')
    })

    it('names that a client chose make neither link nor mention', () => {
      const hostile = { tenant_id: '<!channel> <https://evil.example|log in>', model: '[log in](https://evil.example)' }
      const slack = ['llm.slack.title', 'llm.slack.text'].map((name) => render(name, data([alert(hostile)], hostile)))
      for (const text of slack) {
        expect(text).not.toContain('<!channel>')
        expect(text).not.toContain('<https://evil.example')
      }
      expect(slack[1]).toContain('&lt;!channel&gt;')
      const teams = ['llm.teams.title', 'llm.teams.text'].map((name) => render(name, data([alert(hostile)], hostile)))
      for (const text of teams) expect(text).not.toContain('](https://evil.example')
      expect(teams[1]).toContain('(log in)(https://evil.example)')
    })

    it('the link to silence has the group’s labels, whatever is in them', () => {
      const text = render('llm.slack.text', data([alert()], { tenant_id: 'a "b" > c' }))
      const [, filter] = /<https:\/\/alertmanager\.example\/#\/silences\/new\?filter=([^|>]*)\|Silence>/.exec(text)!
      expect(decodeURIComponent(filter!.replaceAll('+', ' '))).toBe(
        '{alertname="LLMProviderDown",provider="openai",tenant_id="a \\"b\\" > c"}',
      )
    })

    it('of 500 alerts ten are shown: no receiver refuses the size', () => {
      const many = data(Array.from({ length: 500 }, (_, n) => alert({ model: `model-${n}-${'x'.repeat(200)}` })))
      for (const name of ['llm.text', 'llm.slack.text', 'llm.teams.text']) {
        const text = render(name, many)
        expect(text).toContain('model-9-')
        expect(text).not.toContain('model-10-')
        expect(text).toContain('Ten of 500 are shown.')
        expect(text.length).toBeLessThan(28 * 1024)
      }
    })
  })
})

type Example = { routes: NonNullable<AlertmanagerFile['route']['routes']>; receivers: AlertmanagerFile['receivers'] }
function parseExample(text: string): Example {
  return parse(text) as Example
}
