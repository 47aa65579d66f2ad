import { describe, expect, it } from 'vitest'
import { makeExchange, makeStream } from '../testing/make-exchange.ts'
import type { Exchange } from './dialect.ts'
import { read } from './index.ts'

const host = 'us-east5-aiplatform.googleapis.com'
const models = '/v1/projects/p/locations/us-east5/publishers/anthropic/models'
const whole = { host, path: `${models}/claude-sonnet-4-5@20250929:rawPredict` }
const stream = { host, path: `${models}/claude-sonnet-4-5@20250929:streamRawPredict` }
const request = {
  anthropic_version: 'vertex-2023-10-16',
  max_tokens: 50,
  messages: [{ role: 'user', content: 'Hi' }],
}
const usage = { input_tokens: 10, cache_read_input_tokens: 40, output_tokens: 9 }
const message = {
  id: 'msg_vrtx_1',
  type: 'message',
  role: 'assistant',
  model: 'claude-sonnet-4-5-20250929',
  content: [{ type: 'text', text: 'Yes é' }],
  stop_reason: 'end_turn',
  usage,
}
const text = makeStream(
  [
    {
      type: 'message_start',
      message: { ...message, content: [], stop_reason: null, usage: { ...usage, output_tokens: 1 } },
    },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Yes é' } },
    { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 9 } },
    { type: 'message_stop' },
  ],
  true,
)
const at = (response: unknown, place: Partial<Exchange>) => read(makeExchange(request, response, place))

describe('Claude on Vertex', () => {
  it('trap 1: a streamed answer has the tokens of the whole one, not none', () => {
    const expected = {
      dialect: 'vertex-anthropic',
      requestModel: 'claude-sonnet-4-5@20250929',
      responseModel: 'claude-sonnet-4-5-20250929',
      responseId: 'msg_vrtx_1',
      counts: { input: 50, cacheRead: 40, output: 9 },
      usage: { input: 10, cache_read: 40, output: 9 },
      usageSource: 'provider',
      finishReasons: ['end_turn'],
      priceAttributes: { region: 'us-east5' },
      content: { output: [{ parts: [{ type: 'text', content: 'Yes é' }] }] },
    }
    expect(at(message, whole)).toMatchObject({ ...expected, stream: false })
    expect(at(text, stream)).toMatchObject({ ...expected, stream: true })
    expect(at(text, { ...stream, path: stream.path.replace(':stream', '%3Astream') })).toMatchObject(expected)
  })

  it('keeps what Anthropic says the price depends on', () => {
    expect(at({ ...message, usage: { ...usage, inference_geo: 'us' } }, whole).priceAttributes).toEqual({
      region: 'us-east5',
      geo: 'us',
    })
  })

  it('cut at any byte claims no more than the bytes hold', () => {
    const bytes = Buffer.from(text)
    let stage = 0
    for (let cut = 0; cut <= bytes.length; cut++) {
      const reading = read(makeExchange(request, undefined, { ...stream, responseBody: bytes.subarray(0, cut) }))
      const found = [undefined, 1, 9].indexOf(reading.counts.output)
      expect(found, `${cut}`).toBeGreaterThanOrEqual(stage)
      stage = found
      expect(reading.usageSource === 'provider').toBe(found === 2)
    }
    expect(stage).toBe(2)
  })

  it('reads refusals, errors, and answers without usage', () => {
    expect(at({ ...message, stop_reason: 'refusal' }, whole).guardrails).toMatchObject([
      { guardrail: 'anthropic.refusal' },
    ])
    expect(at({ ...message, usage: null }, whole)).toMatchObject({ usage: {}, usageSource: 'unknown' })
    for (const none of [[], 'x', 3, { input_tokens: 'x' }])
      expect(at({ ...message, usage: none }, whole).usage).toEqual({})
    const quota = { error: { code: 429, message: 'Quota exceeded', status: 'RESOURCE_EXHAUSTED' } }
    for (const refused of [quota, [quota]])
      expect(at(refused, { ...stream, status: 429 })).toMatchObject({
        stream: true,
        usageSource: 'none',
        error: { type: 'RESOURCE_EXHAUSTED' },
      })
  })

  it('counts tokens for nothing', () => {
    const counted = at({ input_tokens: 14 }, { host, path: `${models}/count-tokens:rawPredict` })
    expect(counted).toMatchObject({ operation: 'count_tokens', billable: false, usage: {}, usageSource: 'none' })
  })
})
