import { type Exchange, firstOf, type Headers } from './exchange.ts'
import type { ExternalPlugin } from './kong-config.ts'
import { encodeLogDocument, type LogDocument } from './log-document.ts'
import type { Packable } from './message-pack.ts'

/** What Kong keeps of a request for the log timer in which an external plugin runs. */
export interface LogEvent {
  plugin: ExternalPlugin
  exchange: Exchange
  document: LogDocument
  nodeId: string
  /** `kong.ctx.shared[key]`. Throws for what MessagePack cannot carry. */
  shared(key: string): Packable
}

/** How Kong hands the result of a PDK call back: by which step, and what (absent: nil). */
export interface Step {
  method: string
  data: Packable
}

const STEP_METHODS: Readonly<Record<string, string>> = {
  'kong.client.get_credential': 'plugin.StepCredential',
  'kong.client.get_consumer': 'plugin.StepConsumer',
  'kong.router.get_route': 'plugin.StepRoute',
  'kong.router.get_service': 'plugin.StepService',
  'kong.request.get_headers': 'plugin.StepMultiMap',
  'kong.response.get_headers': 'plugin.StepMultiMap',
}

/** They raise in the log timer: Kong's side of the event ends there, and the plugin waits for ever. */
const RAISE_IN_LOG_TIMER: ReadonlySet<string> = new Set([
  'kong.nginx.get_var',
  'kong.request.get_path',
  'kong.request.get_path_with_query',
  'kong.request.get_query',
  'kong.request.get_raw_body',
  'kong.request.get_body',
  'kong.request.get_method',
  'kong.request.get_scheme',
])

/** Answers one PDK call as Kong does in the log phase. Throws where the call kills Kong's timer. */
export function answerPdkCall(event: LogEvent, method: string, args: readonly unknown[]): Step {
  if (RAISE_IN_LOG_TIMER.has(method)) throw new Error(`${method}: API disabled in the context of ngx.timer`)
  return { method: STEP_METHODS[method] ?? 'plugin.Step', data: resultOf(event, method, args) }
}

function resultOf(event: LogEvent, method: string, args: readonly unknown[]): Packable {
  const { exchange, document } = event
  switch (method) {
    case 'kong.log.serialize':
      return encodeLogDocument(document)
    case 'kong.ctx.shared.get':
      return typeof args[0] === 'string' ? event.shared(args[0]) : undefined
    case 'kong.client.get_consumer':
      return exchange.consumer?.entity
    case 'kong.client.get_credential':
      return exchange.credentialId === undefined ? undefined : { id: exchange.credentialId }
    case 'kong.router.get_route':
      return exchange.route?.entity
    case 'kong.router.get_service':
      return exchange.service?.entity
    case 'kong.request.get_header':
      return headerOf(exchange.requestHeaders, args[0])
    case 'kong.request.get_headers':
      return multiMap(exchange.requestHeaders)
    case 'kong.response.get_header':
      return headerOf(exchange.responseHeaders, args[0])
    case 'kong.response.get_headers':
      return multiMap(exchange.responseHeaders)
    case 'kong.response.get_status':
      return exchange.status
    case 'kong.response.get_source':
      return exchange.source
    case 'kong.node.get_id':
      return event.nodeId
    case 'kong.plugin.get_id':
      return event.plugin.id
    case 'kong.nginx.req_start_time':
      return exchange.startedAt / 1000
    // Kong logs that it could not find the method, and gives nil.
    default:
      return undefined
  }
}

function headerOf(headers: Headers, name: unknown): string | undefined {
  return typeof name === 'string' ? firstOf(headers[name.toLowerCase().replaceAll('_', '-')]) : undefined
}

/** Each value a list. An empty one is an empty map, which Kong writes on purpose. */
function multiMap(headers: Headers): Packable {
  return new Map(Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value : [value]]))
}
