import type { AlertGroup } from '../alert.ts'
import { increase, increaseWithFirst, metric, promql, rate, ratio, sumBy } from '../promql.ts'

const byGuardrail = ['environment', 'tenant_id', 'guardrail'] as const
const byTenant = ['environment', 'tenant_id'] as const
const byModel = ['environment', 'provider', 'model'] as const
const blocked = metric('llm_guardrail_events_total', { action: 'blocked' })

export const GUARDRAIL_ALERTS: AlertGroup = {
  name: 'llm-guardrail-alerts',
  interval: '1m',
  alerts: [
    {
      name: 'LLMGuardrailSurge',
      priority: 'P3',
      expr: promql`${sumBy(byGuardrail, increase(blocked, '15m'))} >= 20 and ${sumBy(byGuardrail, rate(blocked, '15m'))} > 5 * (${sumBy(byGuardrail, rate(blocked, '1d', '15m'))} >= 0)`,
      for: '5m',
      summary: 'The guardrail {{ $labels.guardrail }} blocks much more of {{ $labels.tenant_id }} than usual',
      description:
        '{{ $value | humanize }} calls in 15 minutes, five times the rate of the day before. An attack, or a rule that has just become too strict.',
      board: 'guardrails',
      about: ['tenant_id'],
    },
    {
      name: 'LLMRefusalsHigh',
      priority: 'P3',
      expr: promql`${ratio(sumBy(byModel, rate(metric('llm_finished_answers_total', { reason: { matches: 'refusal|content_filter' } }), '1h')), sumBy(byModel, rate(metric('llm_finished_answers_total'), '1h')))} > 0.1 and ${sumBy(byModel, increase(metric('llm_finished_answers_total', { reason: { matches: 'refusal|content_filter' } }), '1h'))} >= 10`,
      for: '15m',
      summary: '{{ $labels.model }} refuses many answers',
      description:
        '{{ $value | humanizePercentage }} of the answers of the last hour were refused or filtered by the provider.',
      board: 'guardrails',
      about: ['provider', 'model'],
    },
    {
      name: 'LLMTenantForged',
      priority: 'P2',
      expr: promql`${sumBy(byTenant, increaseWithFirst(metric('llm_tenant_claims_refused_total'), '15m'))} >= 10`,
      for: '1m',
      summary: 'Clients of {{ $labels.tenant_id }} name themselves another tenant',
      description:
        '{{ $value | humanize }} calls in 15 minutes named a tenant that Kong did not authenticate. They were charged to {{ $labels.tenant_id }}.',
      board: 'tenant',
      about: ['tenant_id'],
    },
    {
      name: 'LLMUnauthorizedSurge',
      priority: 'P3',
      expr: promql`${ratio(sumBy(byTenant, rate(metric('llm_calls_total', { status: 'unauthorized' }), '10m')), sumBy(byTenant, rate(metric('llm_calls_total'), '10m')))} > 0.2 and ${sumBy(byTenant, increase(metric('llm_calls_total', { status: 'unauthorized' }), '10m'))} >= 20`,
      for: '5m',
      summary: 'Many calls of {{ $labels.tenant_id }} are not allowed',
      description:
        '{{ $value | humanizePercentage }} of the calls of the last 10 minutes ended with 401 or 403: a key has expired, or somebody tries keys.',
      board: 'tenant',
      about: ['tenant_id'],
    },
  ],
}
