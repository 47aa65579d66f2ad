import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Cost, type LlmCall, TOKEN_TYPES, type TokenType, totalTokens } from '../call.ts'
import { makeCall } from '../testing/make-call.ts'
import type { Exporter } from './exporter.ts'

type Fault =
  | { kind: 'status'; status: number; retryAfter?: number }
  | { kind: 'hang' }
  | { kind: 'reset' }
  | { kind: 'garbage' }

/** A stand-in of a sink, as in dev/sinks/. */
export interface SinkUnderTest {
  url: string
  setFault(fault: Fault | undefined): void
  requests(): number
  /** Calls that came, the same ones again included. */
  received(): number
  /** Of the last request, decompressed. */
  lastBody(): Buffer
  perTenant(): Map<string, { calls: number; tokens: Record<string, number>; picoUsd: bigint }>
  close(): Promise<void>
}

export interface ExporterUnderTest {
  startSink(): Promise<SinkUnderTest>
  makeExporter(url: string, options: { timeoutMs: number }): Exporter
  /** Of the configuration that `makeExporter` uses: must never appear in a result. */
  credentials: readonly string[]
}

const TIMEOUT_MS = 120_000
const SHORT_MS = 100
const never = new AbortController().signal
const now = Date.now()
/** Fresh, because Loki refuses what is a week old. */
const recentCall = (n: number, overrides: Partial<LlmCall> = {}) => makeCall({ startedAt: now + n, ...overrides }, n)
const calls = (from: number, to: number, overrides: Partial<LlmCall> = {}) =>
  Array.from({ length: to - from + 1 }, (_, index) => recentCall(from + index, overrides))

