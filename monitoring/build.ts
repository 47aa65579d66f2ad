import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { stringify } from 'yaml'
import { BOARDS } from '../dashboards/index.ts'
import { lintFile } from '../dashboards/lint.ts'
import { alertRule } from './alert.ts'
import { ALERT_GROUPS } from './alerts/index.ts'
import { RECORDING_GROUPS } from './recording-rules.ts'
import { runbookIndex } from './runbook-index.ts'

const ROOT = join(import.meta.dirname, '..')
const HEADER = '# Written by `npm run monitoring` from monitoring/ and dashboards/. Change it there.\n'
/** What is generated is alone in its folder: a board or rule file that is gone from the source goes here as well. */
const FOLDERS = ['deploy/prometheus/rules', 'dashboards/grafana']

function files(): Map<string, string> {
  const recording = {
    groups: RECORDING_GROUPS.map(({ name, interval, rules }) => ({ name, interval, rules })),
  }
  const alerts = {
    groups: ALERT_GROUPS.map(({ name, interval, alerts }) => ({ name, interval, rules: alerts.map(alertRule) })),
  }
  const yaml = (value: unknown) => HEADER + stringify(value, { lineWidth: 0, aliasDuplicateObjects: false })
  return new Map([
    ['deploy/prometheus/rules/recording.yaml', yaml(recording)],
    ['deploy/prometheus/rules/alerts.yaml', yaml(alerts)],
    ['docs/runbooks/README.md', runbookIndex()],
    ...BOARDS.map((board) => [`dashboards/grafana/${board.uid}.json`, `${JSON.stringify(board, null, 2)}\n`] as const),
    ['dashboards/grafana/.lint', HEADER + stringify(lintFile(BOARDS), { lineWidth: 0 })],
  ])
}

/** Paths that differ from what the source says, relative to the checkout; with `write` they no longer do. */
export function build(write: boolean): string[] {
  const wanted = files()
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
  const differing = build(!check)
  for (const path of differing) process.stdout.write(`${check ? 'out of date' : 'written'}: ${relative('.', path)}\n`)
  if (check && differing.length > 0) {
    process.stderr.write('run `npm run monitoring` and commit what it writes\n')
    process.exitCode = 1
  }
}
