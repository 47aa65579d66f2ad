/**
 * What may leave Kong: headers by name, nothing else (design law 11). `plugin/tap/document.lua` names the same ones; a test compares.
 * Credentials, cookies and the spoofable X-Consumer-* headers are not here, and must not come.
 */
export const REQUEST_HEADERS: readonly string[] = [
  'content-type',
  'content-length',
  'accept',
  'user-agent',
  'traceparent',
  'tracestate',
  'baggage',
  'b3',
  'x-b3-traceid',
  'x-b3-spanid',
  'x-b3-parentspanid',
  'x-b3-sampled',
  'x-request-id',
  'x-correlation-id',
  'x-tenant-id',
  'x-session-id',
  'x-user-id',
  'anthropic-version',
  'anthropic-beta',
  'openai-beta',
]

export const RESPONSE_HEADERS: readonly string[] = [
  'content-type',
  'content-encoding',
  'content-length',
  'x-request-id',
  'request-id',
  'x-kong-request-id',
  'age',
  'retry-after',
  'cf-aig-cache-status',
  'x-litellm-cache-key',
  'x-portkey-cache-status',
  'helicone-cache',
  'x-kong-llm-model',
  'x-kong-upstream-latency',
  'x-kong-proxy-latency',
  'openai-processing-ms',
  'openai-model',
  'apim-request-id',
  'azureai-processed-tier',
  'x-gemini-service-tier',
  'x-amzn-requestid',
]

export const RESPONSE_HEADER_PREFIXES: readonly string[] = [
  'x-cache',
  'x-semantic-cache',
  'x-ratelimit-',
  'ratelimit',
  'x-ai-ratelimit-',
  'anthropic-ratelimit-',
  'x-amzn-bedrock-',
]

export type HeaderValue = string | number | boolean | (string | boolean)[]

const requestNames = new Set(REQUEST_HEADERS)
const responseNames = new Set(RESPONSE_HEADERS)

export function allowedRequestHeaders(headers: unknown): Record<string, HeaderValue> {
  return pick(headers, (name) => requestNames.has(name))
}

export function allowedResponseHeaders(headers: unknown): Record<string, HeaderValue> {
  return pick(
    headers,
    (name) => responseNames.has(name) || RESPONSE_HEADER_PREFIXES.some((prefix) => name.startsWith(prefix)),
  )
}

function pick(headers: unknown, allows: (name: string) => boolean): Record<string, HeaderValue> {
  const picked: Record<string, HeaderValue> = {}
  if (headers === null || typeof headers !== 'object' || Array.isArray(headers)) return picked
  for (const [key, value] of Object.entries(headers)) {
    const name = key.toLowerCase()
    if (allows(name) && isHeaderValue(value)) picked[name] = value
  }
  return picked
}

function isHeaderValue(value: unknown): value is HeaderValue {
  if (Array.isArray(value)) return value.every((item) => typeof item === 'string' || typeof item === 'boolean')
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}
