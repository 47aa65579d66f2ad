import { expect, it } from 'vitest'
import { makeExchange } from '../testing/make-exchange.ts'
import { read } from './index.ts'

const google = { host: 'generativelanguage.googleapis.com', method: 'GET', responseHeaders: {} }
const answer = (promptTokenCount: number, candidatesTokenCount: number) => ({
  response: {
    modelVersion: 'gemini-2.5-flash',
    usageMetadata: { promptTokenCount, candidatesTokenCount, totalTokenCount: promptTokenCount + candidatesTokenCount },
  },
})

it('in the batch itself, and as a file: each answer is a line of the bill', () => {
  const expected = {
    dialect: 'gemini-batch-results',
    serviceTier: 'batch',
    counts: { input: 30, output: 7 },
    billedLines: [{ kind: 'batch_request', model: 'gemini-2.5-flash' }, { model: 'gemini-2.5-flash' }],
    usageSource: 'provider',
  }
  const batch = {
    name: 'batches/b1',
    done: true,
    response: { inlinedResponses: { inlinedResponses: [answer(10, 3), answer(20, 4)] } },
  }
  expect(read(makeExchange(undefined, batch, { ...google, path: '/v1beta/batches/b1' }))).toMatchObject({
    ...expected,
    responseId: 'batches/b1',
  })
  const file = `${JSON.stringify({ key: 'a', ...answer(10, 3) })}\n${JSON.stringify({ key: 'b', ...answer(20, 4) })}\n`
  const download = { ...google, path: '/download/v1beta/files/f1:download' }
  expect(read(makeExchange(undefined, file, download))).toMatchObject({ ...expected, responseId: 'files/f1' })
  expect(read(makeExchange(undefined, file.slice(0, -20), download)).usageSource).toBe('partial')
})

it('a batch at work, and any other file, bill nothing', () => {
  const working = { name: 'batches/b1', metadata: { state: 'BATCH_STATE_RUNNING' } }
  expect(read(makeExchange(undefined, working, { ...google, path: '/v1beta/batches/b1' }))).toMatchObject({
    billable: false,
    usage: {},
  })
})
