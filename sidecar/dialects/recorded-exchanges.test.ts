import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Exchange } from './dialect.ts'
import { read } from './index.ts'

const FILE = join(import.meta.dirname, '../../../shared/data/provider-exchanges/exchanges.jsonl')

interface Row {
  id: string
  provider: string
  endpoint: string
  method: string
  host: string
  url_path: string
  request_headers: Record<string, string>
  request_body: unknown
  response_status: number
  response_headers: Record<string, string>
  response_body_b64: string
  is_stream: boolean
  expected: {
    model: string | null
    response_id: string | null
    usage_reported: boolean
    billable: boolean
    input_tokens: number | null
    output_tokens: number | null
    cache_read_tokens: number | null
    cache_write_tokens: number | null
    cache_write_5m_tokens: number | null
    cache_write_1h_tokens: number | null
    reasoning_tokens: number | null
    input_audio_tokens: number | null
    cache_read_audio_tokens: number | null
    output_audio_tokens: number | null
    tool_prompt_tokens: number | null
    web_search_requests: number | null
    finish_reasons: string[] | null
    guardrail_event: boolean
    error: unknown
    flags: string[]
  }
}

const present = existsSync(FILE)
const rows: Row[] = present
  ? readFileSync(FILE, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Row)
  : []

function exchangeOf(row: Row): Exchange {
  return {
    method: row.method,
    host: row.host.replace(/:\d+$/, ''),
    path: row.url_path.replace(/\?.*$/, ''),
    requestHeaders: row.request_headers ?? {},
    requestBody: row.request_body === null ? undefined : Buffer.from(JSON.stringify(row.request_body)),
    requestTruncated: false,
    status: row.response_status,
    responseHeaders: row.response_headers ?? {},
    responseBody: Buffer.from(row.response_body_b64 ?? '', 'base64'),
    responseTail: undefined,
    responseComplete: true,
  }
}

const FIELDS = [
  ['input_tokens', 'input'],
  ['output_tokens', 'output'],
  ['cache_read_tokens', 'cacheRead'],
  ['cache_write_tokens', 'cacheWrite'],
  ['cache_write_5m_tokens', 'cacheWrite5m'],
  ['cache_write_1h_tokens', 'cacheWrite1h'],
  ['reasoning_tokens', 'reasoning'],
  ['input_audio_tokens', 'inputAudio'],
  ['cache_read_audio_tokens', 'cacheReadAudio'],
  ['output_audio_tokens', 'outputAudio'],
  ['tool_prompt_tokens', 'toolPrompt'],
] as const

/** What is not as the recordings expect, in words; empty where all is well. */
function faults(row: Row): string {
  const { expected } = row
  const reading = read(exchangeOf(row))
  const { counts, usageSource } = reading
  const none = FIELDS.every(([, name]) => (counts[name] ?? 0) === 0)
  if (reading.usageReason === 'reader_failed') return 'the reader threw'
  if (!expected.billable) return reading.billable && !none ? 'billed though not billable' : ''
  if (!expected.usage_reported) return usageSource === 'provider' ? 'claims usage that nobody reported' : ''
  const wrong = FIELDS.filter(([theirs, ours]) => (expected[theirs] ?? 0) !== (counts[ours] ?? 0))
  const numbers = wrong.map(([theirs, ours]) => `${theirs}: expected ${expected[theirs]}, read ${counts[ours]}`)
  return [...numbers, ...(usageSource === 'provider' ? [] : [`source ${usageSource}`])].join(', ')
}

if (!present && process.env.CI !== undefined)
  it('finds the recorded exchanges', () => expect.fail('../shared/data/provider-exchanges is not here'))

