import { validateHeaderName, validateHeaderValue } from 'node:http'
import type { Config, Environment } from './config.ts'
import { error, type Finding } from './config-finding.ts'

/** What each exporter adds to its base address. */
const ADDED_PATHS = { otlp: '/v1/traces', langfuse: '/api/public/otel/v1/traces', loki: '/loki/api/v1/push' } as const

export function addressFindings({ exporters }: Config): Finding[] {
  const addresses = [
    ['otlp', 'endpoint', exporters.otlp?.endpoint],
    ['langfuse', 'url', exporters.langfuse?.url],
    ['loki', 'url', exporters.loki?.url],
  ] as const
  return addresses.flatMap(([sink, field, text]) => {
    if (text === undefined || !URL.canParse(text)) return []
    const url = new URL(text)
    const path = ['exporters', sink, field]
    const findings: Finding[] = []
    const added = ADDED_PATHS[sink]
    // A part of it too: /v1, /api/public.
    const own = url.pathname.replace(/\/+$/, '')
    const part = added.split('/').map((_, index, steps) => steps.slice(0, index + 1).join('/'))
    const overlap = part.findLast((steps) => steps !== '' && own.endsWith(steps))
    if (overlap !== undefined)
      findings.push(
        error(
          path,
          `write the base address, ${url.protocol}//${url.host}${own.slice(0, -overlap.length)}: ${added} is added`,
        ),
      )
    if (url.search !== '' || url.hash !== '')
      findings.push(
        error(
          path,
          `write the address without query and fragment${sink === 'langfuse' ? '' : `: a key goes into exporters.${sink}.headers`}`,
        ),
      )
    if (url.username !== '' || url.password !== '')
      findings.push(
        error(
          path,
          sink === 'langfuse'
            ? 'write the address without user and password: publicKey and secretKey are the credential'
            : `write the address without user and password: exporters.${sink}.headers takes { authorization: { env: … } }`,
        ),
      )
    return findings
  })
}

/** Set by the exporter or by HTTP itself. */
const OWN_HEADERS = new Set([
  'content-type',
  'content-length',
  'content-encoding',
  'transfer-encoding',
  'connection',
  'host',
])

export function headerFindings({ exporters }: Config, environment: Environment): Finding[] {
  return (['otlp', 'loki'] as const).flatMap((sink) => {
    const seen = new Set<string>()
    return Object.entries(exporters[sink]?.headers ?? {}).flatMap(([name, secret]) => {
      const path = ['exporters', sink, 'headers', name]
      const small = name.toLowerCase()
      if (seen.has(small)) return [error(path, 'stands here twice: names of headers have no capitals of their own')]
      seen.add(small)
      try {
        validateHeaderName(name)
      } catch {
        return [error(path, 'is no name of a header: write letters, digits and dashes, as x-api-key')]
      }
      if (OWN_HEADERS.has(small) || (sink === 'loki' && small === 'x-scope-orgid'))
        return [error(path, 'is set by the exporter itself: leave it out')]
      try {
        validateHeaderValue(name, secret.reveal(environment))
      } catch (problem) {
        if ((problem as NodeJS.ErrnoException).code === 'ERR_INVALID_CHAR')
          return [error(path, 'its value holds a character that HTTP headers cannot carry (value withheld)')]
      }
      return []
    })
  })
}
