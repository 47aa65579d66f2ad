import { z } from 'zod'
import { resolveSecret, type Secret, secretSchema } from '../secret.ts'
import type { Exporter } from './exporter.ts'
import { langfuseSpans } from './langfuse-observation.ts'
import { type ExporterDeps, spansResult, tracesPush } from './otlp.ts'
import { makePoster } from './post.ts'
import { sendGroups } from './send-groups.ts'

export { langfuseSpans } from './langfuse-observation.ts'

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
    send: (batch, signal) =>
      sendGroups(
        batch,
        ({ tenant }) => perTenant.get(tenant) ?? fallback,
        async (project, calls) => {
          const push = tracesPush(
            url,
            calls.flatMap((call) => langfuseSpans(call, config)),
            'json',
          )
          const headers = { ...push.headers, authorization: project, 'x-langfuse-ingestion-version': '4' }
          return spansResult(await poster.post({ ...push, headers, gzip: true }, signal), calls.length, 'json')
        },
      ),
    close: () => poster.close(),
  }
}
