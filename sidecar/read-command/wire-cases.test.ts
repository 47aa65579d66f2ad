import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openPriceBook } from '../../pricing/open-price-book.ts'
import { parseExchangeLine } from './exchange-line.ts'
import { type ResultLine, readLine } from './result-line.ts'

const FILE = join(import.meta.dirname, '../../../shared/data/wire-cases/cases.jsonl')
const present = existsSync(FILE)
if (!present) process.stdout.write('skipped: ../shared/data/wire-cases is not there\n')

interface Case {
  id: string
  caveat?: string
  at?: string
  request: { method?: string; host?: string; path: string; headers?: object; body?: unknown }
  response: { status?: number; headers?: object; body?: unknown }
  expected: Record<string, unknown>
}

/** Cases that ask for "a price": neither list has one, and none is invented. */
const NO_PRICE_FOUND: ReadonlySet<string> = new Set([
  'noprice-snowflake', // Claude Sonnet 5 in Cortex: LiteLLM 1.109.1 ends at Sonnet 4.6
  'noprice-volcengine', // a name without its size: pro, lite and mini have prices of their own
])
/** Where sources disagree we keep our own word, and say why. */
const DISPUTED: Readonly<Record<string, string>> = {
  'bedrock-global-sonnet45-over-200k': 'genai-prices has no tier for the global profile',
  'gemini-search-tool-tokens': 'the total holds the tokens of tools; Google’s page on searches is read both ways',
}
const SAME = [
  'provider',
  'dialect',
  'operation',
  'usage_source',
  'request_model',
  'response_model',
  'billable',
  'service_tier',
  'guardrail',
  'unpriced_reason',
] as const

function lineOf({ id, at, request, response }: Case): string {
  const { body } = response
  const packed = (body as { base64?: string } | null)?.base64
  const [bytes, kind] =
    packed !== undefined
      ? [Buffer.from(packed, 'base64'), 'application/octet-stream']
      : typeof body === 'string'
        ? [Buffer.from(body), 'text/event-stream']
        : [Buffer.from(JSON.stringify(body)), 'application/json']
  return JSON.stringify({
    id,
    method: request.method ?? 'POST',
    host: request.host,
    url_path: request.path,
    request_headers: request.headers ?? { 'content-type': 'application/json' },
    request_body: request.body,
    response_status: response.status ?? 200,
    response_headers: { 'content-type': kind, ...response.headers },
    response_body_b64: bytes.toString('base64'),
    at: at ?? '2026-11-25T12:00:00Z',
  })
}

function faultsOf(line: ResultLine, expected: Case['expected']): string[] {
  const faults: string[] = []
  for (const [name, count] of Object.entries((expected.usage ?? {}) as Record<string, number>))
    if (line.usage[name] !== count) faults.push(`usage.${name}: want ${count} got ${line.usage[name]}`)
  if ('total_usd' in expected) {
    const [want, got] = [expected.total_usd, line.total_usd]
    const near = (value: number) => got !== null && Math.abs(Number(got) - value) <= Math.max(1e-9, value * 1e-6)
    if (want === null ? got !== null : typeof want === 'number' ? !near(want) : got === null)
      faults.push(`total_usd: want ${want} got ${got}`)
  }
  for (const name of SAME)
    if (name in expected && line[name] !== expected[name])
      faults.push(`${name}: want ${expected[name]} got ${line[name]}`)
  if (expected.not_silent === true && line.total_usd !== null && line.usage_reason === undefined)
    faults.push(`silent: priced ${line.total_usd} without a reason`)
  return faults
}

describe.skipIf(!present && process.env.CI === undefined)('wire cases from public bug reports', () => {
  const cases = (present ? readFileSync(FILE, 'utf8').trimEnd().split('\n') : []).map(
    (text) => JSON.parse(text) as Case,
  )
  const runnable = cases.filter(
    ({ id, request, response }) => request.host !== undefined && 'body' in response && !id.startsWith('pipeline'),
  )
  const book = openPriceBook()

  it('are there', () => expect(runnable.length).toBeGreaterThan(80))

  it('hold, but for those that are named', async () => {
    const failing: string[] = []
    for (const one of runnable) {
      const { line } = await readLine(
        parseExchangeLine(lineOf(one), () => 0),
        book,
        async (reading) => reading,
      )
      const faults = faultsOf(line, one.expected)
      if (faults.length > 0) failing.push(`${one.id}: ${faults.join(', ')}`)
    }
    const named = (fault: string) => NO_PRICE_FOUND.has(fault.split(':')[0]!) || fault.split(':')[0]! in DISPUTED
    expect(failing.filter((fault) => !named(fault))).toEqual([])
    expect(failing.length).toBe(NO_PRICE_FOUND.size + Object.keys(DISPUTED).length)
  })
})
