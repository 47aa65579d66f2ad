import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { sumOfMetric } from '../dev/metrics-text.ts'
import { waitUntil } from '../dev/wait-until.ts'
import type { Capture } from '../sidecar/capture.ts'
import { parseConfig } from '../sidecar/config.ts'
import { makeLogger } from '../sidecar/logger.ts'
import { type Sidecar, serve } from '../sidecar/serve.ts'
import { makeCapture } from '../sidecar/testing/make-capture.ts'

/** Design law 10 through the real sidecar: what is billed, and when somebody asks for it again. */
let directory: string
let sidecar: Sidecar
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'answers-'))
  const options = `{ listen: { port: 0 }, data: ${directory}, estimate: { timeoutMs: 120000 }, providers: { ollama: ollama } }`
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  sidecar = await serve(parseConfig(options, 'test.yaml', {}), {
    logger: makeLogger('ERROR', nowhere),
    environment: {},
    onFatal: (error) => {
      throw error
    },
  })
})
afterEach(async () => {
  await sidecar.close()
  rmSync(directory, { recursive: true, force: true })
})

async function post(captures: Capture[]): Promise<void> {
  const body = JSON.stringify({ v: 1, plugin: { version: 't', instance: 't' }, dropped: [], captures })
  const headers = { 'content-type': 'application/json' }
  const answer = await fetch(`${sidecar.url}/v1/captures`, { method: 'POST', headers, body })
  expect(await answer.json()).toMatchObject({ stored: captures.length })
}
/** Dollars as first priced, and what adjustments made of them. */
async function spent(calls: number): Promise<{ first: number; now: number; repeats: number }> {
  const metrics = async () => (await fetch(`${sidecar.url}/metrics`)).text()
  await waitUntil(async () => sumOfMetric(await metrics(), 'llm_calls_total') === calls)
  const text = await metrics()
  const direction = (name: 'up' | 'down') =>
    [...text.matchAll(new RegExp(`^llm_cost_adjustment_usd_total\\{[^}]*direction="${name}"[^}]*\\} (\\S+)`, 'gm'))]
      .map(([, value]) => Number(value))
      .reduce((sum, value) => sum + value, 0)
  const first = sumOfMetric(text, 'llm_cost_usd_total')
  const repeats = sumOfMetric(text, 'llm_repeated_answers_total')
  return { first, now: Number((first + direction('up') - direction('down')).toFixed(12)), repeats }
}

const at = (n: number, method: string, path: string, parts: Parameters<typeof makeCapture>[0] = {}) =>
  makeCapture({
    n,
    ...parts,
    log: {
      upstream_uri: path,
      request: { id: `request-${n}`, method, uri: path, size: 1, headers: { 'content-type': 'application/json' } },
      ...parts.log,
    },
  })

describe('only a retrieval is a repeat', () => {
  it('an id that a client or a server gives twice makes nothing free (repros 03, 03b)', async () => {
    const answer = {
      id: 'chatcmpl-42',
      object: 'chat.completion',
      model: 'gpt-4o-2024-08-06',
      choices: [{ index: 0, message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 1000, completion_tokens: 1000, total_tokens: 2000 },
    }
    await post(Array.from({ length: 20 }, (_, n) => makeCapture({ n: n + 1, responseBody: answer })))
    expect(await spent(20)).toMatchObject({ first: 20 * 0.0125, repeats: 0 })
  })

  const response = (status: string, usage: object | null) => ({
    id: 'resp_1',
    object: 'response',
    model: 'gpt-4o-2024-08-06',
    status,
    store: true,
    output: [],
    usage,
  })
  const USAGE = { input_tokens: 20, output_tokens: 1500, total_tokens: 1520 }
  const PRICE = 0.01505

  it('a response polled, cancelled and streamed again is billed once, by whoever sees its usage first', async () => {
    await post([
      at(1, 'POST', '/v1/responses', { responseBody: response('queued', null) }),
      at(2, 'GET', '/v1/responses/resp_1', { requestBody: '', responseBody: response('completed', USAGE) }),
      at(3, 'GET', '/v1/responses/resp_1', { requestBody: '', responseBody: response('completed', USAGE) }),
      at(4, 'POST', '/v1/responses/resp_1/cancel', { requestBody: '', responseBody: response('completed', USAGE) }),
    ])
    expect(await spent(4)).toEqual({ first: PRICE, now: PRICE, repeats: 2 })
  })

  it('an estimate of a cut answer gives way to the provider’s own word (repro 22)', async () => {
    const words = Array.from({ length: 500 }, (_, n) => `word${n} `)
    const event = (type: string, more: object) => `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`
    const cut =
      event('response.created', { response: response('in_progress', null) }) +
      words.map((delta) => event('response.output_text.delta', { item_id: 'm', delta })).join('')
    await post([
      at(1, 'POST', '/v1/responses', {
        requestBody: { model: 'gpt-4o', input: 'Tell me', stream: true, background: true },
        responseBody: cut,
        log: { response: { status: 200, size: 1, headers: { 'content-type': 'text/event-stream' } } },
        capture: { response_complete: false },
      }),
    ])
    const { first } = await spent(1)
    expect(first).toBeGreaterThan(0)
    await post([at(2, 'GET', '/v1/responses/resp_1', { requestBody: '', responseBody: response('completed', USAGE) })])
    await waitUntil(async () => Math.abs((await spent(2)).now - PRICE) < 1e-12)
    expect(await spent(2)).toEqual({ first, now: PRICE, repeats: 1 })
  })

  it('a result file of any length is billed exactly, once, however often it is downloaded (repro 31)', async () => {
    const line = (n: number) =>
      JSON.stringify({
        custom_id: `r${n}`,
        result: {
          type: 'succeeded',
          message: {
            id: `msg_${n}`,
            type: 'message',
            role: 'assistant',
            model: 'claude-sonnet-4-20250514',
            content: [{ type: 'text', text: 'x'.repeat(900) }],
            usage: { input_tokens: 1000, output_tokens: 200 },
          },
        },
      })
    const file = Buffer.from(Array.from({ length: 2000 }, (_, n) => line(n)).join('\n'))
    const download = (n: number) =>
      at(n, 'GET', '/v1/messages/batches/msgbatch_1/results', {
        log: {
          service: { name: 'anthropic', host: 'api.anthropic.com', port: 443 },
          response: { status: 200, size: file.length, headers: { 'content-type': 'application/x-jsonl' } },
        },
        capture: {
          request_body: undefined,
          request_bytes: 0,
          response_body: file.subarray(0, 196_608).toString('base64'),
          response_tail: file.subarray(file.length - 65_536).toString('base64'),
          response_bytes: file.length,
          usage_lines: {
            lines: 2000,
            skipped: 0,
            groups: [
              {
                model: 'claude-sonnet-4-20250514',
                lines: 2000,
                prompt_over: 0,
                sums: { input_tokens: 2_000_000, output_tokens: 400_000 },
              },
            ],
          },
        },
      })
    await post([download(1)])
    await post([download(2), download(3)])
    expect(await spent(3)).toEqual({ first: 6, now: 6, repeats: 2 })
  })
})
