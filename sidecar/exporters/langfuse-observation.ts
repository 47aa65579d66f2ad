import { hash } from 'node:crypto'
import {
  type Content,
  decimalUsd,
  EXTRA_UNITS,
  type LlmCall,
  type Message,
  type RequestParameters,
  TOKEN_TYPES,
  type TokenType,
  type UsageUnit,
} from '../call.ts'
import { textJson } from '../content-json.ts'
import { GEN_AI, LANGFUSE } from './semantic-conventions.ts'
import { type SetAttribute, SPAN_KIND, type SpanHead, type SpanWriter } from './span-writer.ts'
import { guardrailTime, headOf } from './spans.ts'

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

/** Made once: a name that is put together for each call is slow to look up. */
const METADATA = {
  traceTenant: `${LANGFUSE.traceMetadata}tenant_id`,
  traceRequest: `${LANGFUSE.traceMetadata}request_id`,
  stage: `${LANGFUSE.metadata}stage`,
  action: `${LANGFUSE.metadata}action`,
  categories: `${LANGFUSE.metadata}categories`,
  count: `${LANGFUSE.metadata}count`,
  latencyMs: `${LANGFUSE.metadata}latency_ms`,
  finishReason: `${LANGFUSE.metadata}finish_reason`,
  httpStatus: `${LANGFUSE.metadata}http_status`,
  errorType: `${LANGFUSE.metadata}error_type`,
  consumer: `${LANGFUSE.metadata}consumer`,
  usageSource: `${LANGFUSE.metadata}usage_source`,
  usageReason: `${LANGFUSE.metadata}usage_reason`,
  costState: `${LANGFUSE.metadata}cost_state`,
  costReason: `${LANGFUSE.metadata}cost_reason`,
  priceId: `${LANGFUSE.metadata}price_id`,
  costPicoUsd: `${LANGFUSE.metadata}cost_pico_usd`,
  savedPicoUsd: `${LANGFUSE.metadata}saved_pico_usd`,
  cache: `${LANGFUSE.metadata}cache`,
  cacheLookupPicoUsd: `${LANGFUSE.metadata}cache_lookup_pico_usd`,
  rateLimitedBy: `${LANGFUSE.metadata}rate_limited_by`,
  attempts: `${LANGFUSE.metadata}attempts`,
  contentTruncated: `${LANGFUSE.metadata}content_truncated`,
} as const

/** The call, and each guardrail event as an observation under it. */
export function writeLangfuseSpans(call: LlmCall, profile: LangfuseProfile, writer: SpanWriter): void {
  writer.open(headOf(call))
  setTraceAttributes(call, profile, writer.set)
  setCallAttributes(call, profile, writer)
  writer.close([])
  for (let index = 0; index < call.guardrails.length; index++) {
    writer.open(guardrailHead(call, index))
    setGuardrailAttributes(call, index, writer.set)
    setTraceAttributes(call, profile, writer.set)
    writer.close([])
  }
}

/** A moment inside the call. */
function guardrailHead(call: LlmCall, index: number): SpanHead {
  const { guardrail, stage } = call.guardrails[index]!
  const at = guardrailTime(call, stage)
  return {
    traceId: call.trace.traceId,
    spanId: guardrailSpanId(call, index),
    parentSpanId: call.trace.spanId,
    parentIsRemote: false,
    name: `guardrail ${guardrail}`,
    kind: SPAN_KIND.internal,
    start: at,
    end: at,
    error: undefined,
  }
}

export function guardrailSpanId(call: LlmCall, index: number): string {
  return hash('sha256', `${call.id} guardrail ${index}`).slice(0, 16)
}

function setGuardrailAttributes(call: LlmCall, index: number, set: SetAttribute): void {
  const { action, stage, reason, categories, count, latencyMs } = call.guardrails[index]!
  set(LANGFUSE.type, 'guardrail')
  set(LANGFUSE.level, 'WARNING')
  set(LANGFUSE.statusMessage, reason ?? `${action} (${stage})`)
  set(METADATA.stage, stage)
  set(METADATA.action, action)
  set(METADATA.categories, categories === undefined ? undefined : JSON.stringify(categories))
  set(METADATA.count, count)
  set(METADATA.latencyMs, latencyMs)
}

/** v4 looks at observations first: what belongs to the trace stands on every span. */
function setTraceAttributes(call: LlmCall, profile: LangfuseProfile, set: SetAttribute): void {
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
  set(METADATA.traceTenant, call.tenant)
  set(METADATA.traceRequest, call.requestId)
  set(LANGFUSE.environment, langfuseEnvironment(call.environment ?? profile.environment))
  set(LANGFUSE.release, profile.release)
}

