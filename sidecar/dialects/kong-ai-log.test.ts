import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readKongAiLog } from './kong-ai-log.ts'

const DATA = join(import.meta.dirname, '../../../shared/data')
const present = existsSync(join(DATA, 'kong-log-documented'))
const ok = { status: 200, source: 'upstream', stream: false }

function readDocument(folder: string, start: string, stream = false) {
  const file = readdirSync(join(DATA, folder)).find((name) => name.startsWith(start) && name.endsWith('.json'))
  const document = JSON.parse(readFileSync(join(DATA, folder, file as string), 'utf8'))
  return readKongAiLog(document.ai, { status: document.response.status, source: document.source, stream })
}

if (!present && process.env.CI !== undefined)
  it('finds the log documents', () => expect.fail('../shared/data/kong-log-documented is not here'))

describe.skipIf(!present)('documents in the documented structure (skipped where ../shared/data is absent)', () => {
  const counts = { input: 25, output: 12 }
  it.each([
    ['01-', 'openai', 'provider'],
    ['02-', 'openai', 'provider'],
    ['03-', 'openai', 'provider'],
    ['04-', 'openai', 'provider'],
    ['06-', 'azure.ai.openai', 'gateway'],
    ['07-', 'openai', 'gateway'],
    ['11-', 'openai', 'gateway'],
    ['19-', 'openai', 'gateway'],
    ['21-', 'openai', 'gateway'],
    ['28-', 'openai', 'gateway'],
  ])('%s reads its counts', (start, provider, usageSource) => {
    expect(readDocument('kong-log-documented', start)).toMatchObject({ provider, usage: counts, usageSource })
  })

  it('reads models and latency', () => {
    expect(readDocument('kong-log-documented', '04-')).toMatchObject({
      requestModel: 'gpt-4o-mini',
      responseModel: 'gpt-4o-mini-2024-07-18',
      responseId: 'chatcmpl-x',
      llmLatencyMs: 842,
      content: { output: [{ parts: [{ type: 'text', content: '2' }] }] },
    })
  })

  it('does not take the numbers of streams and errors', () => {
    expect(readDocument('kong-log-documented', '05-', true)).toMatchObject({
      usage: {},
      usageSource: 'unknown',
      usageReason: 'kong_stream_numbers',
    })
    expect(readDocument('kong-log-documented', '25-')).toMatchObject({ usageReason: 'kong_error_estimate' })
    expect(readDocument('kong-log-documented', '18-')).toMatchObject({
      usageReason: 'kong_error_estimate',
    })
  })

  it('has the tokens of a cached answer: they are savings', () => {
    for (const start of ['09-', '10-'])
      expect(readDocument('kong-log-documented', start)).toMatchObject({ usage: counts })
  })

  it('knows what never reached a model', () => {
    const blocked = readDocument('kong-log-documented', '12-')
    expect(blocked).toMatchObject({ usage: {}, usageSource: 'none' })
    expect(blocked?.provider).toBeUndefined()
    for (const start of ['14-', '15-', '16-', '17-'])
      expect(readDocument('kong-log-documented', start)).toMatchObject({
        usage: {},
        usageSource: 'none',
      })
    for (const start of ['13-', '20-', '23-', '24-', '26-', '27-'])
      expect(readDocument('kong-log-documented', start), start).toBeUndefined()
  })

  it('adds up the calls of both transformers', () => {
    expect(readDocument('kong-log-documented', '22-')).toMatchObject({
      usage: { input: 50, output: 24 },
      usageSource: 'gateway',
    })
  })
})

