import { createHash } from 'node:crypto'
import type { LlmCall } from '../call.ts'

/** A whole, valid LlmCall for tests; `n` makes ids and times that differ. */
export function makeCall(overrides: Partial<LlmCall> = {}, n = 1): LlmCall {
  const id = createHash('sha256').update(`call ${n}`).digest('hex')
  return {
    v: 1,
    id: id.slice(0, 32),
    requestId: `request-${n}`,
    startedAt: 1_795_419_012_318 + n,
    durationMs: 1250,
    timeToFirstByteMs: 310,
    operation: 'chat',
    dialect: 'openai-chat',
    stream: false,
    provider: 'openai',
    serverAddress: 'api.openai.com',
    serverPort: 443,
    requestModel: 'gpt-4o',
    responseModel: 'gpt-4o-2024-08-06',
    model: 'gpt-4o-2024-08-06',
    responseId: `chatcmpl-${n}`,
    finishReasons: ['stop'],
    tenant: 'blue',
    tenantSource: 'consumer_tag',
    consumer: 'alice',
    gateway: { node: 'node-1', route: 'openai', service: 'llm', kongMs: 2, upstreamMs: 300, source: 'tap' },
    usage: { input: 15, cache_read: 10, output: 7, output_reasoning: 2 },
    usageSource: 'provider',
    rawUsage: { prompt_tokens: 25, completion_tokens: 9, total_tokens: 34 },
    cost: {
      state: 'priced',
      picoUsd: 15 * 2_500_000 + 10 * 1_250_000 + 9 * 10_000_000,
      byUnit: { input: 37_500_000, cache_read: 12_500_000, output: 70_000_000, output_reasoning: 20_000_000 },
      priceId: 'test:openai/gpt-4o',
      book: 'test',
    },
    status: 'ok',
    httpStatus: 200,
    guardrails: [],
    trace: { traceId: id.slice(0, 32), spanId: id.slice(32, 48) },
    content: {
      input: [{ role: 'user', parts: [{ type: 'text', content: 'Say hello' }] }],
      output: [{ role: 'assistant', parts: [{ type: 'text', content: 'Hello' }], finishReason: 'stop' }],
    },
    ...overrides,
  }
}