const DOUBTFUL_USAGE = new Set<LlmCall['usageSource']>(['unknown', 'estimated', 'partial'])

function setCallAttributes(call: LlmCall, profile: LangfuseProfile, writer: SpanWriter): void {
  const { set } = writer
  const { cost } = call
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
  if (profile.content && call.content !== undefined) setContentAttributes(call.content, writer)
  set(METADATA.finishReason, call.finishReasons?.join(','))
  set(METADATA.httpStatus, call.httpStatus)
  set(METADATA.errorType, call.status === 'ok' ? undefined : call.errorType)
  set(METADATA.consumer, call.consumer)
  set(METADATA.usageSource, call.usageSource)
  set(METADATA.usageReason, call.usageReason)
  set(METADATA.costState, cost.state)
  set(METADATA.costReason, cost.state === 'priced' ? undefined : cost.reason)
  set(METADATA.priceId, cost.state === 'priced' ? cost.priceId : undefined)
  // Exact as text: Langfuse reads cost_details as float64, where the last digit of a pico-USD is lost from 8,192 USD on.
  set(METADATA.costPicoUsd, cost.state === 'priced' ? String(cost.picoUsd) : undefined)
  set(METADATA.savedPicoUsd, call.savedPicoUsd === undefined ? undefined : String(call.savedPicoUsd))
  set(METADATA.cache, call.cache)
  set(
    METADATA.cacheLookupPicoUsd,
    call.cacheLookup?.picoUsd === undefined ? undefined : String(call.cacheLookup.picoUsd),
  )
  set(METADATA.rateLimitedBy, call.rateLimit?.refusedBy)
  set(METADATA.attempts, call.attempts === undefined ? undefined : JSON.stringify(call.attempts))
  set(METADATA.contentTruncated, call.content?.truncated)
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

function setContentAttributes({ system, input, output }: Content, { set, setEscaped }: SpanWriter): void {
  if (input !== undefined) {
    const pieces = setEscaped && inputPieces(system, input)
    if (pieces !== undefined) setEscaped!(LANGFUSE.input, pieces)
    else set(LANGFUSE.input, JSON.stringify(inputOf(system, input)))
  }
  if (output !== undefined) {
    const pieces = setEscaped && outputPieces(output)
    if (pieces !== undefined) setEscaped!(LANGFUSE.output, pieces)
    else set(LANGFUSE.output, JSON.stringify(outputOf(output)))
  }
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

/** The same JSON where every message is one text, as most are: each text is escaped once for both JSONs around it. */
function inputPieces(system: string | undefined, messages: readonly Message[]): string[] | undefined {
  const pieces = ['{\\"messages\\":[']
  if (system !== undefined) {
    pieces.push('{\\"role\\":\\"system\\",\\"content\\":')
    addJson(pieces, JSON.stringify(system))
    pieces.push('}')
  }
  for (const message of messages) {
    if (pieces.length > 1) pieces.push(',')
    if (!addMessage(pieces, message)) return undefined
  }
  pieces.push(']}')
  return pieces
}
function outputPieces(messages: readonly Message[]): string[] | undefined {
  const pieces: string[] = []
  return messages.length === 1 && addMessage(pieces, messages[0]!) ? pieces : undefined
}
function addMessage(pieces: string[], { role, parts }: Message): boolean {
  const [only] = parts
  if (parts.length !== 1 || only?.type !== 'text') return false
  pieces.push('{\\"role\\":')
  addJson(pieces, JSON.stringify(role))
  pieces.push(',\\"content\\":')
  addJson(pieces, textJson(only))
  pieces.push('}')
  return true
}

/** A text's JSON as it stands in a JSON string. */
function addJson(pieces: string[], json: string): void {
  // Without a backslash there is nothing but the quotes around it to escape again.
  if (json.includes('\\')) pieces.push(json.replaceAll('\\', '\\\\').replaceAll('"', '\\"'))
  else pieces.push('\\', json.slice(0, -1), '\\"')
}

/** `max_tokens`, `top_p` …, as the providers name them. */
function modelParameters(parameters: RequestParameters): string {
  const named: Record<string, unknown> = {}
  for (const name in parameters) named[snakeCase(name)] = parameters[name as keyof RequestParameters]
  return JSON.stringify(named)
}

const snakeNames = new Map<string, string>()
/** Only names of our own come here, so that what is remembered is bounded. */
function snakeCase(name: string): string {
  let snake = snakeNames.get(name)
  if (snake === undefined) {
    snake = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    snakeNames.set(name, snake)
  }
  return snake
}
