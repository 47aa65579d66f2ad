import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { inFengari, usageLinesProgram } from '../dev/gateway/testing/usage-lines.ts'
import { sumOfMetric } from '../dev/metrics-text.ts'
import { type Stack, startStack } from '../dev/stack.ts'
import { caughtUp } from '../dev/stack-columns.ts'
import { waitUntil } from '../dev/wait-until.ts'
import { SHIPS } from '../plugin/tap-text.ts'
import { openPriceBook } from '../pricing/open-price-book.ts'
import type { Exchange } from '../sidecar/dialects/dialect.ts'
import { read } from '../sidecar/dialects/index.ts'
import { price } from '../sidecar/pipeline/price.ts'
import { makeExchange } from '../sidecar/testing/make-exchange.ts'

/** Two models, one five times as dear as the other: in a batch each of these lines is 0.003 USD. */
const ANSWERS = [
  { model: 'claude-sonnet-4-20250514', usage: { input_tokens: 1000, output_tokens: 200, service_tier: 'batch' } },
  { model: 'claude-opus-4-20250514', usage: { input_tokens: 200, output_tokens: 40, service_tier: 'batch' } },
]
const LINES = 2000
const PRICE = 6

const line = (n: number) =>
  JSON.stringify({
    custom_id: `r${n}`,
    result: {
      type: 'succeeded',
      message: {
        id: `msg_${n}`,
        type: 'message',
        role: 'assistant',
        content: [{ type: 'text', text: 'x'.repeat(900) }],
        ...ANSWERS[n % 2],
      },
    },
  })
const file = Buffer.from(Array.from({ length: LINES }, (_, n) => `${line(n)}\n`).join(''))

describe('what the tap sums up reads as the whole file does', () => {
  const responses = (n: number) => ({
    custom_id: `r${n}`,
    response: {
      status_code: 200,
      body: {
        object: 'response',
        model: 'gpt-5',
        usage: {
          input_tokens: 900 + n,
          input_tokens_details: { cached_tokens: n },
          output_tokens: 7,
          total_tokens: 907 + n,
        },
      },
    },
  })
  const chat = (n: number) => ({
    custom_id: `r${n}`,
    response: {
      body: {
        object: 'chat.completion',
        model: n % 2 === 0 ? 'gpt-4o' : 'gpt-4o-mini',
        usage: {
          prompt_tokens: 40_000 * n,
          completion_tokens: 9,
          total_tokens: 40_000 * n + 9,
          prompt_tokens_details: { cached_tokens: 128, audio_tokens: 0 },
          completion_tokens_details: { reasoning_tokens: n },
        },
      },
    },
  })
  const embedding = (n: number) => ({
    custom_id: `r${n}`,
    response: {
      body: { object: 'list', model: 'text-embedding-3-small', usage: { prompt_tokens: n, total_tokens: n } },
    },
  })
  const gemini = (n: number) => ({
    key: `r${n}`,
    response: {
      modelVersion: 'gemini-2.5-flash',
      usageMetadata: {
        promptTokenCount: 1000 + n,
        candidatesTokenCount: 5,
        thoughtsTokenCount: 3,
        totalTokenCount: 1008 + n,
        promptTokensDetails: [
          { modality: 'TEXT', tokenCount: 1000 },
          { modality: 'AUDIO', tokenCount: n },
        ],
      },
    },
  })
  const cached = (n: number) => ({
    custom_id: `r${n}`,
    result: {
      message: {
        model: 'claude-sonnet-4-5',
        usage: {
          input_tokens: 30_000 * n,
          cache_read_input_tokens: 5,
          cache_creation_input_tokens: 30,
          cache_creation: { ephemeral_5m_input_tokens: 10, ephemeral_1h_input_tokens: 20 },
          output_tokens: 4,
          server_tool_use: { web_search_requests: 1 },
        },
      },
    },
  })
  const OPENAI = { provider: 'openai', host: 'api.openai.com', path: '/v1/files/file-1/content' }
  const GOOGLE = {
    provider: 'google',
    host: 'generativelanguage.googleapis.com',
    path: '/download/v1beta/files/f1:download',
  }
  const ANTHROPIC = {
    provider: 'anthropic',
    host: 'api.anthropic.com',
    path: '/v1/messages/batches/msgbatch_1/results',
  }
  it.each([
    ['Responses', OPENAI, responses],
    ['chat', OPENAI, chat],
    ['embeddings', OPENAI, embedding],
    ['Gemini', GOOGLE, gemini],
    ['Anthropic', ANTHROPIC, cached],
  ] as const)('%s', (_name, place, lineOf) => {
    const text = Array.from({ length: 9 }, (_, n) => JSON.stringify(lineOf(n + 1))).join('\n')
    const [sums] = inFengari(usageLinesProgram(Buffer.from(text), [[100, 1000]]))
    const groups = Object.entries(sums!.groups).map(([key, group]) => {
      const [model, over] = key.split(' ')
      return { ...group, model, promptOver: Number(over) }
    })
    const usageLines = { lines: sums!.lines, skipped: sums!.skipped, groups }
    const { provider, ...at } = place
    const context = { ...at, method: 'GET' }
    const book = openPriceBook()
    const cost = (exchange: Exchange) => {
      const reading = read(exchange)
      const known = { book, tenant: '', provider, startedAt: Date.UTC(2026, 10, 23), durationMs: 0 }
      const { cost: priced } = price(reading, { ...known, httpStatus: 200, cache: undefined })
      const { usageSource, reasons, unreadUsage } = reading
      // An answer without a count of output has none: 0 says the same.
      const usage = { output: 0, ...reading.usage }
      return { picoUsd: priced.state === 'priced' ? priced.picoUsd : priced, usage, usageSource, reasons, unreadUsage }
    }
    const whole = cost(makeExchange(undefined, text, context))
    expect(whole.usageSource).toBe('provider')
    expect(whole.picoUsd).toBeGreaterThan(0)
    expect(cost(makeExchange(undefined, text.slice(0, 60), { ...context, usageLines }))).toEqual(whole)
  })
})

