import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Counter, Registry } from 'prom-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { migrateStore } from '../sidecar/store/migrations.ts'
import { openForWriting } from '../sidecar/store/open-database.ts'
import { fromAccessLog, fromLedger, fromMetrics, fromSink, readLedger } from './columns.ts'
import { LIST_PRICES } from './list-prices.ts'
import { ANTHROPIC_MODELS, OPENAI_MODELS } from './provider/models.ts'

const directory = mkdtempSync(join(tmpdir(), 'columns-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

describe('fromAccessLog', () => {
  const document = (tags: unknown, status: number, usage?: object, more: object = {}) => ({
    route: { name: 'openai' },
    consumer: { username: 'alice', tags },
    response: { status, headers: { ...(usage && { 'x-mock-usage': JSON.stringify(usage) }) } },
    ...more,
  })
  const read = (...documents: object[]) => {
    const file = join(directory, 'access.log')
    writeFileSync(file, documents.map((line) => `${JSON.stringify(line)}\n`).join(''))
    return fromAccessLog(file, LIST_PRICES)
  }

  test('calls, tokens and pico-USD by the consumer’s tag', () => {
    const { name, perTenant } = read(
      document(['tier:gold', 'tenant:blue'], 200, { model: 'gpt-4o-2024-08-06', input: 10, cache_read: 4, output: 3 }),
      document(['tenant:blue'], 200, { model: 'claude-haiku-4-5-20251001', cache_write_1h: 2, output_reasoning: 1 }),
      document(['tenant:blue'], 200, {}), // a cache hit
      document(['tenant:red'], 429, {}),
      document(['tenant:red'], 502), // the gateway's own error: no such header
      document({}, 500, {}), // an empty list, as Kong writes it
      { ...document([], 401), consumer: undefined },
    )
    expect(name).toBe('access log')
    expect(Object.fromEntries(perTenant)).toEqual({
      blue: {
        calls: 3,
        tokens: 20,
        picoUsd: 10n * 2_500_000n + 4n * 1_250_000n + 3n * 10_000_000n + 2n * 2_000_000n + 5_000_000n,
      },
      red: { calls: 2, tokens: 0, picoUsd: 0n },
      unattributed: { calls: 2, tokens: 0, picoUsd: 0n },
    })
  })

  test('what reached no route is no call', () => {
    expect(read(document(['tenant:blue'], 404, undefined, { route: undefined })).perTenant.size).toBe(0)
  })

  test.each([
    ['an answer without the header', document([], 200), /line 1: an answer without x-mock-usage/],
    ['an unknown model', document([], 200, { model: 'gpt-99', input: 1 }), /line 1: no list price for input of gpt-99/],
    [
      'an unknown unit',
      document([], 200, { model: 'o3-2025-04-16', cache_write_5m: 1 }),
      /no list price for cache_write_5m/,
    ],
    [
      'another tier',
      document([], 200, { model: 'o3-2025-04-16', service_tier: 'flex' }),
      /no list price for the tier flex/,
    ],
  ])('never guesses: %s', (_, line, message) => {
    expect(() => read(line)).toThrow(message)
  })

  test('every model of the mock has a list price', () => {
    for (const { served } of [...OPENAI_MODELS.values(), ...ANTHROPIC_MODELS.values()])
      expect(Object.keys(LIST_PRICES)).toContain(served)
  })
})

describe('fromLedger', () => {
  const file = join(directory, 'observer.db')
  let writer: DatabaseSync
  beforeAll(() => {
    writer = openForWriting(file)
    migrateStore(writer, file)
  })
  afterAll(() => writer.close())

  test('sums the cells of each tenant exactly, while another connection holds the store open', () => {
    const columns = writer.prepare("SELECT name, type FROM pragma_table_info('cells')").all() as {
      name: string
      type: string
    }[]
    const statement = writer.prepare(
      `INSERT INTO cells (${columns.map(({ name }) => name).join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`,
    )
    /** A cell that holds this, and 0 or nothing in every other column. */
    const insert = (given: Record<string, string | number | bigint>) =>
      statement.run(...columns.map(({ name, type }) => given[name] ?? (type === 'TEXT' ? '' : 0)))
    insert({
      hour: 1,
      tenant: 'blue',
      calls: 2,
      cost_usd: 9_007_199_254,
      cost_pico: 740_993_000_001n,
      tokens_input: 10,
      tokens_output_reasoning: 3,
    })
    insert({
      hour: 2,
      tenant: 'blue',
      calls: 1,
      cost_pico: 2_500_000_000_000n,
      tokens_input: 5,
      tokens_cache_write_1h: 7,
    })
    insert({ hour: 2, tenant: 'unattributed', calls: 4 })
    expect(Object.fromEntries(fromLedger(file).perTenant)).toEqual({
      blue: { calls: 3, tokens: 25, picoUsd: 9_007_199_257_240_993_000_001n },
      unattributed: { calls: 4, tokens: 0, picoUsd: 0n },
    })
    expect(readLedger(file).get('blue')!.usage).toEqual({ input: 15, cache_write_1h: 7, output_reasoning: 3 })
    // A later write shows in the next reading: nothing is kept.
    insert({ hour: 3, tenant: 'blue', calls: 1 })
    expect(fromLedger(file).perTenant.get('blue')!.calls).toBe(4)
  })

  test('what is no ledger is an error, not an empty column', () => {
    expect(() => fromLedger(join(directory, 'missing.db'))).toThrow()
    const other = join(directory, 'other.db')
    const writing = new DatabaseSync(other)
    writing.exec("CREATE TABLE cells (tenant TEXT, calls INTEGER); INSERT INTO cells VALUES ('a', 1)")
    writing.close()
    expect(() => fromLedger(other)).toThrow('no integer column cost_usd')
  })
})

describe('fromMetrics', () => {
  let url: string
  let text = ''
  let status = 200
  const server = createServer((_, response) => response.writeHead(status).end(text))
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`
  })
  afterAll(() => {
    server.closeAllConnections()
    server.close()
  })

  test('sums the three counters of each tenant, whatever its name', async () => {
    const registry = new Registry()
    const counter = (name: string, labelNames: string[]) =>
      new Counter({ name, help: name, labelNames: ['tenant_id', ...labelNames], registers: [registry] })
    const calls = counter('llm_calls_total', ['status'])
    const tokens = counter('llm_tokens_total', ['type'])
    const cost = counter('llm_cost_usd_total', ['model'])
    const odd = 'a "b" \\ {c}, d=1'
    counter('llm_calls_total_of_another_kind', []).inc({ tenant_id: 'blue' }, 99)
    calls.inc({ tenant_id: 'blue', status: 'ok' }, 3)
    calls.inc({ tenant_id: 'blue', status: 'timeout' }, 1)
    calls.inc({ tenant_id: odd, status: 'ok' }, 7)
    tokens.inc({ tenant_id: 'blue', type: 'input' }, 1000)
    tokens.inc({ tenant_id: 'blue', type: 'output' }, 24)
    cost.inc({ tenant_id: 'blue', model: 'a' }, 0.1)
    cost.inc({ tenant_id: 'blue', model: 'b' }, 0.2)
    cost.inc({ tenant_id: odd, model: 'b' }, 1.5e-7)
    text = await registry.metrics()
    expect(text).toContain('e-7')
    const { perTenant } = await fromMetrics(url)
    expect(Object.fromEntries(perTenant)).toEqual({
      blue: { calls: 4, tokens: 1024, picoUsd: 300_000_000_000n },
      [odd]: { calls: 7, tokens: 0, picoUsd: 150_000n },
    })
  })

  test('reads OpenMetrics with exemplars too', async () => {
    text = `# TYPE llm_calls counter
llm_calls_total{tenant_id="blue"} 2.0 # {trace_id="a b"} 1.0 1795419012.3
# TYPE llm_tokens counter
llm_tokens_total{tenant_id="blue",} 5
# TYPE llm_cost_usd counter
llm_cost_usd_total{tenant_id="blue"} 0.5 1795419012000
# EOF
`
    expect((await fromMetrics(url)).perTenant.get('blue')).toEqual({ calls: 2, tokens: 5, picoUsd: 500_000_000_000n })
  })

  test.each([
    ['a counter that is missing', '', 200, /no counter llm_calls_total/],
    ['an error', 'no', 503, /answered 503/],
    ['half a call', '# TYPE llm_calls_total counter\nllm_calls_total{tenant_id="a"} 0.5\n', 200, /has the value 0.5/],
    ['no tenant', '# TYPE llm_calls_total counter\nllm_calls_total 1\n', 200, /without the label tenant_id/],
    [
      'a broken label',
      '# TYPE llm_calls_total counter\nllm_calls_total{tenant_id="a} 1\n',
      200,
      /cannot read the sample/,
    ],
  ])('is an error, not a zero: %s', async (_, body, code, message) => {
    text = body
    status = code
    await expect(fromMetrics(url)).rejects.toThrow(message)
    status = 200
  })
})

test('fromSink adds up the kinds of tokens', () => {
  const perTenant = new Map([['blue', { calls: 2, tokens: { input: 5, output: 6 }, picoUsd: 9n }]])
  expect(fromSink('Loki', perTenant)).toEqual({
    name: 'Loki',
    perTenant: new Map([['blue', { calls: 2, tokens: 11, picoUsd: 9n }]]),
  })
})
