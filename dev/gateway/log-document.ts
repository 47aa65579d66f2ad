import type { Exchange } from './exchange.ts'
import { WORKSPACE_ID } from './kong-config.ts'

const SOURCE_NAMES = { service: 'upstream', exit: 'kong', error: 'kong' } as const

/** What `kong.log.serialize()` of Kong 3.9 gives for this request: same keys, same types. */
export function logDocument(exchange: Exchange) {
  const { route, service, consumer, credentialId } = exchange
  return {
    request: {
      id: exchange.id,
      uri: exchange.uri,
      url: `http://${hostOf(exchange)}:${exchange.port}${exchange.uri}`,
      querystring: queryOf(exchange.uri),
      method: exchange.method,
      headers: withoutCredentials(exchange.requestHeaders),
      size: exchange.requestSize,
    },
    response: { status: exchange.status, headers: exchange.responseHeaders, size: exchange.responseSize },
    latencies: {
      kong: exchange.kongMs,
      proxy: exchange.waitingMs ?? -1,
      request: exchange.requestMs,
      receive: exchange.receiveMs,
    },
    upstream_uri: exchange.upstreamUri,
    /** nginx's variable: text, and of several tries a list. */
    upstream_status: exchange.upstreamStatus,
    ...(route !== undefined && { tries: exchange.tries, route: route.entity }),
    ...(service !== undefined && { service: service.entity }),
    ...(consumer !== undefined && { consumer: consumer.entity }),
    ...(credentialId !== undefined && { authenticated_entity: { id: credentialId } }),
    client_ip: exchange.clientIp,
    started_at: exchange.startedAt,
    source: SOURCE_NAMES[exchange.source],
    workspace: WORKSPACE_ID,
    workspace_name: 'default',
    ...exchange.serializeValues,
  }
}
export type LogDocument = ReturnType<typeof logDocument>

/** As cjson writes it: an empty table is an object, but for `tries`, which Kong marks as a list; slashes are escaped. */
export function encodeLogDocument(document: LogDocument): string {
  return JSON.stringify(document).replaceAll('/', '\\/')
}

function hostOf({ host }: Exchange): string {
  return host.replace(/:\d+$/, '')
}

function queryOf(uri: string): Record<string, string | string[] | true> {
  const mark = uri.indexOf('?')
  const query: Record<string, string | string[] | true> = {}
  if (mark < 0) return query
  for (const [name, value] of new URLSearchParams(uri.slice(mark + 1))) {
    const before = query[name]
    if (before === undefined) query[name] = value
    else query[name] = [...(Array.isArray(before) ? before : [String(before)]), value]
  }
  return query
}

/** Kong blanks these two, and no other: apikey, cookies and the like pass in the clear. */
function withoutCredentials(headers: Exchange['requestHeaders']): Exchange['requestHeaders'] {
  const shown = { ...headers }
  for (const name of ['authorization', 'proxy-authorization']) if (name in shown) shown[name] = 'REDACTED'
  return shown
}
