import type { GuardrailEvent } from '../call.ts'
import { asObject, asText, parseJson } from '../dialects/json-value.ts'

const MAX_REASON = 200

/**
 * Kong's own guards that leave nothing in the log: only the body tells them from another refusal of Kong's. The text
 * stands in `error.message` (ai-prompt-guard, semantic guards; 3.6–3.14) or in `message`. Where the provider had answered
 * (`ofAnswer`), it was no guard of prompts.
 */
export function kongRefusal(httpStatus: number, responseText: string, ofAnswer = false): GuardrailEvent | undefined {
  if (httpStatus !== 400 && httpStatus !== 403) return undefined
  const body = asObject(parseJson(responseText))
  const message = (asText(asObject(body?.error)?.message) ?? asText(body?.message))?.trim()
  if (message === undefined) return undefined
  const blocked = (guardrail: string, reason?: string): GuardrailEvent => ({
    guardrail: ofAnswer ? guardrail.replace('ai-prompt-guard', 'ai-semantic-response-guard') : guardrail,
    stage: ofAnswer ? 'output' : 'input',
    action: 'blocked',
    ...(reason !== undefined && { reason: reason.slice(0, MAX_REASON) }),
  })
  if (httpStatus === 400 && /^bad request$/i.test(message)) return blocked('kong.ai-prompt-guard')
  // Newer versions say which of its lists it was.
  if (httpStatus === 400 && /^prompt (?:pattern is blocked|doesn't match any allowed pattern)\.?$/i.test(message))
    return blocked('kong.ai-prompt-guard', message)
  const unsafe = /^request failed content safety check:?\s*(.*)$/is.exec(message)
  if (unsafe !== null) return blocked('kong.ai-azure-content-safety', unsafe[1] || undefined)
  return undefined
}
