import { hash } from 'node:crypto'
import type { LlmCall, Operation } from '../call.ts'
import { type WrittenContent, type WrittenJson, writtenContent } from './langfuse-content.ts'
import { costDetails, modelParameters, NOTHING, usageDetails } from './langfuse-details.ts'
import { OWN_TRACE, type Place, type TraceName } from './langfuse-place.ts'
import { LANGFUSE } from './semantic-conventions.ts'
import { type AttributeBlock, type SetAttribute, SPAN_KIND, type SpanHead, type SpanWriter } from './span-writer.ts'
import { guardrailTime, headOf } from './spans.ts'

export interface LangfuseProfile {
  /** Where the call itself names none. */
  environment: string
  release?: string | undefined
  content: boolean
  /** Default: the tenant. */
  traceName?: TraceName
  /** Default: every call has a trace of its own. */
  placeOf?: (call: LlmCall) => Place
}

/** Made once: a name that is put together for each call is slow to look up. */
const METADATA = metadataNames([
  'tenant_id',
  'request_id',
  'call_id',
  'response_id',
  'provider',
  'operation',
  'request_model',
  'response_model',
  'service_tier',
  'route',
  'kong_ms',
  'upstream_ms',
  'first_byte_ms',
  'original_trace_id',
  'claimed_tenant',
  'stage',
  'action',
  'categories',
  'count',
  'latency_ms',
  'finish_reason',
  'http_status',
  'error_type',
  'consumer',
  'usage_source',
  'usage_reason',
  'cost_state',
  'cost_reason',
  'price_id',
  'cost_pico_usd',
  'saved_pico_usd',
  'cache',
  'cache_lookup_pico_usd',
  'rate_limited_by',
  'attempts',
  'content_truncated',
  'reasons',
  'agent_method',
  'agent_target',
])
const TRACE_TENANT = `${LANGFUSE.traceMetadata}tenant_id`
const TRACE_REQUEST = `${LANGFUSE.traceMetadata}request_id`

function metadataNames<const N extends string>(names: readonly N[]): Record<N, string> {
  return Object.fromEntries(names.map((name) => [name, LANGFUSE.metadata + name])) as Record<N, string>
}

/** By kind of call; what is not here is a generation. */
const TYPES: Partial<Record<Operation, string>> = {
  embeddings: 'embedding',
  rerank: 'retriever',
  guardrail: 'guardrail',
  moderation: 'evaluator',
  count_tokens: 'span',
  mcp: 'tool',
  a2a: 'agent',
}
const ROOT_NAME = 'llm call'

/**
 * A call in Langfuse:
 *
 *   own trace        llm call (root) ─┬─ generation
 *                                     └─ guardrail …
 *   application's    its span ─── generation ─── guardrail …
 *
 * Langfuse's own dashboards sum only spans that have a parent, so that the generation is never the root.
 */
export function writeLangfuseSpans(call: LlmCall, profile: LangfuseProfile, writer: SpanWriter): void {
  const place = profile.placeOf?.(call) ?? OWN_TRACE
  const content =
    profile.content && call.content !== undefined
      ? writtenContent(call.content, writer.setEscaped !== undefined)
      : undefined
  const joined = place.trace === 'application'
  const rootId = joined ? undefined : rootSpanId(call)
  /** What root and call have in common. */
  const setShared = () => {
    setOutcome(call, writer.set)
    setTraceAttributes(call, profile, place, writer.set)
    setContent(content, writer)
  }
  let shared: AttributeBlock | undefined
  if (rootId !== undefined) {
    writer.open(rootHead(call, rootId))
    writer.set(LANGFUSE.type, 'span')
    writer.set(LANGFUSE.appRoot, true)
    shared = writer.block?.(setShared)
    if (shared === undefined) setShared()
    writer.close([])
  }
  writer.open(rootId === undefined ? headOf(call) : { ...headOf(call), parentSpanId: rootId, parentIsRemote: false })
  if (place.trace === 'application' && place.asRoot) writer.set(LANGFUSE.appRoot, true)
  if (shared === undefined) setShared()
  else writer.repeat!(shared)
  setCallAttributes(call, place, writer.set)
  writer.close([])
  for (let index = 0; index < call.guardrails.length; index++) {
    writer.open(guardrailHead(call, index, rootId ?? call.trace.spanId))
    setGuardrailAttributes(call, index, writer.set)
    setTraceAttributes(call, profile, place, writer.set)
    writer.close([])
  }
}

/** The same time as its call's. */
function rootHead(call: LlmCall, spanId: string): SpanHead {
  return {
    traceId: call.trace.traceId,
    spanId,
    parentSpanId: undefined,
    parentIsRemote: false,
    name: ROOT_NAME,
    kind: SPAN_KIND.internal,
    start: call.startedAt,
    end: call.startedAt + call.durationMs,
    error: undefined,
  }
}

