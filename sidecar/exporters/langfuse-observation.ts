import { createHash } from 'node:crypto'
import type { Attributes, AttributeValue } from '@opentelemetry/api'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-node'
import {
  decimalUsd,
  EXTRA_UNITS,
  type LlmCall,
  type Message,
  type RequestParameters,
  TOKEN_TYPES,
  type TokenType,
  type UsageUnit,
} from '../call.ts'
import { GEN_AI, LANGFUSE } from './semantic-conventions.ts'
import { guardrailTime, makeChildSpan, makeSpan } from './spans.ts'

export interface LangfuseProfile {
  /** Where the call itself names none. */
  environment: string
  release?: string | undefined
  content: boolean
}

/**
 * Langfuse's buckets: none overlaps, and its UI adds up every key that contains `input`, so that cached tokens stand
 * beside `input` and not in it.
 */
const BUCKETS: Record<TokenType, string> = {
  input: 'input',
  input_audio: 'input_audio_tokens',
  input_image: 'input_image_tokens',
  cache_read: 'input_cached_tokens',
  cache_read_audio: 'input_cached_audio_tokens',
  cache_read_image: 'input_cached_image_tokens',
  cache_write: 'input_cache_creation',
  cache_write_5m: 'input_cache_creation_5m',
  cache_write_1h: 'input_cache_creation_1h',
  output: 'output',
  output_reasoning: 'output_reasoning_tokens',
  output_audio: 'output_audio_tokens',
  output_image: 'output_image_tokens',
}

/** The call, and each guardrail event as an observation under it. */
export function langfuseSpans(call: LlmCall, profile: LangfuseProfile): ReadableSpan[] {
  const attributes: Attributes = {}
  setTraceAttributes(attributes, call, profile)
  setCallAttributes(attributes, call, profile)
  return [makeSpan({ call, attributes }), ...call.guardrails.map((_, index) => guardrailSpan(call, index, profile))]
}

function guardrailSpan(call: LlmCall, index: number, profile: LangfuseProfile): ReadableSpan {
  const event = call.guardrails[index]!
  const attributes: Attributes = {
    [LANGFUSE.type]: 'guardrail',
    [LANGFUSE.level]: 'WARNING',
    [LANGFUSE.statusMessage]: event.reason ?? `${event.action} (${event.stage})`,
    [`${LANGFUSE.metadata}stage`]: event.stage,
    [`${LANGFUSE.metadata}action`]: event.action,
  }
  const set = setter(attributes)
  set(`${LANGFUSE.metadata}categories`, event.categories === undefined ? undefined : JSON.stringify(event.categories))
  set(`${LANGFUSE.metadata}count`, event.count)
  set(`${LANGFUSE.metadata}latency_ms`, event.latencyMs)
  setTraceAttributes(attributes, call, profile)
  return makeChildSpan({
    call,
    spanId: guardrailSpanId(call, index),
    name: `guardrail ${event.guardrail}`,
    at: guardrailTime(call, event.stage),
    attributes,
  })
}

export function guardrailSpanId(call: LlmCall, index: number): string {
  return createHash('sha256').update(`${call.id} guardrail ${index}`).digest('hex').slice(0, 16)
}

/** v4 looks at observations first: what belongs to the trace stands on every span. */
function setTraceAttributes(attributes: Attributes, call: LlmCall, profile: LangfuseProfile): void {
  const set = setter(attributes)
  const tags = [`tenant:${call.tenant}`, `status:${call.status}`]
  if (call.gateway.route !== undefined) tags.push(`route:${call.gateway.route}`)
  if (call.cache !== undefined) tags.push(`cache:${call.cache}`)
  if (call.team !== undefined) tags.push(`team:${call.team}`)
  if (call.app !== undefined) tags.push(`app:${call.app}`)
  // Langfuse shows 0 for both: what has no price or no known usage can be filtered for, and is no silent 0.
  if (call.cost.state === 'unpriced') tags.push(`unpriced:${call.cost.reason}`)
  if (DOUBTFUL_USAGE.has(call.usageSource)) tags.push(`usage:${call.usageSource}`)
  set(LANGFUSE.traceName, call.operation === 'unknown' ? 'llm' : call.operation)
  set(LANGFUSE.userId, call.user)
  set(LANGFUSE.sessionId, call.session)
  set(LANGFUSE.tags, tags)
  set(`${LANGFUSE.traceMetadata}tenant_id`, call.tenant)
  set(`${LANGFUSE.traceMetadata}request_id`, call.requestId)
  set(LANGFUSE.environment, langfuseEnvironment(call.environment ?? profile.environment))
  set(LANGFUSE.release, profile.release)
}

const DOUBTFUL_USAGE = new Set<LlmCall['usageSource']>(['unknown', 'estimated', 'partial'])

