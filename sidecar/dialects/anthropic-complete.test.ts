import { expect, it } from 'vitest'
import { contradictionsOfCuts, failuresOfGarbage, garbled } from '../testing/damage.ts'
import { makeExchange, makeStream } from '../testing/make-exchange.ts'
import type { Exchange } from './dialect.ts'
import { read } from './index.ts'

const place = { host: 'api.anthropic.com', path: '/v1/complete' }
const request = {
  model: 'claude-2.1',
  prompt: '\n\nHuman: Hi\n\nAssistant:',
  max_tokens_to_sample: 100,
  temperature: 0.5,
  top_p: 0.9,
  top_k: 5,
  stop_sequences: ['END'],
}
const answer = {
  type: 'completion',
  id: 'compl_1',
  completion: ' Hello there',
  stop_reason: 'stop_sequence',
  model: 'claude-2.1',
}
const events = [
  { ...answer, completion: ' Hello', stop_reason: null },
  { type: 'ping' },
  { ...answer, completion: ' there', stop_reason: null },
  { ...answer, completion: '' },
]
const streamed = (items: readonly unknown[], overrides: Partial<Exchange> = {}) =>
  read(makeExchange({ ...request, stream: true }, makeStream(items), { ...place, ...overrides }))
const said = (text: string) => ({ output: [{ role: 'assistant', parts: [{ type: 'text', content: text }] }] })

it('reports no usage, whole or streamed', () => {
  const want = {
    dialect: 'anthropic-complete',
    operation: 'text_completion',
    requestModel: 'claude-2.1',
    responseModel: 'claude-2.1',
    responseId: 'compl_1',
    finishReasons: ['stop_sequence'],
    parameters: { maxTokens: 100, temperature: 0.5, topP: 0.9, topK: 5, stopSequences: ['END'] },
    usage: {},
    usageSource: 'unknown',
    billable: true,
    content: { input: [{ parts: [{ content: request.prompt }] }], ...said(' Hello there') },
  }
  const whole = read(makeExchange(request, answer, place))
  expect(whole).toMatchObject({ ...want, stream: false, usageReason: 'body_without_usage' })
  expect(streamed(events)).toMatchObject({ ...want, stream: true, usageReason: 'stream_without_usage' })
  const endless = read(makeExchange(request, { ...answer, stop_reason: null }, place))
  expect(endless.usageReason).toBe('body_without_usage')
})

it('of the first version, which repeats all of the text, keeps it once', () => {
  const growing = [' Hello', ' Hello there', ' Hello there'].map((completion, at) => ({
    ...answer,
    completion,
    stop_reason: at === 2 ? 'stop_sequence' : null,
  }))
  expect(streamed([...growing, '[DONE]']).content).toMatchObject(said(' Hello there'))
})

it('cut anywhere claims nothing; the gap is marked', () => {
  const stream = makeExchange(request, makeStream(events), place)
  expect(contradictionsOfCuts(stream)).toEqual([])
  expect(streamed(events.slice(0, 1), { responseComplete: false }).usageReason).toBe('stream_cut')
  const cut = {
    responseBody: Buffer.from(makeStream(events.slice(0, 1))),
    responseTail: Buffer.from(makeStream(events.slice(1))),
  }
  expect(streamed([], cut).content).toMatchObject(said(' Hello[…] there'))
})

it('refused is free, and so is a stream that fails before its first word', () => {
  const error = { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }
  const failed = { usage: {}, error: { type: 'overloaded_error', message: 'Overloaded' } }
  expect(read(makeExchange(request, error, { ...place, status: 529 }))).toMatchObject({
    ...failed,
    usageSource: 'none',
  })
  expect(streamed([error])).toMatchObject({ ...failed, usageSource: 'none' })
  expect(streamed([events[0], error])).toMatchObject({ ...failed, usageSource: 'unknown', usageReason: 'stream_error' })
})

it('with values of any type never throws', () => {
  expect(failuresOfGarbage(garbled(answer).map((body) => makeExchange(request, body, place)))).toEqual([])
  expect(failuresOfGarbage(garbled(request).map((body) => makeExchange(body, answer, place)))).toEqual([])
  const streams = garbled(events[0]).map((other) => makeExchange(request, makeStream([other, events[3]]), place))
  expect(failuresOfGarbage(streams)).toEqual([])
})
