import type { Capture } from '../capture.ts'
import type { Exchange, Reading } from '../dialects/dialect.ts'
import { read } from '../dialects/index.ts'
import type { KongAiReading } from '../dialects/kong-ai-log.ts'
import { optional } from '../optional.ts'

/** What passes in another protocol is not seen: what it used is unknown, and says why. */
export function readingOfUpgrade(protocol: NonNullable<Capture['upgrade']>, httpStatus: number): Reading {
  return {
    dialect: 'unknown',
    operation: 'realtime',
    stream: true,
    counts: {},
    usage: {},
    ...(httpStatus >= 400
      ? { usageSource: 'none' as const }
      : { usageSource: 'unknown' as const, usageReason: protocol }),
    guardrails: [],
    billable: true,
  }
}

/** What Kong's log document alone says of the call. */
export function readingOfLog(kong: KongAiReading | undefined, stream: boolean, httpStatus: number): Reading {
  if (kong !== undefined) return { operation: 'chat', billable: true, dialect: 'kong-ai-log', ...kong }
  const refused = httpStatus >= 400 && httpStatus !== 499
  return {
    dialect: 'unknown',
    operation: 'unknown',
    stream,
    counts: {},
    usage: {},
    ...(refused ? { usageSource: 'none' as const } : { usageSource: 'unknown' as const, usageReason: 'no_body' }),
    guardrails: [],
    billable: true,
  }
}

/** Where the bodies told nobody the usage (a format without a reader, a body that was not kept), Kong's count stands. */
export function filledByKong(given: Reading, kong: KongAiReading | undefined, answerBlocked: boolean): Reading {
  // What the client got is the guard's refusal; the answer that it stands for was billed.
  const hidden = answerBlocked && (given.usageSource === 'none' || given.usageSource === 'unknown')
  const reading: Reading = hidden ? { ...given, usageSource: 'unknown', usageReason: 'answer_blocked' } : given
  const counted = kong?.usageSource === 'gateway' || kong?.usageSource === 'provider'
  // ai-proxy sets the model itself: the client's request, and a refusal, name none.
  if (!counted || reading.usageSource !== 'unknown')
    return { ...optional('requestModel', kong?.requestModel), ...reading }
  const { usageReason: _, ...read } = reading
  return {
    ...optional('requestModel', kong.requestModel),
    ...optional('responseModel', kong.responseModel),
    ...optional('responseId', kong.responseId),
    ...read,
    counts: kong.counts,
    usage: kong.usage,
    usageSource: kong.usageSource,
    ...optional('usageReason', kong.usageReason),
    ...optional('rawUsage', kong.rawUsage),
  }
}

/**
 * ai-proxy puts a provider's answer into OpenAI's form. Where that is what was seen, at the path of another format, the counts in
 * it are Kong's reading of the provider's. Undefined where it is not.
 */
export function readingOfTranslated(exchange: Exchange, given: Reading): Reading | undefined {
  if (given.usageSource !== 'unknown' || given.stream || given.dialect === CHAT_DIALECT) return undefined
  const translated = read({ ...exchange, host: '', path: '/v1/chat/completions' })
  if (translated.dialect !== CHAT_DIALECT || translated.usageSource !== 'provider') return undefined
  return { ...translated, usageSource: 'gateway' }
}
const CHAT_DIALECT = 'openai-chat'
