import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { exchangeOf, headersOf } from '../pipeline/exchange-of.ts'
import { makeCapture } from '../testing/make-capture.ts'
import { makeExchange } from '../testing/make-exchange.ts'
import { boundExchange, MAX_BYTES, MAX_LINES } from './bound-exchange.ts'
import { levelsAtEnd } from './cut-json.ts'
import { read } from './index.ts'
import { parseServerSentEvents } from './server-sent-events.ts'

const stream = (body: string) =>
  makeExchange({ model: 'gpt-4o', stream: true }, undefined, {
    path: '/v1/chat/completions',
    host: 'api.openai.com',
    responseHeaders: { 'content-type': 'text/event-stream' },
    responseBody: Buffer.from(body),
  })
const END = `data: ${JSON.stringify({
  id: 'x',
  object: 'chat.completion.chunk',
  model: 'gpt-4o',
  service_tier: 'default',
  choices: [],
  usage: { prompt_tokens: 25, completion_tokens: 9, total_tokens: 34 },
})}\n\ndata: [DONE]\n\n`

describe('work for one capture is bounded', () => {
  it.each([
    ['empty lines', '\n'],
    ['carriage returns', '\r'],
    ['lines without a colon', 'a\n'],
    ['empty events', 'data: {}\n\n'],
    ['long lines', `: ${'x'.repeat(5000)}\n`],
  ])('megabytes of %s: the end is read, the middle is not', (_what, line) => {
    const body = line.repeat(Math.ceil((6 * 1024 * 1024) / line.length))
    const given = stream(`data: {"object":"chat.completion.chunk","choices":[]}\n\n${body}\n\n${END}`)
    const { exchange, limited } = boundExchange(given)
    expect(limited).toBe(true)
    for (const bytes of [exchange.responseBody!, exchange.responseTail!]) {
      expect(bytes.length).toBeLessThanOrEqual(MAX_BYTES)
      expect(Buffer.from(bytes).toString('latin1').split(/\n|\r/).length).toBeLessThanOrEqual(MAX_LINES + 1)
    }
    expect(read(given)).toMatchObject({ usage: { input: 25, output: 9 }, usageSource: 'provider' })
  })

  it('where the end says no usage, the call says `read_limit`', () => {
    const reading = read(stream(`data: {"object":"chat.completion.chunk","choices":[]}\n\n${'\n'.repeat(200_000)}`))
    expect(reading).toMatchObject({ usageSource: 'unknown', reasons: ['read_limit'] })
  })

  it('a small body that unpacks to a large one is not held in memory', () => {
    const packed = gzipSync(Buffer.alloc(20 * 1024 * 1024, 'x'))
    const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' }
    const capture = makeCapture({
      log: { response: { status: 200, size: 1, headers } } as never,
      capture: { response_body: packed.toString('base64'), response_bytes: packed.length } as never,
    })
    const exchange = exchangeOf(capture, headersOf(capture.log.request.headers), headers)!
    expect(read(exchange)).toMatchObject({
      usageSource: 'unknown',
      usageReason: 'body_too_large',
      reasons: ['read_limit'],
    })
  })

  it('an ordinary answer is as it came', () => {
    const given = stream(END)
    expect(boundExchange(given)).toEqual({ exchange: given, limited: false })
  })

  it('readers are linear: twice the text takes about twice the steps, whatever it is', () => {
    // Steps that grow with the square would take minutes here.
    expect(parseServerSentEvents('a\n'.repeat(2_000_000)).events).toEqual([])
    expect(levelsAtEnd(`${',1'.repeat(500_000)}]`)[0]?.items).toHaveLength(500_000)
  })
})
