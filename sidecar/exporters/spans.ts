import { type Attributes, type HrTime, SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api'
import { resourceFromAttributes } from '@opentelemetry/resources'
import type { ReadableSpan, TimedEvent } from '@opentelemetry/sdk-trace-node'
import { inputTokens, type LlmCall, type Message, outputTokens, TOKEN_TYPES } from '../call.ts'
import { GEN_AI, OWN } from './semantic-conventions.ts'

const resource = resourceFromAttributes({ 'service.name': 'kong-llm-observer' })
const instrumentationScope = { name: 'kong-llm-observer' }

export interface SpanParts {
  call: LlmCall
  attributes: Attributes
  /** Default: the call's own span id and name. */
  spanId?: string
  name?: string
  parentSpanId?: string | undefined
  events?: TimedEvent[]
}

/** A span is a function of the call alone: sent again it is the same span (design law 4). */
export function makeSpan({ call, attributes, spanId, name, parentSpanId, events }: SpanParts): ReadableSpan {
  const { trace } = call
  const context = (id: string, isRemote: boolean) => ({
    traceId: trace.traceId,
    spanId: id,
    traceFlags: TraceFlags.SAMPLED,
    isRemote,
  })
  const parent = parentSpanId ?? trace.parentSpanId
  const failed = call.status !== 'ok'
  return {
    name: name ?? spanName(call),
    kind: SpanKind.CLIENT,
    spanContext: () => context(spanId ?? trace.spanId, false),
    ...(parent !== undefined && { parentSpanContext: context(parent, parentSpanId === undefined) }),
    startTime: timeOf(call.startedAt),
    endTime: timeOf(call.startedAt + call.durationMs),
    duration: timeOf(call.durationMs),
    status: failed
      ? { code: SpanStatusCode.ERROR, message: call.errorMessage ?? call.status }
      : { code: SpanStatusCode.UNSET },
    attributes,
    links: [],
    events: events ?? [],
    ended: true,
    resource,
    instrumentationScope,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  }
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
  const attributes: Attributes = {
    [GEN_AI.operation]: call.operation === 'unknown' ? undefined : call.operation,
    [GEN_AI.provider]: call.provider,
    [GEN_AI.requestModel]: call.requestModel,
    [GEN_AI.responseModel]: call.responseModel,
    [GEN_AI.responseId]: call.responseId,
    [GEN_AI.finishReasons]: call.finishReasons,
    [GEN_AI.stream]: call.stream ? true : undefined,
    [GEN_AI.timeToFirstChunk]: call.timeToFirstByteMs === undefined ? undefined : call.timeToFirstByteMs / 1000,
    [GEN_AI.conversation]: call.session,
    [GEN_AI.userId]: call.user,
    [GEN_AI.environment]: call.environment,
    [GEN_AI.maxTokens]: parameters?.maxTokens,
    [GEN_AI.temperature]: parameters?.temperature,
    [GEN_AI.topP]: parameters?.topP,
    [GEN_AI.topK]: parameters?.topK,
    [GEN_AI.frequencyPenalty]: parameters?.frequencyPenalty,
    [GEN_AI.presencePenalty]: parameters?.presencePenalty,
    [GEN_AI.seed]: parameters?.seed,
    [GEN_AI.choiceCount]: parameters?.choiceCount === 1 ? undefined : parameters?.choiceCount,
    [GEN_AI.stopSequences]: parameters?.stopSequences,
    [GEN_AI.outputType]: parameters?.outputType,
    [GEN_AI.serverAddress]: call.serverAddress,
    [GEN_AI.serverPort]: call.serverPort,
    [GEN_AI.httpStatus]: call.httpStatus,
    [GEN_AI.errorType]: call.status === 'ok' ? undefined : (call.errorType ?? String(call.httpStatus)),
    [GEN_AI.openaiServiceTier]: call.provider === 'openai' ? call.serviceTier : undefined,
    [GEN_AI.openaiFingerprint]: call.systemFingerprint,
    // The standard's input includes what was cached, its output what was reasoned.
    [GEN_AI.inputTokens]: known ? inputTokens(usage) : undefined,
    [GEN_AI.outputTokens]: known ? outputTokens(usage) : undefined,
    [GEN_AI.cacheReadTokens]: sum(usage.cache_read, usage.cache_read_audio),
    [GEN_AI.cacheCreationTokens]: sum(usage.cache_write, usage.cache_write_5m, usage.cache_write_1h),
    [GEN_AI.reasoningTokens]: usage.output_reasoning,

    [OWN.tenant]: call.tenant,
    [OWN.tenantSource]: call.tenantSource,
    [OWN.consumer]: call.consumer,
    [OWN.team]: call.team,
    [OWN.app]: call.app,
    [OWN.callId]: call.id,
    [OWN.requestId]: call.requestId,
    [OWN.status]: call.status,
    [OWN.dialect]: call.dialect,
    [OWN.route]: gateway.route,
    [OWN.service]: gateway.service,
    [OWN.workspace]: gateway.workspace,
    [OWN.node]: gateway.node,
    [OWN.kongMs]: gateway.kongMs,
    [OWN.upstreamMs]: gateway.upstreamMs,
    [OWN.attempts]: gateway.attempts,
    [OWN.usageSource]: call.usageSource,
    [OWN.usageReason]: call.usageReason,
    [OWN.costState]: cost.state,
    [OWN.costReason]: cost.state === 'priced' ? undefined : cost.reason,
    [OWN.costUsd]: cost.state === 'unpriced' ? undefined : cost.picoUsd / 1e12,
    [OWN.costPicoUsd]: cost.state === 'unpriced' ? undefined : cost.picoUsd,
    [OWN.savedPicoUsd]: call.savedPicoUsd,
    [OWN.priceId]: cost.state === 'priced' ? cost.priceId : undefined,
    [OWN.priceBook]: cost.book,
    [OWN.cache]: call.cache,
    [OWN.repeat]: call.repeat,
    [OWN.serviceTier]: call.serviceTier,
    [OWN.guardrails]: call.guardrails.length > 0 ? call.guardrails.map(({ guardrail }) => guardrail) : undefined,
    [OWN.errorMessage]: call.errorMessage,
    [OWN.originalTraceId]: call.trace.originalTraceId,
    [OWN.contentTruncated]: call.content?.truncated,
  }
  for (const type of TOKEN_TYPES) attributes[OWN.usagePrefix + type] = usage[type]
  for (const name in attributes) if (attributes[name] === undefined) delete attributes[name]
  return attributes
}

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
  return call.guardrails.map(({ guardrail, stage, action, reason }) => ({
    name: OWN.guardrailEvent,
    time: timeOf(stage === 'input' ? call.startedAt : call.startedAt + call.durationMs),
    attributes: {
      [OWN.guardrailName]: guardrail,
      [OWN.guardrailStage]: stage,
      [OWN.guardrailAction]: action,
      ...(reason !== undefined && { [OWN.guardrailReason]: reason }),
    },
  }))
}

function sum(...values: (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined)
  return known.length === 0 ? undefined : known.reduce((a, b) => a + b, 0)
}
