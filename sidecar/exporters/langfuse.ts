import { z } from 'zod'
import type { LlmCall } from '../call.ts'
import { resolveSecret, type Secret, secretSchema } from '../secret.ts'
import { tenantMap } from '../tenant.ts'

import { deliverySettings, type Exporter, type SendResult } from './exporter.ts'
import { gzipSchema, usesGzip } from './gzip-setting.ts'
import { makeJsonSpans } from './json-spans.ts'
import { writeLangfuseSpans } from './langfuse-observation.ts'
import { applicationsSchema, dependsOnSeen, makePlaces, TRACE_NAMES } from './langfuse-place.ts'
import { type ScoresTaken, scoresBody, scoresTaken } from './langfuse-scores.ts'
import { makeSeenApplications } from './langfuse-seen.ts'
import { type ExporterDeps, spansResult } from './otlp.ts'
import { makePoster } from './post.ts'
import { sendGroups, tenantsOwn } from './send-groups.ts'

const projectSchema = z.strictObject({ publicKey: z.string().min(1), secretKey: secretSchema })

export const langfuseConfigSchema = z.strictObject({
  url: z.url({ protocol: /^https?$/ }),
  /** The project of every tenant that has none of its own. */
  publicKey: z.string().min(1),
  secretKey: secretSchema,
  /** Tenant → project. */
  tenants: tenantMap(projectSchema).prefault({}),
  /** Where the call itself names none. */
  environment: z.string().default('default'),
  release: z.string().optional(),
  /** What names the trace of a call; where the call has none of it, its operation. */
  traceName: z.enum(TRACE_NAMES).default('tenant'),
  applications: applicationsSchema.prefault({}),
  content: z.boolean().default(true),
  /** A score for each guardrail event. */
  scores: z.boolean().default(true),
  timeoutMs: z.number().int().positive().default(10_000),
  ...deliverySettings,
  gzip: gzipSchema,
})
export type LangfuseConfig = z.infer<typeof langfuseConfigSchema>

const MAX_REMEMBERED = 10_000
/** A call's content goes out twice, on root and generation. */
const LIMITS = { calls: 100, bytes: 1024 * 1024 }
/** Of scopes whose name begins with `langfuse-sdk` Langfuse does not copy every attribute into the metadata. */
export const LANGFUSE_SCOPE = 'langfuse-sdk-kong-llm-observer'

/**
 * The OTLP door of Langfuse: the legacy ingestion answers 207 and refuses every event on a v4 server.
 * As JSON: with prompts and answers on it a span costs half of what it costs in protobuf, and Langfuse takes both.
 */
export function makeLangfuseExporter(
  config: LangfuseConfig,
  { environment }: ExporterDeps,
  /** How long after a push an application's trace is looked at. */
  lookAfterMs?: number,
): Exporter {
  const poster = makePoster(config.timeoutMs)
  const writer = makeJsonSpans(LANGFUSE_SCOPE)
  const authorization = (project: { publicKey: string; secretKey: Secret }) =>
    `Basic ${Buffer.from(`${project.publicKey}:${resolveSecret(project.secretKey, environment)}`).toString('base64')}`
  const fallback = authorization(config)
  const perTenant = new Map(Object.entries(config.tenants).map(([tenant, project]) => [tenant, authorization(project)]))
  const projectOf = (tenant: string) => perTenant.get(tenant) ?? fallback
  const base = config.url.replace(/\/$/, '')
  const gzip = usesGzip(config.gzip, base)
  const seen = makeSeenApplications({
    get: (path, call) => poster.get(base + path, { authorization: projectOf(call.tenant) }),
    keyOf: (call) =>
      JSON.stringify([projectOf(call.tenant), call.gateway.route, call.app ?? call.consumer ?? call.tenant]),
    ...(lookAfterMs !== undefined && { lookAfterMs }),
  })
  const profile = { ...config, placeOf: makePlaces(config.applications, seen.of) }
  const scores: ScoresTaken = { sent: 0, refused: 0 }
  /** Calls whose spans were taken and whose scores were not: when they come again, their scores alone go out. */
  const spansTaken = new Set<string>()

  async function sendSpans(project: string, calls: readonly LlmCall[], signal: AbortSignal): Promise<SendResult> {
    writer.begin()
    for (const call of calls) writeLangfuseSpans(call, profile, writer)
    const headers = {
      'content-type': 'application/json',
      authorization: project,
      'x-langfuse-ingestion-version': '4',
    }
    const push = { url: `${base}/api/public/otel/v1/traces`, headers, body: writer.end(), gzip }
    return spansResult(await poster.post(push, signal), calls.length, 'json')
  }

  /** Undefined where they are taken, or refused for good: a score is no reason to hold up a call. */
  async function sendScores(project: string, calls: readonly LlmCall[], signal: AbortSignal) {
    const body = config.scores ? scoresBody(calls, config.environment) : undefined
    if (body === undefined) return undefined
    const headers = { authorization: project, 'content-type': 'application/json' }
    const answer = await poster.post({ url: `${base}/api/public/ingestion`, headers, body, gzip: false }, signal)
    const all = calls.reduce((sum, { guardrails }) => sum + guardrails.length, 0)
    if ('ok' in answer) {
      const taken = scoresTaken(answer.ok, calls)
      scores.sent += taken.sent
      scores.refused += taken.refused
    } else if ('drop' in answer || answer.retry === 'http_404' || answer.retry === 'http_405') scores.refused += all
    else return answer
    return undefined
  }

  return {
    id: 'langfuse',
    limits: LIMITS,
    delivery: config,
    scores,
    apart: (tenant) => perTenant.has(tenant),
    send: (batch, signal) =>
      sendGroups(
        batch,
        ({ tenant }) => projectOf(tenant),
        async (project, calls) => {
          const own = (result: SendResult) => (perTenant.has(calls[0]!.tenant) ? tenantsOwn(result) : result)
          const fresh = calls.filter(({ id }) => !spansTaken.has(id))
          const result = fresh.length === 0 ? { sent: 0, rejected: [] } : await sendSpans(project, fresh, signal)
          if (!('sent' in result)) return own(result)
          for (const call of fresh) if (dependsOnSeen(call, config.applications)) seen.taken(call)
          const retry = await sendScores(project, calls, signal)
          // What was refused in part is said again with the next push, and what grows without end is forgotten.
          if (spansTaken.size > MAX_REMEMBERED) spansTaken.clear()
          for (const { id } of calls)
            if (retry === undefined) spansTaken.delete(id)
            else if (result.rejected.length === 0) spansTaken.add(id)
          if (retry !== undefined) return own(retry)
          return { sent: calls.length - result.rejected.length, rejected: result.rejected }
        },
      ),
    close() {
      seen.close()
      return poster.close()
    },
  }
}
