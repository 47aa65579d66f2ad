import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { pickLogDocument } from '../plugin/log-document.ts'
import { openPriceBook } from '../pricing/open-price-book.ts'
import type { LlmCall } from '../sidecar/call.ts'
import { captureSchema } from '../sidecar/capture.ts'
import { attributionConfigSchema } from '../sidecar/pipeline/attribute.ts'
import { makeObserver } from '../sidecar/pipeline/observe.ts'
import { makeRedactor, redactionConfigSchema } from '../sidecar/redaction/redact.ts'

/** What becomes of Kong's own log documents, of every version, where the tap is not there: plugin → wire → LlmCall. */
const DATA = join(import.meta.dirname, '../../shared/data')
const present = existsSync(join(DATA, 'kong-log-documented'))
if (!present && process.env.CI) throw new Error('CI must have the log documents of Kong')
if (!present) console.warn('skipped: Kong’s log documents are not beside the checkout (../shared/data)')

const observe = makeObserver({
  book: openPriceBook(),
  attribution: attributionConfigSchema.parse({}),
  semanticCache: { rules: [] },
  redactor: makeRedactor(redactionConfigSchema.parse({})),
  providers: {},
  maxContentBytes: 65_536,
  content: true,
})

function callOf(folder: string, start: string): LlmCall {
  const files = readdirSync(join(DATA, folder)).filter((name) => name.startsWith(start) && name.endsWith('.json'))
  expect(files, start).toHaveLength(1)
  const log = pickLogDocument(JSON.parse(readFileSync(join(DATA, folder, files[0]!), 'utf8')))
  const wire = JSON.parse(JSON.stringify({ v: 1, source: 'log', node: 'n', content: 'on', log }))
  return observe(captureSchema.parse(wire))
}
const documented = (start: string) => callOf('kong-log-documented', start)
const tokens = { input: 25, output: 12 }

describe.skipIf(!present)('documents of Kong 3.6 to 3.14', () => {
  it.each(['01-', '02-', '03-', '04-', '08-'])('%s: the provider’s own usage, inside of payload.response', (start) => {
    expect(documented(start)).toMatchObject({
      status: 'ok',
      provider: 'openai',
      model: 'gpt-4o-mini-2024-07-18',
      usageSource: 'provider',
      usage: tokens,
      cost: { state: 'priced' },
    })
  })

  it.each(['06-', '07-', '11-', '19-', '21-', '28-'])('%s: Kong’s count, and said to be', (start) => {
    expect(documented(start)).toMatchObject({ usageSource: 'gateway', usage: tokens, cost: { state: 'priced' } })
  })

  it.each(['05-'])('%s: Kong’s guess of a stream is not taken', (start) => {
    expect(documented(start)).toMatchObject({
      usageSource: 'unknown',
      usageReason: 'kong_stream_numbers',
      cost: { state: 'unpriced', reason: 'no_usage' },
    })
  })

  it.each(['09-', '10-'])(
    '%s: a hit of the semantic cache costs nothing, and saves what it would have cost',
    (start) => {
      // 25 tokens at 0.15 and 12 at 0.60 USD a million.
      expect(documented(start)).toMatchObject({
        cache: 'hit',
        cost: { state: 'free', reason: 'cache_hit' },
        savedPicoUsd: 10_950_000,
      })
    },
  )

  it('10-, 11-: what the look-up took', () => {
    const lookup = { embeddingsProvider: 'openai', embeddingsModel: 'text-embedding-3-small' }
    expect(documented('10-').cacheLookup).toEqual({ ...lookup, lookupMs: 444, embeddingsMs: 424 })
    expect(documented('11-')).toMatchObject({ cache: 'miss', cacheLookup: { ...lookup, embeddingsMs: 187 } })
  })

  it.each([
    ['14-', { guardrail: 'kong.ai-azure-content-safety', categories: { Hate: '2' }, latencyMs: 96 }],
    ['15-', { guardrail: 'kong.ai-aws-guardrails', reason: 'contentPolicy: VIOLENCE', count: 1 }],
    ['16-', { guardrail: 'kong.ai-lakera-guard', categories: { 'moderated_content/hate': 'detected' } }],
    ['17-', { guardrail: 'kong.ai-gcp-model-armor', reason: 'sexually_explicit,dangerous' }],
  ])('%s: a guard refused the prompt, and no model was asked', (start, event) => {
    const call = documented(start)
    expect(call).toMatchObject({ status: 'blocked', cost: { state: 'free', picoUsd: 0 } })
    expect(call.guardrails).toEqual([expect.objectContaining({ stage: 'input', action: 'blocked', ...event })])
  })

  it('18-: a guard refused the answer, which is billed all the same', () => {
    expect(documented('18-')).toMatchObject({
      status: 'blocked',
      httpStatus: 400,
      usageSource: 'gateway',
      usage: tokens,
      cost: { state: 'priced', picoUsd: 10_950_000 },
      guardrails: [{ guardrail: 'kong.ai-custom-guardrail', stage: 'output', action: 'blocked', latencyMs: 51 }],
    })
  })

  it('18-, tapped: the client’s 400 is the guard’s, the usage is the model’s', () => {
    const [file] = readdirSync(join(DATA, 'kong-log-documented')).filter((name) => name.startsWith('18-'))
    const log = pickLogDocument(JSON.parse(readFileSync(join(DATA, 'kong-log-documented', file!), 'utf8')))
    const body = Buffer.from('{"error":{"message":"blocked by guardrail"}}')
    const capture = {
      ...{ v: 1, source: 'tap', node: 'n', worker: 1, epoch: 'e', sequence: 1, content: 'on', log },
      ...{ response_body: body.toString('base64'), response_bytes: body.length, response_complete: true },
    }
    expect(observe(captureSchema.parse(JSON.parse(JSON.stringify(capture))))).toMatchObject({
      status: 'blocked',
      usageSource: 'gateway',
      usage: tokens,
      cost: { state: 'priced', picoUsd: 10_950_000 },
    })
  })

  it('19-: a sanitizer masked one thing, and says no more', () => {
    expect(documented('19-')).toMatchObject({
      status: 'ok',
      guardrails: [{ guardrail: 'kong.ai-sanitizer', stage: 'input', action: 'masked', count: 1, latencyMs: 65 }],
    })
  })

  it('19-: of what a sanitizer found, no item', () => {
    expect(JSON.stringify(documented('19-'))).not.toMatch(/jane|doe@|EMAIL/)
  })

  it('20-, 21-, 25-: limits, and who refused', () => {
    expect(documented('20-')).toMatchObject({
      status: 'rate_limited',
      rateLimit: { refusedBy: 'gateway', retryAfterSeconds: 51, budgets: [{ name: '30-openai', remaining: 0 }] },
    })
    expect(documented('21-').rateLimit).toMatchObject({ budgets: [{ by: 'gateway', remaining: 963, limit: 1000 }] })
    expect(documented('21-').rateLimit?.refusedBy).toBeUndefined()
    expect(documented('25-')).toMatchObject({ status: 'rate_limited', rateLimit: { refusedBy: 'provider' } })
  })

  it('22-: both transformers asked a model', () => {
    expect(documented('22-')).toMatchObject({ usage: { input: 50, output: 24 }, usageSource: 'gateway' })
  })

  it.each([
    ['26-', 'mcp'],
    ['27-', 'a2a'],
  ])('%s: a call of a tool server or an agent is none of a model, and free', (start, protocol) => {
    expect(documented(start)).toMatchObject({
      agent: { protocol },
      usageSource: 'none',
      cost: { state: 'free', reason: 'not_billable' },
    })
  })

  it.each(['23-', '24-'])('%s: nothing that Kong says of it: unknown, and not 0', (start) => {
    expect(documented(start)).toMatchObject({ usageSource: 'unknown', cost: { state: 'unpriced', reason: 'no_usage' } })
  })
})

