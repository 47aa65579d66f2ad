import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openPriceBook } from '../pricing/open-price-book.ts'
import type { LlmCall } from '../sidecar/call.ts'
import { captureSchema } from '../sidecar/capture.ts'
import { countTokens } from '../sidecar/estimate/encode.ts'
import { makeEstimator } from '../sidecar/estimate/estimate.ts'
import { attributionConfigSchema } from '../sidecar/pipeline/attribute.ts'
import { makeObserver } from '../sidecar/pipeline/observe.ts'
import { parseExchangeLine } from '../sidecar/read-command/exchange-line.ts'
import { type ResultLine, readLine } from '../sidecar/read-command/result-line.ts'
import { makeRedactor, redactionConfigSchema } from '../sidecar/redaction/redact.ts'
import { makeCapture } from '../sidecar/testing/make-capture.ts'

/**
 * Traps: bugs that users of other gateways reported. Each has a fixture under its number, in the format that
 * `kong-llm-observer read` takes, with the body spelled out for people.
 */
const FOLDER = join(import.meta.dirname, 'traps')

interface Trap {
  trap: number
  issue: string
  says: string
  exchanges: Exchange[]
}
interface Exchange {
  name: string
  host: string
  url_path: string
  request_body: object
  response_status: number
  response_headers?: Record<string, string>
  response_json?: object
  /** The lines of a stream; `repeat` says one event of them again and again. */
  response_lines?: string[]
  newline?: string
  repeat?: { line: number; times: number; lines: number }
  at: string
  expected: Expected
}
interface Expected extends Partial<Omit<ResultLine, 'usage'>> {
  usage?: Record<string, number>
  /** Units that do not overlap, as priced. */
  units?: Record<string, number>
  cost_not?: string
  at_least?: Record<string, number>
  /** The first unit costs at least as much a token as the second. */
  unit_costs_more?: [string, string]
  /** What the sidecar makes of it. */
  observed?: Partial<LlmCall>
}

function bodyOf({ response_json, response_lines, newline = '\n', repeat }: Exchange): string {
  if (response_lines === undefined) return JSON.stringify(response_json)
  const lines = [...response_lines]
  if (repeat !== undefined) {
    const event = lines.slice(repeat.line, repeat.line + repeat.lines)
    lines.splice(repeat.line, 0, ...Array.from({ length: repeat.times }, () => event).flat())
  }
  return lines.join(newline) + newline
}

const book = openPriceBook()
const estimate = makeEstimator(async ({ encoding, texts }) => texts.map((text) => countTokens(text, encoding)))
const traps = readdirSync(FOLDER)
  .sort()
  .map((file) => JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as Trap)

it('every trap of reading and of cost has its fixture', () => {
  expect(traps.map(({ trap }) => trap)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 28])
})

describe.each(traps)('trap $trap: $issue: $says', ({ exchanges }) => {
  it.each(exchanges)('$name', async (exchange) => {
    const { expected } = exchange
    const body = bodyOf(exchange)
    const given = { id: exchange.name, ...exchange, response_body_b64: Buffer.from(body).toString('base64') }
    const parsed = parseExchangeLine(JSON.stringify(given), () => 0)
    const { line, reading } = await readLine(parsed, book, async (reading) => estimate(reading))
    const { usage, units, cost_not, at_least, unit_costs_more, observed, ...rest } = expected
    expect(line).toMatchObject(rest)
    if (usage !== undefined && Object.keys(usage).length === 0) expect(line.usage).toEqual({})
    else if (usage !== undefined) expect(line.usage).toMatchObject(usage)
    if (units !== undefined) expect(withoutZeros(reading.usage)).toEqual(withoutZeros(units))
    if (cost_not !== undefined) expect(line.cost_usd).not.toBe(cost_not)
    for (const [name, least] of Object.entries(at_least ?? {})) expect(line.usage[name]).toBeGreaterThanOrEqual(least)
    if (unit_costs_more !== undefined) {
      const [more, less] = unit_costs_more.map((unit) => {
        const { quantity, usd } = line.cost_lines.find((part) => part.unit === unit) ?? { quantity: 1, usd: '0' }
        return Number(usd) / quantity
      }) as [number, number]
      expect(more).toBeGreaterThanOrEqual(less)
      expect(less).toBeGreaterThan(0)
    }
    if (observed !== undefined) expect(observe(exchange, body)).toMatchObject(observed)
  })
})

function withoutZeros(units: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(units).filter(([, amount]) => amount !== 0))
}

/** The same through the sidecar's own door: a capture of the tap. */
function observe({ host, url_path, request_body, response_status, response_headers }: Exchange, body: string): LlmCall {
  const capture = makeCapture({
    requestBody: request_body,
    responseBody: body,
    log: {
      source: response_headers?.['x-cache-status'] === undefined ? 'upstream' : 'kong',
      upstream_uri: url_path,
      response: { status: response_status, size: body.length, headers: response_headers ?? {} },
      service: { id: 's', name: 's', host, port: 443, protocol: 'https', tags: [] },
    },
  })
  const observer = makeObserver({
    book,
    attribution: attributionConfigSchema.parse({}),
    semanticCache: { rules: [] },
    redactor: makeRedactor(redactionConfigSchema.parse({})),
    providers: {},
    maxContentBytes: 1000,
    content: false,
  })
  return observer(captureSchema.parse(capture)) as LlmCall
}
