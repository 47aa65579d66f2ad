import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { binary } from '../../dev/servers/binary.ts'

const RULES = ['recording', 'alerts'].map((name) =>
  join(import.meta.dirname, `../../deploy/prometheus/rules/${name}.yaml`),
)

export interface RuleTest {
  name: string
  interval: string
  input_series: readonly { series: string; values: string }[]
  promql_expr_test: readonly {
    expr: string
    eval_time: string
    exp_samples: readonly { labels: string; value: number }[]
  }[]
}

/** Runs `promtool test rules` on the committed rules. All groups are evaluated each `evaluationInterval`. Gives what it complains of. */
export function testRules(tests: readonly RuleTest[], evaluationInterval: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'promtool-'))
  try {
    const file = join(folder, 'tests.yaml')
    writeFileSync(
      file,
      stringify(
        { rule_files: RULES, evaluation_interval: evaluationInterval, tests },
        { lineWidth: 0, aliasDuplicateObjects: false },
      ),
    )
    const { status, stdout, stderr } = spawnSync(binary('promtool'), ['test', 'rules', file], {
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    })
    return status === 0 ? '' : `${stdout}${stderr}`.trim()
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