/** Repro 31 through everything: gateway, tap, whoever ships, sidecar. */
describe.each(SHIPS)('results of a batch of 2 MB, captures shipped by the %s', (ship) => {
  const directory = mkdtempSync(join(tmpdir(), 'batch-results-'))
  const agent = new Agent()
  let stack: Stack

  beforeAll(async () => {
    const recordings = join(directory, 'results.jsonl')
    const recorded = {
      id: 'results',
      method: 'GET',
      url_path: '/v1/messages/batches/msgbatch_1/results',
      request_headers: {},
      provider: 'anthropic',
      endpoint: 'batches',
      response_status: 200,
      response_headers: { 'content-type': 'application/x-jsonl' },
      response_body_b64: file.toString('base64'),
      is_stream: false,
      expected: {},
    }
    writeFileSync(recordings, `${JSON.stringify(recorded)}\n`)
    stack = await startStack({ directory, ship, provider: { latencyMs: [0, 1], recordings } })
  })
  afterAll(async () => {
    await agent.close()
    await stack?.close()
    rmSync(directory, { recursive: true, force: true })
  })

  let calls = 0
  async function download(): Promise<string> {
    const { body, statusCode } = await request(
      `${stack.gateway.url}/anthropic/v1/messages/batches/msgbatch_1/results`,
      { dispatcher: agent, method: 'GET', headers: { apikey: 'alice-demo-key', 'x-mock-replay': 'results' } },
    )
    expect(statusCode).toBe(200)
    expect(Buffer.from(await body.arrayBuffer()).equals(file)).toBe(true)
    calls++
    await waitUntil(() => caughtUp(stack, calls))
    return (await fetch(`${stack.sidecarUrl}/metrics`)).text()
  }

  it('are billed line by line to their models, once', async () => {
    const first = await download()
    expect(sumOfMetric(first, 'llm_cost_usd_total')).toBe(PRICE)
    expect(sumOfMetric(first, 'llm_usage_source_calls_total', { source: 'provider' })).toBe(1)
    const [span] = stack.otlp.spans()
    expect(span!.attributes.get('kong.llm.price.id')).toMatch(/claude-sonnet-4.* \+ .*claude-opus-4/)
    expect(sumOfMetric(first, 'llm_tokens_total', { type: 'input' })).toBe((LINES / 2) * 1200)
    for (let n = 0; n < 2; n++) {
      const again = await download()
      expect(sumOfMetric(again, 'llm_cost_usd_total')).toBe(PRICE)
      expect(sumOfMetric(again, 'llm_repeated_answers_total')).toBe(n + 1)
    }
  })
})
