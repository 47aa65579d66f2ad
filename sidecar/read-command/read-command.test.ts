import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { openPriceBook } from '../../pricing/open-price-book.ts'
import type { PriceBook } from '../../pricing/price-book.ts'
import { CALL_REASONS } from '../call.ts'
import { parseExchangeLine } from './exchange-line.ts'
import { explain } from './explain.ts'
import { REASON_TEXTS } from './reasons.ts'
import { readLine } from './result-line.ts'
import { linesOf, readExchanges } from './run.ts'

/** Two pico-dollars a token, and 5 for a search. */
const book: PriceBook = {
  version: 'test',
  updated: '2026-01-01',
  costOf: (_key, usage) => {
    const byUnit = Object.fromEntries(
      Object.entries(usage).map(([unit, amount]) => [unit, amount * (unit === 'web_searches' ? 5 : 2)]),
    )
    const picoUsd = Object.values(byUnit).reduce((sum, part) => sum + part, 0)
    return { state: 'priced', picoUsd, byUnit, priceId: 'test:price', book: 'test' }
  },
}
const answer = {
  id: 'chatcmpl-1',
  object: 'chat.completion',
  model: 'gpt-4o-2024-08-06',
  choices: [{ message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop' }],
  usage: {
    prompt_tokens: 25,
    completion_tokens: 9,
    total_tokens: 34,
    prompt_tokens_details: { cached_tokens: 10 },
    completion_tokens_details: { reasoning_tokens: 2 },
    server_tool_use_details: { web_search_requests: 1 },
  },
}
const line = (changes: object = {}, body: unknown = answer) => ({
  id: 'a',
  method: 'POST',
  host: 'api.openai.com:443',
  url_path: '/v1/chat/completions?key=secret',
  request_body: { model: 'gpt-4o', messages: [] },
  response_status: 200,
  response_headers: { 'Content-Type': 'application/json' },
  response_body_b64: Buffer.from(JSON.stringify(body)).toString('base64'),
  at: '2026-11-23T00:00:00Z',
  ...changes,
})
const unchanged = async <T>(reading: T) => reading
const result = async (given: object) =>
  readLine(
    parseExchangeLine(JSON.stringify(given), () => 0),
    book,
    unchanged,
  )

describe('a line', () => {
  it('gives usage in the inclusive sense and the cost of tokens and fees apart', async () => {
    expect((await result(line())).line).toEqual({
      id: 'a',
      provider: 'openai',
      dialect: 'openai-chat',
      operation: 'chat',
      request_model: 'gpt-4o',
      response_model: 'gpt-4o-2024-08-06',
      billable: true,
      usage_source: 'provider',
      usage: {
        input_tokens: 25,
        output_tokens: 9,
        cache_read_tokens: 10,
        reasoning_tokens: 2,
        total_tokens_reported: 34,
        web_search_requests: 1,
      },
      finish_reasons: ['stop'],
      guardrail: false,
      error: null,
      cost_usd: '0.000000000068',
      fees_usd: '0.000000000005',
      total_usd: '0.000000000073',
      cost_lines: [
        { unit: 'input', quantity: 15, usd: '0.00000000003' },
        { unit: 'cache_read', quantity: 10, usd: '0.00000000002' },
        { unit: 'output', quantity: 7, usd: '0.000000000014' },
        { unit: 'output_reasoning', quantity: 2, usd: '0.000000000004' },
        { unit: 'web_searches', quantity: 1, usd: '0.000000000005' },
      ],
      price_id: 'test:price',
    })
  })

  it('of an error is not billable, of a stream without usage unpriced', async () => {
    const refused = await result(line({ response_status: 429 }, { error: { message: 'slow', type: 'rate_limit' } }))
    expect(refused.line).toMatchObject({
      billable: false,
      cost_usd: '0',
      error: { type: 'rate_limit' },
      price_id: null,
    })
    const { usage: _, ...without } = answer
    expect((await result(line({}, without))).line).toMatchObject({
      billable: true,
      usage_source: 'unknown',
      usage: {},
      cost_usd: null,
      total_usd: null,
      unpriced_reason: 'no_usage',
    })
  })

  it('may be compressed, or only say so', async () => {
    const encoded = { 'content-encoding': 'gzip' }
    const body = gzipSync(JSON.stringify(answer)).toString('base64')
    for (const given of [
      line({ response_headers: encoded, response_body_b64: body }),
      line({ response_headers: encoded }),
    ])
      expect((await result(given)).line.usage.input_tokens).toBe(25)
  })

  it('explains itself to a person', async () => {
    const text = explain(await result(line()))
    expect(text).toContain('input 15 + cache_read 10 + output 7 + output_reasoning 2 + web_searches 1')
    expect(text).toContain("the provider's own numbers")
    expect(text).toContain('0.000000000073 USD, of it 0.000000000005 fees')
    expect(text).not.toContain('secret')
  })

  it.each([
    ['{', /not JSON/],
    ['[]', /line: /],
    [JSON.stringify({ ...line(), host: 7 }), /host: /],
    [JSON.stringify(line({ response_body_b64: '***' })), /response_body_b64: not base64/],
    [JSON.stringify(line({ at: 'yesterday' })), /at: /],
  ])('%s is refused by name', (text, message) => {
    expect(() => parseExchangeLine(text, () => 0)).toThrow(message)
  })
})

describe('a file', () => {
  const options = (out: string[], err: string[]) => ({
    book,
    estimate: unchanged,
    explain: false,
    now: () => 0,
    write: async (text: string) => void out.push(text),
    complain: (text: string) => void err.push(text),
  })
  async function* chunks(text: string, size: number) {
    for (let at = 0; at < text.length; at += size) yield Buffer.from(text.slice(at, at + size))
  }

  it('is read in order however it is cut; a bad line is named and stands in its place', async () => {
    const text = `${JSON.stringify(line({ id: 1 }))}\n\nnonsense\n${JSON.stringify(line({ id: 2 }))}`
    for (const size of [1, 7, 64, 100_000]) {
      const out: string[] = []
      const err: string[] = []
      expect(await readExchanges(linesOf(chunks(text, size)), options(out, err))).toBe(1)
      expect(out.map((row) => JSON.parse(row)).map(({ id, line }) => id ?? `line ${line}`)).toEqual([1, 'line 3', 2])
      expect(err).toEqual([expect.stringMatching(/^line 3: not JSON/)])
    }
  })

  it('with a line beyond the limit is refused, not held', async () => {
    const read = async () => {
      for await (const _ of linesOf(chunks('x'.repeat(5000), 100), 1000));
    }
    await expect(read()).rejects.toThrow('a line is longer than 1000 bytes')
  })
})

describe('the command', () => {
  const folder = mkdtempSync(join(tmpdir(), 'read-command-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  const main = join(import.meta.dirname, '../main.ts')
  const environment = { PATH: process.env.PATH ?? '' }

  it('reads a file or the standard input, prices by the book, and ends with 1 where a line was bad', () => {
    const file = join(folder, 'exchanges.jsonl')
    writeFileSync(file, `${JSON.stringify(line())}\n`)
    const run = (args: string[], input = '') =>
      spawnSync(process.execPath, [main, 'read', ...args], { input, encoding: 'utf8', env: environment })
    const fromFile = run([file])
    expect(fromFile).toMatchObject({ status: 0, stderr: '' })
    // gpt-4o: 2.5, 1.25 cached and 10 dollars a million tokens.
    expect(JSON.parse(fromFile.stdout)).toMatchObject({ cost_usd: '0.00014' })
    expect(run(['-'], `${JSON.stringify(line())}\nx\n`)).toMatchObject({
      status: 1,
      stdout: expect.stringContaining('"line":2,"invalid"'),
      stderr: expect.stringContaining('line 2: not JSON'),
    })
    expect(run(['--explain', file]).stdout).toContain('priced as')
    expect(run(['no-such-file']).stderr).toContain('no-such-file')
    expect(run([])).toMatchObject({ status: 2, stderr: expect.stringContaining('name one file') })
  })

  it('stops without a word when its reader goes away', async () => {
    const child = spawn(process.execPath, [main, 'read', '-'], { stdio: ['pipe', 'pipe', 'pipe'], env: environment })
    let complaints = ''
    child.stderr.on('data', (text) => {
      complaints += text
    })
    child.stdin.on('error', () => {})
    child.stdout.once('data', () => child.stdout.destroy())
    const row = `${JSON.stringify(line())}\n`
    const ended = new Promise((resolve) => child.on('exit', resolve))
    const feed = () => {
      if (child.exitCode === null && child.stdin.writable) child.stdin.write(row.repeat(100), () => setImmediate(feed))
    }
    feed()
    expect(await ended).toBe(0)
    expect(complaints).toBe('')
  })
})

describe('docs/read.md', () => {
  const docs = join(import.meta.dirname, '../../docs')

  it('names every reason with the words of --explain', () => {
    const page = readFileSync(join(docs, 'read.md'), 'utf8')
    expect(Object.keys(REASON_TEXTS).sort()).toEqual([...CALL_REASONS].sort())
    for (const [reason, text] of Object.entries(REASON_TEXTS)) expect(page).toContain(`| \`${reason}\` | ${text} |`)
  })

  it('has a sample that reads as it says', async () => {
    const lines = readFileSync(join(docs, 'read-sample.jsonl'), 'utf8').trimEnd().split('\n')
    const prices = openPriceBook()
    const results = await Promise.all(
      lines.map(
        async (text) =>
          (
            await readLine(
              parseExchangeLine(text, () => 0),
              prices,
              unchanged,
            )
          ).line,
      ),
    )
    const by = Object.fromEntries(results.map((line) => [line.id, line]))
    expect(by['openai-chat']).toMatchObject({ usage_source: 'provider', total_usd: '0.000094' })
    expect(by['openai-chat']).not.toHaveProperty('usage_reason')
    expect(by['openai-stream-without-usage']).toMatchObject({ usage_reason: 'stream_without_usage', total_usd: null })
    expect(by['openrouter-own-bill']).toMatchObject({ total_usd: '0.00041', list_usd: expect.any(String) })
    expect(by['responses-code-interpreter']).toMatchObject({
      reasons: ['tool_fee_unknown'],
      answer: { key: 'api.openai.com/response/resp_s1', retrieval: false, final: true },
    })
    expect(by['unknown-host-with-an-unread-count']).toMatchObject({
      reasons: ['unread_usage', 'provider_guessed'],
      unread_usage: ['hologram_tokens'],
    })
    expect(by.refused).toMatchObject({ total_usd: '0', billable: false })
  })
})
