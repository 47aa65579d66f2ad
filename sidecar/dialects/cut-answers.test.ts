import { describe, expect, it } from 'vitest'
import { makeExchange } from '../testing/make-exchange.ts'
import type { Exchange } from './dialect.ts'
import { read } from './index.ts'

/**
 * Long answers, of which the tap keeps the beginning and the end: what a model says, and what it calls tools with, must not
 * be taken for what the provider counted.
 */
const FORGED = {
  usage: { prompt_tokens: 1, completion_tokens: 1, input_tokens: 1, output_tokens: 1, inputTokens: 1, outputTokens: 1 },
  usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1 },
  groundingMetadata: { webSearchQueries: ['a', 'b'] },
}
const SAID = `{"usage":{"input_tokens":1}} ${JSON.stringify(FORGED)}`.repeat(3)
const LONG = 'x'.repeat(2000)

const anthropic = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'claude-sonnet-4-5',
  content: [
    { type: 'text', text: LONG + SAID },
    { type: 'tool_use', id: 't', name: 'report', input: FORGED },
  ],
  stop_reason: 'tool_use',
  usage: { input_tokens: 40, output_tokens: 700, service_tier: 'priority' },
}
const chat = {
  id: 'chatcmpl-1',
  object: 'chat.completion',
  model: 'gpt-4o',
  choices: [{ index: 0, message: { role: 'assistant', content: LONG + SAID }, finish_reason: 'stop', extra: FORGED }],
  usage: { prompt_tokens: 40, completion_tokens: 700, total_tokens: 740 },
  service_tier: 'flex',
}
const converse = {
  output: {
    message: {
      role: 'assistant',
      content: [{ text: LONG + SAID }, { toolUse: { toolUseId: 't', name: 'report', input: FORGED } }],
    },
  },
  stopReason: 'tool_use',
  usage: { inputTokens: 40, outputTokens: 700, totalTokens: 740 },
}
const gemini = {
  candidates: [
    {
      content: { role: 'model', parts: [{ text: LONG + SAID }, { functionCall: { name: 'report', args: FORGED } }] },
      finishReason: 'STOP',
      index: 0,
    },
  ],
  usageMetadata: { promptTokenCount: 40, candidatesTokenCount: 700, totalTokenCount: 740 },
  modelVersion: 'gemini-2.5-flash',
}
const PLACES: [string, Partial<Exchange>, object][] = [
  ['Anthropic', { host: 'api.anthropic.com', path: '/v1/messages' }, anthropic],
  ['OpenAI', { host: 'api.openai.com', path: '/v1/chat/completions' }, chat],
  [
    'Bedrock',
    { host: 'bedrock-runtime.us-east-1.amazonaws.com', path: '/model/amazon.nova-pro-v1%3A0/converse' },
    converse,
  ],
  [
    'Gemini',
    { host: 'generativelanguage.googleapis.com', path: '/v1beta/models/gemini-2.5-flash:generateContent' },
    gemini,
  ],
]

describe.each(PLACES)('a long answer of %s', (_name, place, answer) => {
  const bytes = Buffer.from(JSON.stringify(answer))
  const readCut = (from: number, to: number, more: Partial<Exchange> = {}) =>
    read(
      makeExchange({ model: 'm' }, undefined, {
        ...place,
        responseBody: bytes.subarray(0, 600),
        responseTail: bytes.subarray(from, to),
        ...more,
      }),
    )

  it('is exact wherever its middle was cut out', () => {
    for (let from = 600; from < bytes.length - 260; from += 11)
      expect(readCut(from, bytes.length), `from ${from}`).toMatchObject({
        usageSource: 'provider',
        usage: { input: 40, output: 700 },
      })
  })

  it('that broke off behind its tool call has no usage, and not the one that the model wrote', () => {
    const end = bytes.lastIndexOf('"usage') - 2
    for (let to = end; to > end - 900; to -= 13) {
      const reading = readCut(700, to, { responseComplete: false })
      expect(reading.usageSource, `to ${to}`).not.toBe('provider')
      expect(reading.counts.webSearches ?? 0).toBe(0)
    }
  })
})

it('what stands behind the cut besides the usage counts as well: tier, finish reason', () => {
  const at = { responseTail: Buffer.from(JSON.stringify(chat).slice(-300)) }
  const reading = read(
    makeExchange({ model: 'gpt-4o' }, undefined, {
      host: 'api.openai.com',
      path: '/v1/chat/completions',
      responseBody: Buffer.from(JSON.stringify(chat).slice(0, 300)),
      ...at,
    }),
  )
  expect(reading.serviceTier).toBe('flex')
})

it('a Responses stream whose last event was cut through: its own usage, not that of a tool call in it', () => {
  const response = {
    id: 'resp_1',
    status: 'completed',
    model: 'gpt-4o',
    output: [
      { type: 'message', content: [{ type: 'output_text', text: LONG + SAID }] },
      { type: 'x', arguments: FORGED },
    ],
    usage: { input_tokens: 40, output_tokens: 700, total_tokens: 740 },
    metadata: {},
  }
  const stream = (more: object) =>
    `data: ${JSON.stringify({ type: 'response.created', response: { id: 'resp_1', model: 'gpt-4o' } })}\n\n` +
    `data: ${JSON.stringify({ type: 'response.completed', sequence_number: 9, response: { ...response, ...more } })}\n\n`
  const readCut = (text: string) =>
    read(
      makeExchange({ model: 'gpt-4o', stream: true }, undefined, {
        host: 'api.openai.com',
        path: '/v1/responses',
        responseHeaders: { 'content-type': 'text/event-stream' },
        responseBody: Buffer.from(text.slice(0, 300)),
        responseTail: Buffer.from(text.slice(-900)),
      }),
    )
  expect(readCut(stream({}))).toMatchObject({ usageSource: 'provider', usage: { input: 40, output: 700 } })
  const { usageSource } = readCut(stream({ usage: undefined }))
  expect(usageSource).not.toBe('provider')
})
