import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openPriceBook } from '../pricing/open-price-book.ts'
import type { LlmCall } from '../sidecar/call.ts'
import { captureSchema } from '../sidecar/capture.ts'
import { attributionConfigSchema } from '../sidecar/pipeline/attribute.ts'
import { makeObserver } from '../sidecar/pipeline/observe.ts'
import { makeRedactor, redactionConfigSchema } from '../sidecar/redaction/redact.ts'
import { type CaptureParts, makeCapture } from '../sidecar/testing/make-capture.ts'
import { repriceStore, writeStore } from '../sidecar/testing/write-store.ts'

const recordings = join(import.meta.dirname, '../../shared/data/provider-exchanges/exchanges.jsonl')
const present = existsSync(recordings)
if (!present && process.env.CI) throw new Error('CI must have the recordings of real providers')
if (!present) console.warn('skipped: real recordings are not beside the checkout (../shared/data/provider-exchanges)')

const book = openPriceBook()
const observe = makeObserver({
  book,
  attribution: attributionConfigSchema.parse({}),
  semanticCache: { rules: [] },
  redactor: makeRedactor(redactionConfigSchema.parse({})),
  providers: {},
  maxContentBytes: 1024,
  content: false,
})
const observed = (parts: CaptureParts) => observe(captureSchema.parse(makeCapture(parts)))
const count = (calls: readonly LlmCall[], state: LlmCall['cost']['state']) =>
  calls.filter(({ cost }) => cost.state === state).length

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'reprice-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** What the ledger keeps of the calls, priced again by the book that priced them first. */
async function repriced(calls: readonly LlmCall[]) {
  const file = join(folder, 'observer.db')
  await writeStore(file, [calls])
  return repriceStore(file, { from: '2026-11-01', to: '2026-11-30', book })
}

describe.skipIf(!present)('recorded exchanges, priced again by the same book', () => {
  it('cost what they cost: the ledger keeps all that a price depends on', async () => {
    const calls = readFileSync(recordings, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line, n) => {
        const row = JSON.parse(line)
        return observed({
          n: n + 1,
          requestBody: row.request_body ?? '',
          log: {
            upstream_uri: row.url_path,
            request: {
              ...makeCapture().log.request,
              id: row.id,
              method: row.method,
              headers: row.request_headers ?? {},
            },
            response: { status: row.response_status, size: 1, headers: row.response_headers ?? {} },
            service: { ...makeCapture().log.service!, name: 'llm', host: row.host },
          },
          capture: {
            response_body: row.response_body_b64,
            response_bytes: Buffer.byteLength(row.response_body_b64, 'base64'),
          },
        })
      })
    expect(count(calls, 'priced')).toBeGreaterThan(calls.length / 2)
    expect(calls.filter(({ billedLines }) => billedLines !== undefined).length).toBeGreaterThan(5)
    const { adjusted, free, seen, unpriced } = await repriced(calls)
    expect({ adjusted, free, seen }).toEqual({ adjusted: 0, free: count(calls, 'free'), seen: calls.length })
    expect(unpriced.reduce((sum, { calls: unpricedCalls }) => sum + unpricedCalls, 0)).toBe(count(calls, 'unpriced'))
  })
})

describe('a batch with more lines than a call keeps', () => {
  const batch = (lines: number, n: number) =>
    observed({
      n,
      responseBody: Array.from({ length: lines }, (_, index) =>
        JSON.stringify({
          custom_id: String(index),
          response: {
            status_code: 200,
            body: {
              object: 'chat.completion',
              model: 'gpt-4o',
              usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
            },
          },
        }),
      ).join('\n'),
      log: {
        upstream_uri: `/v1/files/file-${n}/content`,
        request: { ...makeCapture().log.request, id: `batch-${n}`, method: 'GET' },
      },
    })

  it('is billed whole, says so, and keeps its price', async () => {
    const [small, large] = [batch(128, 1), batch(200, 2)]
    expect(small.billedLines).toHaveLength(128)
    expect(small.billedLines!.some(({ merged }) => merged !== undefined)).toBe(false)
    expect(large.billedLines).toEqual([
      { kind: 'batch_request', model: 'gpt-4o', usage: { input: 2000, output: 1000 }, merged: 200 },
    ])
    expect([small.cost.state, large.cost.state]).toEqual(['priced', 'priced'])
    expect(await repriced([small, large])).toMatchObject({ seen: 2, adjusted: 0, unchanged: 1, merged: 1 })
  })
})
