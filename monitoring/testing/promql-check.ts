import type { SyntaxNode } from '@lezer/common'
import { parser } from '@prometheus-io/lezer-promql'
import type { ErrorKind } from '../../plugin/errors.ts'
import { CALL_REASONS, CALL_STATUSES, TOKEN_TYPES, UNPRICED_REASONS, USAGE_SOURCES } from '../../sidecar/call.ts'
import { LOSS_REASONS } from '../../sidecar/capture.ts'
import { CAPTURE_RESULTS } from '../../sidecar/intake.ts'
import { FINISH_KINDS } from '../../sidecar/ledger/finish-kind.ts'
import type { MetricDefinition } from '../../sidecar/metrics/metrics.ts'
import { REFUSALS } from '../../sidecar/receive.ts'
import { TRANSIENT_CAUSES } from '../../sidecar/store/errors.ts'
import { TABLES, TARGET_LABELS } from '../promql.ts'
import { KEPT_SERIES, RECORDED } from '../recorded.ts'
import { SLOS } from '../slo.ts'

/** The series that a query may name, and their labels; of a histogram those that are scraped. */
const LABELS = new Map<string, ReadonlySet<string>>(
  Object.entries<MetricDefinition>({ ...TABLES, ...KEPT_SERIES }).flatMap(
    ([name, { type, labels }]): [string, Set<string>][] => {
      const all = name in RECORDED || name in KEPT_SERIES ? labels : [...labels, ...TARGET_LABELS]
      if (type !== 'histogram') return [[name, new Set(all)]]
      return [
        [`${name}_bucket`, new Set([...all, 'le'])],
        [`${name}_count`, new Set(all)],
        [`${name}_sum`, new Set(all)],
      ]
    },
  ),
)
export const TABLE_NAMES: readonly string[] = [...new Set([...Object.keys(TABLES), ...LABELS.keys()])]

/** Values that a label can have, where they are a closed list. A matcher for another one finds nothing, silently. */
const PERIODS = ['day', 'week', 'month']
const AGENT_CALLS = { protocol: ['mcp', 'a2a'], outcome: ['ok', 'error'] }
const SINKS = ['otlp', 'langfuse', 'loki']
const ERROR_KINDS: readonly string[] = Object.keys({
  pdk_timeout: true,
  pdk_error: true,
  tap_table_invalid: true,
  capture_invalid: true,
  capture_given_up: true,
  losses_untold: true,
  sidecar_away: true,
  sidecar_refuses: true,
  connection_closed: true,
} satisfies Record<ErrorKind, true>)
const VALUES: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  llm_calls_total: { status: CALL_STATUSES },
  llm_failed_cost_usd_total: { status: CALL_STATUSES },
  llm_tokens_total: { type: TOKEN_TYPES },
  llm_finished_answers_total: { reason: FINISH_KINDS },
  llm_unpriced_calls_total: { reason: UNPRICED_REASONS },
  llm_usage_source_calls_total: { source: USAGE_SOURCES },
  llm_usage_source_cost_usd_total: { source: USAGE_SOURCES },
  llm_cost_adjustment_usd_total: { direction: ['up', 'down'] },
  llm_call_reasons_total: { reason: CALL_REASONS },
  llm_agent_protocol_calls_total: AGENT_CALLS,
  llm_agent_protocol_seconds_total: AGENT_CALLS,
  llm_guardrail_events_total: { stage: ['input', 'output'], action: ['blocked', 'flagged', 'masked'] },
  llm_rate_limited_calls_total: { by: ['gateway', 'provider'] },
  llm_budget_spent_usd: { period: PERIODS },
  llm_budget_limit_usd: { period: PERIODS },
  llm_budget_unpriced_calls: { period: PERIODS },
  'tenant:llm_budget_used:ratio': { period: PERIODS },
  'tenant:llm_budget_elapsed:ratio': { period: PERIODS },
  'tenant:llm_budget_forecast_usd:linear': { period: PERIODS },
  kong_semantic_cache_answers_total: { result: ['hit', 'miss'] },
  observer_captures_total: { result: CAPTURE_RESULTS },
  observer_requests_refused_total: { reason: REFUSALS },
  observer_captures_lost_total: { reason: ['gap', 'store_rolled_back', ...LOSS_REASONS] },
  observer_plugin_errors_total: { kind: ERROR_KINDS },
  observer_store_write_failures_total: { cause: TRANSIENT_CAUSES },
  observer_sink_calls_total: {
    outcome: ['sent', 'sampled_out', 'dropped', 'rejected', 'replayed', 'discarded'],
    sink: SINKS,
  },
  observer_sink_lag_seconds: { sink: SINKS },
  observer_sink_lag_calls: { sink: SINKS },
  observer_sink_held_calls: { sink: SINKS },
  observer_dead_letters: { sink: SINKS },
  observer_estimates_total: { outcome: ['counted', 'queue_full', 'failed'] },
  observer_langfuse_scores_total: { outcome: ['sent', 'refused'] },
  observer_event_loop_lag_seconds: { statistic: ['p50', 'p99', 'max'] },
  observer_price_book_reloads_total: { result: ['ok', 'invalid'] },
  ...Object.fromEntries(
    Object.keys(RECORDED)
      .filter((name) => name.startsWith('slo:'))
      .map((name) => [name, { slo: SLOS.map(({ id }) => id) }]),
  ),
}

