import type { LlmCall } from '../call.ts'
import { guardrailSpanId, langfuseEnvironment } from './langfuse-observation.ts'

/** What became of a push of scores: `refused` will never be taken. */
export interface ScoresTaken {
  sent: number
  refused: number
}

/**
 * A score for each guardrail event, on the event's observation, so that Langfuse can chart and filter them. Scores still
 * go through the batch door (`score-create`), the only events that a v4 server takes there. Id and time are functions of
 * the call: sent again it is the same score.
 */
export function scoresBody(calls: readonly LlmCall[], environment: string): string | undefined {
  const batch = calls.flatMap((call) =>
    call.guardrails.map(({ guardrail, stage, action, reason, categories, count }, index) => {
      const id = `${call.id}-guardrail-${index}`
      return {
        id,
        type: 'score-create',
        timestamp: new Date(call.startedAt).toISOString(),
        body: {
          id,
          traceId: call.trace.traceId,
          observationId: guardrailSpanId(call, index),
          name: `guardrail:${guardrail}`,
          dataType: 'CATEGORICAL',
          value: action,
          comment: reason,
          environment: langfuseEnvironment(call.environment ?? environment),
          metadata: { stage, categories, count, tenant_id: call.tenant },
        },
      }
    }),
  )
  return batch.length === 0 ? undefined : JSON.stringify({ batch })
}

/** The door answers 207 and says for each event what became of it. */
export function scoresTaken(answer: Buffer, calls: readonly LlmCall[]): ScoresTaken {
  const all = calls.reduce((sum, { guardrails }) => sum + guardrails.length, 0)
  let errors: unknown
  try {
    errors = (JSON.parse(answer.toString()) as { errors?: unknown }).errors
  } catch {
    errors = undefined
  }
  const refused = Math.min(all, Array.isArray(errors) ? errors.length : 0)
  return { sent: all - refused, refused }
}
