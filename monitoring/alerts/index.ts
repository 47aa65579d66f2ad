import type { AlertGroup } from '../alert.ts'
import { ANOMALY_ALERTS } from './anomalies.ts'
import { BUDGET_ALERTS } from './budgets.ts'
import { COST_ALERTS } from './cost.ts'
import { GATEWAY_ALERTS } from './gateway.ts'
import { GUARDRAIL_ALERTS } from './guardrails.ts'
import { PROVIDER_ALERTS, PROVIDER_DOWN } from './providers.ts'
import { SLO_ALERTS } from './slo.ts'
import { TELEMETRY_ALERTS } from './telemetry.ts'

export const ALERT_GROUPS: readonly AlertGroup[] = [
  PROVIDER_DOWN,
  PROVIDER_ALERTS,
  SLO_ALERTS,
  COST_ALERTS,
  BUDGET_ALERTS,
  ANOMALY_ALERTS,
  GUARDRAIL_ALERTS,
  GATEWAY_ALERTS,
  TELEMETRY_ALERTS,
]
