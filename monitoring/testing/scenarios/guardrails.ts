import { atModel, call, failed, ofTenant, ok, tenant } from '../ordinary-series.ts'
import { counter, quietThenLoud, type Scenario, scenario } from '../scenario.ts'

const guardrail = { ...tenant, guardrail: 'ai-prompt-guard', stage: 'input', action: 'blocked' }
export const GUARDRAIL_SCENARIOS: readonly Scenario[] = [
  scenario(
    'LLMGuardrailSurge',
    { ...ofTenant, guardrail: 'ai-prompt-guard' },
    [
      counter('llm_guardrail_events_total', guardrail, [
        [200, 0.02],
        [40, 5],
      ]),
    ],
    { interval: '1m', silentAt: 200, firesAt: 225 },
  ),
  scenario('LLMRefusalsHigh', atModel, [
    counter('llm_finished_answers_total', { ...call, reason: 'stop' }, quietThenLoud(10, 10)),
    counter('llm_finished_answers_total', { ...call, reason: 'refusal' }, quietThenLoud(0, 5)),
  ]),
  scenario('LLMTenantForged', ofTenant, [counter('llm_tenant_claims_refused_total', tenant, quietThenLoud(0, 1))]),
  scenario('LLMUnauthorizedSurge', ofTenant, [ok(quietThenLoud(10, 10)), failed(quietThenLoud(0, 5), 'unauthorized')]),
]