/** What a tap in real Kong 3.9.3 saw, beside the document that Kong wrote of the same request. */
function tapped(start: string): LlmCall {
  const [file] = readdirSync(join(DATA, 'kong-3.9.3-logs')).filter((name) => name.startsWith(start))
  const { tap, ser } = JSON.parse(readFileSync(join(DATA, 'kong-3.9.3-logs', file!), 'utf8'))
  const log = pickLogDocument(ser) as { response: { headers: Record<string, unknown> } }
  // The recording holds the answer's text decoded.
  log.response.headers = { ...log.response.headers, 'content-encoding': '' }
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const capture = {
    ...{ v: 1, source: 'tap', node: 'n', worker: 1, epoch: 'e', sequence: 1, content: 'on', log },
    ...{ request_body: base64(tap.req), request_bytes: tap.req_bytes, response_body: base64(tap.resp) },
    ...{ response_bytes: Buffer.byteLength(tap.resp), response_complete: tap.eof === true },
    ...{ first_byte_at: tap.t1, last_byte_at: tap.t2 },
  }
  return observe(captureSchema.parse(JSON.parse(JSON.stringify(capture))))
}

describe.skipIf(!present)('the same provider behind a tap in Kong 3.9.3', () => {
  const exact = { input: 15, cache_read: 10, output: 7, output_reasoning: 2 }

  it.each(['js-4-', 'js-5-', 'js-6-', 'js-9-'])(
    '%s: exact, also where Kong says 4/8/12 or buffers the answer',
    (start) => {
      expect(tapped(start)).toMatchObject({ status: 'ok', usageSource: 'provider', usage: exact })
    },
  )

  it.each(['js-1-', 'js-2-', 'js-3-'])('%s: a stream', (start) => {
    expect(tapped(start)).toMatchObject({ status: 'ok', stream: true })
  })

  it('js-7-: a client that hung up in the middle of a stream', () => {
    expect(tapped('js-7-')).toMatchObject({ status: 'aborted', usageSource: 'unknown', cost: { state: 'unpriced' } })
  })

  it('js-8-: no key', () => {
    expect(tapped('js-8-')).toMatchObject({ status: 'unauthorized', tenant: 'unattributed', cost: { state: 'free' } })
  })
})

describe.skipIf(!present)('documents that Kong 3.9.3 wrote', () => {
  it('of a stream without the tap: no number is taken for the provider’s', () => {
    for (const start of ['b-', 'b2-', 'b3-'])
      expect(callOf('kong-3.9.3-logs', start)).toMatchObject({ usageSource: 'unknown', usage: {} })
  })

  it('of errors: who refused, and nothing to pay', () => {
    expect(callOf('kong-3.9.3-logs', 'c-429')).toMatchObject({
      status: 'rate_limited',
      rateLimit: { refusedBy: 'provider', retryAfterSeconds: 7 },
      cost: { state: 'free', reason: 'error' },
    })
    expect(callOf('kong-3.9.3-logs', 'c2-500')).toMatchObject({ status: 'server_error', cost: { state: 'free' } })
    expect(callOf('kong-3.9.3-logs', 'g-')).toMatchObject({ status: 'aborted', cost: { state: 'unpriced' } })
  })
})
