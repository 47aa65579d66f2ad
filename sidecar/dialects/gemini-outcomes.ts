import type { GuardrailEvent } from '../call.ts'
import { asText } from './json-value.ts'

/** Why an answer ended, by number (`$alt=json;enum-encoding=int`): google.cloud.aiplatform.v1.Candidate.FinishReason. */
const VERTEX_FINISH_REASONS = [
  'FINISH_REASON_UNSPECIFIED',
  'STOP',
  'MAX_TOKENS',
  'SAFETY',
  'RECITATION',
  'OTHER',
  'BLOCKLIST',
  'PROHIBITED_CONTENT',
  'SPII',
  'MALFORMED_FUNCTION_CALL',
  'MODEL_ARMOR',
  'IMAGE_SAFETY',
  'IMAGE_PROHIBITED_CONTENT',
  'IMAGE_RECITATION',
  'IMAGE_OTHER',
  'UNEXPECTED_TOOL_CALL',
  'NO_IMAGE',
]
/** google.ai.generativelanguage.v1beta.Candidate.FinishReason: the same words under other numbers. */
const GEMINI_FINISH_REASONS = [
  'FINISH_REASON_UNSPECIFIED',
  'STOP',
  'MAX_TOKENS',
  'SAFETY',
  'RECITATION',
  'OTHER',
  'LANGUAGE',
  'BLOCKLIST',
  'PROHIBITED_CONTENT',
  'SPII',
  'MALFORMED_FUNCTION_CALL',
  'IMAGE_SAFETY',
  'UNEXPECTED_TOOL_CALL',
]
const VERTEX_BLOCK_REASONS = [
  'BLOCKED_REASON_UNSPECIFIED',
  'SAFETY',
  'OTHER',
  'BLOCKLIST',
  'PROHIBITED_CONTENT',
  'MODEL_ARMOR',
]
const GEMINI_BLOCK_REASONS = [
  'BLOCK_REASON_UNSPECIFIED',
  'SAFETY',
  'OTHER',
  'BLOCKLIST',
  'PROHIBITED_CONTENT',
  'IMAGE_SAFETY',
]
const FILTERED =
  /^(?:SAFETY|RECITATION|BLOCKLIST|PROHIBITED_CONTENT|SPII|MODEL_ARMOR|IMAGE_SAFETY|IMAGE_PROHIBITED_CONTENT|IMAGE_RECITATION)$/

const isGemini = (provider: string) => provider === 'gcp.gemini'

/** Undefined where nothing ended yet. */
export function finishReasonOf(value: unknown, provider: string): string | undefined {
  return wordOf(value, isGemini(provider) ? GEMINI_FINISH_REASONS : VERTEX_FINISH_REASONS)
}

/** Why there is no answer to a prompt; undefined where nothing blocked it. */
export function blockReasonOf(value: unknown, provider: string): string | undefined {
  return wordOf(value, isGemini(provider) ? GEMINI_BLOCK_REASONS : VERTEX_BLOCK_REASONS)
}

function wordOf(value: unknown, words: readonly string[]): string | undefined {
  const word = Number.isSafeInteger(value) ? (words[value as number] ?? `${value}`) : asText(value)
  return word === undefined || word.endsWith('_UNSPECIFIED') ? undefined : word.slice(0, 64)
}

/** A blocked prompt, and answers that a filter stopped. */
export function geminiGuardrails(
  blockReason: string | undefined,
  finishReasons: readonly string[],
  provider: string,
): GuardrailEvent[] {
  const event = (stage: GuardrailEvent['stage'], reason: string): GuardrailEvent => {
    const guardrail = reason === 'MODEL_ARMOR' ? 'gcp.model_armor' : `${provider}.safety`
    return { guardrail, stage, action: 'blocked', reason }
  }
  return [
    ...(blockReason === undefined ? [] : [event('input', blockReason)]),
    ...finishReasons.filter((reason) => FILTERED.test(reason)).map((reason) => event('output', reason)),
  ]
}
