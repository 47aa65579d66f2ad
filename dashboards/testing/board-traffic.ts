import type { Stack } from '../../dev/stack.ts'
import { DEMO_KEYS, runTraffic } from '../../dev/traffic/traffic.ts'
import { CAPTURE_VERSION, type Capture } from '../../sidecar/capture.ts'
import type { CaptureBatch } from '../../sidecar/capture-batch.ts'
import { type CaptureParts, makeCapture } from '../../sidecar/testing/make-capture.ts'

/** Of dev/stack.ts. */
const TOKEN = 'demo-token-known-to-everybody'
const NODE = 'node-of-kong-s-own-plugins'
const CHAT = '/openai/v1/chat/completions'

const MIX = {
  'openai-chat': 20,
  'openai-stream': 20,
  anthropic: 16,
  'anthropic-stream': 16,
  trusted: 4,
  cached: 10,
  'error-429': 4,
  'error-500': 3,
  unauthorized: 2,
  plain: 3,
  'openai-stream-no-usage': 3,
  'client-abort': 2,
} as const

/** Calls of every kind that the boards tell apart, through the gateway; of Kong's own plugins (cache, guards, balancer) as captures. */
export function boardTraffic(stack: Stack) {
  let sequence = 0
  let incidents = 0
  let calls = 0

  async function send(batch: Omit<CaptureBatch, 'v' | 'plugin'>, token = TOKEN): Promise<number> {
    const { status } = await fetch(`${stack.sidecarUrl}/v1/captures`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ v: CAPTURE_VERSION, plugin: { version: '0.1.0', instance: 'board-test' }, ...batch }),
    })
    return status
  }
  const numbered = (all: readonly CaptureParts[]) =>
    all.map((parts) => {
      const n = ++sequence
      const now = Date.now() - 300
      return makeCapture({
        ...parts,
        n,
        log: { started_at: now, ...parts.log, request: { ...requestOf(n), ...parts.log?.request } },
        capture: {
          node: NODE,
          epoch: 'board-test',
          sequence: n,
          first_byte_at: (now + 120) / 1000,
          last_byte_at: (now + 260) / 1000,
          ...parts.capture,
        },
      })
    })

  /** Through the gateway, steered by the mock provider's headers. */
  async function steered(headers: Record<string, string>): Promise<void> {
    const response = await fetch(`${stack.gateway.url}${CHAT}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', apikey: DEMO_KEYS.blue!, ...headers },
      body: JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content: 'Tell me a long story.' }] }),
    })
    await response.arrayBuffer()
    calls++
  }

  return {
    /** LLM calls sent so far. */
    calls: () => calls,

    async everyKind(seed: number): Promise<void> {
      const summary = await runTraffic({
        gatewayUrl: stack.gateway.url,
        calls: 260,
        concurrency: 16,
        seed,
        mix: MIX,
      })
      if (summary.unexpectedCount > 0) throw new Error(summary.unexpected.join('\n'))
      calls += summary.sent
      for (const finish of ['length', 'content_filter', 'refusal']) await steered({ 'x-mock-finish': finish })
      await steered({ 'x-tenant-id': 'somebody-else' })
      const captures = numbered(KONGS_PLUGINS)
      const status = await send({ captures })
      if (status !== 202) throw new Error(`the sidecar answered ${status} to captures`)
      calls += captures.length
    },

    /**
     * What no well gateway sends: a plugin that drops and has errors, that was acknowledged what the store does not have,
     * hooks that fail, a call of a thousand years, a wrong token, many models.
     */
    async incident(): Promise<void> {
      incidents++
      const models = Array.from({ length: 30 }, (_, index) => `private-model-${index}`)
      const captures = numbered([
        { capture: { tap_errors: 3 * incidents } },
        { log: { latencies: { request: 1e14, kong: 1, proxy: 39, receive: 1 } } },
        ...models.map((model) => ({ requestBody: { model, messages: [] }, responseBody: { ...CHAT_ANSWER, model } })),
      ])
      const away = `board-test-${incidents}`
      const accepted = await send({
        captures: [
          ...captures,
          { v: CAPTURE_VERSION, tombstone: 'queue_full', epoch: away, sequence: 4, count: 3, node: NODE },
        ],
        acknowledged: [[away, [[1, 3]]]],
        errors: [{ kind: 'connection_closed', total: 2 * incidents }],
      })
      const refused = await send({ captures: [] }, 'a wrong token')
      if (accepted !== 202 || refused !== 401) throw new Error(`the sidecar answered ${accepted} and ${refused}`)
      calls += captures.length
    },
  }
}

function requestOf(n: number): Capture['log']['request'] {
  return {
    id: `board-test-${n}`,
    method: 'POST',
    uri: CHAT,
    size: 300,
    headers: { 'content-type': 'application/json' },
  }
}

const CHAT_ANSWER = {
  object: 'chat.completion',
  model: 'gpt-4o-2024-08-06',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 25, completion_tokens: 9, total_tokens: 34 },
}
const refusedByKong = (status: number): Partial<Capture['log']> => ({
  source: 'kong',
  response: { status, size: 90, headers: { 'content-type': 'application/json' } },
})
const LOOKUP = {
  fetch_latency: 4,
  embeddings_provider: 'openai',
  embeddings_model: 'text-embedding-3-small',
  embeddings_tokens: 1200,
  embeddings_latency: 30,
}
const OPENROUTER = { id: 's2', name: 'openrouter', port: 443, protocol: 'https', tags: [] }
const TOOLS = { id: 's3', name: 'tools', host: 'tools.internal', port: 443, protocol: 'https', tags: [] }
const toolCall = (outcome: Record<string, unknown>): CaptureParts => ({
  log: { service: TOOLS, upstream_uri: '/mcp' },
  requestBody: { jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'search', arguments: { q: 'kong' } } },
  responseBody: { jsonrpc: '2.0', id: 7, ...outcome },
})
const cached = (status: 'Hit' | 'Miss'): CaptureParts => ({
  log: {
    response: {
      status: 200,
      size: 500,
      headers: { 'content-type': 'application/json', 'x-cache-status': status, 'x-cache-key': 'k' },
    },
    ai: { proxy: { cache: { cache_status: status, ...LOOKUP } } },
  },
})

/** Of plugins that the stand-in gateway does not run; documents as Kong writes them (facts of sidecar/dialects/kong-*.ts). */
const KONGS_PLUGINS: readonly CaptureParts[] = [
  {
    log: {
      ...refusedByKong(400),
      ai: { proxy: { 'lakera-guard': { input_block_reason: 'prompt_attack', input_processing_latency: 40 } } },
    },
    responseBody: { error: { message: 'bad request' } },
  },
  { log: { ai: { sanitizer: { pii_identified: 2, pii_sanitized: 2, duration: 12 } } } },
  cached('Miss'),
  cached('Hit'),
  { log: refusedByKong(429), responseBody: { message: 'API rate limit exceeded' } },
  { log: refusedByKong(504), responseBody: { message: 'The upstream server is timing out' } },
  {
    log: {
      upstream_status: '503, 200',
      tries: [
        { ip: '10.1.0.1', port: 443, code: 503 },
        { ip: '10.1.0.2', port: 443 },
      ],
    },
  },
  // A provider that tells its bill, above our list; a tool server that answers, and one that does not know the tool.
  {
    log: { service: { ...OPENROUTER, host: 'openrouter.ai' } },
    requestBody: { model: 'openai/gpt-4o', messages: [] },
    responseBody: {
      ...CHAT_ANSWER,
      model: 'openai/gpt-4o',
      usage: { ...CHAT_ANSWER.usage, cost: 0.01, is_byok: false },
    },
  },
  {
    log: { service: { ...OPENROUTER, host: 'openrouter.ai' } },
    requestBody: { model: 'openai/gpt-4o', messages: [] },
    responseBody: {
      ...CHAT_ANSWER,
      model: 'openai/gpt-4o',
      usage: { ...CHAT_ANSWER.usage, cost: 0.000001, is_byok: false },
    },
  },
  toolCall({ result: { content: [{ type: 'text', text: 'found' }], isError: false } }),
  toolCall({ error: { code: -32602, message: 'Unknown tool' } }),
  {
    requestBody: { model: 'gpt-6-preview', messages: [] },
    responseBody: { ...CHAT_ANSWER, model: 'gpt-6-preview' },
  },
]
