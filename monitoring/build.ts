import { existsSync, globSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { stringify } from 'yaml'
import { BOARDS } from '../dashboards/index.ts'
import { lintFile } from '../dashboards/lint.ts'
import { alertRule } from './alert.ts'
import { ALERT_GROUPS } from './alerts/index.ts'
import { DEFAULT_LINKS, type Links, linksOf, withLinks } from './links.ts'
import { RECORDING_GROUPS } from './recording-rules.ts'
import { runbookIndex } from './runbook-index.ts'

const ROOT = join(import.meta.dirname, '..')
const HEADER = '# Written by `npm run monitoring` from monitoring/ and dashboards/. Change it there.\n'
/** What is generated is alone in its folder: a board or rule file that is gone from the source goes here as well. */
const FOLDERS = ['deploy/prometheus/rules', 'dashboards/grafana']

/** Path, relative to the checkout, and text of everything that is written; of Loki's files only the links are. */
export function files(links: Links): Map<string, string> {
  const recording = {
    groups: RECORDING_GROUPS.map(({ name, interval, rules }) => ({ name, interval, rules })),
  }
  const alerts = {
    groups: ALERT_GROUPS.map(({ name, interval, alerts }) => ({
      name,
      interval,
      rules: alerts.map((alert) => alertRule(alert, links)),
    })),
  }
  const yaml = (value: unknown) => HEADER + stringify(value, { lineWidth: 0, aliasDuplicateObjects: false })
  return new Map([
    ['deploy/prometheus/rules/recording.yaml', yaml(recording)],
    ['deploy/prometheus/rules/alerts.yaml', yaml(alerts)],
    ['docs/runbooks/README.md', runbookIndex()],
    ...BOARDS.map((board) => [`dashboards/grafana/${board.uid}.json`, `${JSON.stringify(board, null, 2)}\n`] as const),
    ...['deploy/loki/loki.yaml', ...globSync('deploy/loki/rules/*/*.yaml', { cwd: ROOT }).sort()].map(
      (path) => [path, withLinks(readFileSync(join(ROOT, path), 'utf8'), links)] as const,
    ),
    ['dashboards/grafana/.lint', HEADER + stringify(lintFile(BOARDS), { lineWidth: 0 })],
  ])
}

/** Paths that differ from what the source says, relative to the checkout; with `write` they no longer do. */
export function build(write: boolean, links: Links = DEFAULT_LINKS): string[] {
  const wanted = files(links)
  const differing: string[] = []
  for (const [path, text] of wanted) {
    const file = join(ROOT, path)
    if (existsSync(file) && readFileSync(file, 'utf8') === text) continue
    differing.push(path)
    if (!write) continue
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
  }
  for (const folder of FOLDERS)
    for (const name of existsSync(join(ROOT, folder)) ? readdirSync(join(ROOT, folder)) : []) {
      const path = `${folder}/${name}`
      if (wanted.has(path)) continue
      differing.push(path)
      if (write) rmSync(join(ROOT, path))
    }
  return differing
}

if (import.meta.main) {
  const check = process.argv.includes('--check')
  const differing = build(!check, linksOf(process.env))
  for (const path of differing) process.stdout.write(`${check ? 'out of date' : 'written'}: ${relative('.', path)}\n`)
  if (check && differing.length > 0) {
    process.stderr.write('run `npm run monitoring` and commit what it writes\n')
    process.exitCode = 1
  }
}
