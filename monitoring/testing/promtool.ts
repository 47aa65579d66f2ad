import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { binary } from '../../dev/servers/binary.ts'
import { RULE_GROUPS, type RuleGroup } from './rule-files.ts'

/** Promtool's own format, as far as it is used: https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/ */
export interface RuleTest {
  name: string
  interval: string
  input_series: readonly { series: string; values: string }[]
  promql_expr_test?: readonly {
    expr: string
    eval_time: string
    exp_samples: readonly { labels: string; value: number }[]
  }[]
  alert_rule_test?: readonly {
    alertname: string
    eval_time: string
    exp_alerts: readonly { exp_labels: Record<string, string>; exp_annotations: Record<string, string> }[]
  }[]
}

/**
 * Runs `promtool test rules`, on the committed rules or on a part of them. Every group is evaluated each
 * `evaluationInterval`, in the order of the files. Gives what it complains of.
 */
export function testRules(
  tests: readonly RuleTest[],
  evaluationInterval: string,
  groups: readonly RuleGroup[] = RULE_GROUPS,
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'promtool-'))
  const write = (name: string, content: object) => {
    writeFileSync(join(folder, name), stringify(content, { lineWidth: 0, aliasDuplicateObjects: false }))
    return join(folder, name)
  }
  const file = write('tests.yaml', {
    rule_files: [write('rules.yaml', { groups })],
    evaluation_interval: evaluationInterval,
    group_eval_order: groups.map(({ name }) => name),
    fuzzy_compare: true,
    tests,
  })
  return new Promise((resolve) => {
    execFile(
      binary('promtool'),
      ['test', 'rules', file],
      { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        rmSync(folder, { recursive: true, force: true })
        resolve(error === null ? '' : `${stdout}${stderr}`.trim() || error.message)
      },
    )
  })
}
