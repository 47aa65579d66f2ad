import { JsonTraceSerializer, ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'
import { z } from 'zod'
import type { LlmCall } from '../call.ts'
import { secretSchema } from '../secret.ts'
import { deliverySettings, type Exporter, type SendResult } from './exporter.ts'
import { gzipSchema, usesGzip } from './gzip-setting.ts'
import { makeJsonSpans } from './json-spans.ts'
import { type Answer, makePoster, resolveHeaders } from './post.ts'
import { makeProtobufSpans } from './protobuf-spans.ts'
import { makeSampler, samplingConfigSchema } from './sampling.ts'
import { OWN } from './semantic-conventions.ts'
import { eventsOf, headOf, setContentAttributes, setStandardAttributes } from './spans.ts'

export const otlpConfigSchema = z.strictObject({
  /** Base address; `/v1/traces` is added. */
  endpoint: z.url({ protocol: /^https?$/ }),
  protocol: z.enum(['protobuf', 'json']).default('protobuf'),
  headers: z.record(z.string(), secretSchema).default({}),
  timeoutMs: z.number().int().positive().default(10_000),
  gzip: gzipSchema,
  /** Prompts and answers on spans (opt-in, as the conventions ask). */
  content: z.boolean().default(false),
  sampling: samplingConfigSchema.prefault({}),
  ...deliverySettings,
})
export type OtlpConfig = z.infer<typeof otlpConfigSchema>

export interface ExporterDeps {
  environment: Readonly<Record<string, string | undefined>>
}

const LIMITS = { calls: 200, bytes: 2 * 1024 * 1024 }

/** One span a call to any OTLP/HTTP receiver. */
export function makeOtlpExporter(config: OtlpConfig, { environment }: ExporterDeps): Exporter {
  const poster = makePoster(config.timeoutMs)
  const sampler = makeSampler(config.sampling)
  const headers = resolveHeaders(config.headers, environment)
  const url = `${config.endpoint.replace(/\/$/, '')}/v1/traces`
  const contentType = config.protocol === 'protobuf' ? 'application/x-protobuf' : 'application/json'
  const gzip = usesGzip(config.gzip, url)
  const writer = config.protocol === 'protobuf' ? makeProtobufSpans() : makeJsonSpans()
  function bodyOf(batch: readonly LlmCall[]): Buffer {
    writer.begin()
    for (const call of batch) {
      writer.open(headOf(call))
      setStandardAttributes(call, writer.set)
      if (config.content) setContentAttributes(call, writer.set)
      writer.set(OWN.samplingRatio, sampler.ratioFor(call))
      writer.close(eventsOf(call))
    }
    return writer.end()
  }
  return {
    id: 'otlp',
    limits: LIMITS,
    delivery: config,
    wants: sampler.keeps,
    async send(batch, signal) {
      const push = { url, headers: { ...headers, 'content-type': contentType }, body: bodyOf(batch), gzip }
      const answer = await poster.post(push, signal)
      return spansResult(answer, batch.length, config.protocol)
    },
    close: () => poster.close(),
  }
}

/** A 200 may still say that some spans were refused, only how many: they are counted, and not sent again. */
export function spansResult(answer: Answer, sent: number, protocol: OtlpConfig['protocol']): SendResult {
  if (!('ok' in answer)) return answer
  const refused = Math.min(sent, refusedSpans(answer.ok, protocol))
  return {
    sent: sent - refused,
    rejected: Array.from({ length: refused }, () => ({ index: -1, reason: 'partial_success' })),
  }
}

function refusedSpans(body: Buffer, protocol: OtlpConfig['protocol']): number {
  if (body.length === 0) return 0
  try {
    const serializer = protocol === 'protobuf' ? ProtobufTraceSerializer : JsonTraceSerializer
    const refused = Number(serializer.deserializeResponse(body).partialSuccess?.rejectedSpans ?? 0)
    return Number.isSafeInteger(refused) && refused > 0 ? refused : 0
  } catch {
    // A 200 whose body is not OTLP (Langfuse answers {}): all was taken.
    return 0
  }
}
