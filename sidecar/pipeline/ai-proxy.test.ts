import { describe, expect, it } from 'vitest'
import { openPriceBook } from '../../pricing/open-price-book.ts'
import { captureSchema } from '../capture.ts'
import { makeRedactor, redactionConfigSchema } from '../redaction/redact.ts'
import { makeCapture } from '../testing/make-capture.ts'
import { attributionConfigSchema } from './attribute.ts'
import { makeObserver } from './observe.ts'

/**
 * Tapped routes of ai-proxy: the client speaks OpenAI's chat format, the answer that the tap sees is the provider's own, and
 * Kong's service says nothing of where it went: only the upstream's path and Kong's log do.
 */
const observe = makeObserver({
  book: openPriceBook(),
  attribution: attributionConfigSchema.parse({}),
  semanticCache: { rules: [] },
  redactor: makeRedactor(redactionConfigSchema.parse({})),
  providers: {},
  maxContentBytes: 4096,
  content: true,
})

const SAID = 'Hello'
const openAi = {
  id: 'c1',
  object: 'chat.completion',
  model: 'the-model',
  choices: [{ index: 0, message: { role: 'assistant', content: SAID }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 40, completion_tokens: 7, total_tokens: 47 },
}
const anthropic = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'claude-sonnet-4-5-20250929',
  content: [{ type: 'text', text: SAID }],
  stop_reason: 'end_turn',
  usage: { input_tokens: 40, output_tokens: 7 },
}
const gemini = {
  candidates: [{ content: { role: 'model', parts: [{ text: SAID }] }, finishReason: 'STOP', index: 0 }],
  usageMetadata: { promptTokenCount: 40, candidatesTokenCount: 7, totalTokenCount: 47 },
  modelVersion: 'gemini-2.5-flash',
}
const converse = {
  output: { message: { role: 'assistant', content: [{ text: SAID }] } },
  stopReason: 'end_turn',
  usage: { inputTokens: 40, outputTokens: 7, totalTokens: 47 },
}
const WAYS: [provider: string, told: string, path: string, model: string, answer: object][] = [
  ['openai', 'openai', '/v1/chat/completions', 'gpt-4o-mini', { ...openAi, model: 'gpt-4o-mini-2024-07-18' }],
  ['anthropic', 'anthropic', '/v1/messages', 'claude-sonnet-4-5', anthropic],
  ['gemini', 'gcp.gemini', '/v1beta/models/gemini-2.5-flash:generateContent', 'gemini-2.5-flash', gemini],
  [
    'azure',
    'azure.ai.openai',
    '/openai/deployments/gpt-4o-mini/chat/completions',
    'gpt-4o-mini',
    { ...openAi, model: 'gpt-4o-mini-2024-07-18' },
  ],
  [
    'bedrock',
    'aws.bedrock',
    '/model/anthropic.claude-3-haiku-20240307-v1:0/converse',
    'anthropic.claude-3-haiku-20240307-v1:0',
    converse,
  ],
]

function observed(provider: string, path: string, model: string, responseBody: object) {
  return observe(
    captureSchema.parse(
      makeCapture({
        requestBody: { messages: [{ role: 'user', content: 'Say hello' }] },
        responseBody,
        log: {
          upstream_uri: path,
          service: { id: 's', name: 'ai', host: 'localhost', port: 32000, protocol: 'http', tags: [] },
          // As Kong 3.9 logs it for a stream: its own numbers are wrong.
          ai: {
            proxy: {
              meta: { provider_name: provider, request_model: model, response_model: model },
              usage: { prompt_tokens: 4, completion_tokens: 8, total_tokens: 12 },
            },
          },
        },
      }),
    ),
  )
}

describe.each(WAYS)('ai-proxy to %s', (provider, told, path, model, answer) => {
  it('the provider’s own answer is read, whatever Kong counted', () => {
    const call = observed(provider, path, model, answer)
    expect(call).toMatchObject({
      provider: told,
      usageSource: 'provider',
      usage: { input: 40, output: 7 },
      status: 'ok',
    })
    expect(call.cost.state).toBe('priced')
    expect(JSON.stringify(call.content)).toContain(SAID)
  })

  it('an answer that Kong has put into OpenAI’s form already is read as well', () => {
    const call = observed(provider, path, model, { ...openAi, model })
    expect(call).toMatchObject({ provider: told, usage: { input: 40, output: 7 }, status: 'ok' })
    // What Kong read out of the provider's answer and wrote anew is Kong's word.
    expect(call.usageSource).toBe(['openai', 'azure'].includes(provider) ? 'provider' : 'gateway')
    expect(JSON.stringify(call.content)).toContain(SAID)
  })
})
