import type { GuardrailEvent } from '../call.ts'
import { asCount, asList, asObject, asText, type JsonObject } from './json-value.ts'

const GUARDRAIL = 'aws.bedrock.guardrail'

/** From the weakest to the strongest. */
const ACTIONS = ['flagged', 'masked', 'blocked'] as const
type Action = (typeof ACTIONS)[number]

/** What a guardrail said about one side of a call, in the shapes of converse, invoke and ApplyGuardrail. */
export interface Assessed {
  input: unknown
  output: unknown
  /** The guardrail stepped in; false where it only looked on. */
  intervened: boolean
  /** The side where it stepped in if the assessments do not tell: they are there only where they were asked for. */
  stage: GuardrailEvent['stage']
  reason: string | undefined
}

/** One event for each side of the call in which something was found, with the strongest action taken there. */
export function guardrailEvents({ input, output, intervened, stage, reason }: Assessed): GuardrailEvent[] {
  const events = [eventOf('input', input), eventOf('output', output)].filter((event) => event !== undefined)
  if (!intervened || events.some(({ action }) => action !== 'flagged')) return events
  const said = reason === undefined ? {} : { reason: reason.slice(0, 200) }
  return [...events, { guardrail: GUARDRAIL, stage, action: 'blocked', ...said }]
}

function eventOf(stage: GuardrailEvent['stage'], value: unknown): GuardrailEvent | undefined {
  const found = new Map<Action, Set<string>>()
  for (const assessment of assessmentsIn(value, 0)) {
    for (const [policy, results] of Object.entries(assessment)) {
      // A match may hold what the policy hides: only the policies are named.
      for (const action of actionsIn(results)) found.set(action, (found.get(action) ?? new Set()).add(policy))
    }
  }
  const action = ACTIONS.findLast((one) => found.has(one))
  if (action === undefined) return undefined
  const reason = [...(found.get(action) as Set<string>)].sort().join(', ').slice(0, 200)
  return { guardrail: GUARDRAIL, stage, action, reason }
}

/** Assessments stand in a list, under the ids of guardrails, or both. */
function assessmentsIn(value: unknown, depth: number): JsonObject[] {
  if (depth > 3) return []
  if (Array.isArray(value)) return value.slice(0, 64).flatMap((item) => assessmentsIn(item, depth + 1))
  const object = asObject(value)
  if (object === undefined) return []
  if (Object.keys(object).some((key) => key.endsWith('Policy') || key === 'invocationMetrics')) return [object]
  return Object.values(object)
    .slice(0, 64)
    .flatMap((item) => assessmentsIn(item, depth + 1))
}

/** A policy's results: lists of findings (`filters`, `topics`, `piiEntities`, …), each with its action. */
function actionsIn(policy: unknown): Action[] {
  return Object.values(asObject(policy) ?? {}).flatMap((list) =>
    asList(list).flatMap((item) => actionOf(asObject(item)) ?? []),
  )
}

function actionOf(finding: JsonObject | undefined): Action | undefined {
  switch (asText(finding?.action)) {
    case 'BLOCKED':
      return 'blocked'
    case 'ANONYMIZED':
      return 'masked'
    case 'NONE':
      return finding?.detected === true ? 'flagged' : undefined
    default:
      return undefined
  }
}

/** Units of text that were looked at, as a trace tells them for each assessment. */
export function guardrailUnitsOf(value: unknown): number | undefined {
  const units = assessmentsIn(value, 0).flatMap((assessment) => {
    const usage = asObject(asObject(assessment.invocationMetrics)?.usage)
    return usage === undefined ? [] : (billedGuardrailUnits(usage) ?? [])
  })
  return units.length > 0 ? units.reduce((sum, count) => sum + count) : undefined
}

/** `…PolicyUnits`, each a policy's. AWS takes nothing for regular expressions (`…FreeUnits`) and for the word filter. */
export function billedGuardrailUnits(usage: JsonObject): number | undefined {
  let units: number | undefined
  for (const [name, value] of Object.entries(usage)) {
    const count = asCount(value)
    if (count === undefined || !/Units$/.test(name) || /Free|^wordPolicy/.test(name)) continue
    units = (units ?? 0) + count
  }
  return units
}
