import { createHash } from 'node:crypto'
import type { Attributes } from '@opentelemetry/api'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-node'
import { z } from 'zod'
import { type LlmCall, type Message, TOKEN_TYPES, type TokenType } from '../call.ts'
import { resolveSecret, type Secret, secretSchema } from '../secret.ts'
import type { Exporter, Rejection } from './exporter.ts'
import { type ExporterDeps, spansResult, tracesPush } from './otlp.ts'
import { makePoster } from './post.ts'
import { GEN_AI, LANGFUSE } from './semantic-conventions.ts'
import { makeSpan } from './spans.ts'

const projectSchema = z.strictObject({ publicKey: z.string().min(1), secretKey: secretSchema })

export const langfuseConfigSchema = z.strictObject({
  url: z.url({ protocol: /^https?$/ }),
  /** The project of every tenant that has none of its own. */
  publicKey: z.string().min(1),
  secretKey: secretSchema,
  /** Tenant → project. */
  tenants: z.record(z.string(), projectSchema).default({}),
  /** Where the call itself names none. */
  environment: z.string().default('default'),
  release: z.string().optional(),
  content: z.boolean().default(true),
  timeoutMs: z.number().int().positive().default(10_000),
})
export type LangfuseConfig = z.infer<typeof langfuseConfigSchema>

const LIMITS = { calls: 100, bytes: 2 * 1024 * 1024 }

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
  cache_write: 'input_cache_creation',
  cache_write_5m: 'input_cache_creation_5m',
  cache_write_1h: 'input_cache_creation_1h',
  output: 'output',
  output_reasoning: 'output_reasoning_tokens',
  output_audio: 'output_audio_tokens',
  output_image: 'output_image_tokens',
}

/**
 * The OTLP door of Langfuse: the legacy ingestion answers 207 and refuses every event on a v4 server.
 * As JSON: with prompts and answers on it a span costs half of what it costs in protobuf, and Langfuse takes both.
 */
export function makeLangfuseExporter(config: LangfuseConfig, { environment }: ExporterDeps): Exporter {
  const poster = makePoster(config.timeoutMs)
  const authorization = (project: { publicKey: string; secretKey: Secret }) =>
    `Basic ${Buffer.from(`${project.publicKey}:${resolveSecret(project.secretKey, environment)}`).toString('base64')}`
  const fallback = authorization(config)
  const perTenant = new Map(Object.entries(config.tenants).map(([tenant, project]) => [tenant, authorization(project)]))
  const url = `${config.url.replace(/\/$/, '')}/api/public/otel/v1/traces`

  return {
    id: 'langfuse',
    limits: LIMITS,
    /** One request a project. If one fails the whole batch comes again: identical ids make that harmless. */
    async send(batch, signal) {
      const projects = new Map<string, LlmCall[]>()
      for (const call of batch) {
        const project = perTenant.get(call.tenant) ?? fallback
        const calls = projects.get(project)
        if (calls === undefined) projects.set(project, [call])
        else calls.push(call)
      }
      const rejected: Rejection[] = []
      let dropped: { drop: string } | undefined
      for (const [project, calls] of projects) {
        const spans = calls.flatMap((call) => langfuseSpans(call, config))
        const push = tracesPush(url, spans, 'json')
        const headers = { ...push.headers, authorization: project, 'x-langfuse-ingestion-version': '4' }
        const answer = spansResult(await poster.post({ ...push, headers, gzip: true }, signal), calls.length, 'json')
        if ('retry' in answer) return answer
        if ('drop' in answer) dropped = answer
        else rejected.push(...answer.rejected)
      }
      return dropped ?? { sent: batch.length - rejected.length, rejected }
    },
    close: () => poster.close(),
  }
}

/** The call, and each guardrail event as an observation under it. */
export function langfuseSpans(
  call: LlmCall,
  config: Pick<LangfuseConfig, 'environment' | 'release' | 'content'>,
): ReadableSpan[] {
  const shared = traceAttributes(call, config)
  const observation = makeSpan({
    call,
    attributes: { ...shared, ...callAttributes(call, config) },
  })
  const guardrails = call.guardrails.map((event, index) =>
    makeSpan({
      call,
      spanId: createHash('sha256').update(`${call.id} guardrail ${index}`).digest('hex').slice(0, 16),
      parentSpanId: call.trace.spanId,
      name: event.guardrail,
      attributes: {
        ...shared,
        [LANGFUSE.type]: 'guardrail',
        [LANGFUSE.level]: event.action === 'blocked' ? 'ERROR' : 'WARNING',
        [LANGFUSE.statusMessage]: event.reason ?? `${event.action} (${event.stage})`,
        [`${LANGFUSE.metadata}stage`]: event.stage,
        [`${LANGFUSE.metadata}action`]: event.action,
      },
    }),
  )
  return [observation, ...guardrails]
}

