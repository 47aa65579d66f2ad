import { z } from 'zod'
import type { Content, LlmCall } from '../call.ts'
import { tenantSchema } from '../tenant.ts'

/** off: no content. redacted: masked before it rests. full: as it came. From least to most. */
export const CONTENT_MODES = ['off', 'redacted', 'full'] as const
export type ContentMode = (typeof CONTENT_MODES)[number]
const mode = z.enum(CONTENT_MODES)

const settings = {
  /** What the log on disk and every sink without a word of its own keeps. */
  content: mode.optional(),
  /** A sink's id → what it gets: `{ loki: off, langfuse: full }`. */
  sinks: z.record(z.string().min(1), mode).optional(),
  /** How long content is kept; the call itself stays as long as the log has it. */
  retentionDays: z.number().positive().max(3660).optional(),
  /** Content is neither deleted by age nor by `erase`. */
  legalHold: z.boolean().optional(),
}

/** Who keeps content. The first rule that fits a call speaks; what it leaves out, `default` says. */
export const contentPolicySchema = z.strictObject({
  default: z.strictObject(settings).prefault({}),
  rules: z
    .array(
      z
        .strictObject({
          /** Names or keys (docs/attribution.md). */
          tenants: z.array(tenantSchema).min(1).optional(),
          routes: z.array(z.string().min(1)).min(1).optional(),
          ...settings,
        })
        .refine(({ tenants, routes }) => tenants !== undefined || routes !== undefined, {
          message: 'a rule without tenants and routes fits every call: write it as `default`',
        }),
    )
    .default([]),
})
export type ContentPolicyConfig = z.infer<typeof contentPolicySchema>

export interface ContentPolicy {
  content: ContentMode
  /** Absent: as long as the log keeps the call. */
  retentionDays?: number
  legalHold: boolean
}

/** What the policy looks at. */
export type PolicyCall = Pick<LlmCall, 'tenant'> & { gateway: Pick<LlmCall['gateway'], 'route'> }

/** What `sink` may have of a call; undefined: the log on disk before any sink. Pure. */
export function policyFor(call: PolicyCall, sink: string | undefined, config: ContentPolicyConfig): ContentPolicy {
  const rule = config.rules.find(
    ({ tenants, routes }) =>
      (tenants === undefined || tenants.includes(call.tenant)) &&
      (routes === undefined || (call.gateway.route !== undefined && routes.includes(call.gateway.route))),
  )
  const own = (setting: { sinks?: Record<string, ContentMode> | undefined } | undefined) =>
    sink !== undefined && setting?.sinks !== undefined && Object.hasOwn(setting.sinks, sink)
      ? setting.sinks[sink]
      : undefined
  const retentionDays = rule?.retentionDays ?? config.default.retentionDays
  return {
    content: own(rule) ?? rule?.content ?? own(config.default) ?? config.default.content ?? 'redacted',
    ...(retentionDays !== undefined && { retentionDays }),
    legalHold: rule?.legalHold ?? config.default.legalHold ?? false,
  }
}

/** What has to rest in the log so that every sink can have its share: the most that any of them may have. Pure. */
export function storedMode(call: PolicyCall, sinks: readonly string[], config: ContentPolicyConfig): ContentMode {
  const modes = [undefined, ...sinks].map((sink) => CONTENT_MODES.indexOf(policyFor(call, sink, config).content))
  return CONTENT_MODES[Math.max(...modes)]!
}

/** The call as `sink` may have it. Pure but for the redactor, which is a function of its text. */
export function callFor(
  call: LlmCall,
  sink: string,
  config: ContentPolicyConfig,
  redactor: { content(content: Content, tenant?: string): Content },
): LlmCall {
  if (call.content === undefined) return call
  const { content: wanted } = policyFor(call, sink, config)
  if (wanted === 'off') {
    const { content: _left, ...rest } = call
    return rest
  }
  if (wanted === 'full' || call.content.unredacted !== true) return call
  const { unredacted: _flag, ...content } = redactor.content(call.content, call.tenant)
  return { ...call, content }
}

/** The exporter, which gets of each call what the policy lets its sink have. */
export function withPolicy<
  E extends { id: string; send(batch: readonly LlmCall[], signal: AbortSignal): Promise<unknown> },
>(exporter: E, config: ContentPolicyConfig, redactor: Parameters<typeof callFor>[3]): E {
  const send: E['send'] = (batch, signal) =>
    exporter.send(
      batch.map((call) => callFor(call, exporter.id, config, redactor)),
      signal,
    )
  return Object.assign(Object.create(exporter) as E, { send })
}
