import { type Duration, grown, promql, ratio, sumBy, type Vector } from '../monitoring/promql.ts'
import { ERROR_STATUSES, VALID_STATUSES } from '../monitoring/slo.ts'
import { scoped } from './scope.ts'

type CallLabel = 'tenant_id' | 'provider' | 'environment'

/** Calls within the window that failed at the provider (slo.ts). */
export function badCalls<By extends CallLabel>(by: readonly By[], window: Duration): Vector<By> {
  const errors = sumBy(by, grown(scoped('llm_calls_total', { status: { matches: ERROR_STATUSES } }), window))
  const limited = sumBy(by, grown(scoped('llm_rate_limited_calls_total', { by: 'provider' }), window))
  return promql<By>`${errors} + (${limited} or ${errors} * 0)`
}
export function successRatio<By extends CallLabel>(by: readonly By[], window: Duration): Vector<By> {
  const valid = sumBy(by, grown(scoped('llm_calls_total', { status: { matches: VALID_STATUSES } }), window))
  return promql<By>`1 - ${ratio(badCalls(by, window), valid)}`
}
export function hitRatio<By extends 'tenant_id'>(by: readonly By[], window: Duration): Vector<By> {
  return ratio(
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
