import type { Prometheus } from '../../dev/servers/prometheus.ts'
import { type Board, type BoardPanel, panelsOf, prometheusTargets, type Target } from './committed-boards.ts'
import { type Asked, grafanaQuery } from './grafana-query.ts'

export interface Answer {
  /** Board, panel, target: `llm-cost: Budgets B`. */
  name: string
  query: string
  /** `empty`: no number at all; `zero`: none but 0. */
  state: 'empty' | 'zero' | 'data'
  milliseconds: number
}

/** Every variable at its default, “All”; a tenant's own board with one tenant. */
export function variablesOf(board: Board, tenant: string): Record<string, string> {
  return Object.fromEntries(
    board.templating.list
      .filter(({ type }) => type === 'query')
      .map(({ name, allValue, includeAll }) => [name, includeAll ? allValue! : tenant]),
  )
}

/** Numbers of one target, as Grafana would ask for them: at one time, or over the range. */
export async function valuesOf(prometheus: Prometheus, target: Target, asked: Asked): Promise<number[]> {
  const { expr, start, end, stepSeconds } = grafanaQuery(target.expr, asked)
  if (target.instant === true) return (await prometheus.query(expr, asked.range.to)).map(({ value }) => value)
  const series = await prometheus.queryRange(expr, { start, end, stepSeconds })
  return series.flatMap(({ points }) => points.map(([, value]) => value))
}

export async function askBoard(
  prometheus: Prometheus,
  board: Board,
  { tenant, range, maxDataPoints }: { tenant: string; range: Asked['range']; maxDataPoints?: number },
): Promise<Answer[]> {
  const variables = variablesOf(board, tenant)
  const ask = async (panel: BoardPanel, target: Target): Promise<Answer> => {
    const points = maxDataPoints ?? panel.maxDataPoints
    const asked = { range, variables, ...(points !== undefined && { maxDataPoints: points }) }
    const started = performance.now()
    const values = (await valuesOf(prometheus, target, asked)).filter((value) => !Number.isNaN(value))
    return {
      name: `${board.uid}: ${panel.title} ${target.refId}`,
      query: grafanaQuery(target.expr, asked).expr,
      state: values.length === 0 ? 'empty' : values.every((value) => value === 0) ? 'zero' : 'data',
      milliseconds: performance.now() - started,
    }
  }
  return Promise.all(panelsOf(board).flatMap((panel) => prometheusTargets(panel).map((target) => ask(panel, target))))
}
