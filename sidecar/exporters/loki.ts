import { z } from 'zod'
import { EXTRA_UNITS, type LlmCall, TOKEN_TYPES, type UsageUnit } from '../call.ts'
import { secretSchema } from '../secret.ts'

import { deliverySettings, type Exporter } from './exporter.ts'
import { gzipSchema, usesGzip } from './gzip-setting.ts'

import type { ExporterDeps } from './otlp.ts'
import { makePoster, resolveHeaders } from './post.ts'
import { sendGroups, tenantsOwn } from './send-groups.ts'

export const lokiConfigSchema = z.strictObject({
  /** Base address; `/loki/api/v1/push` is added. */
  url: z.url({ protocol: /^https?$/ }),
  headers: z.record(z.string(), secretSchema).default({}),
  environment: z.string().default('default'),
  timeoutMs: z.number().int().positive().default(10_000),
  ...deliverySettings,
  gzip: gzipSchema,
})
export type LokiConfig = z.infer<typeof lokiConfigSchema>

const LIMITS = { calls: 500, bytes: 4 * 1024 * 1024 }

/** One JSON line a call, without content. The tenant is the organisation: one request for each. */
export function makeLokiExporter(config: LokiConfig, { environment }: ExporterDeps): Exporter {
  const poster = makePoster(config.timeoutMs)
  const url = `${config.url.replace(/\/$/, '')}/loki/api/v1/push`
  const gzip = usesGzip(config.gzip, url)
  const own = resolveHeaders(config.headers, environment)
  return {
    id: 'loki',
    limits: LIMITS,
    delivery: config,
    apart: () => true,
    // Loki refuses a push for one line that is too old or too long: the caller halves until it is found.
    send: (batch, signal) =>
      sendGroups(
        batch,
        ({ tenant }) => tenant,
        async (tenant, calls) => {
          const headers = { ...own, 'content-type': 'application/json', 'x-scope-orgid': organisation(tenant) }
          const body = lokiBody(calls, config.environment)
          const answer = await poster.post({ url, headers, body, gzip }, signal)
          if ('ok' in answer) return { sent: calls.length, rejected: [] }
          // One key for all, but each organisation has limits of its own.
          return 'retry' in answer && answer.retry === 'unauthorized' ? answer : tenantsOwn(answer)
        },
      ),
    close: () => poster.close(),
  }
}

/** Loki takes the organisation for a folder's name too, and refuses these two; a tenant has no other sign that it refuses. */
function organisation(tenant: string): string {
  return tenant === '.' || tenant === '..' ? `_${tenant}` : tenant
}

type Value = [nanoseconds: string, line: string, metadata: Record<string, string>]

/** Few labels (service_name, env, level), the rest as structured metadata; entries of a stream in the order of time. */
export function lokiBody(calls: readonly LlmCall[], environment: string): string {
  const streams = new Map<string, { stream: Record<string, string>; values: Value[] }>()
  for (const call of [...calls].sort((a, b) => a.startedAt - b.startedAt)) {
    const stream = { service_name: 'kong-llm-observer', env: call.environment ?? environment, level: levelOf(call) }
    const key = `${stream.env} ${stream.level}`
    const value: Value = [nanoseconds(call.startedAt), lineOf(call), metadataOf(call)]
    const known = streams.get(key)
    if (known === undefined) streams.set(key, { stream, values: [value] })
    else known.values.push(value)
  }
  return JSON.stringify({ streams: [...streams.values()] })
}

function levelOf(call: LlmCall): string {
  if (call.status === 'ok') return 'info'
  return call.status === 'server_error' || call.status === 'timeout' ? 'error' : 'warn'
}

function nanoseconds(milliseconds: number): string {
  return `${Math.round(milliseconds * 1000)}000`
}

/** What is metadata is not in the line as well: Loki would rename one of them `…_extracted`. */
function metadataOf(call: LlmCall): Record<string, string> {
  return {
    call_id: call.id,
    tenant: call.tenant,
    trace_id: call.trace.traceId,
    span_id: call.trace.spanId,
    request_id: call.requestId,
    provider: call.provider,
    model: call.model,
    status: call.status,
  }
}

function lineOf(call: LlmCall): string {
  const { cost, gateway } = call
  return JSON.stringify({
    msg: `${call.operation} ${call.model} ${call.httpStatus}`,
    // In the line: Loki takes two entries of one stream with the same time and the same line for one.
    id: call.id,
    consumer: call.consumer,
    claimed_tenant: call.claimedTenant,
    user: call.user,
    session: call.session,
    team: call.team,
    app: call.app,
    route: gateway.route,
    service: gateway.service,
    operation: call.operation,
    stream: call.stream,
    request_model: call.requestModel,
    response_id: call.responseId,
    http_status: call.httpStatus,
    error_type: call.errorType,
    error_message: call.errorMessage,
    duration_ms: call.durationMs,
    time_to_first_byte_ms: call.timeToFirstByteMs,
    finish_reasons: call.finishReasons,
    tokens: amounts(call, TOKEN_TYPES) ?? {},
    units: amounts(call, EXTRA_UNITS),
    usage_source: call.usageSource,
    usage_reason: call.usageReason,
    reasons: call.reasons,
    unread_usage: call.unreadUsage,
    cost_state: cost.state,
    cost_reason: cost.state === 'priced' ? undefined : cost.reason,
    // Text: a JSON reader that makes floats of numbers would lose the last digits.
    cost_pico_usd: cost.state === 'priced' ? String(cost.picoUsd) : undefined,
    list_pico_usd: cost.state === 'priced' && cost.listPicoUsd !== undefined ? String(cost.listPicoUsd) : undefined,
    price_id: cost.state === 'priced' ? cost.priceId : undefined,
    saved_pico_usd: call.savedPicoUsd === undefined ? undefined : String(call.savedPicoUsd),
    cache: call.cache,
    cache_lookup: call.cacheLookup,
    rate_limit: call.rateLimit,
    attempts: call.attempts,
    repeat: call.repeat,
    guardrails: call.guardrails.length > 0 ? call.guardrails : undefined,
  })
}

function amounts({ usage }: LlmCall, units: readonly UsageUnit[]): Record<string, number> | undefined {
  let used: Record<string, number> | undefined
  for (const unit of units) {
    const amount = usage[unit]
    if (amount === undefined) continue
    used ??= {}
    used[unit] = amount
  }
  return used
}
