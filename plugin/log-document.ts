import { allowedRequestHeaders, allowedResponseHeaders } from './allow-list.ts'

type Document = Record<string, unknown>

/**
 * Picks from `kong.log.serialize()` what the wire contract knows (`kongLogSchema`), and nothing else: headers by
 * allow-list, no query strings, no PII found by ai-sanitizer. `undefined` where the document lacks what a call needs.
 */
export function pickLogDocument(document: unknown): Document | undefined {
  if (!isDocument(document) || !isDocument(document.request) || !isDocument(document.response)) return undefined
  const { request, response } = document
  if (typeof document.started_at !== 'number' || typeof response.status !== 'number') return undefined
  if (typeof request.id !== 'string' || typeof request.uri !== 'string' || typeof request.method !== 'string')
    return undefined
  return {
    ...pick(document, SCALARS),
    upstream_uri: withoutQuery(document.upstream_uri),
    trace_id: isDocument(document.trace_id) ? document.trace_id : undefined,
    request: {
      ...pick(request, ['id', 'method', 'size']),
      uri: withoutQuery(request.uri),
      headers: allowedRequestHeaders(request.headers),
    },
    response: { ...pick(response, ['status', 'size']), headers: allowedResponseHeaders(response.headers) },
    latencies: part(document.latencies, ['request', 'kong', 'proxy', 'receive']),
    tries: Array.isArray(document.tries)
      ? document.tries.map((item) => part(item, ['ip', 'port', 'balancer_start', 'state', 'code']) ?? {})
      : undefined,
    route: part(document.route, ['id', 'name', 'tags']),
    service: part(document.service, ['id', 'name', 'host', 'port', 'protocol', 'tags']),
    consumer: part(document.consumer, ['id', 'username', 'custom_id', 'tags']),
    authenticated_entity: part(document.authenticated_entity, ['id']),
    ai: withoutSanitizedItems(document.ai),
  }
}

const SCALARS = [
  'started_at',
  'client_ip',
  'source',
  'upstream_status',
  'workspace',
  'workspace_name',
  'correlation_id',
] as const

function isDocument(value: unknown): value is Document {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

function pick(from: Document, keys: readonly string[]): Document {
  const picked: Document = {}
  for (const key of keys) if (from[key] !== undefined) picked[key] = from[key]
  return picked
}

function part(value: unknown, keys: readonly string[]): Document | undefined {
  return isDocument(value) ? pick(value, keys) : undefined
}

/** `?key=…` is how Gemini's clients authenticate. */
function withoutQuery(uri: unknown): unknown {
  if (typeof uri !== 'string') return undefined
  const end = uri.indexOf('?')
  return end < 0 ? uri : uri.slice(0, end)
}

/** ai-sanitizer logs each item with its original text: of its entry only the numbers pass. */
function withoutSanitizedItems(ai: unknown): unknown {
  if (!isDocument(ai) || !isDocument(ai.sanitizer)) return ai
  const numbers = Object.entries(ai.sanitizer).filter(([, value]) => typeof value === 'number')
  return { ...ai, sanitizer: Object.fromEntries(numbers) }
}
