import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Message } from '../call.ts'
import type { Exchange, Reading } from '../dialects/dialect.ts'
import { read } from '../dialects/index.ts'
import { parseExchangeLine } from '../read-command/exchange-line.ts'
import { makeExchange, makeStream } from '../testing/make-exchange.ts'
import { countTokens } from './encode.ts'
import { type CountJob, makeEstimator, planEstimate, withEstimate } from './estimate.ts'

const count = async ({ encoding, texts }: CountJob) => texts.map((text) => countTokens(text, encoding))
const estimate = makeEstimator(count)

const request = {
  model: 'gpt-4o',
  stream: true,
  messages: [
    { role: 'system', content: 'You are terse.' },
    { role: 'user', content: 'Say hello to the world' },
  ],
}
const chunk = (delta: object, finish_reason: string | null = null) => ({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  model: 'gpt-4o-2024-08-06',
  choices: [{ index: 0, delta, finish_reason }],
})
const words = [chunk({ role: 'assistant', content: 'Hello' }), chunk({ content: ', world!' })]
const ended = makeStream([...words, chunk({}, 'stop'), '[DONE]'])
const cut = makeStream(words)
const hungUp = { responseComplete: false }
const chat = (response: unknown = ended, parts: Partial<Exchange> = {}, body: unknown = request) =>
  read(makeExchange(body, response, parts))

