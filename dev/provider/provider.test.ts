import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { waitUntil } from '../wait-until.ts'
import { type Provider, startProvider } from './provider.ts'
import { loadRecordings } from './recordings.ts'
import { call, eventsOf } from './testing-client.ts'
import { piecesOf } from './text.ts'

const RECORDINGS = join(import.meta.dirname, '../../../shared/data/provider-exchanges/exchanges.jsonl')
const request = (more: object = {}) => ({ model: 'gpt-4o', messages: [{ role: 'user', content: 'Hello' }], ...more })

let provider: Provider
let chat: string
beforeAll(async () => {
  provider = await startProvider()
  chat = `${provider.url}/v1/chat/completions`
})
afterAll(() => provider.close())

describe('steering', () => {
  test('a header that cannot be obeyed is refused by name', async () => {
    for (const [name, value] of [
      ['x-mock-status', '200'],
      ['x-mock-latency-ms', 'soon'],
      ['x-mock-chunks', '0'],
      ['x-mock-fail', 'maybe'],
      ['x-mock-encoding', 'zip'],
      ['x-mock-replay', 'no-such-row'],
    ] as const) {
      const answer = await call(chat, request(), { [name]: value })
      expect(answer.status).toBe(name === 'x-mock-replay' ? 404 : 400)
      expect(answer.text).toContain(name)
      expect(answer.usage).toEqual({})
    }
  })

  test('latency and chunk delay hold the answer back', async () => {
    const started = performance.now()
    const headers = { 'x-mock-latency-ms': '80', 'x-mock-chunk-delay-ms': '20', 'x-mock-chunks': '3' }
    const { text } = await call(chat, request({ stream: true }), headers)
    // 6 events: role, three deltas, finish, [DONE]
    expect(eventsOf(text)).toHaveLength(6)
    expect(performance.now() - started).toBeGreaterThanOrEqual(80 + 5 * 20 - 10)
  })

  test.each([
    ['gzip', gunzipSync],
    ['deflate', inflateSync],
    ['br', brotliDecompressSync],
  ] as const)('%s, whole and streamed, has the same bytes as without', async (encoding, decode) => {
    for (const stream of [false, true]) {
      const body = request({ stream, stream_options: { include_usage: true } })
      const plain = await call(chat, body)
      const packed = await call(chat, body, { 'x-mock-encoding': encoding, 'accept-encoding': 'gzip, deflate, br' })
      expect(packed.headers['content-encoding']).toBe(encoding)
      expect(packed.complete).toBe(true)
      const withoutIds = (bytes: Buffer) => bytes.toString('utf8').replace(/chatcmpl-\w+|"created":\d+/g, '')
      expect(withoutIds(decode(packed.body))).toBe(withoutIds(plain.body))
      if (stream) expect(packed.pieces).toBeGreaterThan(3)
    }
    const declined = await call(chat, request(), { 'x-mock-encoding': encoding, 'accept-encoding': 'identity' })
    expect(declined.headers['content-encoding']).toBeUndefined()
  })

  test('a whole answer cut in the middle breaks its promise of length', async () => {
    const { complete, body, headers, usage } = await call(chat, request(), { 'x-mock-fail': 'reset' })
    expect(complete).toBe(false)
    expect(body.length).toBeLessThan(Number(headers['content-length']))
    expect(usage).toEqual({})
  })
})

describe('the cache in front', () => {
  test('miss, then hit with the same body, its usage included, and no bill', async () => {
    for (const [url, headers] of [
      [`${provider.url}/cached/v1/chat/completions`, {}],
      [chat, { 'x-mock-cache': '1' }],
    ] as const) {
      const body = request({ user: url, stream: true, stream_options: { include_usage: true } })
      const miss = await call(url, body, headers)
      expect(miss.headers['x-cache-status']).toBe('Miss')
      expect(miss.usage.model).toBe('gpt-4o-2024-08-06')
      const hit = await call(url, body, headers)
      expect(hit.headers['x-cache-status']).toBe('Hit')
      expect(hit.headers['x-cache-key']).toMatch(/^[0-9a-f]{64}$/)
      expect(Number(hit.headers['x-cache-ttl'])).toBeGreaterThan(0)
      expect(Number(hit.headers.age)).toBeGreaterThanOrEqual(0)
      expect(hit.headers['content-type']).toBe(miss.headers['content-type'])
      expect(hit.text).toBe(miss.text)
      expect(hit.text).toContain('"total_tokens"')
      expect(hit.usage).toEqual({})
      const other = await call(url, { ...body, user: `${url}, another` }, headers)
      expect(other.headers['x-cache-status']).toBe('Miss')
    }
  })

  test('of two at once one is billed; an error is not kept', async () => {
    const body = request({ user: 'at once' })
    const both = await Promise.all([1, 2].map(() => call(chat, body, { 'x-mock-cache': '1' })))
    expect(both.map(({ headers }) => headers['x-cache-status']).sort()).toEqual(['Hit', 'Miss'])
    const failing = request({ user: 'fails' })
    await call(chat, failing, { 'x-mock-cache': '1', 'x-mock-status': '500' })
    const after = await call(chat, failing, { 'x-mock-cache': '1' })
    expect(after.status).toBe(200)
    expect(after.headers['x-cache-status']).toBe('Miss')
  })
})