/** On the prompt it is at the call's start, on the answer at its end; as long as it says that it took. */
function guardrailHead(call: LlmCall, index: number, parentSpanId: string): SpanHead {
  const { guardrail, stage, latencyMs = 0 } = call.guardrails[index]!
  const at = guardrailTime(call, stage)
  const took = Number.isFinite(latencyMs) ? Math.min(Math.max(latencyMs, 0), call.durationMs) : 0
  return {
    traceId: call.trace.traceId,
    spanId: guardrailSpanId(call, index),
    parentSpanId,
    parentIsRemote: false,
    name: `guardrail ${guardrail}`,
    kind: SPAN_KIND.internal,
    start: stage === 'input' ? at : at - took,
    end: stage === 'input' ? at + took : at,
    error: undefined,
  }
}

export function rootSpanId(call: LlmCall): string {
  return hash('sha256', `${call.id} root`).slice(0, 16)
}

export function guardrailSpanId(call: LlmCall, index: number): string {
  return hash('sha256', `${call.id} guardrail ${index}`).slice(0, 16)
}

function setGuardrailAttributes(call: LlmCall, index: number, set: SetAttribute): void {
  const { action, stage, reason, categories, count, latencyMs } = call.guardrails[index]!
  set(LANGFUSE.type, 'guardrail')
  set(LANGFUSE.level, 'WARNING')
  set(LANGFUSE.statusMessage, reason ?? `${action} (${stage})`)
  // With a model its scores can be charted by model; the zeros keep Langfuse from pricing it.
  if (call.model !== 'unknown') {
    set(LANGFUSE.model, call.model)
    set(LANGFUSE.usage, NOTHING)
    set(LANGFUSE.cost, NOTHING)
  }
  set(METADATA.stage, stage)
  set(METADATA.action, action)
  set(METADATA.categories, categories === undefined ? undefined : JSON.stringify(categories))
  set(METADATA.count, count)
  set(METADATA.latency_ms, latencyMs)
}

/**
 * v4 looks at observations first: what belongs to the trace stands on every span. In an application's trace only its own
 * words are repeated: of each field Langfuse shows what came last.
 */
function setTraceAttributes(call: LlmCall, profile: LangfuseProfile, place: Place, set: SetAttribute): void {
  const { baggage } = call
  const joined = place.trace === 'application'
  set(LANGFUSE.traceName, baggage?.traceName ?? (joined ? undefined : traceNameOf(call, profile.traceName ?? 'tenant')))
  set(LANGFUSE.userId, call.user)
  set(LANGFUSE.sessionId, call.session)
  set(LANGFUSE.tags, joined ? baggage?.tags : [...tagsOf(call), ...(baggage?.tags ?? [])])
  set(LANGFUSE.environment, langfuseEnvironment(call.environment ?? profile.environment))
  set(LANGFUSE.release, joined ? undefined : profile.release)
  set(LANGFUSE.version, baggage?.version)
  set(joined ? METADATA.tenant_id : TRACE_TENANT, call.tenant)
  set(joined ? METADATA.request_id : TRACE_REQUEST, call.requestId)
  set(METADATA.call_id, call.id)
  if (baggage?.metadata !== undefined)
    // A key of ours keeps our value: of two Langfuse takes the trace's.
    for (const key in baggage.metadata)
      if (!Object.hasOwn(METADATA, key)) set(LANGFUSE.traceMetadata + key, baggage.metadata[key])
}

/** What Langfuse's "use case" charts group by: one value a call, where tags group as a whole. */
function traceNameOf(call: LlmCall, by: TraceName): string {
  const operation = call.operation === 'unknown' ? 'llm' : call.operation
  switch (by) {
    case 'tenant':
      return call.tenant
    case 'app':
      return call.app ?? operation
    case 'route':
      return call.gateway.route ?? operation
    case 'operation':
      return operation
  }
}

function tagsOf(call: LlmCall): string[] {
  const tags = [`tenant:${call.tenant}`, `status:${call.status}`]
  if (call.gateway.route !== undefined) tags.push(`route:${call.gateway.route}`)
  if (call.cache !== undefined) tags.push(`cache:${call.cache}`)
  if (call.team !== undefined) tags.push(`team:${call.team}`)
  if (call.app !== undefined) tags.push(`app:${call.app}`)
  // Langfuse shows 0 for both: what has no price or no known usage can be filtered for, and is no silent 0.
  if (call.cost.state === 'unpriced') tags.push(`unpriced:${call.cost.reason}`)
  if (DOUBTFUL_USAGE.has(call.usageSource)) tags.push(`usage:${call.usageSource}`)
  return tags
}

const DOUBTFUL_USAGE = new Set<LlmCall['usageSource']>(['unknown', 'estimated', 'partial'])

