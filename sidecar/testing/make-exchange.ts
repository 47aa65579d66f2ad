import type { Exchange } from '../dialects/dialect.ts'

/** An exchange for tests: bodies are JSON, strings as they are. */
export function makeExchange(request: unknown, response: unknown, overrides: Partial<Exchange> = {}): Exchange {
  const bytes = (body: unknown) =>
    body === undefined ? undefined : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  const responseBody = bytes(response)
  const stream = typeof response === 'string'
  return {
    method: 'POST',
    host: 'api.openai.com',
    path: '/v1/chat/completions',
    requestHeaders: { 'content-type': 'application/json' },
    requestBody: bytes(request),
    requestTruncated: false,
    status: 200,
    responseHeaders: { 'content-type': stream ? 'text/event-stream' : 'application/json' },
    responseBody,
    responseTail: undefined,
    responseComplete: true,
    ...overrides,
  }
}

/** The text of a stream: objects are JSON, named by their `type` as Anthropic does if `named`. */
export function makeStream(events: readonly unknown[], named = false): string {
  return events
    .map((event) => {
      const name = named ? `event: ${(event as { type: string }).type}\n` : ''
      return `${name}data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`
    })
    .join('')
}