describe('the server', () => {
  test('accepts a prefix that a gateway kept', async () => {
    expect((await call(`${provider.url}/trusted/v1/chat/completions?x=1`, request())).status).toBe(200)
  })

  test('counts what it billed: the sum of the x-mock-usage headers', async () => {
    const own = await startProvider()
    const url = `${own.url}/v1/chat/completions`
    const answers = await Promise.all(Array.from({ length: 10 }, (_, n) => call(url, request({ user: `${n}` }))))
    await call(url, request(), { 'x-mock-status': '429' })
    const billed = answers.reduce((sum, { usage }) => sum + Number(usage.output), 0)
    expect(own.stats()).toMatchObject({ requests: 11, byStatus: { 200: 10, 429: 1 } })
    expect(own.stats().billed['gpt-4o-2024-08-06']!.output).toBe(billed)
    await own.close()
    await own.close() // a second time is no error
  })

  test('errorRate makes some fail, the same ones for the same seed', async () => {
    const statuses = async () => {
      const own = await startProvider({ errorRate: 0.5, seed: 7 })
      const list: number[] = []
      for (let n = 0; n < 20; n++) list.push((await call(`${own.url}/v1/chat/completions`, request())).status)
      await own.close()
      return list
    }
    const first = await statuses()
    expect(new Set(first).size).toBeGreaterThan(1)
    expect(await statuses()).toEqual(first)
  })

  test('a client that hangs up is counted, and ends the work', async () => {
    const before = provider.stats().aborted
    const sent = httpRequest(chat, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-mock-chunk-delay-ms': '60000' },
    })
    sent.on('error', () => {})
    sent.on('response', (response) => response.once('data', () => sent.destroy()))
    sent.end(JSON.stringify(request({ stream: true })))
    await waitUntil(async () => provider.stats().aborted === before + 1)
  })

  test('pieces of a text are the text, at least one character each', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 1, max: 40 }), (text, count) => {
        const pieces = piecesOf(text, count)
        expect(pieces.join('')).toBe(text)
        expect(pieces.length).toBe(Math.min(count, [...text].length))
      }),
    )
  })
})

if (process.env.CI && !existsSync(RECORDINGS))
  test('the recorded exchanges are there', () => expect.fail(`${RECORDINGS} is missing`))

describe.skipIf(!existsSync(RECORDINGS))('replay of recorded exchanges (skipped where ../shared is absent)', () => {
  test('gives status, content type and the very bytes, streams in several pieces', async () => {
    const own = await startProvider({ recordings: RECORDINGS })
    const rows = [...loadRecordings(RECORDINGS).values()]
    expect(rows.length).toBeGreaterThan(700)
    let next = 0
    const work = async () => {
      for (let row = rows[next++]; row; row = rows[next++]) {
        const answer = await call(`${own.url}${row.path}`, {}, { 'x-mock-replay': row.id })
        const sha256 = createHash('sha256').update(answer.body).digest('hex')
        expect({ id: row.id, status: answer.status, sha256, complete: answer.complete }).toEqual({
          id: row.id,
          status: row.status,
          sha256: row.sha256,
          complete: true,
        })
        if (row.headers['content-type']) expect(answer.headers['content-type']).toBe(row.headers['content-type'])
        if (row.isStream && answer.body.length > 100) expect(answer.pieces).toBeGreaterThan(1)
        const { expected } = row
        if (row.status < 400 && expected.usage_reported && expected.billable && !expected.billed) {
          const total = Object.values(answer.usage).reduce<number>((sum, n) => sum + (typeof n === 'number' ? n : 0), 0)
          expect({ id: row.id, total }).toEqual({
            id: row.id,
            total: Number(expected.input_tokens ?? 0) + Number(expected.output_tokens ?? 0),
          })
        }
      }
    }
    await Promise.all(Array.from({ length: 8 }, work))
    await own.close()
  })
})
