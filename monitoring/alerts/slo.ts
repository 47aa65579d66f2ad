import type { Alert, AlertGroup, Priority } from '../alert.ts'
import { type Duration, metric, over, promql, type Vector } from '../promql.ts'
import { ratioOf, SLO_INTERVAL_SECONDS, SLOS, type Slo, type SloWindow } from '../slo.ts'

/** Google's SRE workbook, chapter 5: how fast the budget burns, over a long window and a short one that ends the alert. */
const FAST = [
  { factor: 14.4, long: '1h', short: '5m' },
  { factor: 6, long: '6h', short: '30m' },
] as const
const SLOW = [
  { factor: 3, long: '1d', short: '2h' },
  { factor: 1, long: '3d', short: '6h' },
] as const
type Pair = { factor: number; long: SloWindow; short: SloWindow }

/**
 * Fewer bad events than this in the long window are no incident, however few there are of all: calls, and of freshness
 * seconds, so that a restart is none.
 */
const MIN_BAD: Record<string, number> = { success: 10, latency: 10, freshness: 120 }

const PRIORITIES: Record<string, { fast: Priority; slow: Priority }> = {
  success: { fast: 'P1', slow: 'P3' },
  latency: { fast: 'P2', slow: 'P3' },
  freshness: { fast: 'P2', slow: 'P3' },
}

export const SLO_ALERTS: AlertGroup = {
  name: 'llm-slo-alerts',
  interval: '30s',
  alerts: SLOS.flatMap((slo) => [burns(slo, 'Fast', FAST, '2m'), burns(slo, 'Slow', SLOW, '15m')]),
}

function burns(slo: Slo, speed: 'Fast' | 'Slow', pairs: readonly Pair[], wait: Duration): Alert {
  const { id, title, objective } = slo
  const priority = PRIORITIES[id]!
  return {
    name: `LLM${id[0]!.toUpperCase()}${id.slice(1)}Burn${speed}`,
    priority: speed === 'Fast' ? priority.fast : priority.slow,
    expr: pairs.map((pair) => burning(slo, pair)).reduce((one, other) => promql`${one} or ${other}`),
    for: wait,
    summary: `SLO “${title}” burns its error budget ${speed === 'Fast' ? 'fast' : 'slowly'}`,
    description: `{{ $value | humanizePercentage }} of the events were bad; promised are at most ${percent(1 - objective)} over 30 days. ${
      speed === 'Fast'
        ? 'At this speed a large part of the month’s budget is gone within hours.'
        : 'At this speed the month’s budget will not last.'
    }`,
    board: 'slo',
    labels: { slo: id },
  }
}

function burning({ id, objective }: Slo, { factor, long, short }: Pair): Vector<string> {
  const threshold = Number((factor * (1 - objective)).toPrecision(6))
  const ratio = (window: SloWindow) => metric(ratioOf(window), { slo: id })
  // A sum, not a mean: a young series has not been bad for the whole window.
  const bad = over('sum_over_time', metric('slo:sli_error:rate5m', { slo: id }), long)
  return promql`(${ratio(long)} > ${threshold} and ${ratio(short)} > ${threshold} and ${bad} * ${SLO_INTERVAL_SECONDS} >= ${MIN_BAD[id]!})`
}
function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`
}
