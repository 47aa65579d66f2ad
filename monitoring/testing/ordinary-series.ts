import { LATENCY_BUCKETS } from '../../sidecar/ledger/series.ts'
import { CALLS, type Course, counter, ENVIRONMENT, gauge, histogram, SIDECAR } from './scenario.ts'

/** Names and labels that most scenarios share: one tenant, one provider, one model, one sidecar. */
export const call = { ...SIDECAR, ...CALLS }
export const tenant = { ...SIDECAR, tenant_id: 'blue' }
export const atProvider = { ...ENVIRONMENT, provider: 'openai' }
export const atModel = { ...atProvider, model: 'gpt-4o' }
export const ofTenant = { ...ENVIRONMENT, tenant_id: 'blue' }
export const ofModel = { ...ofTenant, model: 'gpt-4o' }
export const ok = (course: Course) => counter('llm_calls_total', { ...call, status: 'ok' }, course)
export const failed = (course: Course, status = 'server_error') =>
  counter('llm_calls_total', { ...call, status }, course)
export const up = (course: Course, labels = SIDECAR as Record<string, string>) => gauge('up', labels, course)
export const lag = (sink: string, course: Course) => gauge('observer_sink_lag_seconds', { ...SIDECAR, sink }, course)
export const latency = (course: Parameters<typeof histogram>[3]) =>
  histogram('llm_latency_seconds', call, LATENCY_BUCKETS, course)
export const cost = (course: Course, labels: Record<string, string> = call) =>
  counter('llm_cost_usd_total', labels, course)