function setOutcome(call: LlmCall, set: SetAttribute): void {
  set(
    LANGFUSE.level,
    call.status === 'ok' ? 'DEFAULT' : call.status === 'blocked' || call.status === 'aborted' ? 'WARNING' : 'ERROR',
  )
  set(
    LANGFUSE.statusMessage,
    call.status === 'ok' ? undefined : (call.errorMessage ?? `${call.status} (${call.httpStatus})`),
  )
}

function setCallAttributes(call: LlmCall, place: Place, set: SetAttribute): void {
  const { cost, gateway } = call
  if (place.trace === 'application' && place.money === 'app') {
    // A model name alone makes Langfuse count and price the text, whatever the type.
    set(LANGFUSE.type, 'span')
    set(METADATA.request_model, call.requestModel ?? call.responseModel)
  } else {
    set(LANGFUSE.type, TYPES[call.operation] ?? 'generation')
    set(LANGFUSE.model, call.model === 'unknown' ? undefined : call.model)
    set(LANGFUSE.usage, JSON.stringify(usageDetails(call)))
    set(LANGFUSE.cost, costDetails(call))
    set(METADATA.request_model, call.requestModel === call.model ? undefined : call.requestModel)
    set(LANGFUSE.promptName, call.baggage?.prompt?.name)
    set(LANGFUSE.promptVersion, call.baggage?.prompt?.version)
    // Of a stream alone: elsewhere it would be the latency, and Langfuse's averages a mixture.
    if (call.stream && call.timeToFirstByteMs !== undefined)
      set(LANGFUSE.completionStart, new Date(call.startedAt + call.timeToFirstByteMs).toISOString())
  }
  set(LANGFUSE.parameters, call.parameters === undefined ? undefined : modelParameters(call.parameters, call.dialect))
  set(METADATA.response_model, call.responseModel === call.model ? undefined : call.responseModel)
  set(METADATA.provider, call.provider === 'unknown' ? undefined : call.provider)
  set(METADATA.operation, call.operation === 'unknown' ? undefined : call.operation)
  set(METADATA.response_id, call.responseId)
  set(METADATA.service_tier, call.serviceTier)
  set(METADATA.route, gateway.route)
  set(METADATA.kong_ms, gateway.kongMs)
  set(METADATA.upstream_ms, gateway.upstreamMs)
  set(METADATA.first_byte_ms, call.timeToFirstByteMs)
  set(METADATA.original_trace_id, call.trace.originalTraceId)
  set(METADATA.claimed_tenant, call.claimedTenant)
  set(METADATA.finish_reason, call.finishReasons?.join(','))
  set(METADATA.http_status, call.httpStatus)
  set(METADATA.error_type, call.status === 'ok' ? undefined : call.errorType)
  set(METADATA.consumer, call.consumer)
  set(METADATA.usage_source, call.usageSource)
  set(METADATA.usage_reason, call.usageReason)
  set(METADATA.cost_state, cost.state)
  set(METADATA.cost_reason, cost.state === 'priced' ? undefined : cost.reason)
  set(METADATA.price_id, cost.state === 'priced' ? cost.priceId : undefined)
  // Exact as text: Langfuse reads cost_details as float64, where the last digit of a pico-USD is lost from 8,192 USD on.
  set(METADATA.cost_pico_usd, cost.state === 'priced' ? exactText(cost.picoUsd) : undefined)
  set(METADATA.saved_pico_usd, exactText(call.savedPicoUsd))
  set(METADATA.cache, call.cache)
  set(METADATA.cache_lookup_pico_usd, exactText(call.cacheLookup?.picoUsd))
  set(METADATA.rate_limited_by, call.rateLimit?.refusedBy)
  set(METADATA.attempts, call.attempts === undefined ? undefined : JSON.stringify(call.attempts))
  set(METADATA.content_truncated, call.content?.truncated)
  set(METADATA.reasons, call.reasons?.join(','))
  set(METADATA.agent_method, call.agent?.method)
  set(METADATA.agent_target, call.agent?.target)
}

/** With its unit: Langfuse makes a number of a text of digits alone, and of a number a float. */
function exactText(picoUsd: number | undefined): string | undefined {
  return picoUsd === undefined ? undefined : `${picoUsd} pUSD`
}

function setContent(content: WrittenContent | undefined, writer: SpanWriter): void {
  if (content === undefined) return
  setJson(LANGFUSE.input, content.input, writer)
  setJson(LANGFUSE.output, content.output, writer)
}

function setJson(name: string, json: WrittenJson | undefined, { set, setEscaped }: SpanWriter): void {
  if (json === undefined) return
  if ('pieces' in json) setEscaped!(name, json.pieces)
  else set(name, json.text)
}

/** `[a-z0-9-_]`, at most 40, not starting with langfuse: anything else Langfuse silently calls `default`. */
export function langfuseEnvironment(name: string): string {
  const clean = name
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, '-')
    .slice(0, 40)
  return clean === '' ? 'default' : clean.startsWith('langfuse') ? `x-${clean}`.slice(0, 40) : clean
}