describe.skipIf(!present)('recorded exchanges (skipped where ../shared/data is absent)', () => {
  const sure = rows.filter(({ expected }) => !expected.flags.includes('ambiguous'))

  it('every billable row has exactly the expected counts', () => {
    const report = new Map<string, [exact: number, all: number]>()
    const misses: string[] = []
    for (const row of sure) {
      const key = `${row.provider} ${row.endpoint}${row.is_stream ? ' (stream)' : ''}`
      const found = faults(row)
      const [exact, all] = report.get(key) ?? [0, 0]
      report.set(key, [exact + (found === '' ? 1 : 0), all + 1])
      if (found !== '') misses.push(`${row.id} ${key}: ${found}`)
    }
    const lines = [...report].sort().map(([key, [exact, all]]) => `${String(exact).padStart(4)} of ${all}  ${key}`)
    process.stdout.write(`recorded exchanges read exactly, by provider and endpoint\n${lines.join('\n')}\n`)
    expect(misses).toEqual([])
    expect(sure.length).toBeGreaterThan(700)
  })

  it('model, id, finish reasons, stream and error are as expected', () => {
    const misses: string[] = []
    for (const row of sure) {
      const { expected } = row
      const reading = read(exchangeOf(row))
      const miss = (what: string, want: unknown, got: unknown) =>
        misses.push(`${row.id} ${row.provider} ${row.endpoint} ${what}: expected ${want}, read ${got}`)
      if (row.response_status >= 400) {
        if (!reading.error) miss('error', JSON.stringify(expected.error), 'none')
        continue
      }
      if (reading.stream !== row.is_stream) miss('stream', row.is_stream, reading.stream)
      const model = reading.responseModel ?? reading.requestModel
      if (expected.model !== null && model !== expected.model) miss('model', expected.model, model)
      if (expected.response_id && reading.responseId !== expected.response_id)
        miss('id', expected.response_id, reading.responseId)
      const reasons = JSON.stringify(reading.finishReasons ?? [])
      // The recordings leave those of some old formats out, and keep the numbers of enum-encoding=int.
      const wanted = expected.flags.includes('enum_encoding_int') ? [] : (expected.finish_reasons ?? [])
      if (wanted.length > 0 && reasons !== JSON.stringify(wanted)) miss('finish reasons', wanted, reasons)
      if (expected.guardrail_event && reading.guardrails.length === 0) miss('guardrail', true, 'none')
    }
    expect(misses).toEqual([])
  })

  it('cut at any place they never throw and never claim more than the bytes hold', () => {
    const wrong: string[] = []
    for (const row of rows) {
      // Four answers of a test fixture in one body: each end is an end.
      if (row.id === '9d5e4315b68bbbb7') continue
      const exchange = exchangeOf(row)
      const bytes = exchange.responseBody as Uint8Array
      const whole = read(exchange)
      for (const cut of places(bytes.length)) {
        for (const responseComplete of [true, false]) {
          const reading = read({ ...exchange, responseBody: bytes.subarray(0, cut), responseComplete })
          const where = `${row.id} ${row.provider} ${row.endpoint} at ${cut} of ${bytes.length}`
          if (reading.usageReason === 'reader_failed') wrong.push(`${where}: threw`)
          const equal = FIELDS.every(([, name]) => (reading.counts[name] ?? 0) === (whole.counts[name] ?? 0))
          if (reading.usageSource === 'provider' && !equal) wrong.push(`${where}: ${JSON.stringify(reading.counts)}`)
        }
      }
    }
    expect(wrong).toEqual([])
  })

  it('with the middle cut out they never claim other numbers than the whole', () => {
    const wrong: string[] = []
    let read_ = 0
    // Where an answer's own numbers contradict each other, the end alone says only one of them.
    for (const row of sure) {
      const exchange = exchangeOf(row)
      const bytes = exchange.responseBody as Uint8Array
      const whole = read(exchange)
      if (bytes.length < 64) continue
      for (const [head, tail] of [
        [0.1, 0.5],
        [0.3, 0.7],
        [0.02, 0.9],
        [0.5, 0.6],
      ] as const) {
        const reading = read({
          ...exchange,
          responseBody: bytes.subarray(0, Math.ceil(bytes.length * head)),
          responseTail: bytes.subarray(Math.floor(bytes.length * tail)),
        })
        const equal = FIELDS.every(([, name]) => (reading.counts[name] ?? 0) === (whole.counts[name] ?? 0))
        if (reading.usageReason === 'reader_failed') wrong.push(`${row.id}: threw`)
        if (reading.usageSource === 'provider' && equal) read_++
        if (reading.usageSource === 'provider' && !equal)
          wrong.push(`${row.id} ${row.provider} ${row.endpoint}: ${JSON.stringify([reading.counts, whole.counts])}`)
      }
    }
    expect(wrong).toEqual([])
    // The end of most answers is enough.
    expect(read_).toBeGreaterThan(rows.length)
  })
})

/** Some places over the whole body, and every one near its end, where usage and the last word stand. */
function places(length: number): Set<number> {
  const cuts = new Set<number>()
  for (let part = 0; part < 16; part++) cuts.add(Math.floor((length * part) / 16))
  for (let from = Math.max(0, length - 24); from < length; from++) cuts.add(from)
  for (let from = Math.max(0, length - 600); from < length; from += 37) cuts.add(from)
  return cuts
}