describe.skipIf(!present)('documents that Kong 3.9.3 wrote (skipped where ../shared/data is absent)', () => {
  it('takes the provider’s usage out of the payload', () => {
    for (const start of ['a-', 'e-'])
      expect(readDocument('kong-3.9.3-logs', start)).toMatchObject({
        usage: { input: 15, cache_read: 10, output: 7, output_reasoning: 2 },
        usageSource: 'provider',
        responseModel: 'gpt-4o-2024-08-06',
        content: { system: 'You are terse', input: [{ role: 'user' }], output: [{ role: 'assistant' }] },
      })
  })

  it('takes Kong’s numbers where nothing else is there', () => {
    expect(readDocument('kong-3.9.3-logs', 'a2-')).toMatchObject({
      usage: { input: 25, output: 9 },
      usageSource: 'gateway',
    })
  })

  it.each(['b-', 'b2-', 'b3-'])('does not believe the stream %s', (start) => {
    const told = readDocument('kong-3.9.3-logs', start, true)
    expect(told).toMatchObject({ usage: {}, usageSource: 'unknown', usageReason: 'kong_stream_numbers' })
    // The payload alone tells a stream as well.
    if (start !== 'b3-') expect(readDocument('kong-3.9.3-logs', start)).toEqual(told)
  })

  it('reads errors', () => {
    expect(readDocument('kong-3.9.3-logs', 'c-')).toMatchObject({
      usage: {},
      usageSource: 'none',
      error: { type: 'rate_limit_exceeded' },
    })
    expect(readDocument('kong-3.9.3-logs', 'c2-')).toMatchObject({
      usageSource: 'none',
      error: { type: 'server_error' },
    })
    expect(readDocument('kong-3.9.3-logs', 'c3-')).toMatchObject({ usageReason: 'kong_error_estimate' })
    for (const start of ['d-', 'd2-', 'e2-', 'f-'])
      expect(readDocument('kong-3.9.3-logs', start)).toMatchObject({ usage: {}, usageSource: 'none' })
    expect(readDocument('kong-3.9.3-logs', 'g-')).toBeUndefined()
  })
})

it('takes details of EE 3.11 and marks what Kong translated', () => {
  const usage = {
    prompt_tokens: 25,
    completion_tokens: 12,
    total_tokens: 37,
    prompt_tokens_details: { cached_tokens: 8 },
    completion_tokens_details: { reasoning_tokens: 4 },
  }
  const meta = { provider_name: 'openai', request_model: 'm', response_model: 'm' }
  expect(readKongAiLog({ proxy: { meta, usage } }, ok)).toMatchObject({
    usage: { input: 17, cache_read: 8, output: 8, output_reasoning: 4 },
    usageSource: 'gateway',
  })
  const response = JSON.stringify({ object: 'chat.completion', id: 'c', model: 'm', choices: [], usage })
  const translated = { proxy: { meta: { ...meta, provider_name: 'anthropic' }, usage, payload: { response } } }
  expect(readKongAiLog(translated, ok)).toMatchObject({ provider: 'anthropic', usageSource: 'gateway' })
})

it('takes the provider’s own usage out of a native answer, also of the Responses API', () => {
  const meta = { provider_name: 'anthropic', request_model: 'm', response_model: 'm' }
  const logged = (response: object) =>
    readKongAiLog({ proxy: { meta, usage: { prompt_tokens: 1 }, payload: { response: JSON.stringify(response) } } }, ok)
  const message = {
    type: 'message',
    role: 'assistant',
    usage: { input_tokens: 7, cache_read_input_tokens: 3, output_tokens: 2 },
  }
  expect(logged(message)).toMatchObject({ usage: { input: 7, cache_read: 3, output: 2 }, usageSource: 'provider' })
  const answer = { object: 'response', status: 'completed', usage: { input_tokens: 7, output_tokens: 2 } }
  expect(logged(answer)).toMatchObject({ usage: { input: 7, output: 2 }, usageSource: 'provider' })
})

it('never throws', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), fc.integer({ min: 100, max: 599 }), (value, payload, status) => {
      readKongAiLog(value, { ...ok, status })
      readKongAiLog({ proxy: { meta: value, usage: value, payload: { request: JSON.stringify(payload) } } }, ok)
      readKongAiLog({ proxy: { payload: { response: JSON.stringify(payload) } }, other: value }, { ...ok, status })
    }),
  )
})
