import { expect, it } from 'vitest'
import { makeExchange } from '../testing/make-exchange.ts'
import { read } from './index.ts'

it('Mistral on Vertex speaks OpenAI’s chat format under Google’s path', () => {
  const path = '/v1/projects/p/locations/us-central1/publishers/mistralai/models/mistral-medium-3:rawPredict'
  const answer = {
    choices: [{ message: { content: 'Hi' }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 3, completion_tokens: 1 },
  }
  expect(
    read(makeExchange({ messages: [] }, answer, { host: 'us-central1-aiplatform.googleapis.com', path })),
  ).toMatchObject({
    dialect: 'vertex-mistral',
    requestModel: 'mistral-medium-3',
    usage: { input: 3, output: 1 },
    usageSource: 'provider',
    priceAttributes: { region: 'us-central1' },
  })
})