describe('a call whose usage nobody reported', () => {
  it('is estimated by the model’s own encoding, each message with what stands around it', async () => {
    const counted = await estimate(chat())
    const input = countTokens('You are terse.', 'o200k_base') + countTokens('Say hello to the world', 'o200k_base')
    expect(counted).toMatchObject({
      usageSource: 'estimated',
      usageReason: 'stream_without_usage + o200k_base',
      counts: { input: input + 2 * (3 + 1) + 3, output: 4 },
      usage: { input: input + 11, output: 4 },
    })
  })

  it('#16: a client that hung up is estimated from what it saw, and that is a lower bound', async () => {
    const counted = await estimate(chat(cut, hungUp))
    expect(counted.usageReason).toBe('stream_cut + o200k_base + lower_bound')
    expect(counted.counts.output).toBe(4)
    expect((await estimate(chat(cut, { ...hungUp, status: 499 }))).usageSource).toBe('estimated')
  })

  it('an error after words is estimated, one before the first word is not (#28)', async () => {
    const failure = { error: { type: 'server_error', message: 'no' } }
    const after = await estimate(chat(makeStream([...words, failure])))
    expect(after).toMatchObject({ usageSource: 'estimated', usageReason: 'stream_error + o200k_base' })
    expect((await estimate(chat(makeStream([failure])))).usageSource).toBe('none')
    expect((await estimate(chat({ error: { type: 'x' } }, { status: 500 }))).usageSource).toBe('none')
  })

  it('a hang-up before the first word stays unknown', async () => {
    const silent = ['', makeStream([chunk({ role: 'assistant', content: '' })])]
    for (const response of silent) {
      const reading = chat(response, { ...hungUp, status: 499 })
      expect(await estimate(reading)).toBe(reading)
      expect(reading.usageSource).toBe('unknown')
    }
  })

  it('an answer without a word that came to its end was read and billed', async () => {
    const counted = await estimate(chat(makeStream([chunk({ role: 'assistant', content: '' }, 'stop'), '[DONE]'])))
    expect(counted).toMatchObject({ usageSource: 'estimated', counts: { output: 0 } })
  })

  it('#16: what the provider said is never replaced, a zero neither', async () => {
    for (const usage of [
      { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 },
      { prompt_tokens: 7, completion_tokens: 0, total_tokens: 7 },
    ]) {
      const reading = chat(makeStream([...words, chunk({}, 'stop'), { ...chunk({}), choices: [], usage }, '[DONE]']))
      expect(await estimate(reading)).toBe(reading)
      expect(reading.usageSource).toBe('provider')
    }
  })

  it('another provider’s model has a stand-in, and says so', async () => {
    const response = makeStream([...words, '[DONE]']).replaceAll('gpt-4o-2024-08-06', 'qwen3-32b')
    const counted = await estimate(chat(response, { host: 'llm.internal' }, { ...request, model: 'qwen3-32b' }))
    expect(counted.usageReason).toBe('stream_without_usage + o200k_base_stand_in')
  })

  it('older models have their encodings', async () => {
    const response = ended.replaceAll('gpt-4o-2024-08-06', 'gpt-3.5-turbo-0125')
    expect((await estimate(chat(response))).usageReason).toBe('stream_without_usage + cl100k_base')
  })

  it('pictures and hidden reasoning cannot be counted: a lower bound', async () => {
    const picture = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }
    const messages = [{ role: 'user', content: [{ type: 'text', text: 'What is it?' }, picture] }]
    expect((await estimate(chat(ended, {}, { ...request, messages }))).usageReason).toContain('lower_bound')
    for (const model of ['o3-mini', 'gpt-5-nano-2025-08-07']) {
      const response = ended.replaceAll('gpt-4o-2024-08-06', model)
      expect((await estimate(chat(response))).usageReason).toContain('lower_bound')
    }
    const plain = ended.replaceAll('gpt-4o-2024-08-06', 'gpt-5-chat-latest')
    expect((await estimate(chat(plain))).usageReason).not.toContain('lower_bound')
  })

  it('reasoning in hand is counted as such', async () => {
    const thought = chunk({ reasoning_content: 'They want a greeting.' })
    const { usage } = await estimate(chat(makeStream([thought, ...words, chunk({}, 'stop'), '[DONE]'])))
    expect(usage).toMatchObject({ output: 4, output_reasoning: countTokens('They want a greeting.', 'o200k_base') })
  })

  it('tool definitions and calls of tools count', async () => {
    const tools = [{ type: 'function', function: { name: 'get_weather', description: 'The weather', parameters: {} } }]
    const call = { index: 0, id: 'c', function: { name: 'get_weather', arguments: '{"city":"Oslo"}' } }
    const response = makeStream([chunk({ tool_calls: [call] }), chunk({}, 'tool_calls'), '[DONE]'])
    const without = await estimate(chat(response))
    const counted = await estimate(chat(response, {}, { ...request, tools }))
    expect(counted.counts.input! - without.counts.input!).toBe(
      countTokens('get_weather:The weather', 'o200k_base') + 7 + 12,
    )
    expect(counted.counts.output).toBe(
      countTokens('get_weather', 'o200k_base') + countTokens('{"city":"Oslo"}', 'o200k_base') + 7,
    )
  })

  it('a body without usage, a completion, an embedding: too', async () => {
    const whole = { choices: [{ index: 0, message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }] }
    expect((await estimate(chat({ ...whole, model: 'gpt-4o' }))).usageReason).toBe('body_without_usage + o200k_base')
    const completion = read(
      makeExchange(
        { model: 'gpt-3.5-turbo-instruct', prompt: 'Once upon a time' },
        { model: 'gpt-3.5-turbo-instruct', choices: [{ index: 0, text: ' there was', finish_reason: 'stop' }] },
        { path: '/v1/completions' },
      ),
    )
    // A prompt has nothing around it.
    expect(await estimate(completion)).toMatchObject({ counts: { input: 4, output: 2 } })
    const embedding = read(
      makeExchange(
        { model: 'text-embedding-3-small', input: ['Once upon a time', 'there was'] },
        { object: 'list', model: 'text-embedding-3-small', data: [{ embedding: [0.1] }] },
        { path: '/v1/embeddings' },
      ),
    )
    const counted = await estimate(embedding)
    expect(counted).toMatchObject({ usageSource: 'estimated', counts: { input: 6 } })
    expect(counted.counts).not.toHaveProperty('output')
  })

  it('a prompt that was not captured is not in the number, not zero, and said', async () => {
    const counted = await estimate(chat(ended, {}, 'a body that was not kept'))
    expect(counted.usageReason).toBe('stream_without_usage + o200k_base + input_not_seen + lower_bound')
    expect(counted.usage).toEqual({ output: 4 })
  })

  it('what nobody bills, and what is no text, is left alone', async () => {
    for (const [path, body] of [
      ['/v1/moderations', { input: 'x' }],
      ['/v1/images/generations', { prompt: 'x' }],
    ] as const) {
      const reading = read(makeExchange(body, { data: [] }, { path }))
      expect(await estimate(reading)).toBe(reading)
    }
  })
})

describe('a stream whose input the provider said and whose end was cut (Anthropic)', () => {
  const start = (usage: object) => ({
    type: 'message_start',
    message: { id: 'msg_1', type: 'message', role: 'assistant', model: 'claude-sonnet-4-5', content: [], usage },
  })
  const text = (content: string) => ({
    type: 'content_block_delta',
    index: 0,
    delta: { type: 'text_delta', text: content },
  })
  const anthropic = (...events: object[]) =>
    read(
      makeExchange({ model: 'claude-sonnet-4-5', messages: [] }, makeStream(events, true), {
        host: 'api.anthropic.com',
        path: '/v1/messages',
        responseComplete: false,
      }),
    )
  const usage = { input_tokens: 25, cache_read_input_tokens: 100, output_tokens: 1 }

  it('keeps the input, and estimates the output alone', async () => {
    const counted = await estimate(anthropic(start(usage), text('Hello, world! How are you today?')))
    expect(counted).toMatchObject({
      usageSource: 'estimated',
      usageReason: 'stream_cut + o200k_base_stand_in + output_estimated + lower_bound',
      usage: { input: 25, cache_read: 100, output: 9 },
    })
  })

  it('keeps the running output where it is more: then it is the provider’s, and partial', async () => {
    const reading = anthropic(start({ ...usage, output_tokens: 50 }), text('Hello'))
    expect(await estimate(reading)).toBe(reading)
    expect(reading.usageSource).toBe('partial')
  })

  it('leaves it where no word came', async () => {
    const reading = anthropic(start(usage))
    expect(await estimate(reading)).toBe(reading)
  })
})

