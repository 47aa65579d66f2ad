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
import { type SetAttribute, SPAN_KIND, type SpanEvent, type SpanHead } from './span-writer.ts'

/** The call's own span. A function of the call alone: sent again it is the same span (design law 4). */
export function headOf(call: LlmCall): SpanHead {
  const { traceId, spanId, parentSpanId } = call.trace
  return {
    traceId,
    spanId,
    parentSpanId,
    parentIsRemote: parentSpanId !== undefined,
    name: spanName(call),
    kind: SPAN_KIND.client,
    start: call.startedAt,
    end: call.startedAt + call.durationMs,
    error: call.status === 'ok' ? undefined : (call.errorMessage ?? call.status),
  }
}

export function spanName(call: LlmCall): string {
  const operation = call.operation === 'unknown' ? 'llm' : call.operation
  return call.requestModel === undefined ? operation : `${operation} ${call.requestModel}`
}

/** The call in the words of the GenAI conventions and our own. Absent stays absent: no zero is invented. */
export function setStandardAttributes(call: LlmCall, set: SetAttribute): void {
  const { gateway, usage, cost, parameters } = call
  const known = call.usageSource !== 'unknown' && call.usageSource !== 'none'
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
}

const USAGE_NAMES = TOKEN_TYPES.map((type) => [type, OWN.usagePrefix + type] as const)
const UNIT_NAMES = EXTRA_UNITS.map((unit) => [unit, OWN.unitsPrefix + unit] as const)

export function setContentAttributes({ content }: LlmCall, set: SetAttribute): void {
  if (content === undefined) return
  const { input, output, system, tools } = content
  set(GEN_AI.inputMessages, input === undefined ? undefined : JSON.stringify(input.map(standardMessage)))
  set(GEN_AI.outputMessages, output === undefined ? undefined : JSON.stringify(output.map(standardMessage)))
  set(GEN_AI.systemInstructions, system === undefined ? undefined : JSON.stringify([{ type: 'text', content: system }]))
  set(GEN_AI.toolDefinitions, tools)
}

function standardMessage({ role, parts, finishReason }: Message) {
  return finishReason === undefined ? { role, parts } : { role, parts, finish_reason: finishReason }
}

/** Several targets for one call, each at the time when it was asked, then what guarded it. */
export function eventsOf(call: LlmCall): SpanEvent[] {
  if (call.attempts === undefined && call.guardrails.length === 0) return []
  return [...attemptEvents(call), ...guardrailEvents(call)]
}

function guardrailEvents(call: LlmCall): SpanEvent[] {
  return call.guardrails.map(({ guardrail, stage, action, reason, categories, count, latencyMs }) => ({
    name: OWN.guardrailEvent,
    at: guardrailTime(call, stage),
    setAttributes(set) {
      set(OWN.guardrailName, guardrail)
      set(OWN.guardrailStage, stage)
      set(OWN.guardrailAction, action)
      set(OWN.guardrailReason, reason)
      set(
        OWN.guardrailCategories,
        categories === undefined ? undefined : Object.entries(categories).map(([name, value]) => `${name}=${value}`),
      )
      set(OWN.guardrailCount, count)
      set(OWN.guardrailLatencyMs, latencyMs)
    },
  }))
}

function attemptEvents(call: LlmCall): SpanEvent[] {
  return (call.attempts ?? []).map((attempt, index) => ({
    name: OWN.attemptEvent,
    at: attempt.startedAt ?? call.startedAt,
    setAttributes(set) {
      set(OWN.attemptNumber, index + 1)
      set(OWN.attemptFailed, attempt.failed)
      set(GEN_AI.provider, attempt.provider)
      set(GEN_AI.requestModel, attempt.model)
      set(OWN.attemptAddress, attempt.address)
      set(GEN_AI.httpStatus, attempt.httpStatus)
      set(OWN.attemptDurationMs, attempt.durationMs)
      set(OWN.costPicoUsd, attempt.picoUsd)
    },
  }))
}

function budgetTexts(rateLimit: RateLimit | undefined): string[] | undefined {
  if (rateLimit === undefined || rateLimit.budgets.length === 0) return undefined
  return rateLimit.budgets.map(({ by, name, remaining, limit }) => `${by} ${name} ${remaining ?? '?'}/${limit ?? '?'}`)
}

/** Nobody says when a guardrail acted: on the prompt at the start, on the answer at the end. */
export function guardrailTime(call: LlmCall, stage: 'input' | 'output'): number {
  return stage === 'input' ? call.startedAt : call.startedAt + call.durationMs
}

/** Undefined where none is known. */
function sum(first: number | undefined, second: number | undefined, third?: number): number | undefined {
  if (first === undefined && second === undefined && third === undefined) return undefined
  return (first ?? 0) + (second ?? 0) + (third ?? 0)
}
