import { describe, expect, it } from 'vitest'
import { makeExchange } from '../testing/make-exchange.ts'
import { read } from './index.ts'

const response = (more: object = {}) => ({
  id: 'resp_1',
  object: 'response',
  status: 'completed',
  model: 'gpt-5.5',
  output: [],
  usage: { input_tokens: 10, output_tokens: 5, total_tokens: 15 },
  ...more,
})
const chat = (id: string) => ({
  id,
  object: 'chat.completion',
  model: 'gpt-4.1',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
})
const run = {
  id: 'run_1',
  object: 'thread.run',
  status: 'completed',
  usage: { prompt_tokens: 9, completion_tokens: 3 },
}
const batchLine = JSON.stringify({ custom_id: 'a', response: { status_code: 200, body: chat('c') } })

describe('design law 10: what may be a repeat is a property of method and path', () => {
  it.each([
    // An answer that nobody keeps has no identity, whatever id it bears.
    ['a chat', 'POST', '/v1/chat/completions', {}, chat('chatcmpl-1'), undefined],
    ['a chat of vLLM', 'POST', '/v1/chat/completions', { stream: false }, chat('chatcmpl-of-the-client'), undefined],
    ['a response that is not kept', 'POST', '/v1/responses', { store: false }, response(), undefined],
    ['one that says so itself', 'POST', '/v1/responses', {}, response({ store: false }), undefined],
    // Origins of answers that are kept.
    ['a kept chat', 'POST', '/v1/chat/completions', { store: true }, chat('c1'), 'chat_completion/c1 made'],
    ['a response', 'POST', '/v1/responses', {}, response(), 'response/resp_1 made'],
    ['a compaction', 'POST', '/v1/responses/compact', {}, response(), 'response/resp_1 made'],
    ['a run', 'POST', '/v1/threads/t/runs', {}, run, 'run/run_1 made'],
    // Retrievals, also by POST.
    ['a poll', 'GET', '/v1/responses/resp_1', undefined, response(), 'response/resp_1 retrieved'],
    ['a cancellation', 'POST', '/v1/responses/resp_1/cancel', {}, response(), 'response/resp_1 retrieved'],
    ['a stored chat', 'GET', '/v1/chat/completions/c1', undefined, chat('c1'), 'chat_completion/c1 retrieved'],
    ['its metadata changed', 'POST', '/v1/chat/completions/c1', {}, chat('c1'), 'chat_completion/c1 retrieved'],
    [
      'a deferred chat',
      'GET',
      '/v1/chat/deferred-completion/q1',
      undefined,
      chat('c9'),
      'chat_completion/q1 retrieved',
    ],
    ['a run polled', 'GET', '/v1/threads/t/runs/run_1', undefined, run, 'run/run_1 retrieved'],
    ['a run cancelled', 'POST', '/v1/threads/t/runs/run_1/cancel', {}, run, 'run/run_1 retrieved'],
    ['a run continued', 'POST', '/v1/threads/t/runs/run_1/submit_tool_outputs', {}, run, 'run/run_1 retrieved'],
    ['a batch file', 'GET', '/v1/files/file_1/content', undefined, batchLine, 'batch_file/file_1 retrieved'],
  ])('%s', (_what, method, path, request, answer, expected) => {
    const place = { method, path, host: 'api.openai.com' }
    const { answer: identity } = read(makeExchange(request, answer, place))
    expect(
      identity === undefined
        ? undefined
        : `${identity.key.replace('api.openai.com/', '')} ${identity.retrieval ? 'retrieved' : 'made'}`,
    ).toBe(expected)
  })

  it('the same id at two hosts is two answers', () => {
    const key = (host: string) => read(makeExchange({}, response(), { path: '/v1/responses', host })).answer?.key
    expect(key('api.openai.com')).not.toBe(key('acme.openai.azure.com'))
  })
})