describe('when nothing can be counted', () => {
  it.each([['queue_full'], ['failed']] as const)('%s: unknown, and it says why', async (outcome) => {
    const counted = await makeEstimator(async () => outcome)(chat())
    expect(counted).toMatchObject({
      usageSource: 'unknown',
      usage: {},
      usageReason: `stream_without_usage + estimate_${outcome}`,
    })
  })

  it('a defect costs the estimate alone', async () => {
    const broken = { ...chat(), content: { output: 7 as unknown as Message[] } }
    expect(await estimate(broken)).toMatchObject({ usageSource: 'unknown', usageReason: /estimate_failed$/ })
  })
})

describe('long texts', () => {
  const prose = Array.from({ length: 30_000 }, (_, n) => `word${n % 700} and then`).join(' ')

  it('an even share is counted, and the whole is near', async () => {
    const messages = [
      { role: 'user', content: prose.slice(0, 200_000) },
      { role: 'user', content: prose.slice(200_000, 400_000) },
    ]
    const reading = chat(ended, {}, { ...request, messages })
    const plan = planEstimate(reading, 32 * 1024)!
    expect(plan.job.texts.join('').length).toBeLessThanOrEqual(32 * 1024)
    const counted = withEstimate(reading, plan, await count(plan.job))
    expect(counted.usageReason).toBe('stream_without_usage + o200k_base + by_length')
    const truth = (await estimate(reading)) as Reading
    const whole = await makeEstimator(count, 1e9)(reading)
    expect(Math.abs(counted.counts.input! / whole.counts.input! - 1)).toBeLessThan(0.03)
    expect(Math.abs(truth.counts.input! / whole.counts.input! - 1)).toBeLessThan(0.01)
  })

  it('many short texts are bounded as well', () => {
    const messages = Array.from({ length: 5000 }, () => ({ role: 'user', content: 'hello' }))
    const plan = planEstimate(chat(ended, {}, { ...request, messages }), 1000)!
    expect(plan.job.texts.join('').length).toBeLessThanOrEqual(1000)
  })
})

const RECORDED = join(import.meta.dirname, '../../../shared/data/provider-exchanges/exchanges.jsonl')
describe.skipIf(!existsSync(RECORDED) && process.env.CI === undefined)(
  'against what OpenAI reported (recorded exchanges)',
  () => {
    interface Compared {
      tools: boolean
      input: number
      output: number
    }
    const compared: Compared[] = []
    const silenced: string[] = []

    beforeAll(async () => {
      for (const line of readFileSync(RECORDED, 'utf8').trimEnd().split('\n')) {
        // Where the recorder left something out, the text is not what the provider read.
        if (!/"provider": ?"(?:openai|azure)"/.test(line) || line.includes('base64 omitted')) continue
        const truth = read(parseExchangeLine(line, () => 0).exchange)
        if (truth.usageSource === 'unknown' && truth.usageReason === 'stream_without_usage') {
          silenced.push((await estimate(truth)).usageSource)
          continue
        }
        if (truth.dialect !== 'openai-chat' || truth.usageSource !== 'provider') continue
        const counted = await estimate({
          ...truth,
          counts: {},
          usage: {},
          usageSource: 'unknown',
          usageReason: 'stream_without_usage',
        })
        const { input, output } = truth.counts
        if (counted.usageSource !== 'estimated' || counted.usageReason!.includes('lower_bound')) continue
        compared.push({
          tools: truth.content?.tools !== undefined,
          input: Math.abs(counted.counts.input! / input! - 1),
          output: Math.abs(counted.counts.output! / output! - 1),
        })
      }
    })
    const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!

    it('chats without tools: the median error is nothing', () => {
      const plain = compared.filter(({ tools }) => !tools)
      expect(plain.length).toBeGreaterThan(10)
      expect(median(plain.map(({ input }) => input))).toBe(0)
      expect(median(plain.map(({ output }) => output))).toBe(0)
    })

    it('with tools: near', () => {
      const tools = compared.filter((row) => row.tools)
      expect(tools.length).toBeGreaterThan(2)
      expect(median(tools.map(({ input }) => input))).toBeLessThan(0.1)
      // Calls are short: what stands around them weighs, and differs by model.
      expect(median(tools.map(({ output }) => output))).toBeLessThan(0.2)
    })

    it('every stream that reported nothing has an estimate', () => {
      expect(silenced.length).toBeGreaterThan(5)
      expect(new Set(silenced)).toEqual(new Set(['estimated']))
    })
  },
)
