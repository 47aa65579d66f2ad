import type { PriceAttributes } from '../call.ts'
import type { Counts } from './counts.ts'
import type { DialectReading, Exchange } from './dialect.ts'
import { asCount, asList, asObject, asText, type JsonObject, withoutUndefined } from './json-value.ts'
import { countOf } from './openai-usage.ts'
import { errorOf } from './provider-error.ts'

/** The usage object of converse and of Nova. `inputTokens` leaves cached tokens out; the total holds them. */
export function countConverseUsage(raw: JsonObject): Counts | undefined {
  // Both names stand side by side in some answers.
  const cacheRead = countOf(raw, ['cacheReadInputTokens', 'cacheReadInputTokenCount'])
  const cacheWrite = countOf(raw, ['cacheWriteInputTokens', 'cacheWriteInputTokenCount'])
  let cacheWrite5m: number | undefined
  let cacheWrite1h: number | undefined
  for (const item of asList(raw.cacheDetails)) {
    const detail = asObject(item)
    const count = asCount(detail?.inputTokens)
    if (detail?.ttl === '5m') cacheWrite5m = (cacheWrite5m ?? 0) + (count ?? 0)
    if (detail?.ttl === '1h') cacheWrite1h = (cacheWrite1h ?? 0) + (count ?? 0)
  }
  const counts = together(asCount(raw.inputTokens), asCount(raw.outputTokens), cacheRead, cacheWrite)
  return counts && withoutUndefined({ ...counts, cacheWrite5m, cacheWrite1h, total: asCount(raw.totalTokens) })
}

/** `amazon-bedrock-invocationMetrics`, which the last chunk of every streamed model has. */
export function countInvocationMetrics(raw: JsonObject): Counts | undefined {
  return together(
    asCount(raw.inputTokenCount),
    asCount(raw.outputTokenCount),
    asCount(raw.cacheReadInputTokenCount),
    asCount(raw.cacheWriteInputTokenCount),
  )
}

/** The headers that Bedrock adds to an answer that is not streamed, whatever the model. */
export function countBedrockHeaders(headers: Readonly<Record<string, string>>): Counts | undefined {
  const count = (name: string) => {
    const text = headers[`x-amzn-bedrock-${name}-token-count`]
    return text === undefined || !/^\d{1,15}$/.test(text) ? undefined : Number(text)
  }
  return together(count('input'), count('output'), count('cache-read-input'), count('cache-write-input'))
}

function together(
  fresh: number | undefined,
  output: number | undefined,
  cacheRead: number | undefined,
  cacheWrite: number | undefined,
): Counts | undefined {
  if (fresh === undefined && output === undefined) return undefined
  return withoutUndefined({
    input: fresh === undefined ? undefined : fresh + (cacheRead ?? 0) + (cacheWrite ?? 0),
    output,
    cacheRead,
    cacheWrite,
  })
}

/** The model, or the profile that stands for one: the path names it, percent-encoded (some leave an ARN's slash as it is). */
export function modelInBedrockPath(path: string): string | undefined {
  const found = /\/model\/(.+)\/[a-z-]+$/.exec(path)?.[1]
  if (found === undefined) return undefined
  try {
    return decodeURIComponent(found)
  } catch {
    return found
  }
}

/** The region of the endpoint, which a private one names behind its own name; how fast the model was run. */
export function bedrockPriceAttributes(host: string, latency?: unknown): PriceAttributes | undefined {
  const region = /(?:^|\.)bedrock[a-z-]*\.([a-z0-9-]+)\.(?:vpce\.)?(?:amazonaws\.|api\.aws)/.exec(host)?.[1]
  // Latency-optimised inference has a price of its own.
  const speed = latency === 'optimized' ? 'optimized' : undefined
  return region === undefined && speed === undefined ? undefined : withoutUndefined({ region, speed })
}

/** AWS names the kind of an error in a header, `ValidationException:http://…`, or in the body: `com.amazon…#Kind`. */
export function bedrockError(body: JsonObject, { status, responseHeaders }: Exchange): DialectReading['error'] {
  const error = errorOf(body, status)
  const named = asText(responseHeaders['x-amzn-errortype']) ?? asText(body.__type)
  const type = /^(?:[^:]*#)?([\w.-]{1,64})/.exec(named ?? '')?.[1]
  const message = error?.message ?? (status >= 400 ? asText(body.Message)?.slice(0, 1024) : undefined)
  if (error === undefined && message === undefined && (type === undefined || status < 400)) return undefined
  return { type: type ?? error?.type ?? String(status), ...(message === undefined ? {} : { message }) }
}
