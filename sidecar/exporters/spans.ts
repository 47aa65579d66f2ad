import {
  type Attributes,
  type AttributeValue,
  type HrTime,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
} from '@opentelemetry/api'
import { resourceFromAttributes } from '@opentelemetry/resources'
import type { ReadableSpan, TimedEvent } from '@opentelemetry/sdk-trace-node'
import {
  EXTRA_UNITS,
  inputTokens,
  type LlmCall,
  type Message,
  outputTokens,
  type RateLimit,
  TOKEN_TYPES,
} from '../call.ts'
import { GEN_AI, OWN } from './semantic-conventions.ts'

const COMMON = {
  resource: resourceFromAttributes({ 'service.name': 'kong-llm-observer' }),
  instrumentationScope: { name: 'kong-llm-observer' },
  links: [],
  ended: true,
  droppedAttributesCount: 0,
  droppedEventsCount: 0,
  droppedLinksCount: 0,
}

export interface SpanParts {
  call: LlmCall
  attributes: Attributes
  events?: TimedEvent[]
}
export interface ChildSpanParts {
  call: LlmCall
  spanId: string
  name: string
  /** Epoch milliseconds. */
  at: number
  attributes: Attributes
}

/** The call's own span. A function of the call alone: sent again it is the same span (design law 4). */
export function makeSpan({ call, attributes, events = [] }: SpanParts): ReadableSpan {
  const { traceId, spanId, parentSpanId } = call.trace
  return {
    ...COMMON,
    name: spanName(call),
    kind: SpanKind.CLIENT,
    spanContext: () => contextOf(traceId, spanId, false),
    ...(parentSpanId !== undefined && { parentSpanContext: contextOf(traceId, parentSpanId, true) }),
    startTime: timeOf(call.startedAt),
    endTime: timeOf(call.startedAt + call.durationMs),
    duration: timeOf(call.durationMs),
    status:
      call.status === 'ok'
        ? { code: SpanStatusCode.UNSET }
        : { code: SpanStatusCode.ERROR, message: call.errorMessage ?? call.status },
    attributes,
    events,
  }
}

/** A moment inside the call, as a span of its own under it. */
export function makeChildSpan({ call, spanId, name, at, attributes }: ChildSpanParts): ReadableSpan {
  const { traceId, spanId: parentSpanId } = call.trace
  const time = timeOf(at)
  return {
    ...COMMON,
    name,
    kind: SpanKind.INTERNAL,
    spanContext: () => contextOf(traceId, spanId, false),
    parentSpanContext: contextOf(traceId, parentSpanId, false),
    startTime: time,
    endTime: time,
    duration: [0, 0],
    status: { code: SpanStatusCode.UNSET },
    attributes,
    events: [],
  }
}

function contextOf(traceId: string, spanId: string, isRemote: boolean) {
  return { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote }
}

export function spanName(call: LlmCall): string {
  const operation = call.operation === 'unknown' ? 'llm' : call.operation
  return call.requestModel === undefined ? operation : `${operation} ${call.requestModel}`
}

/** Epoch milliseconds as seconds and nanoseconds. */
export function timeOf(milliseconds: number): HrTime {
  const whole = Math.round(milliseconds * 1000)
  return [Math.floor(whole / 1_000_000), (whole % 1_000_000) * 1000]
}