/** v4 looks at observations first: what belongs to the trace stands on every span. */
function traceAttributes(call: LlmCall, config: Pick<LangfuseConfig, 'environment' | 'release'>): Attributes {
  const tags = [`tenant:${call.tenant}`, `status:${call.status}`]
  if (call.gateway.route !== undefined) tags.push(`route:${call.gateway.route}`)
  if (call.cache !== undefined) tags.push(`cache:${call.cache}`)
  if (call.team !== undefined) tags.push(`team:${call.team}`)
  if (call.app !== undefined) tags.push(`app:${call.app}`)
  // Not a silent 0: what has no price can be filtered for.
  if (call.cost.state === 'unpriced') tags.push(`unpriced:${call.cost.reason}`)
  return withoutUndefined({
    [LANGFUSE.traceName]: call.operation === 'unknown' ? 'llm' : call.operation,
    [LANGFUSE.userId]: call.user,
    [LANGFUSE.sessionId]: call.session,
    [LANGFUSE.tags]: tags,
    [`${LANGFUSE.traceMetadata}tenant_id`]: call.tenant,
    [`${LANGFUSE.traceMetadata}request_id`]: call.requestId,
    [LANGFUSE.environment]: langfuseEnvironment(call.environment ?? config.environment),
    [LANGFUSE.release]: config.release,
    // The caller's own span, if there is one, never reaches Langfuse: without this the trace is hidden by default.
    [LANGFUSE.appRoot]: true,
  })
}

function callAttributes(call: LlmCall, config: Pick<LangfuseConfig, 'content'>): Attributes {
  const { content, cost } = call
  return withoutUndefined({
    // Of the conventions only what Langfuse maps: anything else would sink into metadata.attributes.
    [GEN_AI.operation]: call.operation === 'unknown' ? undefined : call.operation,
    [GEN_AI.provider]: call.provider,
    [GEN_AI.requestModel]: call.requestModel,
    [GEN_AI.responseModel]: call.responseModel,
    [LANGFUSE.type]: call.operation === 'embeddings' ? 'embedding' : 'generation',
    [LANGFUSE.level]:
      call.status === 'ok' ? 'DEFAULT' : call.status === 'blocked' || call.status === 'aborted' ? 'WARNING' : 'ERROR',
    [LANGFUSE.statusMessage]:
      call.status === 'ok' ? undefined : (call.errorMessage ?? `${call.status} (${call.httpStatus})`),
    [LANGFUSE.model]: call.model === 'unknown' ? undefined : call.model,
    [LANGFUSE.parameters]: call.parameters === undefined ? undefined : JSON.stringify(call.parameters),
    [LANGFUSE.usage]: JSON.stringify(usageDetails(call)),
    [LANGFUSE.cost]: costDetails(call),
    [LANGFUSE.completionStart]:
      call.timeToFirstByteMs === undefined
        ? undefined
        : new Date(call.startedAt + call.timeToFirstByteMs).toISOString(),
    [LANGFUSE.input]:
      config.content && content?.input !== undefined
        ? JSON.stringify(inputOf(content.system, content.input))
        : undefined,
    [LANGFUSE.output]:
      config.content && content?.output !== undefined ? JSON.stringify(outputOf(content.output)) : undefined,
    [`${LANGFUSE.metadata}usage_source`]: call.usageSource,
    [`${LANGFUSE.metadata}finish_reason`]: call.finishReasons?.join(','),
    [`${LANGFUSE.metadata}http_status`]: call.httpStatus,
    [`${LANGFUSE.metadata}consumer`]: call.consumer,
    [`${LANGFUSE.metadata}cost_state`]: cost.state,
    [`${LANGFUSE.metadata}price_id`]: cost.state === 'priced' ? cost.priceId : undefined,
    [`${LANGFUSE.metadata}cost_pico_usd`]: cost.state === 'priced' ? String(cost.picoUsd) : undefined,
    [`${LANGFUSE.metadata}saved_pico_usd`]: call.savedPicoUsd === undefined ? undefined : String(call.savedPicoUsd),
  })
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
  details.total = total
  return details
}

/**
 * Always with a total, without which Langfuse shows none. What costs nothing, or has no price, is sent as 0: given no
 * cost Langfuse would price it by its own list, and there would be two truths.
 */
function costDetails({ cost }: LlmCall): string {
  if (cost.state !== 'priced') return '{"total":0}'
  const parts = TOKEN_TYPES.flatMap((type) => {
    const picoUsd = cost.byUnit[type]
    return picoUsd === undefined ? [] : [`"${BUCKETS[type]}":${decimalUsd(picoUsd)}`]
  })
  return `{${[...parts, `"total":${decimalUsd(cost.picoUsd)}`].join(',')}}`
}

/** The exact amount as a JSON number. */
export function decimalUsd(picoUsd: number): string {
  const digits = String(picoUsd).padStart(13, '0')
  return `${digits.slice(0, -12)}.${digits.slice(-12)}`.replace(/\.?0+$/, '')
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

function withoutUndefined(given: Attributes): Attributes {
  const attributes: Attributes = {}
  for (const name in given) if (given[name] !== undefined) attributes[name] = given[name]
  return attributes
}
