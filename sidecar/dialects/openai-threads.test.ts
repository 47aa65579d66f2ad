import { expect, it } from 'vitest'
import { makeExchange, makeStream } from '../testing/make-exchange.ts'
import { read } from './index.ts'

const place = { method: 'GET', path: '/v1/threads/thread_1/runs/run_1' }
const usage = {
  prompt_tokens: 381,
  completion_tokens: 88,
  total_tokens: 469,
  prompt_token_details: { cached_tokens: 100 },
}
const run = { id: 'run_1', object: 'thread.run', status: 'completed', model: 'gpt-4o-mini', usage }

it('each poll of a finished run repeats its usage under one id', () => {
  expect(read(makeExchange(undefined, run, place))).toMatchObject({
    dialect: 'openai-threads',
    responseId: 'run_1',
    finishReasons: ['completed'],
    usage: { input: 281, cache_read: 100, output: 88 },
    usageSource: 'provider',
  })
})

it('a run at work, and a list of runs, have none', () => {
  const working = read(makeExchange(undefined, { ...run, status: 'in_progress', usage: null }, place))
  expect(working).toMatchObject({ usage: {}, usageSource: 'none', usageReason: 'pending' })
  const list = { object: 'list', data: [run] }
  expect(read(makeExchange(undefined, list, { ...place, path: '/v1/threads/thread_1/runs' }))).toMatchObject({
    usage: {},
  })
})

it('a stream ends with the run; its steps are part of it', () => {
  const step = { object: 'thread.run.step', usage: { prompt_tokens: 5, completion_tokens: 5 } }
  const created = { method: 'POST', path: '/v1/threads/runs' }
  const text = `event: thread.run.created\ndata: ${JSON.stringify({ ...run, status: 'queued', usage: null })}\n\n${makeStream([step, run])}`
  expect(read(makeExchange({ stream: true }, text, created))).toMatchObject({
    stream: true,
    usage: { input: 281, output: 88 },
  })
  const failed = { ...run, status: 'failed', usage: null, last_error: { code: 'rate_limit_exceeded', message: 'slow' } }
  expect(read(makeExchange({}, makeStream([failed]), created)).error).toEqual({
    type: 'rate_limit_exceeded',
    message: 'slow',
  })
})
