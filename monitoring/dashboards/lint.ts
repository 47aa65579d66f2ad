import type { Dashboard, Panel } from '@grafana/grafana-foundation-sdk/dashboard'

/** Exceptions of grafana's dashboard-linter, each with its reason: what it wants, and our recorded series cannot have. */
export function lintFile(boards: readonly Dashboard[]) {
  const entries = boards.flatMap((board) =>
    panelsOf(board)
      .filter((panel) => queriesOf(panel).some((expr) => !/job=~"\$job"/.test(expr)))
      .map((panel) => ({ dashboard: board.title, panel: panel.title })),
  )
  const exclusion = {
    reason: 'Recorded series and ALERTS sum over targets: they have neither job nor instance.',
    entries,
  }
  return { exclusions: { 'target-job-rule': exclusion, 'target-instance-rule': exclusion } }
}

export function panelsOf(board: Dashboard): Panel[] {
  return (board.panels ?? []).flatMap((panel) =>
    'targets' in panel && panel.targets !== undefined ? [panel as Panel] : [],
  )
}
export function queriesOf(panel: Panel): string[] {
  return (panel.targets ?? []).flatMap((target) => {
    const { expr, datasource } = target as { expr?: string; datasource?: { type?: string } }
    return expr === undefined || datasource?.type !== 'prometheus' ? [] : [expr]
  })
}
