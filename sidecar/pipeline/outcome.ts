import type { CallStatus, GuardrailEvent } from '../call.ts'
import type { Capture } from '../capture.ts'
import type { Reading } from '../dialects/dialect.ts'
import { kongRefusal } from './kong-refusal.ts'

export interface Outcome {
  status: CallStatus
  guardrails: GuardrailEvent[]
}

/** How the call ended, and what guarded it. */
export function outcomeOf(
  capture: Capture,
  error: Reading['error'],
  seen: readonly GuardrailEvent[],
  responseComplete: boolean,
  responseText: () => string,
  answerBlocked = false,
): Outcome {
  const { log } = capture
  const httpStatus = log.response.status
  const byKong = httpStatus >= 400 && log.source !== 'upstream'
  // A sanitizer that found something and hid nothing has refused, where Kong refused.
  const guardrails = seen.map((event) =>
    byKong && event.guardrail === 'kong.ai-sanitizer' && event.action === 'flagged'
      ? { ...event, action: 'blocked' as const }
      : event,
  )
  if (httpStatus === 499) return { status: 'aborted', guardrails }
  if (httpStatus === 429) return { status: 'rate_limited', guardrails }
  if (httpStatus === 408 || httpStatus === 504) return { status: 'timeout', guardrails }
  if (httpStatus >= 500) return { status: 'server_error', guardrails }
  const refusal = byKong || answerBlocked ? kongRefusal(httpStatus, responseText(), answerBlocked) : undefined
  if (refusal !== undefined && !guardrails.some(({ action }) => action === 'blocked')) guardrails.push(refusal)
  if (httpStatus >= 400 && guardrails.some(({ action }) => action === 'blocked'))
    return { status: 'blocked', guardrails }
  if (httpStatus === 401 || httpStatus === 403) return { status: 'unauthorized', guardrails }
  if (httpStatus >= 400) return { status: 'client_error', guardrails }
  if (error !== undefined) return { status: 'server_error', guardrails }
  // The provider or the client broke off in the middle of the answer.
  if (!responseComplete) return { status: 'aborted', guardrails }
  return { status: 'ok', guardrails }
}