/**
 * What is wrong with a query that nobody's compiler checks (a runbook's): syntax, series and labels that are in no table,
 * values that a label never has. A label of `by` or `on` must be on every series below it.
 */
export function promqlProblems(query: string): string[] {
  const problems: string[] = []
  const text = ({ from, to }: SyntaxNode) => query.slice(from, to)
  parser.parse(query).iterate({
    enter: ({ type, node }) => {
      if (type.isError) problems.push(`syntax at ${node.from}: ${query.slice(node.from, node.to + 20)}`)
      if (type.name === 'VectorSelector') checkSelector(node)
      if (type.name === 'GroupingLabels') checkGrouping(node)
    },
  })
  return problems

  function checkSelector(selector: SyntaxNode): void {
    const name = nameOf(selector)
    const known = LABELS.get(name)
    if (known === undefined) return void problems.push(`no such series: ${name}`)
    for (const matcher of descendants(selector, 'UnquotedLabelMatcher')) {
      const label = text(matcher.getChild('LabelName')!)
      if (!known.has(label)) problems.push(`${name} has no label ${label}`)
      const values = VALUES[name]?.[label]
      const value = JSON.parse(text(matcher.getChild('StringLiteral')!)) as string
      if (values === undefined) continue
      const isPattern = text(matcher.getChild('MatchOp')!).includes('~')
      for (const one of isPattern ? value.split('|') : [value])
        if (!values.some((known) => (isPattern ? new RegExp(`^(?:${one})$`).test(known) : known === one)))
          problems.push(`${name} never has ${label}="${one}"`)
    }
  }

  /** Of `by`, `on`, `group_left`: the series are those of the whole aggregation or operation. */
  function checkGrouping(grouping: SyntaxNode): void {
    let whole = grouping.parent!
    while (whole.name !== 'AggregateExpr' && whole.name !== 'BinaryExpr') whole = whole.parent!
    for (const selector of descendants(whole, 'VectorSelector')) {
      const known = LABELS.get(nameOf(selector))
      for (const label of grouping.getChildren('LabelName').map(text))
        if (known !== undefined && !known.has(label)) problems.push(`${nameOf(selector)} has no label ${label}`)
    }
  }

  function nameOf(selector: SyntaxNode): string {
    const identifier = selector.getChild('Identifier')
    return identifier === null ? '' : text(identifier)
  }
}

function descendants(of: SyntaxNode, name: string): SyntaxNode[] {
  const found: SyntaxNode[] = []
  of.cursor().iterate(({ type, node }) => {
    if (type.name === name) found.push(node)
  })
  return found
}
