import type { Dashboard, Panel } from '@grafana/grafana-foundation-sdk/dashboard'
import { KEPT_SERIES, THINNED } from '../monitoring/recorded.ts'
import { SERVER_METRICS } from '../monitoring/server-metrics.ts'
import { type SelectorInQuery, selectorsIn } from './selectors.ts'

interface Exclusion {
  reason: string
  entries: { dashboard: string; panel: string }[]
}

/**
 * Exceptions of grafana's dashboard-linter, each with its reason. Only what the reason names is excepted: any other query
 * that breaks the same rule is a finding (dashboards.test.ts).
 */
export function lintFile(boards: readonly Dashboard[]): { exclusions: Record<string, Exclusion> } {
  const where = (matches: (selector: SelectorInQuery) => boolean) =>
    boards.flatMap((board) =>
      panelsOf(board)
        .filter((panel) => queriesOf(panel).some((query) => selectorsIn(query).some(matches)))
        .map((panel) => ({ dashboard: board.title ?? '', panel: panel.title ?? '' })),
    )
  const untargeted = () => ({
    reason: 'Recorded series and ALERTS sum over targets, and Prometheus and Alertmanager tell of themselves.',
    entries: where(isUntargeted),
  })
  return {
    exclusions: {
      'target-job-rule': untargeted(),
      'target-instance-rule': untargeted(),
      'target-rate-interval-rule': {
        reason: 'One number over the whole range ($__range), or over the window that the title or the text tells.',
        entries: where(isOverItsOwnWindow),
      },
    },
  }
}

/** Series without the labels of a target that the board chooses by. */
export function isUntargeted({ name }: SelectorInQuery): boolean {
  return (
    (name.includes(':') && !Object.hasOwn(THINNED, name) && !Object.hasOwn(KEPT_SERIES, name)) ||
    (Object.hasOwn(SERVER_METRICS, name) && /^(ALERTS$|prometheus_|alertmanager_)/.test(name))
  )
}
/** A rate over something else than Grafana's interval. */
export function isOverItsOwnWindow({ range, function: called }: SelectorInQuery): boolean {
  return (called === 'rate' || called === 'irate') && range !== '$__rate_interval'
}

function panelsOf(board: Dashboard): Panel[] {
  return (board.panels ?? []).flatMap((panel) =>
    'targets' in panel && panel.targets !== undefined ? [panel as Panel] : [],
  )
}
function queriesOf(panel: Panel): string[] {
  return (panel.targets ?? []).flatMap((target) => {
    const { expr, datasource } = target as { expr?: string; datasource?: { type?: string } }
    return expr === undefined || datasource?.type !== 'prometheus' ? [] : [expr]
  })
}
