import type { GuardrailEvent } from '../call.ts'
import { boundedCategories } from './guardrail-events.ts'
import { asCount, asList, asObject, asText, type JsonObject, withoutUndefined } from './json-value.ts'

const ROOTS = ['proxy', 'ai-proxy', 'ai-proxy-advanced']
const STAGES = ['input', 'output'] as const
const MAX_GUARDRAIL = 64
const MAX_REASON = 200

/**
 * What Kong's guard plugins (Enterprise; 3.14 in full) leave in the log: `ai.proxy.<guard>` with `input_block_reason` and
 * `output_block_reason`, empty where they let pass; `ai.audit.azure_content_safety` with severities; `ai.sanitizer` with
 * counts. Of a sanitizer's items nothing is read: they hold what was hidden.
 */
export function kongGuardrails(ai: unknown): GuardrailEvent[] {
  const root = asObject(ai)
  if (root === undefined) return []
  const audited = severitiesOf(asObject(asObject(root.audit)?.azure_content_safety))
  const blocked = ROOTS.flatMap((name) =>
    Object.entries(asObject(root[name]) ?? {}).flatMap(([guard, value]) => blocksOf(guard, asObject(value), audited)),
  )
  const auditedAlone = audited !== undefined && !blocked.some(({ categories }) => categories === audited)
  return [
    ...blocked,
    ...(auditedAlone
      ? [
          {
            guardrail: 'kong.ai-azure-content-safety',
            stage: 'input' as const,
            action: 'flagged' as const,
            categories: audited,
          },
        ]
      : []),
    ...sanitized(asObject(root.sanitizer)),
  ]
}

/** True where a guard refused an answer that the model had given: it was billed all the same. */
export function blocksAnswer(events: readonly GuardrailEvent[]): boolean {
  return events.some(({ stage, action }) => stage === 'output' && action === 'blocked')
}

function blocksOf(
  guard: string,
  value: JsonObject | undefined,
  audited: Record<string, string> | undefined,
): GuardrailEvent[] {
  if (value === undefined) return []
  return STAGES.flatMap((stage): GuardrailEvent[] => {
    const reason = asText(value[`${stage}_block_reason`])
    if (reason === undefined) return []
    const detected = detectorsIn(value[`${stage}_block_detail`])
    const categories = guard === 'azure-content-safety' ? (audited ?? detected) : detected
    return [
      {
        guardrail: `kong.${asText(value[`${stage}_block_source`]) ?? `ai-${guard}`}`.slice(0, MAX_GUARDRAIL),
        stage,
        action: 'blocked',
        reason: reason.slice(0, MAX_REASON),
        ...withoutUndefined({
          categories,
          count: asCount(value.guards_triggered_count),
          latencyMs: asCount(value[`${stage}_processing_latency`]),
        }),
      },
    ]
  })
}

/** Lakera's: which detectors looked, and which found something. */
function detectorsIn(details: unknown): Record<string, string> | undefined {
  const found: Record<string, string> = {}
  for (const item of asList(details).slice(0, 64)) {
    const detail = asObject(item)
    const type = asText(detail?.detector_type)
    if (type !== undefined && detail?.detected === true) found[type] = 'detected'
  }
  return boundedCategories(found)
}

/** `{Hate: 2, Violence: 0}`: 0 is nothing found. */
function severitiesOf(audit: JsonObject | undefined): Record<string, string> | undefined {
  const severities = Object.entries(audit ?? {}).flatMap(([category, severity]) => {
    // Some versions write them as text.
    const level = asCount(severity) ?? (/^\d{1,2}$/.test(asText(severity) ?? '') ? Number(asText(severity)) : undefined)
    return level === undefined || level === 0 ? [] : [[category, String(level)]]
  })
  return boundedCategories(Object.fromEntries(severities))
}

function sanitized(sanitizer: JsonObject | undefined): GuardrailEvent[] {
  const found = asCount(sanitizer?.pii_identified) ?? 0
  const masked = asCount(sanitizer?.pii_sanitized) ?? 0
  if (found === 0 && masked === 0) return []
  const latencyMs = asCount(sanitizer?.duration)
  return [
    {
      guardrail: 'kong.ai-sanitizer',
      stage: 'input',
      action: masked > 0 ? 'masked' : 'flagged',
      count: masked > 0 ? masked : found,
      ...(latencyMs !== undefined && { latencyMs }),
    },
  ]
}
