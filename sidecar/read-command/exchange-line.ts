import { z } from 'zod'
import { decodeBody } from '../dialects/decode-body.ts'
import type { Exchange } from '../dialects/dialect.ts'

/** Header values as other tools write them: lists and numbers too. */
const headers = z
  .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string()), z.null()]))
  .nullish()

/** One recorded exchange with a provider: a line of what `kong-llm-observer read` takes. */
const lineSchema = z.object({
  id: z.union([z.string(), z.number()]),
  method: z.string().max(32).default('POST'),
  host: z.string(),
  url_path: z.string(),
  request_headers: headers,
  /** JSON as it is, or the body's text. */
  request_body: z.unknown().optional(),
  response_status: z.number().int().min(100).max(599),
  response_headers: headers,
  response_body_b64: z.base64({ error: 'not base64' }).nullish(),
  /** When it happened (ISO 8601, or epoch milliseconds): prices as of then; absent: now. */
  at: z.union([z.iso.datetime({ offset: true }), z.number().int().nonnegative()]).nullish(),
})

export interface ExchangeLine {
  id: string | number
  at: number
  exchange: Exchange
}

/** Throws an Error that names the field. */
export function parseExchangeLine(text: string, now: () => number): ExchangeLine {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    throw new Error(`not JSON (${(error as Error).message})`)
  }
  const parsed = lineSchema.safeParse(json)
  if (!parsed.success)
    throw new Error(
      parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'line'}: ${message}`).join('; '),
    )
  const line = parsed.data
  const requestHeaders = lowerCased(line.request_headers)
  const responseHeaders = lowerCased(line.response_headers)
  const bytes = line.response_body_b64 == null ? undefined : Buffer.from(line.response_body_b64, 'base64')
  const decoded = bytes === undefined ? undefined : decodeBody(bytes, responseHeaders['content-encoding'])
  return {
    id: line.id,
    at: typeof line.at === 'number' ? line.at : line.at == null ? now() : Date.parse(line.at),
    exchange: {
      method: line.method.toUpperCase(),
      host: line.host.toLowerCase().replace(/:\d+$/, ''),
      path: line.url_path.replace(/[?#].*$/s, ''),
      requestHeaders,
      requestBody: bytesOf(line.request_body),
      requestTruncated: false,
      status: line.response_status,
      responseHeaders,
      // Recorders often undo the encoding and keep its header: then the body is what it is.
      responseBody: decoded?.reason === 'corrupt' || decoded?.reason === 'unknown_encoding' ? bytes : decoded?.bytes,
      responseTail: undefined,
      responseComplete: decoded?.truncated !== true,
    },
  }
}

function bytesOf(body: unknown): Uint8Array | undefined {
  if (body === undefined || body === null) return undefined
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
}

function lowerCased(raw: z.infer<typeof headers>): Record<string, string> {
  const result: Record<string, string> = {}
  for (const [name, value] of Object.entries(raw ?? {}))
    if (value !== null) result[name.toLowerCase()] = Array.isArray(value) ? value.join(', ') : String(value)
  return result
}
