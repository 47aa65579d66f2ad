import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

/** The committed rule files: what Prometheus loads is what is tested. */
export interface Rule {
  record?: string
  alert?: string
  expr: string
  for?: string
  keep_firing_for?: string
  labels?: Record<string, string>
  annotations?: Record<string, string>
}
export interface RuleGroup {
  name: string
  interval: string
  rules: Rule[]
}

const FOLDER = join(import.meta.dirname, '../../deploy/prometheus/rules')
export const RULE_FILES = ['recording', 'alerts'].map((name) => join(FOLDER, `${name}.yaml`))
export const RULE_GROUPS: readonly RuleGroup[] = RULE_FILES.flatMap(
  (file) => (parse(readFileSync(file, 'utf8')) as { groups: RuleGroup[] }).groups,
)
export const RULES: readonly Rule[] = RULE_GROUPS.flatMap(({ rules }) => rules)

/** Names of recorded series that an expression reads. */
export function recordedNamesIn(expr: string): string[] {
  return expr.match(/(?<!\w)[a-z_]+(?::[a-z0-9_A-Z]+)+/g) ?? []
}

/** The groups with only those rules that `names` (alerts and recorded series) are or rest on: most tests need few. */
export function groupsOf(names: readonly string[]): RuleGroup[] {
  const wanted = new Set<Rule>()
  const add = (name: string): void => {
    for (const rule of RULES) {
      if ((rule.record ?? rule.alert) !== name || wanted.has(rule)) continue
      wanted.add(rule)
      for (const below of recordedNamesIn(rule.expr)) add(below)
    }
  }
  for (const name of names) add(name)
  return RULE_GROUPS.map((group) => ({ ...group, rules: group.rules.filter((rule) => wanted.has(rule)) })).filter(
    ({ rules }) => rules.length > 0,
  )
}
