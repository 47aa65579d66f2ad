import { spawnSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { build, files } from './build.ts'
import { DEFAULT_LINKS, linksOf, withLinks } from './links.ts'

const OWN = { grafana: 'https://grafana.example.com/g', runbooks: 'https://wiki.example.com/runbooks' }
const root = join(import.meta.dirname, '..')

it('without variables the links are those that are committed', () => {
  expect(linksOf({ GRAFANA_URL: '' })).toEqual(DEFAULT_LINKS)
  expect(build(false, linksOf({})).filter((path) => path.endsWith('.yaml'))).toEqual([])
})

it('a variable is an address, with or without a slash at the end', () => {
  expect(linksOf({ GRAFANA_URL: `${OWN.grafana}/`, RUNBOOKS_URL: OWN.runbooks })).toEqual(OWN)
  for (const wrong of ['grafana', 'ftp://g', 'https://g/"x', 'https://g/{{ x }}', 'https://g/a b', 'https://g/?a=1'])
    expect(() => linksOf({ GRAFANA_URL: wrong })).toThrow(/^GRAFANA_URL: give an address/)
})

describe('with links of one’s own', () => {
  const written = files(OWN)
  const texts = [...written].filter(([path]) => path.endsWith('.yaml') && path.includes('deploy/'))

  it('no file of Prometheus or Loki leads anywhere else', () => {
    expect(texts.map(([path]) => path)).toEqual(
      expect.arrayContaining([
        'deploy/prometheus/rules/alerts.yaml',
        'deploy/loki/loki.yaml',
        ...globSync('deploy/loki/rules/*/*.yaml', { cwd: root }),
      ]),
    )
    let links = 0
    for (const [path, text] of texts) {
      expect(text, path).not.toContain(DEFAULT_LINKS.grafana)
      expect(text, path).not.toContain(DEFAULT_LINKS.runbooks)
      links += text.split(`${OWN.grafana}/d/llm-`).length - 1
    }
    expect(links).toBeGreaterThan(60)
  })

  it('each alert still has both, and nothing else changed', () => {
    interface Rules {
      groups: { rules: { alert?: string; annotations?: Record<string, string> }[] }[]
    }
    for (const [path, text] of texts.filter(([path]) => path.includes('/rules/'))) {
      for (const { alert, annotations } of (parse(text) as Rules).groups.flatMap(({ rules }) => rules))
        if (alert !== undefined) {
          expect(annotations!.runbook_url, alert).toBe(`${OWN.runbooks}/${alert}.md`)
          expect(annotations!.dashboard_url, alert).toMatch(
            /^https:\/\/grafana\.example\.com\/g\/d\/llm-\w+\?from=now-3h&to=now/,
          )
        }
      expect(withLinks(text, DEFAULT_LINKS)).toBe(readFileSync(join(root, path), 'utf8'))
    }
  })
})

it('the command reads the variables', () => {
  const { status, stdout } = spawnSync(process.execPath, ['monitoring/build.ts', '--check'], {
    cwd: root,
    encoding: 'utf8',
    env: { PATH: process.env.PATH, GRAFANA_URL: OWN.grafana },
  })
  expect(status).toBe(1)
  expect(stdout).toContain('out of date: deploy/prometheus/rules/alerts.yaml')
  expect(stdout).toContain('out of date: deploy/loki/loki.yaml')
})