/** The call in the words of the GenAI conventions and our own. Absent stays absent: no zero is invented. */
export function standardAttributes(call: LlmCall): Attributes {
  const { gateway, usage, cost, parameters } = call
  const known = call.usageSource !== 'unknown' && call.usageSource !== 'none'
  const attributes: Attributes = {}
  // Set one by one: an object that has held undefined, or lost a key, is slow to walk for the rest of its life.
  const set = (name: string, value: AttributeValue | undefined | null) => {
    if (value !== undefined && value !== null) attributes[name] = value
  }
  set(GEN_AI.operation, call.operation === 'unknown' ? undefined : call.operation)
  set(GEN_AI.provider, call.provider)
  set(GEN_AI.requestModel, call.requestModel)
  set(GEN_AI.responseModel, call.responseModel)
  set(GEN_AI.responseId, call.responseId)
  set(GEN_AI.finishReasons, call.finishReasons)
  set(GEN_AI.stream, call.stream ? true : undefined)
  set(GEN_AI.timeToFirstChunk, call.timeToFirstByteMs === undefined ? undefined : call.timeToFirstByteMs / 1000)
  set(GEN_AI.conversation, call.session)
  set(GEN_AI.userId, call.user)
  set(GEN_AI.environment, call.environment)
  set(GEN_AI.maxTokens, parameters?.maxTokens)
  set(GEN_AI.temperature, parameters?.temperature)
  set(GEN_AI.topP, parameters?.topP)
  set(GEN_AI.topK, parameters?.topK)
  set(GEN_AI.frequencyPenalty, parameters?.frequencyPenalty)
  set(GEN_AI.presencePenalty, parameters?.presencePenalty)
  set(GEN_AI.seed, parameters?.seed)
  set(GEN_AI.choiceCount, parameters?.choiceCount === 1 ? undefined : parameters?.choiceCount)
  set(GEN_AI.stopSequences, parameters?.stopSequences)
  set(GEN_AI.outputType, parameters?.outputType)
  set(GEN_AI.serverAddress, call.serverAddress)
  set(GEN_AI.serverPort, call.serverPort)
  set(GEN_AI.httpStatus, call.httpStatus)
  set(GEN_AI.errorType, call.status === 'ok' ? undefined : (call.errorType ?? String(call.httpStatus)))
  set(GEN_AI.openaiServiceTier, call.provider === 'openai' ? call.serviceTier : undefined)
  set(GEN_AI.openaiFingerprint, call.systemFingerprint)
  // The standard's input includes what was cached, its output what was reasoned.
  set(GEN_AI.inputTokens, known ? inputTokens(usage) : undefined)
  set(GEN_AI.outputTokens, known ? outputTokens(usage) : undefined)
  set(GEN_AI.cacheReadTokens, sum(usage.cache_read, usage.cache_read_audio))
  set(GEN_AI.cacheCreationTokens, sum(usage.cache_write, usage.cache_write_5m, usage.cache_write_1h))
  set(GEN_AI.reasoningTokens, usage.output_reasoning)
  set(OWN.tenant, call.tenant)
  set(OWN.tenantSource, call.tenantSource)
  set(OWN.tenantClaimed, call.claimedTenant)
  set(OWN.consumer, call.consumer)
  set(OWN.team, call.team)
  set(OWN.app, call.app)
  set(OWN.callId, call.id)
  set(OWN.requestId, call.requestId)
  set(OWN.status, call.status)
  set(OWN.dialect, call.dialect)
  set(OWN.route, gateway.route)
  set(OWN.service, gateway.service)
  set(OWN.workspace, gateway.workspace)
  set(OWN.node, gateway.node)
  set(OWN.kongMs, gateway.kongMs)
  set(OWN.upstreamMs, gateway.upstreamMs)
  set(OWN.attempts, gateway.attempts)
  set(OWN.usageSource, call.usageSource)
  set(OWN.usageReason, call.usageReason)
  set(OWN.costState, cost.state)
  set(OWN.costReason, cost.state === 'priced' ? undefined : cost.reason)
  set(OWN.costUsd, cost.state === 'unpriced' ? undefined : cost.picoUsd / 1e12)
  set(OWN.costPicoUsd, cost.state === 'unpriced' ? undefined : cost.picoUsd)
  set(OWN.savedPicoUsd, call.savedPicoUsd)
  set(OWN.priceId, cost.state === 'priced' ? cost.priceId : undefined)
  set(OWN.priceBook, cost.book)
  set(OWN.cache, call.cache)
  set(OWN.cacheLookupMs, call.cacheLookup?.lookupMs)
  set(OWN.cacheEmbeddingsModel, call.cacheLookup?.embeddingsModel)
  set(OWN.cacheLookupPicoUsd, call.cacheLookup?.picoUsd)
  set(OWN.rateLimitRefusedBy, call.rateLimit?.refusedBy)
  set(OWN.rateLimitRetryAfter, call.rateLimit?.retryAfterSeconds)
  set(OWN.rateLimitBudgets, budgetTexts(call.rateLimit))
  set(OWN.repeat, call.repeat)
  set(OWN.serviceTier, call.serviceTier)
  set(OWN.guardrails, call.guardrails.length > 0 ? call.guardrails.map(({ guardrail }) => guardrail) : undefined)
  set(OWN.errorMessage, call.errorMessage)
  set(OWN.originalTraceId, call.trace.originalTraceId)
  set(OWN.contentTruncated, call.content?.truncated)
  for (const [type, name] of USAGE_NAMES) set(name, usage[type])
  for (const [unit, name] of UNIT_NAMES) set(name, usage[unit])
  return attributes
}

