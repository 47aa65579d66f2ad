import type { Capture } from '../capture.ts'
import { decodeBody } from '../dialects/decode-body.ts'
import type { Exchange } from '../dialects/dialect.ts'
import { decodeText, parseJson } from '../dialects/json-value.ts'
import type { UsageLines } from '../dialects/usage-lines.ts'

export type Headers = Readonly<Record<string, string>>

/** Kong gives a header as text, number, boolean or list; a reader wants text under a name in lower case. */
export function headersOf(raw: Capture['log']['request']['headers']): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const name in raw) {
    const value = raw[name]!
    headers[name.toLowerCase()] = Array.isArray(value) ? value.join(', ') : String(value)
  }
  return headers
}

/** The bytes of a capture as an exchange with the provider, or undefined where no tap saw any. */
export function exchangeOf(capture: Capture, requestHeaders: Headers, responseHeaders: Headers): Exchange | undefined {
  const { log } = capture
  if (capture.source === 'log' || (capture.response_body == null && capture.request_body == null)) return undefined
  const request = capture.request_body == null ? undefined : Buffer.from(capture.request_body, 'base64')
  const encoding = responseHeaders['content-encoding']
  const encoded = capture.response_body == null ? undefined : Buffer.from(capture.response_body, 'base64')
  const tail = capture.response_tail == null ? undefined : Buffer.from(capture.response_tail, 'base64')
  // A compressed body with its middle cut out cannot be read on: only its head counts.
  const decoded = encoded === undefined ? undefined : decodeBody(encoded, encoding)
  const isCut = tail === undefined && capture.response_bytes != null && capture.response_bytes > (encoded?.length ?? 0)
  const isEncoded = isCompressed(encoding)
  return {
    method: log.request.method,
    host: (log.service?.host ?? '').toLowerCase(),
    path: withoutQuery(log.upstream_uri ?? log.request.uri),
    requestHeaders,
    requestBody: request,
    requestTruncated:
      capture.request_error != null || (request !== undefined && (capture.request_bytes ?? 0) > request.length),
    status: log.response.status,
    responseHeaders,
    responseBody: decoded?.bytes,
    responseTail: isEncoded ? undefined : tail,
    ...(decoded?.reason === 'too_large' ? { tooLarge: true } : {}),
    ...(capture.usage_lines == null ? {} : { usageLines: usageLinesOf(capture.usage_lines) }),
    responseComplete:
      (capture.response_complete !== false || isWholeJson(decoded?.bytes, responseHeaders)) &&
      log.response.status !== 499 &&
      decoded?.truncated !== true &&
      !isCut &&
      !(isEncoded && tail !== undefined),
  }
}

/**
 * Where a plugin of Kong buffers the answer (ai-proxy without a stream), Kong announces no last chunk (ran, 3.9.3): then
 * JSON that is whole is the whole answer.
 */
function isWholeJson(bytes: Uint8Array | undefined, headers: Headers): boolean {
  if (bytes === undefined || bytes.length > MAX_WHOLE || !(headers['content-type'] ?? '').includes('json')) return false
  return parseJson(decodeText(bytes)) !== undefined
}

const MAX_GROUPS = 64

function usageLinesOf({ lines, skipped, groups }: NonNullable<Capture['usage_lines']>): UsageLines {
  const kept = groups.slice(0, MAX_GROUPS)
  return {
    lines,
    skipped: skipped + groups.slice(MAX_GROUPS).reduce((sum, group) => sum + group.lines, 0),
    groups: kept.map(({ model, lines: counted, prompt_over, sums }) => ({
      model: model ?? undefined,
      lines: counted,
      promptOver: prompt_over,
      sums,
    })),
  }
}

/** A larger body is not parsed to know whether it is whole. */
const MAX_WHOLE = 2 * 1024 * 1024

function isCompressed(encoding: string | undefined): boolean {
  return encoding !== undefined && !['', 'identity'].includes(encoding.trim().toLowerCase())
}

/** Compressed and longer than what the tap keeps: what stood behind the cut, the usage mostly, nobody can read. */
export function isEncodedAndCut(capture: Capture, responseHeaders: Headers): boolean {
  if (!isCompressed(responseHeaders['content-encoding']) || capture.response_body == null) return false
  const kept = Buffer.byteLength(capture.response_body, 'base64')
  return capture.response_tail != null || (capture.response_bytes ?? 0) > kept
}

/** Query strings may hold keys (`?key=`): they go no further, also where the plugin left one. */
export function withoutQuery(uri: string): string {
  const end = uri.search(/[?#]/)
  return end === -1 ? uri : uri.slice(0, end)
}
