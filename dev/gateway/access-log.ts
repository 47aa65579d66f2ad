import { closeSync, openSync, writeSync } from 'node:fs'
import type { Headers } from './exchange.ts'
import { encodeLogDocument, type LogDocument } from './log-document.ts'

/**
 * The gateway's own log, in the place of Kong's file-log plugin: the log document of each request as one JSON line,
 * written by the gateway itself before anything of the observer's runs.
 */
export interface AccessLog {
  write(document: LogDocument): void
  close(): void
}

export function openAccessLog(file: string): AccessLog {
  const descriptor = openSync(file, 'a')
  return {
    write: (document) => void writeSync(descriptor, `${encodeLogDocument(withoutSecrets(document))}\n`),
    close: () => closeSync(descriptor),
  }
}

const SECRET_HEADERS: ReadonlySet<string> = new Set([
  'apikey',
  'api-key',
  'x-api-key',
  'x-goog-api-key',
  'cookie',
  'set-cookie',
])

/** Kong's file-log writes these in the clear. A log keeps no credentials: the keys stay, the values and queries go. */
function withoutSecrets(document: LogDocument): LogDocument {
  const { request, response } = document
  return {
    ...document,
    request: {
      ...request,
      uri: withoutQuery(request.uri),
      url: withoutQuery(request.url),
      querystring: {},
      headers: blanked(request.headers),
    },
    response: { ...response, headers: blanked(response.headers) },
    upstream_uri: withoutQuery(document.upstream_uri),
  }
}

function blanked(headers: Headers): Headers {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, SECRET_HEADERS.has(name) ? 'REDACTED' : value]),
  )
}

function withoutQuery(uri: string): string {
  return uri.split('?', 1)[0]!
}