const USAGE_NAMES = TOKEN_TYPES.map((type) => [type, OWN.usagePrefix + type] as const)
const UNIT_NAMES = EXTRA_UNITS.map((unit) => [unit, OWN.unitsPrefix + unit] as const)

export function contentAttributes(call: LlmCall): Attributes {
  const { content } = call
  if (content === undefined) return {}
  return {
    ...(content.input !== undefined && { [GEN_AI.inputMessages]: JSON.stringify(content.input.map(standardMessage)) }),
    ...(content.output !== undefined && {
      [GEN_AI.outputMessages]: JSON.stringify(content.output.map(standardMessage)),
    }),
    ...(content.system !== undefined && {
      [GEN_AI.systemInstructions]: JSON.stringify([{ type: 'text', content: content.system }]),
    }),
    ...(content.tools !== undefined && { [GEN_AI.toolDefinitions]: content.tools }),
  }
}

function standardMessage({ role, parts, finishReason }: Message) {
  return { role, parts, ...(finishReason !== undefined && { finish_reason: finishReason }) }
}

export function guardrailEvents(call: LlmCall): TimedEvent[] {
  return call.guardrails.map(({ guardrail, stage, action, reason, categories, count, latencyMs }) => {
    const attributes: Attributes = {
      [OWN.guardrailName]: guardrail,
      [OWN.guardrailStage]: stage,
      [OWN.guardrailAction]: action,
    }
    if (reason !== undefined) attributes[OWN.guardrailReason] = reason
    if (categories !== undefined)
      attributes[OWN.guardrailCategories] = Object.entries(categories).map(([name, value]) => `${name}=${value}`)
    if (count !== undefined) attributes[OWN.guardrailCount] = count
    if (latencyMs !== undefined) attributes[OWN.guardrailLatencyMs] = latencyMs
    return { name: OWN.guardrailEvent, time: timeOf(guardrailTime(call, stage)), attributes }
  })
}

/** Several targets for one call: each as an event at the time when it was asked. */
export function attemptEvents(call: LlmCall): TimedEvent[] {
  return (call.attempts ?? []).map((attempt, index) => {
    const attributes: Attributes = { [OWN.attemptNumber]: index + 1, [OWN.attemptFailed]: attempt.failed }
    if (attempt.provider !== undefined) attributes[GEN_AI.provider] = attempt.provider
    if (attempt.model !== undefined) attributes[GEN_AI.requestModel] = attempt.model
    if (attempt.address !== undefined) attributes[OWN.attemptAddress] = attempt.address
    if (attempt.httpStatus !== undefined) attributes[GEN_AI.httpStatus] = attempt.httpStatus
    if (attempt.durationMs !== undefined) attributes[OWN.attemptDurationMs] = attempt.durationMs
    if (attempt.picoUsd !== undefined) attributes[OWN.costPicoUsd] = attempt.picoUsd
    return { name: OWN.attemptEvent, time: timeOf(attempt.startedAt ?? call.startedAt), attributes }
  })
}

function budgetTexts(rateLimit: RateLimit | undefined): string[] | undefined {
  if (rateLimit === undefined || rateLimit.budgets.length === 0) return undefined
  return rateLimit.budgets.map(({ by, name, remaining, limit }) => `${by} ${name} ${remaining ?? '?'}/${limit ?? '?'}`)
}

/** Nobody says when a guardrail acted: on the prompt at the start, on the answer at the end. */
export function guardrailTime(call: LlmCall, stage: 'input' | 'output'): number {
  return stage === 'input' ? call.startedAt : call.startedAt + call.durationMs
}

function sum(...values: (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined)
  return known.length === 0 ? undefined : known.reduce((a, b) => a + b, 0)
}