function setCallAttributes(attributes: Attributes, call: LlmCall, profile: LangfuseProfile): void {
  const set = setter(attributes)
  const { content, cost } = call
  // The caller's own span, if there is one, never reaches Langfuse: without this the trace is hidden by default.
  set(LANGFUSE.appRoot, true)
  // Of the conventions only what Langfuse maps: anything else would sink into metadata.attributes.
  set(GEN_AI.operation, call.operation === 'unknown' ? undefined : call.operation)
  set(GEN_AI.provider, call.provider)
  set(GEN_AI.requestModel, call.requestModel)
  set(GEN_AI.responseModel, call.responseModel)
  set(LANGFUSE.type, call.operation === 'embeddings' ? 'embedding' : 'generation')
  set(
    LANGFUSE.level,
    call.status === 'ok' ? 'DEFAULT' : call.status === 'blocked' || call.status === 'aborted' ? 'WARNING' : 'ERROR',
  )
  set(
    LANGFUSE.statusMessage,
    call.status === 'ok' ? undefined : (call.errorMessage ?? `${call.status} (${call.httpStatus})`),
  )
  set(LANGFUSE.model, call.model === 'unknown' ? undefined : call.model)
  set(LANGFUSE.parameters, call.parameters === undefined ? undefined : modelParameters(call.parameters))
  set(LANGFUSE.usage, JSON.stringify(usageDetails(call)))
  set(LANGFUSE.cost, costDetails(call))
  if (call.timeToFirstByteMs !== undefined)
    set(LANGFUSE.completionStart, new Date(call.startedAt + call.timeToFirstByteMs).toISOString())
  if (profile.content && content?.input !== undefined)
    set(LANGFUSE.input, JSON.stringify(inputOf(content.system, content.input)))
  if (profile.content && content?.output !== undefined) set(LANGFUSE.output, JSON.stringify(outputOf(content.output)))
  const setMetadata = (name: string, value: AttributeValue | undefined) => set(LANGFUSE.metadata + name, value)
  setMetadata('finish_reason', call.finishReasons?.join(','))
  setMetadata('http_status', call.httpStatus)
  setMetadata('error_type', call.status === 'ok' ? undefined : call.errorType)
  setMetadata('consumer', call.consumer)
  setMetadata('usage_source', call.usageSource)
  setMetadata('usage_reason', call.usageReason)
  setMetadata('cost_state', cost.state)
  setMetadata('cost_reason', cost.state === 'priced' ? undefined : cost.reason)
  setMetadata('price_id', cost.state === 'priced' ? cost.priceId : undefined)
  // Exact as text: Langfuse reads cost_details as float64, where the last digit of a pico-USD is lost from 8,192 USD on.
  setMetadata('cost_pico_usd', cost.state === 'priced' ? String(cost.picoUsd) : undefined)
  setMetadata('saved_pico_usd', call.savedPicoUsd === undefined ? undefined : String(call.savedPicoUsd))
  setMetadata('cache', call.cache)
  setMetadata(
    'cache_lookup_pico_usd',
    call.cacheLookup?.picoUsd === undefined ? undefined : String(call.cacheLookup.picoUsd),
  )
  setMetadata('rate_limited_by', call.rateLimit?.refusedBy)
  setMetadata('attempts', call.attempts === undefined ? undefined : JSON.stringify(call.attempts))
  setMetadata('content_truncated', call.content?.truncated)
}

/** Always explicit: with a known model and no usage Langfuse counts the texts itself, and prices that. */
function usageDetails(call: LlmCall): Record<string, number> {
  const details: Record<string, number> = {}
  let total = 0
  for (const type of TOKEN_TYPES) {
    const tokens = call.usage[type]
    if (tokens === undefined) continue
    details[BUCKETS[type]] = tokens
    total += tokens
  }
  for (const unit of EXTRA_UNITS) if (call.usage[unit] !== undefined) details[unit] = call.usage[unit]
  details.total = total
  return details
}

/**
 * Always with a total, without which Langfuse shows none. What costs nothing, or has no price, is sent as 0: given no
 * cost Langfuse would price it by its own list, and there would be two truths.
 */
function costDetails({ cost }: LlmCall): string {
  if (cost.state !== 'priced') return '{"total":0}'
  const parts = (Object.entries(cost.byUnit) as [UsageUnit, number][]).map(
    ([unit, picoUsd]) => `"${unit in BUCKETS ? BUCKETS[unit as TokenType] : unit}":${decimalUsd(picoUsd)}`,
  )
  return `{${[...parts, `"total":${decimalUsd(cost.picoUsd)}`].join(',')}}`
}

/** `[a-z0-9-_]`, at most 40, not starting with langfuse: anything else Langfuse silently calls `default`. */
export function langfuseEnvironment(name: string): string {
  const clean = name
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, '-')
    .slice(0, 40)
  return clean === '' ? 'default' : clean.startsWith('langfuse') ? `x-${clean}`.slice(0, 40) : clean
}

function inputOf(system: string | undefined, messages: readonly Message[]) {
  const all = messages.map(chatMessage)
  return { messages: system === undefined ? all : [{ role: 'system', content: system }, ...all] }
}
function outputOf(messages: readonly Message[]) {
  const all = messages.map(chatMessage)
  return all.length === 1 ? all[0] : all
}

function chatMessage({ role, parts }: Message) {
  const text = (type: 'text' | 'reasoning') =>
    parts.flatMap((part) => (part.type === type ? [part.content] : [])).join('\n')
  const reasoning = text('reasoning')
  const calls = parts.flatMap((part) =>
    part.type === 'tool_call'
      ? [{ id: part.id, type: 'function', function: { name: part.name, arguments: part.arguments } }]
      : [],
  )
  const responses = parts.flatMap((part) => (part.type === 'tool_call_response' ? [part.response] : []))
  const others = parts.flatMap((part) => (part.type === 'other' ? [`[${part.kind}]`] : []))
  return {
    role,
    content: [text('text'), ...responses, ...others].filter((piece) => piece !== '').join('\n'),
    ...(reasoning !== '' && { reasoning }),
    ...(calls.length > 0 && { tool_calls: calls }),
  }
}

/** `max_tokens`, `top_p` …, as the providers name them. */
function modelParameters(parameters: RequestParameters): string {
  const named = Object.entries(parameters).map(([name, value]) => [
    name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    value,
  ])
  return JSON.stringify(Object.fromEntries(named))
}

function setter(attributes: Attributes) {
  return (name: string, value: AttributeValue | undefined) => {
    if (value !== undefined) attributes[name] = value
  }
}
