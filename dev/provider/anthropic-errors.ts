import { type Answer, jsonAnswer } from './answer.ts'

const TYPES: Record<number, { type: string; message: string }> = {
  400: { type: 'invalid_request_error', message: 'The mock was asked for status 400.' },
  401: { type: 'authentication_error', message: 'invalid x-api-key' },
  402: { type: 'billing_error', message: 'Your credit balance is too low to access the Anthropic API.' },
  403: { type: 'permission_error', message: 'Your API key does not have permission to use the specified resource.' },
  404: { type: 'not_found_error', message: 'Not found' },
  413: { type: 'request_too_large', message: 'Request exceeds the maximum size' },
  429: {
    type: 'rate_limit_error',
    message: 'This request would exceed your organization’s rate limit of 30,000 input tokens per minute.',
  },
  500: { type: 'api_error', message: 'Internal server error' },
  504: { type: 'timeout_error', message: 'Request timed out' },
  529: { type: 'overloaded_error', message: 'Overloaded' },
}

/** Anthropic's error document. */
export function anthropicError(status: number, headers: Record<string, string>, message?: string): Answer {
  const known = TYPES[status] ?? (status >= 500 ? TYPES[500]! : TYPES[400]!)
  const retry: Record<string, string> = { 'x-should-retry': status === 429 || status >= 500 ? 'true' : 'false' }
  if (status === 429) {
    retry['retry-after'] = '3'
    retry['anthropic-ratelimit-input-tokens-remaining'] = '0'
  }
  return jsonAnswer(
    status,
    {
      type: 'error',
      error: { type: known.type, message: message ?? known.message },
      request_id: headers['request-id'],
    },
    { ...headers, ...retry },
  )
}

export function anthropicErrorEvent(): Buffer {
  const { type, message } = TYPES[529]!
  return Buffer.from(
    `event: error\ndata: ${JSON.stringify({ type: 'error', error: { details: null, type, message } })}\n\n`,
  )
}