/** What every exporter must do, whatever it speaks. */
export function describeExporter(name: string, { startSink, makeExporter, credentials }: ExporterUnderTest): void {
  describe(`${name}: exporter contract`, () => {
    let sink: SinkUnderTest
    let exporter: Exporter
    beforeAll(async () => {
      sink = await startSink()
      exporter = makeExporter(sink.url, { timeoutMs: TIMEOUT_MS })
    })
    afterAll(async () => {
      await exporter.close()
      await sink.close()
    })
    beforeEach(() => sink.setFault(undefined))

    /** As expected, with a text for the log, and `scope` where the sink keeps the tenant apart. */
    const refusal = (result: unknown, expected: unknown) => ({
      ...(expected as object),
      cause: expect.stringContaining(new URL(sink.url).host),
      ...(isTenants(result) && { scope: 'tenant' }),
    })
    const isTenants = (result: unknown) =>
      exporter.apart?.('blue') === true && (result as { retry?: string }).retry === 'http_429'
    const secretsIn = (result: unknown) => {
      const text = JSON.stringify(result)
      return [...credentials, sink.url].filter((secret) => text.includes(secret))
    }

    it('has bounds', () => {
      expect(exporter.limits.calls).toBeGreaterThan(0)
      expect(exporter.limits.bytes).toBeGreaterThan(0)
    })

    it('sends each call, to the token and the pico-USD, per tenant', async () => {
      const fresh = await startSink()
      const own = makeExporter(fresh.url, { timeoutMs: TIMEOUT_MS })
      const batch = [
        ...calls(1, 3, { tenant: 'blue' }),
        ...calls(4, 5, { tenant: 'red', cost: { state: 'unpriced', reason: 'unknown_model', book: 'b' } }),
        ...calls(6, 6, {
          tenant: 'red',
          usage: {},
          usageSource: 'none',
          status: 'rate_limited',
          httpStatus: 429,
          cost: { state: 'free', picoUsd: 0, reason: 'error', book: 'b' },
          guardrails: [{ guardrail: 'kong.ai-prompt-guard', stage: 'input', action: 'blocked' }],
        }),
      ]
      expect(await own.send(batch, never)).toEqual({ sent: 6, rejected: [] })
      expect(fresh.perTenant()).toEqual(
        new Map([
          ['blue', expect.objectContaining({ calls: 3, picoUsd: 3n * 140_000_000n })],
          ['red', expect.objectContaining({ calls: 3, picoUsd: 0n })],
        ]),
      )
      const tokens = (tenant: string) =>
        Object.values(fresh.perTenant().get(tenant)!.tokens).reduce((sum, count) => sum + count, 0)
      expect([tokens('blue'), tokens('red')]).toEqual([3 * 34, 2 * 34])
      await own.close()
      await fresh.close()
    })

    it('any usage and cost arrives exactly', async () => {
      const fresh = await startSink()
      const own = makeExporter(fresh.url, { timeoutMs: TIMEOUT_MS })
      let n = 1000
      let expected = { calls: 0, tokens: 0, picoUsd: 0n }
      await fc.assert(
        fc.asyncProperty(
          fc.uniqueArray(fc.tuple(fc.constantFrom(...TOKEN_TYPES), fc.nat(10_000_000)), {
            selector: ([type]) => type,
            maxLength: 5,
          }),
          fc.oneof(
            fc.integer({ min: 0, max: 9_000 * 10 ** 12 }),
            fc.integer({ min: 0, max: 10 ** 9 }),
            // Around 8,192 USD a float64 no longer carries twelve decimals.
            fc.integer({ min: 8_191 * 10 ** 12, max: 9_000 * 10 ** 12 }),
            fc.constantFrom(10 ** 12, 1, 8_192 * 10 ** 12 - 1, 9_000 * 10 ** 12),
          ),
          async (usage, picoUsd) => {
            const byUnit: Partial<Record<TokenType, number>> = {}
            for (const [type] of usage) byUnit[type] = Math.floor(picoUsd / usage.length)
            const cost: Cost = { state: 'priced', picoUsd, byUnit, priceId: 'p', book: 'b' }
            const call = recentCall(n++, { tenant: 'gold', usage: Object.fromEntries(usage), cost })
            expect(await own.send([call], never)).toEqual({ sent: 1, rejected: [] })
            expected = {
              calls: expected.calls + 1,
              tokens: expected.tokens + totalTokens(call.usage),
              picoUsd: expected.picoUsd + BigInt(picoUsd),
            }
            const { calls, tokens, picoUsd: total } = fresh.perTenant().get('gold')!
            expect({ calls, tokens: Object.values(tokens).reduce((a, b) => a + b, 0), picoUsd: total }).toEqual(
              expected,
            )
          },
        ),
        { numRuns: 100 },
      )
      await own.close()
      await fresh.close()
    })

    it('the same calls again are the same at the sink', async () => {
      const batch = calls(100, 104, {
        guardrails: [{ guardrail: 'openai.content_filter', stage: 'output', action: 'flagged' }],
      })
      await exporter.send(batch, never)
      const once = { totals: sink.perTenant(), received: sink.received(), body: sink.lastBody() }
      expect(await exporter.send(structuredClone(batch), never)).toEqual({ sent: 5, rejected: [] })
      expect(sink.received()).toBeGreaterThanOrEqual(once.received + 5)
      expect(sink.perTenant()).toEqual(once.totals)
      // Byte for byte: ids and times are functions of the call alone.
      expect(sink.lastBody().equals(once.body)).toBe(true)
    })

    it.each<[number, number | undefined, unknown]>([
      [200, undefined, { sent: 2, rejected: [] }],
      [204, undefined, { sent: 2, rejected: [] }],
      [302, undefined, { retry: 'http_302' }],
      [400, undefined, { drop: 'http_400' }],
      [401, undefined, { retry: 'unauthorized' }],
      [403, undefined, { retry: 'unauthorized' }],
      [408, undefined, { retry: 'http_408' }],
      [413, undefined, { drop: 'http_413' }],
      [429, 3, { retry: 'http_429', afterMs: 3000 }],
      [500, undefined, { retry: 'http_500' }],
      [502, undefined, { retry: 'http_502' }],
      [503, 120, { retry: 'http_503', afterMs: 120_000 }],
      [504, 0, { retry: 'http_504' }],
    ])('%i (Retry-After %s)', async (status, retryAfter, expected) => {
      sink.setFault({ kind: 'status', status, ...(retryAfter !== undefined && { retryAfter }) })
      const before = sink.requests()
      const result = await exporter.send(calls(1, 2), never)
      if (status < 300) expect(result).toEqual(expected)
      else expect(result).toEqual(refusal(result, expected))
      expect(sink.requests(), 'one push, no retry of its own').toBe(before + 1)
      expect(secretsIn(result)).toEqual([])
    })

    it('a sink that hangs is given up after the timeout, and may be tried again', async () => {
      const hasty = makeExporter(sink.url, { timeoutMs: SHORT_MS })
      sink.setFault({ kind: 'hang' })
      expect(await hasty.send(calls(1, 2), never)).toMatchObject({ retry: 'timeout', cause: expect.any(String) })
      sink.setFault(undefined)
      const patient = makeExporter(sink.url, { timeoutMs: TIMEOUT_MS })
      expect(await patient.send(calls(1, 2), never)).toEqual({ sent: 2, rejected: [] })
      await Promise.all([hasty.close(), patient.close()])
    })

    it('a sink that is not there, and one that breaks off, may be tried again', async () => {
      sink.setFault({ kind: 'reset' })
      const result = await exporter.send(calls(1, 2), never)
      expect(result).toEqual(refusal(result, { retry: 'reset' }))
      expect(secretsIn(result)).toEqual([])
      const gone = await startSink()
      await gone.close()
      const own = makeExporter(gone.url, { timeoutMs: TIMEOUT_MS })
      expect(await own.send(calls(1, 2), never)).toMatchObject({ retry: 'refused' })
      await own.close()
      sink.setFault(undefined)
      expect(await exporter.send(calls(1, 2), never)).toEqual({ sent: 2, rejected: [] })
    })

    it('200 with a body that nobody understands: taken', async () => {
      sink.setFault({ kind: 'garbage' })
      expect(await exporter.send(calls(1, 2), never)).toEqual({ sent: 2, rejected: [] })
    })

    it('ends at the signal, at once', async () => {
      const stop = new AbortController()
      sink.setFault({ kind: 'hang' })
      const before = sink.requests()
      const sending = exporter.send(calls(1, 2), stop.signal)
      await until(() => sink.requests() > before)
      stop.abort()
      expect(await sending).toEqual({ retry: 'aborted' })
      expect(await exporter.send(calls(1, 2), stop.signal)).toEqual({ retry: 'aborted' })
      expect(sink.requests()).toBe(before + 1)
    })

    it('odd text anywhere does no harm', async () => {
      const odd = '\u0000\ud800 "\\\r\n\u2028 \u{1f600} ł'
      const call = recentCall(500, {
        requestModel: odd,
        responseModel: odd,
        model: odd,
        user: odd,
        session: odd,
        errorType: odd,
        errorMessage: odd,
        status: 'server_error',
        environment: odd,
        finishReasons: [odd],
        parameters: { temperature: 0.5, seed: -1, stopSequences: [odd] },
        guardrails: [{ guardrail: odd, stage: 'input', action: 'flagged', reason: odd }],
        content: { system: odd, input: [{ role: odd, parts: [{ type: 'text', content: odd }] }] },
      })
      expect(await exporter.send([call], never)).toEqual({ sent: 1, rejected: [] })
    })
  })
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + TIMEOUT_MS
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('the condition did not come true')
    await new Promise((resolve) => setImmediate(resolve))
  }
}
