import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { waitUntil } from '../wait-until.ts'
import { startAlertmanager } from './alertmanager.ts'
import { binariesPresent } from './binary.ts'
import { startPrometheus } from './prometheus.ts'

const directory = mkdtempSync(join(tmpdir(), 'servers-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

describe.skipIf(!binariesPresent('prometheus'))('prometheus', () => {
  it('scrapes, answers queries, loads new rules, keeps its samples over a restart', async () => {
    const target = createServer((_request, response) =>
      response.writeHead(200, { 'content-type': 'text/plain' }).end('# TYPE things gauge\nthings{kind="a"} 7\n'),
    )
    await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve))
    const config = (rules: string[]) => ({
      global: { scrape_interval: '200ms', evaluation_interval: '200ms' },
      rule_files: rules,
      scrape_configs: [
        { job_name: 'x', static_configs: [{ targets: [`127.0.0.1:${(target.address() as AddressInfo).port}`] }] },
      ],
    })
    const prometheus = await startPrometheus({ directory: join(directory, 'p'), config: config([]) })
    try {
      await waitUntil(async () => (await prometheus.query('things == 7')).length === 1)
      const [sample] = await prometheus.query('things')
      expect(sample).toMatchObject({ value: 7, labels: { __name__: 'things', kind: 'a', job: 'x' } })
      expect(await prometheus.query('scalar(things) + 1')).toEqual([{ labels: {}, value: 8 }])
      expect(await prometheus.query('things', Date.now() / 1000 - 3600)).toEqual([])
      await expect(prometheus.query('things{')).rejects.toThrow(/prometheus refused \/query.*parse error/)

      writeFileSync(join(directory, 'p', 'r.yaml'), 'groups: [{name: g, rules: [{record: "a:b:c", expr: things * 2}]}]')
      await prometheus.reload(config(['r.yaml']))
      await waitUntil(async () => (await prometheus.query('a:b:c'))[0]?.value === 14)
      await expect(prometheus.reload({ nonsense: true })).rejects.toThrow(/refused its configuration.*nonsense/s)
      await prometheus.reload(config([]))

      const end = Date.now() / 1000
      const [series] = await prometheus.queryRange('things', { start: end - 1, end, stepSeconds: 0.5 })
      expect(series?.points.at(-1)).toEqual([end, 7])

      target.close()
      target.closeAllConnections()
      await prometheus.child.kill('SIGKILL')
      await prometheus.child.start()
      expect((await prometheus.query('last_over_time(a:b:c[5m])'))[0]?.value).toBe(14)
    } finally {
      await prometheus.close()
    }
    expect(prometheus.child.running()).toBe(false)
  })

  it('a configuration that it refuses: its own words, and nothing is left running', async () => {
    await expect(startPrometheus({ directory: join(directory, 'bad'), config: { nonsense: 1 } })).rejects.toThrow(
      /prometheus ended before it was ready:.*nonsense/s,
    )
  })
})

describe.skipIf(!binariesPresent('alertmanager'))('alertmanager', () => {
  it('takes alerts, and says who receives them', async () => {
    const alertmanager = await startAlertmanager({
      directory: join(directory, 'a'),
      config: { route: { receiver: 'nobody' }, receivers: [{ name: 'nobody' }] },
    })
    try {
      await alertmanager.post({ labels: { alertname: 'A', tenant_id: 'blue' } }, { labels: { alertname: 'B' } })
      await waitUntil(async () => (await alertmanager.alerts()).length === 2)
      expect(await alertmanager.alerts('tenant_id="blue"')).toMatchObject([
        { labels: { alertname: 'A' }, receivers: [{ name: 'nobody' }] },
      ])
      await expect(alertmanager.post({ labels: {} })).rejects.toThrow(/refused the alerts/)
      await expect(alertmanager.reload({ route: { receiver: 'missing' }, receivers: [] })).rejects.toThrow(
        /refused its configuration/,
      )
    } finally {
      await alertmanager.close()
    }
  })
})
