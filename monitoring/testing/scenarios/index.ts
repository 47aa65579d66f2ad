import type { Scenario } from '../scenario.ts'
import { ANOMALY_SCENARIOS } from './anomalies.ts'
import { BUDGET_SCENARIOS } from './budgets.ts'
import { COST_SCENARIOS } from './cost.ts'
import { GATEWAY_SCENARIOS } from './gateway.ts'
import { GUARDRAIL_SCENARIOS } from './guardrails.ts'
import { PROVIDER_SCENARIOS } from './providers.ts'
import { SLO_SCENARIOS } from './slo.ts'
import { TELEMETRY_SCENARIOS } from './telemetry.ts'

/** For every alert but the watchdog, which always fires: quiet, and then what it is for. */
export const SCENARIOS: readonly Scenario[] = [
  ...PROVIDER_SCENARIOS,
  ...SLO_SCENARIOS,
  ...COST_SCENARIOS,
  ...BUDGET_SCENARIOS,
  ...ANOMALY_SCENARIOS,
  ...GUARDRAIL_SCENARIOS,
  ...GATEWAY_SCENARIOS,
  ...TELEMETRY_SCENARIOS,
]
