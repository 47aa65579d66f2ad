import { expect, it } from 'vitest'
import { makeExchange } from '../testing/make-exchange.ts'
import { read } from './index.ts'

const place = { method: 'GET', path: '/v1/files/file-1/content' }
const line = (id: string, body: object, status = 200) =>
  JSON.stringify({
    id: `batch_req_${id}`,
    custom_id: id,
    response: { status_code: status, request_id: 'r', body },
    error: null,
  })
const chat = {
  object: 'chat.completion',
  model: 'gpt-4o',
  usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
}
const response = { object: 'response', model: 'gpt-5', usage: { input_tokens: 20, output_tokens: 4, total_tokens: 24 } }
const vectors = {
  object: 'list',
  data: [],
  model: 'text-embedding-3-small',
  usage: { prompt_tokens: 6, total_tokens: 6 },
}
const text = [
  line('a', chat),
  line('b', response),
  line('c', vectors),
  line('d', { error: { message: 'no' } }, 400),
].join('\n')

it('bills each line at its own model, once for the file', () => {
  expect(read(makeExchange(undefined, `${text}\n`, { ...place, responseHeaders: {} }))).toMatchObject({
    dialect: 'openai-batch-results',
    operation: 'batch',
    responseId: 'file-1',
    serviceTier: 'batch',
    counts: { input: 36, output: 9 },
    usageSource: 'provider',
    billedLines: [
      { kind: 'batch_request', model: 'gpt-4o', counts: { input: 10, output: 5 } },
      { kind: 'batch_request', model: 'gpt-5', counts: { input: 20, output: 4 } },
      { kind: 'batch_request', model: 'text-embedding-3-small', counts: { input: 6 } },
    ],
  })
})

it('of a cut file the lines that stand whole are partial', () => {
  for (let cut = 1; cut < text.length; cut++) {
    const reading = read(
      makeExchange(undefined, text.slice(0, cut), { ...place, responseHeaders: {}, responseComplete: false }),
    )
    expect(reading.usageSource).not.toBe(cut < text.length - 1 ? 'provider' : 'x')
    expect([undefined, 10, 30, 36]).toContain(reading.counts.input)
  }
})

it('any other file is nobody’s usage', () => {
  for (const body of ['{"prompt":"x"}\n{"prompt":"y"}\n', 'a,b\n1,2\n', '{"usage":{"prompt_tokens":9}}'])
    expect(read(makeExchange(undefined, body, { ...place, responseHeaders: {} }))).toMatchObject({
      billable: false,
      usage: {},
    })
})
