import { COST } from './cost.ts'
import { GATEWAY } from './gateway.ts'
import { GUARDRAILS } from './guardrails.ts'
import { OVERVIEW } from './overview.ts'
import { PROVIDERS } from './providers.ts'
import { SLO } from './slo.ts'
import { TELEMETRY } from './telemetry.ts'
import { TENANT } from './tenant.ts'

export const BOARDS = [OVERVIEW, COST, TENANT, PROVIDERS, GUARDRAILS, SLO, GATEWAY, TELEMETRY]
