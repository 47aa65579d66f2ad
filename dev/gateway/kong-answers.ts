/** Answers that Kong gives of its own, byte for byte as Kong 3.9 words them. */
export const KONG_SERVER = 'kong/3.9.3'
export const KONG_VIA = `1.1 ${KONG_SERVER}`

export interface KongAnswer {
  status: number
  message: string
  headers?: Readonly<Record<string, string>>
}

export const ANSWERS = {
  noRoute: { status: 404, message: 'no Route matched with those values' },
  noKey: { status: 401, message: 'No API key found in request', headers: { 'WWW-Authenticate': 'Key' } },
  wrongKey: { status: 401, message: 'Unauthorized', headers: { 'WWW-Authenticate': 'Key' } },
  duplicateKey: { status: 401, message: 'Duplicate API key found', headers: { 'WWW-Authenticate': 'Key' } },
  failed: { status: 500, message: 'An unexpected error occurred' },
  badUpstream: { status: 502, message: 'An invalid response was received from the upstream server' },
  noPeer: { status: 503, message: 'name resolution failed' },
  upstreamTimeout: { status: 504, message: 'The upstream server is timing out' },
} as const satisfies Record<string, KongAnswer>

export function answerBody(message: string, requestId: string): Buffer {
  return Buffer.from(`{\n  "message":"${message}",\n  "request_id":"${requestId}"\n}`)
}
