import type { LlmCall } from '../call.ts'
import { makeCall } from './make-call.ts'

/** One call of each kind that a sink shows differently. Golden files are made of these. */
export const GOLDEN_CALLS: Readonly<Record<string, LlmCall>> = {
  'chat with cached tokens under a trusted parent': makeCall(
    {
      trace: {
        traceId: '0af7651916cd43dd8448eb211c80319c',
        spanId: 'b7ad6b7169200001',
        parentSpanId: '00f067aa0ba902b7',
        parentBy: 'caller',
      },
      user: 'user-17',
      session: 'conv-1',
      team: 'search',
      app: 'assistant',
      environment: 'Production EU',
      parameters: { temperature: 0.2, maxTokens: 512, topP: 1, stopSequences: ['END'], choiceCount: 2 },
      systemFingerprint: 'fp_1',
      serviceTier: 'default',
      usage: { input: 400, cache_read: 600, output: 150, output_reasoning: 50 },
      cost: {
        state: 'priced',
        picoUsd: 3_750_000_001,
        byUnit: { input: 1_000_000_000, cache_read: 750_000_000, output: 1_500_000_001, output_reasoning: 500_000_000 },
        priceId: 'genai-prices:openai/gpt-4o',
        book: 'genai-prices@0.1.8',
      },
    },
    1,
  ),
  'stream with cache writes, a web search and a tool': makeCall(
    {
      stream: true,
      dialect: 'anthropic-messages',
      provider: 'anthropic',
      serverAddress: 'api.anthropic.com',
      requestModel: 'claude-sonnet-4-5',
      responseModel: 'claude-sonnet-4-5-20250929',
      model: 'claude-sonnet-4-5-20250929',
      tenant: 'red',
      usage: { input: 3, cache_read: 2000, cache_write_5m: 1000, cache_write_1h: 500, output: 300, web_searches: 2 },
      cost: {
        state: 'priced',
        picoUsd: 31_859_000_000,
        byUnit: {
          input: 9_000_000,
          cache_read: 600_000_000,
          cache_write_5m: 3_750_000_000,
          cache_write_1h: 3_000_000_000,
          output: 4_500_000_000,
          web_searches: 20_000_000_000,
        },
        priceId: 'genai-prices:anthropic/claude-sonnet-4-5',
        book: 'genai-prices@0.1.8',
      },
      content: {
        system: 'Be brief.',
        input: [
          { role: 'user', parts: [{ type: 'text', content: 'Wetter in Köln? ☔' }] },
          {
            role: 'assistant',
            parts: [
              { type: 'reasoning', content: 'I need the weather.' },
              { type: 'tool_call', id: 'call_1', name: 'weather', arguments: '{"city":"Köln"}' },
            ],
          },
          { role: 'tool', parts: [{ type: 'tool_call_response', id: 'call_1', response: '{"rain":true}' }] },
          { role: 'user', parts: [{ type: 'other', kind: 'image' }] },
        ],
        output: [{ role: 'assistant', parts: [{ type: 'text', content: 'Regen.' }], finishReason: 'end_turn' }],
        tools: '[{"name":"weather"}]',
        truncated: true,
      },
    },
    2,
  ),
  embedding: makeCall(
    {
      operation: 'embeddings',
      requestModel: 'text-embedding-3-small',
      responseModel: 'text-embedding-3-small',
      model: 'text-embedding-3-small',
      usage: { input: 8 },
      cost: {
        state: 'priced',
        picoUsd: 160_000,
        byUnit: { input: 160_000 },
        priceId: 'genai-prices:openai/text-embedding-3-small',
        book: 'genai-prices@0.1.8',
      },
      content: { input: [{ role: 'user', parts: [{ type: 'text', content: 'hello' }] }] },
    },
    3,
  ),
  'rate limited': withoutAnswer(
    {
      status: 'rate_limited',
      httpStatus: 429,
      errorType: 'rate_limit_exceeded',
      errorMessage: 'Rate limit reached',
    },
    4,
  ),
  'blocked by a guardrail': withoutAnswer(
    {
      status: 'blocked',
      httpStatus: 400,
      guardrails: [
        { guardrail: 'kong.ai-prompt-guard', stage: 'input', action: 'blocked', reason: 'deny pattern' },
        { guardrail: 'openai.content_filter', stage: 'output', action: 'flagged' },
      ],
    },
    5,
  ),
  'answered from the cache': makeCall(
    {
      cache: 'hit',
      usage: {},
      usageSource: 'none',
      cost: { state: 'free', picoUsd: 0, reason: 'cache_hit', book: 'genai-prices@0.1.8' },
      savedPicoUsd: 140_000_000,
      durationMs: 12.345,
    },
    6,
  ),
  'without a price': makeCall(
    {
      requestModel: 'house-model',
      responseModel: 'house-model',
      model: 'house-model',
      usageSource: 'estimated',
      usageReason: 'no usage in the answer',
      cost: { state: 'unpriced', reason: 'unknown_model', book: 'genai-prices@0.1.8' },
    },
    7,
  ),
  'a format nobody reads': withoutAnswer(
    {
      operation: 'unknown',
      dialect: 'unknown',
      provider: 'unknown',
      model: 'unknown',
      tenant: 'unattributed',
      tenantSource: 'unattributed',
      usageSource: 'unknown',
      usageReason: 'unknown_format',
      cost: { state: 'unpriced', reason: 'no_usage', book: 'genai-prices@0.1.8' },
      trace: { traceId: 'ab'.repeat(16), spanId: 'cd'.repeat(8), originalTraceId: 'ef'.repeat(16) },
    },
    8,
  ),
  'second target of two, after a look-up in the cache': makeCall(
    {
      cache: 'miss',
      cacheLookup: {
        lookupMs: 31,
        embeddingsProvider: 'openai',
        embeddingsModel: 'text-embedding-3-small',
        embeddingsTokens: 12,
        embeddingsMs: 28,
        picoUsd: 240_000,
      },
      attempts: [
        {
          provider: 'azure.ai.openai',
          model: 'gpt-4o',
          address: 'a.openai.azure.com:443',
          startedAt: 1_795_419_012_401,
          durationMs: 80,
          httpStatus: 503,
          failed: true,
        },
        {
          provider: 'openai',
          model: 'gpt-4o',
          address: 'api.openai.com:443',
          startedAt: 1_795_419_012_481,
          durationMs: 1170,
          httpStatus: 200,
          failed: false,
          picoUsd: 140_000_000,
        },
      ],
      rateLimit: {
        budgets: [{ by: 'provider', name: 'tokens', limit: 200_000, remaining: 199_976, resetSeconds: 0.007 }],
      },
    },
    9,
  ),
  'in the trace of an application that traces to Langfuse itself': makeCall(
    {
      stream: true,
      trace: {
        traceId: '0af7651916cd43dd8448eb211c80319d',
        spanId: 'b7ad6b7169200002',
        parentSpanId: '00f067aa0ba902b8',
        parentBy: 'caller',
      },
      baggage: {
        version: '3',
        traceName: 'checkout',
        tags: ['beta', 'eu'],
        metadata: { k: 'v' },
        prompt: { name: 'greeting', version: 1 },
      },
      user: 'app-user',
      session: 'app-session',
      environment: 'production',
      guardrails: [{ guardrail: 'kong.ai-sanitizer', stage: 'input', action: 'masked', count: 2, latencyMs: 12 }],
    },
    11,
  ),
  'tools, thinking and two choices': makeCall(
    {
      parameters: { choiceCount: 2, stopSequences: ['END'] },
      content: {
        input: [
          { role: 'user', parts: [{ type: 'text', content: 'Weather in Paris?' }] },
          {
            role: 'assistant',
            parts: [{ type: 'tool_call', id: 'call_1', name: 'get_weather', arguments: '{"city":"Paris"}' }],
          },
          { role: 'tool', parts: [{ type: 'tool_call_response', id: 'call_1', response: '{"temp":15}' }] },
        ],
        output: [
          {
            role: 'assistant',
            parts: [
              { type: 'reasoning', content: 'It is warm.' },
              { type: 'text', content: '15 degrees.' },
            ],
          },
          { role: 'assistant', parts: [{ type: 'text', content: 'Mild.' }] },
        ],
        tools:
          '[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}]',
      },
    },
    12,
  ),
  'refused by a limit of the gateway': withoutAnswer(
    {
      status: 'rate_limited',
      httpStatus: 429,
      errorType: '429',
      rateLimit: {
        refusedBy: 'gateway',
        retryAfterSeconds: 51,
        budgets: [{ by: 'gateway', name: '30-openai', limit: 1000, remaining: 0 }],
      },
    },
    10,
  ),
}

/** A call whose answer told nothing of a model: the fields are absent, not undefined. */
function withoutAnswer(overrides: Partial<LlmCall>, n: number): LlmCall {
  const call = makeCall(
    {
      usage: {},
      usageSource: 'none',
      cost: { state: 'free', picoUsd: 0, reason: 'error', book: 'genai-prices@0.1.8' },
      ...overrides,
    },
    n,
  )
  for (const name of [
    'responseModel',
    'responseId',
    'rawUsage',
    'finishReasons',
    'content',
    'timeToFirstByteMs',
  ] as const)
    delete call[name]
  if (call.model === 'unknown') delete call.requestModel
  return call
}
