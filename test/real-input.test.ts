import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { readLedger } from '../dev/columns.ts'
import { sumOfMetric } from '../dev/metrics-text.ts'
import { type Stack, startStack } from '../dev/stack.ts'
import { waitUntil } from '../dev/wait-until.ts'
import { inputTokens, outputTokens, type Usage } from '../sidecar/call.ts'

const recordings = join(import.meta.dirname, '../../shared/data/provider-exchanges/exchanges.jsonl')
const present = existsSync(recordings)
if (!present && process.env.CI) throw new Error('CI must have the recordings of real providers')
if (!present) console.warn('skipped: real recordings are not beside the checkout (../shared/data/provider-exchanges)')

interface Row {
  id: string
  provider: string
  endpoint: string
  method: string
  url_path: string
  request_headers: Record<string, string> | null
  request_body: unknown
  response_status: number
  expected: {
    usage_reported: boolean
    billable: boolean
    flags: string[] | null
    input_tokens: number | null
    output_tokens: number | null
    cache_read_tokens: number | null
    cache_write_tokens: number | null
    reasoning_tokens: number | null
    /** Where an answer is billed in several lines, these are what the ledger holds. */
    billed: Counts[] | null
  }
}
type Counts = Partial<
  Record<
    'input_tokens' | 'output_tokens' | 'cache_read_tokens' | 'cache_write_tokens' | 'reasoning_tokens',
    number | null
  >
>

/** Rows that this test cannot hold, and why; the dialects' own tests do. */
const NOT_HERE: Record<string, string> = {
  // Told by the provider's host, which here is the mock's.
  '1aac41a85284e397': 'Writer has a path of its own for the chat format',
  '431202e9ae42c79a': 'Writer has a path of its own for the chat format',
  '435adab426dc1649': 'Writer has a path of its own for the chat format',
  '8f8f65fd3db414e9': 'Cohere and others generate under one path',
  bf4a1e5e8ba8bc13: 'Gemini leaves thoughts out of completion_tokens, others do not',
  // Azure's grok says more cached than prompt tokens: units that do not overlap are clamped, and marked.
  '230158dc0e2f9022': 'clamped',
  '5bb5963df3cc9ad2': 'clamped',
  b078091419069e07: 'clamped',
}

const rows: Row[] = present
  ? readFileSync(recordings, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Row)
      .filter(({ id, expected }) => !(expected.flags ?? []).includes('ambiguous') && !(id in NOT_HERE))
  : []

/** Each row is a tenant of its own, so that the ledger's rows are the recording's rows. */
const tenantOf = (row: Row) => `row-${row.id}`

describe.skipIf(!present)('real recordings through gateway, plugin and sidecar', () => {
  const directory = mkdtempSync(join(tmpdir(), 'real-input-'))
  const agent = new Agent({ connections: 4 })
  let stack: Stack
  const sources = new Map<string, string>()
  let ledger: Map<string, { calls: number; usage: Usage }>

  beforeAll(async () => {
    const kong = parse(readFileSync(join(import.meta.dirname, '../dev/demo-kong.yml'), 'utf8')) as {
      consumers: unknown[]
    }
    kong.consumers = rows.map((row) => ({
      username: tenantOf(row),
      tags: [`tenant:${tenantOf(row)}`],
      keyauth_credentials: [{ key: `key-${row.id}` }],
    }))
    const configFile = join(directory, 'kong.yml')
    writeFileSync(configFile, stringify(kong))
    stack = await startStack({ directory, configFile, provider: { recordings } })
    for (const row of rows) {
      const service = row.url_path.startsWith('/v1/messages') ? 'anthropic' : 'openai'
      const response = await request(`${stack.gateway.url}/${service}${row.url_path}`, {
        dispatcher: agent,
        method: row.method as 'GET' | 'POST',
        headers: { 'content-type': 'application/json', apikey: `key-${row.id}`, 'x-mock-replay': row.id },
        ...(row.method === 'GET' ? {} : { body: JSON.stringify(row.request_body ?? {}) }),
      })
      await response.body.dump({ limit: 64 * 1024 * 1024 })
      expect(response.statusCode).toBe(row.response_status)
    }
    await stack.gateway.idle()
    await waitUntil(
      async () =>
        sumOfMetric(await (await fetch(`${stack.sidecarUrl}/metrics`)).text(), 'llm_calls_total') === rows.length,
    )
    const metrics = await (await fetch(`${stack.sidecarUrl}/metrics`)).text()
    for (const [, tenant, source, calls] of metrics.matchAll(
      /^llm_usage_source_calls_total\{tenant_id="([^"]+)",source="([^"]+)"\} (\d+)$/gm,
    ))
      if (Number(calls) > 0) sources.set(tenant!, source!)
    ledger = readLedger(stack.ledgerFile)
  })
  afterAll(async () => {
    await agent.close()
    await stack?.close()
    rmSync(directory, { recursive: true, force: true })
  })

  it('there are recordings of every format', () => {
    expect(rows.length).toBeGreaterThan(600)
  })

  it.each(rows.map((row) => [`${row.provider} ${row.endpoint} ${row.id}`, row] as const))('%s', (_id, row) => {
    const counted = ledger.get(tenantOf(row))
    expect(counted?.calls).toBe(1)
    const source = sources.get(tenantOf(row))
    if (!row.expected.billable) return expect(counted?.usage).toEqual({})
    if (!row.expected.usage_reported) return expect(source).not.toBe('provider')
    expect(source).toBe('provider')
    const { usage } = counted!
    const { expected } = row
    const sum = (name: keyof Counts) =>
      (expected.billed ?? [expected]).reduce((total, line) => total + (line[name] ?? 0), 0)
    expect({
      input: inputTokens(usage),
      output: outputTokens(usage),
      cacheRead: (usage.cache_read ?? 0) + (usage.cache_read_audio ?? 0),
      cacheWrite: (usage.cache_write ?? 0) + (usage.cache_write_5m ?? 0) + (usage.cache_write_1h ?? 0),
      reasoning: usage.output_reasoning ?? 0,
    }).toEqual({
      input: sum('input_tokens'),
      output: sum('output_tokens'),
      cacheRead: sum('cache_read_tokens'),
      cacheWrite: sum('cache_write_tokens'),
      // Lines of a bill do not say how much of them was thought; the answer as a whole does.
      reasoning: expected.billed === null ? (expected.reasoning_tokens ?? 0) : (usage.output_reasoning ?? 0),
    })
  })
})
