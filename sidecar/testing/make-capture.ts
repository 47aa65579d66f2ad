import type { Capture } from '../capture.ts'

export interface CaptureParts {
  n?: number
  requestBody?: unknown
  responseBody?: unknown
  log?: Partial<Capture['log']>
  capture?: Partial<Capture>
}

/** A valid Capture for tests: an OpenAI chat call by consumer alice of tenant blue. Bodies are JSON, strings as they are. */
export function makeCapture(parts: CaptureParts = {}): Capture {
  const n = parts.n ?? 1
  const startedAt = 1_795_419_012_318 + n
  const bytes = (body: unknown) => Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  const request = bytes(parts.requestBody ?? { model: 'gpt-4o', messages: [{ role: 'user', content: 'Say hello' }] })
  const response = bytes(
    parts.responseBody ?? {
      id: `chatcmpl-${n}`,
      object: 'chat.completion',
      model: 'gpt-4o-2024-08-06',
      choices: [{ index: 0, message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }],
      usage: {
        prompt_tokens: 25,
        completion_tokens: 9,
        total_tokens: 34,
        prompt_tokens_details: { cached_tokens: 10 },
      },
    },
  )
  return {
    v: 2,
    source: 'tap',
    node: 'node-1',
    worker: 1,
    epoch: 'e1',
    sequence: n,
    content: 'on',
    log: {
      started_at: startedAt,
      client_ip: '127.0.0.1',
      source: 'upstream',
      upstream_uri: '/v1/chat/completions',
      upstream_status: '200',
      workspace_name: 'default',
      request: {
        id: `request-${n}`,
        method: 'POST',
        uri: '/openai/v1/chat/completions',
        size: 300,
        headers: { 'content-type': 'application/json' },
      },
      response: { status: 200, size: 800, headers: { 'content-type': 'application/json' } },
      latencies: { request: 41, kong: 1, proxy: 39, receive: 1 },
      tries: [{ ip: '127.0.0.1', port: 443 }],
      route: { id: 'r1', name: 'openai', tags: [] },
      service: { id: 's1', name: 'openai', host: 'api.openai.com', port: 443, protocol: 'https', tags: [] },
      consumer: { id: 'c1', username: 'alice', custom_id: 'team-blue', tags: ['tenant:blue'] },
      ...parts.log,
    },
    request_body: request.toString('base64'),
    request_bytes: request.length,
    response_body: response.toString('base64'),
    response_bytes: response.length,
    response_complete: true,
    first_byte_at: (startedAt + 39) / 1000,
    last_byte_at: (startedAt + 41) / 1000,
    ...parts.capture,
  }
}
