import { type Duration, grown, promql, share, sumBy, type Vector } from '../monitoring/promql.ts'
import { ANSWERED_STATUSES, ERROR_STATUSES } from '../monitoring/slo.ts'
import type { Steps } from './panels.ts'
import { scoped } from './scope.ts'

/** Colours of a success ratio: green from the promised 99.5 % on (slo.ts). */
export const SUCCESS_STEPS: Steps = ['red', [0.99, 'orange'], [0.995, 'green']]

type CallLabel = 'tenant_id' | 'provider' | 'environment'

/** Calls within the window that failed at the provider (slo.ts). */
export function badCalls<By extends CallLabel>(by: readonly By[], window: Duration): Vector<By> {
  return withLimited(by, ERROR_STATUSES, window)
}
/** Of the calls that reached the provider. */
export function successRatio<By extends CallLabel>(by: readonly By[], window: Duration): Vector<By> {
  const ok = sumBy(by, grown(scoped('llm_calls_total', { status: 'ok' }), window))
  return promql<By>`${ok} / (${withLimited(by, ANSWERED_STATUSES, window)} > 0)`
}
function withLimited<By extends CallLabel>(by: readonly By[], statuses: string, window: Duration): Vector<By> {
  const ended = sumBy(by, grown(scoped('llm_calls_total', { status: { matches: statuses } }), window))
  const limited = sumBy(by, grown(scoped('llm_rate_limited_calls_total', { by: 'provider' }), window))
  return promql<By>`${ended} + (${limited} or ${ended} * 0)`
}
/** What was counted of an event, by the same labels 0 where there are calls and it has never happened. */
export function orZeroOfCalls<By extends CallLabel | 'model'>(
  by: readonly By[],
  of: Vector<By>,
  window: Duration,
): Vector<By> {
  return promql<By>`${of} or ${sumBy(by, grown(scoped('llm_calls_total'), window))} * 0`
}
export function hitRatio<By extends 'tenant_id'>(by: readonly By[], window: Duration): Vector<By> {
  return share(
    sumBy(by, grown(scoped('kong_semantic_cache_hits_total'), window)),
    sumBy(by, grown(scoped('kong_semantic_cache_requests_total'), window)),
  )
}

/** Of events that may never have happened: one line at 0 in their place, called `none`, where there is no other. */
export function orNone<Label extends string>(of: Vector<Label>, label: Label): Vector<Label> {
  return { text: `${of.text} or on () label_replace(vector(0), "${label}", "none", "", "")` }
}

/** Good is green, the provider's fault red, the client's or Kong's own refusal another colour. */
export const OUTCOME_COLOURS: Readonly<Record<string, string>> = {
  ok: 'green',
  server_error: 'red',
  timeout: 'dark-red',
  rate_limited: 'orange',
  blocked: 'purple',
  client_error: 'yellow',
  unauthorized: 'dark-yellow',
  aborted: 'blue',
}
