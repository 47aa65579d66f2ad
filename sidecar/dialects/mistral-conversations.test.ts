import { expect, it } from 'vitest'
import { makeExchange, makeStream } from '../testing/make-exchange.ts'
import { read } from './index.ts'

const place = { host: 'api.mistral.ai', path: '/v1/conversations' }
const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 35, connector_tokens: 20 }
const output = { type: 'message.output', model: 'mistral-medium-latest', content: [{ type: 'text', text: 'Hi' }] }

it('what connectors added is prompt, whole and streamed', () => {
  const whole = read(
    makeExchange({ model: 'm', inputs: 'Hello' }, { conversation_id: 'c', outputs: [output], usage }, place),
  )
  const units = { input: 30, output: 5 }
  expect(whole).toMatchObject({
    dialect: 'mistral-conversations',
    responseModel: 'mistral-medium-latest',
    usage: units,
    counts: { toolPrompt: 20 },
    usageSource: 'provider',
  })
  const events = [
    { type: 'conversation.response.started', conversation_id: 'c' },
    { type: 'message.output.delta', model: 'mistral-medium-latest', content: 'Hi' },
    { type: 'conversation.response.done', usage },
  ]
  const stream = (count: number) =>
    read(makeExchange({ stream: true }, makeStream(events.slice(0, count), true), place))
  expect(stream(3)).toMatchObject({ stream: true, usage: units, usageSource: 'provider' })
  expect(stream(2)).toMatchObject({ usage: {}, usageSource: 'unknown', usageReason: 'stream_cut' })
})

it('an error is one, and OpenAI’s conversations are others', () => {
  expect(read(makeExchange({}, { message: 'no', detail: 'x' }, { ...place, status: 422 }))).toMatchObject({
    usageSource: 'none',
  })
  expect(read(makeExchange({}, {}, { host: 'api.openai.com', path: '/v1/conversations' })).dialect).toBe('unknown')
})
