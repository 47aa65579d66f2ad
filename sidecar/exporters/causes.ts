import type { Retry } from './exporter.ts'

/** Why no HTTP answer came; with `aborted` and `timeout` all reasons besides those of a status. */
export const CONNECTION_REASONS = ['dns', 'refused', 'unreachable', 'tls', 'reset', 'protocol', 'connection'] as const
export type ConnectionReason = (typeof CONNECTION_REASONS)[number]

const TLS_TEXTS: Record<string, string> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is signed by an authority that this machine does not know',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is signed by an authority that this machine does not know',
  UNABLE_TO_GET_ISSUER_CERT: 'its certificate is signed by an authority that this machine does not know',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is signed by an authority that this machine does not know',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host name',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS; is it http:// there?',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'it does not speak TLS; is it http:// there?',
  ERR_SSL_HTTP_REQUEST: 'it does not speak TLS; is it http:// there?',
}

/** Error codes of Node and undici. What is not here is `connection`. */
const CODES: Record<string, readonly [ConnectionReason, string]> = {
  ENOTFOUND: ['dns', 'no such host'],
  EAI_AGAIN: ['dns', 'the name server gives no answer'],
  EAI_FAIL: ['dns', 'the name server refuses'],
  ENODATA: ['dns', 'the host has no address'],
  ECONNREFUSED: ['refused', 'nothing listens there'],
  EHOSTUNREACH: ['unreachable', 'no way to the host'],
  ENETUNREACH: ['unreachable', 'no way to the network'],
  ETIMEDOUT: ['unreachable', 'no connection in time'],
  UND_ERR_CONNECT_TIMEOUT: ['unreachable', 'no connection in time'],
  ECONNRESET: ['reset', 'it broke the connection off'],
  ECONNABORTED: ['reset', 'the connection was broken off'],
  EPIPE: ['reset', 'it broke the connection off'],
  UND_ERR_SOCKET: ['reset', 'it broke the connection off'],
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: ['protocol', 'its answer is not as long as it says'],
  UND_ERR_HEADERS_OVERFLOW: ['protocol', 'its answer has too long headers'],
  EPROTO: ['tls', 'the TLS handshake failed'],
}

/**
 * Reason and text of an error of undici or Node. Of the error only its code is told: its message may name headers.
 * `address`: host and port, without credentials.
 */
export function causeOf(error: unknown, address: string): Retry {
  const code = codeOf(error)
  // undici 8 leaves the parser's code out.
  const isParser = error instanceof Error && error.name === 'HTTPParserError'
  const [reason, text] = isParser ? (['protocol', 'its answer is not HTTP'] as const) : meaningOf(code)
  return { retry: reason, cause: `${address}: ${text}${code === '' ? '' : ` (${code})`}` }
}

function meaningOf(code: string): readonly [ConnectionReason, string] {
  const tls = TLS_TEXTS[code]
  if (tls !== undefined) return ['tls', tls]
  const known = CODES[code]
  if (known !== undefined) return known
  if (/^(ERR_(SSL|TLS)_|CERT_|UNABLE_TO_|CRL_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE)/.test(code))
    return ['tls', 'the TLS handshake failed']
  if (code.startsWith('HPE_')) return ['protocol', 'its answer is not HTTP']
  return ['connection', 'the push failed']
}

/** The innermost code: an error over several addresses bears one for each, and a wrapped one its cause's. */
function codeOf(error: unknown, depth = 0): string {
  if (typeof error !== 'object' || error === null || depth > 4) return ''
  const { code, cause, errors } = error as { code?: unknown; cause?: unknown; errors?: unknown }
  const inner = Array.isArray(errors) ? codeOf(errors[0], depth + 1) : codeOf(cause, depth + 1)
  if (inner !== '') return inner
  return typeof code === 'string' && /^[A-Z][A-Z0-9_]{2,50}$/.test(code) ? code : ''
}

/** Host and port of an address, for the log; nothing else of it. */
export function addressOf(url: string): string {
  if (!URL.canParse(url)) return 'the address'
  const { hostname, port, protocol } = new URL(url)
  return `${hostname}:${port === '' ? (protocol === 'https:' ? '443' : '80') : port}`
}
