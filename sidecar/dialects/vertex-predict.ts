import type { Counts } from './counts.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { geminiPriceAttributes, modelInGooglePath, verbOfGooglePath } from './gemini-usage.ts'
import { asCount, asList, asObject, asText, type JsonObject, withoutUndefined } from './json-value.ts'
import { errorOf } from './provider-error.ts'
import { isRefusal, viewResponse } from './response-view.ts'
import { usageOutcome } from './usage-outcome.ts'

/**
 * `:predict` of Google's own models, on Vertex or (Imagen) at Google AI: embeddings with statistics of each text,
 * pictures, and the texts of PaLM. What customers deploy themselves (`/endpoints/…:predict`) has no format.
 */
export const vertexPredict: Dialect = {
  id: 'vertex-predict',
  matches: ({ path, host }) =>
    verbOfGooglePath(path) === 'predict' &&
    (path.includes('/publishers/google/models/') ||
      (host === 'generativelanguage.googleapis.com' && path.includes('/models/'))),
  read: readPredict,
}

function readPredict(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const view = viewResponse(exchange)
  const whole = view.form === 'json'
  const answer = whole || view.form === 'cut_json' ? view.value : {}
  const predictions = asList(answer.predictions)
    .map(asObject)
    .filter((item) => item !== undefined)
  const images = predictions.filter(isImage).length
  const filtered = predictions.flatMap(({ raiFilteredReason }) => asText(raiFilteredReason) ?? [])
  const requestModel = modelInGooglePath(exchange.path)
  const error = errorOf(answer, exchange.status)
  const outcome = usageOutcome({
    status: exchange.status,
    form: view.form,
    counts: countPaLmText(answer) ?? countTexts(predictions),
    raw: asObject(answer.metadata),
    whole,
    ended: whole,
    failed: error !== undefined,
    started: false,
  })
  // Imagen bills each picture that it hands out and reports nothing.
  const counted = whole && images > 0 && outcome.usageSource === 'unknown' && !isRefusal(exchange.status)
  // Nor does it bill those that its filter kept back.
  const withheld = whole && images === 0 && filtered.length > 0 && outcome.usageSource === 'unknown'
  const texts = asList(body?.instances).flatMap((item) => {
    const instance = asObject(item)
    const text = asText(instance?.content) ?? asText(instance?.prompt) ?? asText(instance?.text)
    return text === undefined ? [] : [{ role: 'user', parts: [{ type: 'text' as const, content: text }] }]
  })
  return {
    operation: operationOf(requestModel, images),
    stream: false,
    ...withoutUndefined({
      requestModel,
      priceAttributes: geminiPriceAttributes(undefined, exchange.host, exchange.path),
      error,
    }),
    ...(counted
      ? { counts: { images }, usageSource: 'counted' as const }
      : withheld
        ? { counts: {}, usageSource: 'none' as const }
        : outcome),
    guardrails: filtered.slice(0, 16).map((reason) => ({
      guardrail: 'gcp.imagen.safety',
      stage: 'output' as const,
      action: 'blocked' as const,
      reason: reason.slice(0, 64),
    })),
    billable: !withheld,
    ...(texts.length === 0 ? {} : { content: { input: texts } }),
  }
}

function isImage({ mimeType, bytesBase64Encoded, gcsUri }: JsonObject): boolean {
  const kind = asText(mimeType) ?? 'image/png'
  return kind.startsWith('image/') && (asText(bytesBase64Encoded) ?? asText(gcsUri)) !== undefined
}

/** Each text has its own count; where one has none, nobody knows the sum. */
function countTexts(predictions: readonly JsonObject[]): Counts | undefined {
  const counts = predictions.map(({ embeddings }) => asCount(asObject(asObject(embeddings)?.statistics)?.token_count))
  if (counts.length === 0 || counts.includes(undefined)) return undefined
  return { input: counts.reduce<number>((sum, count) => sum + (count ?? 0), 0) }
}

/** PaLM's texts: `metadata.tokenMetadata.{input,output}TokenCount.totalTokens`. */
function countPaLmText(answer: JsonObject): Counts | undefined {
  const tokens = asObject(asObject(answer.metadata)?.tokenMetadata)
  const input = asCount(asObject(tokens?.inputTokenCount)?.totalTokens)
  const output = asCount(asObject(tokens?.outputTokenCount)?.totalTokens)
  return input === undefined && output === undefined ? undefined : withoutUndefined({ input, output })
}

function operationOf(model = '', images: number): DialectReading['operation'] {
  if (images > 0 || model.startsWith('imag')) return 'image_generation'
  if (/embedding|gecko/.test(model)) return 'embeddings'
  return /bison|unicorn/.test(model) ? 'text_completion' : 'unknown'
}
