import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compare, type LedgerRow, modelName, type SourceRow } from './compare.ts'
import { ExportError, picoUsdOf, scaled } from './export-line.ts'
import { parseNames } from './names.ts'
import { distance, reportJson, reportText } from './report.ts'
import { EXPORTS, type ReconcileInput, reconcile } from './run.ts'

const DAY = 1_793_491_200 // 2026-11-01 in UTC
const parse = (provider: string, content: unknown, file = 'export') =>
  EXPORTS[provider]!.parse(typeof content === 'string' ? content : JSON.stringify(content), file)
const problemsOf = (run: () => unknown): readonly string[] => {
  try {
    run()
  } catch (error) {
    if (error instanceof ExportError) return error.problems
    throw error
  }
  return []
}

describe('amounts', () => {
  it.each([
    ['0.06', 60_000_000_000n],
    ['0.1', 100_000_000_000n],
    ['1e-7', 100_000n],
    ['-3.5', -3_500_000_000_000n],
    ['0.0000000000005', 1n],
    ['12.000000000001', 12_000_000_000_001n],
  ])('%s dollars', (text, picoUsd) => expect(picoUsdOf(text)).toBe(picoUsd))
  it('are exact for any decimal, and never a float', () => {
    fc.assert(
      fc.property(fc.nat(1e9), fc.nat(999_999_999_999), (dollars, pico) => {
        expect(picoUsdOf(`${dollars}.${String(pico).padStart(12, '0')}`)).toBe(
          BigInt(dollars) * 10n ** 12n + BigInt(pico),
        )
      }),
    )
    for (const none of ['', 'x', '1,5', 'NaN', '0x1']) expect(scaled(none, 12)).toBeUndefined()
  })
})

describe('OpenAI', () => {
  const usage = {
    object: 'page',
    data: [
      {
        object: 'bucket',
        start_time: DAY,
        end_time: DAY + 86_400,
        results: [
          {
            model: 'gpt-4o-2024-08-06',
            project_id: 'proj_1',
            input_tokens: 1000,
            input_cached_tokens: 400,
            output_tokens: 50,
            num_model_requests: 3,
          },
        ],
      },
    ],
    has_more: false,
  }
  const line = {
    day: '2026-11-01',
    model: 'gpt-4o-2024-08-06',
    key: 'proj_1',
    requests: 3n,
    tokens: { input: 600n, cache_read: 400n, output: 50n },
    what: 'usage',
  }
  it('usage, as a page, as pages one after the other, as CSV', () => {
    expect(parse('openai', usage)).toEqual([line])
    expect(parse('openai', `${JSON.stringify(usage)}\n${JSON.stringify(usage)}\n`)).toEqual([line, line])
    const csv = `start_time_iso,model,project_id,input_tokens,input_cached_tokens,output_tokens,num_model_requests
2026-11-01T00:00:00+00:00,gpt-4o-2024-08-06,proj_1,1000,400,50,3
`
    expect(parse('openai', csv)).toEqual([line])
  })
  it('costs, to the last digit that stands in the file', () => {
    const costs = `{"data":[{"start_time":${DAY},"results":[
      {"amount":{"value":0.1234567890123,"currency":"usd"},"line_item":"gpt-4o-2024-08-06, cached input","project_id":null},
      {"amount":{"value":1.5,"currency":"usd"},"line_item":"web search tool calls"}]}]}`
    expect(parse('openai', costs)).toEqual([
      {
        day: '2026-11-01',
        model: 'gpt-4o-2024-08-06',
        picoUsd: 123_456_789_012n,
        what: 'gpt-4o-2024-08-06, cached input',
      },
      { day: '2026-11-01', picoUsd: 1_500_000_000_000n, what: 'web search tool calls' },
    ])
  })
  it('says what is wrong, and where', () => {
    const broken = structuredClone(usage) as { data: { results: Record<string, unknown>[] }[] }
    broken.data[0]!.results[0]!.output_tokens = '-1'
    expect(problemsOf(() => parse('openai', broken))).toEqual([
      'export: page 1, bucket 1, result 1: output_tokens: not a count (-1)',
    ])
    expect(problemsOf(() => parse('openai', '{"error":"x"}'))).toEqual([
      'export: page 1: data: expected a list of buckets',
    ])
    expect(problemsOf(() => parse('openai', 'a,b\n1,2\n'))).toEqual([
      'export:1: no column start_time or start_time_iso',
    ])
    const euros = { data: [{ start_time: DAY, results: [{ amount: { value: 1, currency: 'eur' } }] }] }
    expect(problemsOf(() => parse('openai', euros))[0]).toContain('only dollars can be compared (eur)')
  })
})

describe('Anthropic', () => {
  const page = (results: object[]) => ({
    data: [{ starting_at: '2026-11-01T00:00:00Z', results }],
    has_more: false,
    next_page: null,
  })
  it('usage, with cache writes of both lives together', () => {
    const result = {
      uncached_input_tokens: 10,
      cache_creation: { ephemeral_5m_input_tokens: 20, ephemeral_1h_input_tokens: 30 },
      cache_read_input_tokens: 40,
      output_tokens: 50,
      model: 'claude-sonnet-4-5-20250929',
      workspace_id: 'wrkspc_1',
      api_key_id: null,
    }
    expect(parse('anthropic', page([result]))).toEqual([
      {
        day: '2026-11-01',
        model: 'claude-sonnet-4-5-20250929',
        key: 'wrkspc_1',
        tokens: { input: 10n, cache_read: 40n, cache_write: 50n, output: 50n },
        what: 'usage',
      },
    ])
  })
  it('costs are cents', () => {
    const result = {
      amount: '123.45',
      currency: 'USD',
      model: 'claude-sonnet-4-5',
      description: 'Claude Sonnet 4.5 Usage - Output',
    }
    expect(parse('anthropic', page([result]))).toMatchObject([
      { picoUsd: 1_234_500_000_000n, model: 'claude-sonnet-4-5' },
    ])
    expect(problemsOf(() => parse('anthropic', page([{ model: 'x' }])))[0]).toContain(
      'neither amount nor output_tokens',
    )
  })
})

describe('AWS', () => {
  const report = `line_item_usage_start_date,line_item_line_item_type,line_item_product_code,line_item_usage_type,line_item_usage_amount,pricing_unit,line_item_unblended_cost,line_item_resource_id
2026-11-01T00:00:00.000Z,Usage,AmazonBedrock,USE1-Nova-Micro-input-tokens,1.5,1K tokens,0.0000525,
2026-11-01T00:00:00.000Z,Usage,AmazonBedrock,USE1-Nova-Micro-cache-read-input-token-count,2,1K tokens,0.00001,
2026-11-01T01:00:00.000Z,Usage,AmazonBedrock,USE1-Nova-Micro-output-tokens,0.25,1K tokens,0.000035,
2026-11-01T00:00:00.000Z,Usage,AmazonEC2,USE1-BoxUsage:t3,1,Hrs,0.5,
2026-11-01T00:00:00.000Z,Tax,AmazonBedrock,,0,,0.01,
`
  it('a line a kind of token, in thousands; the rest of the account is left out', () => {
    expect(parse('aws', report)).toEqual([
      {
        day: '2026-11-01',
        model: 'Nova-Micro',
        tokens: { input: 1500n },
        picoUsd: 52_500_000n,
        what: 'USE1-Nova-Micro-input-tokens',
      },
      {
        day: '2026-11-01',
        model: 'Nova-Micro',
        tokens: { cache_read: 2000n },
        picoUsd: 10_000_000n,
        what: 'USE1-Nova-Micro-cache-read-input-token-count',
      },
      {
        day: '2026-11-01',
        model: 'Nova-Micro',
        tokens: { output: 250n },
        picoUsd: 35_000_000n,
        what: 'USE1-Nova-Micro-output-tokens',
      },
      { day: '2026-11-01', picoUsd: 10_000_000_000n, what: 'Tax' },
    ])
  })
  it('also with the names of the old report', () => {
    const old = report
      .replaceAll('line_item_line_item_type', 'lineItem/LineItemType')
      .replaceAll(/line_item_usage_(start_date|type|amount)/g, (_, name: string) => `lineItem/Usage${name}`)
      .replace('line_item_product_code', 'lineItem/ProductCode')
      .replace('line_item_unblended_cost', 'lineItem/UnblendedCost')
    // Old reports start their names with another word: only those that mean the same are one.
    expect(problemsOf(() => parse('aws', old.replace('lineItem/UnblendedCost', 'x')))[0]).toContain(
      'no column line_item_unblended_cost',
    )
  })
})

describe('Azure', () => {
  it('a line a meter and day, with its unit', () => {
    const csv = `Date,MeterCategory,MeterName,Quantity,UnitOfMeasure,CostInBillingCurrency,BillingCurrency,ResourceId
11/01/2026,Azure OpenAI,gpt 4o 0806 Inp glbl Tokens,1.5,1K,0.00375,USD,/subscriptions/s/x/accounts/my-openai
11/01/2026,Azure OpenAI,gpt 4o 0806 cchd Inp glbl Tokens,0.5,1K,0.000625,USD,/subscriptions/s/x/accounts/my-openai
11/01/2026,Azure OpenAI,gpt 4o 0806 Outp glbl Tokens,0.0002,1M,0.002,USD,/subscriptions/s/x/accounts/my-openai
11/01/2026,Virtual Machines,D2 v3,1,1 Hour,0.1,USD,vm
`
    expect(parse('azure', csv)).toMatchObject([
      { model: 'gpt-4o-0806', key: 'my-openai', tokens: { input: 1500n }, picoUsd: 3_750_000_000n },
      { model: 'gpt-4o-0806', tokens: { cache_read: 500n } },
      { model: 'gpt-4o-0806', tokens: { output: 200n } },
    ])
    expect(problemsOf(() => parse('azure', csv.replaceAll('USD', 'EUR')))[0]).toContain('export CostInUsd')
  })
})

describe('a comparison', () => {
  const ledger = (changes: Partial<LedgerRow> = {}): LedgerRow & { provider: string } => ({
    day: '2026-11-01',
    tenant: 'blue',
    provider: 'openai',
    model: 'gpt-4o-2024-08-06',
    calls: 3n,
    tokens: { input: 600n, cache_read: 400n, output: 40n, output_reasoning: 10n },
    costPicoUsd: 2_500_000_000_000n,
    adjustmentsPicoUsd: 0n,
    ...changes,
  })
  const theirs = (changes: object = {}) => ({
    day: '2026-11-01',
    model: 'gpt-4o-2024-08-06',
    key: 'proj_1',
    requests: 3n,
    tokens: { input: 600n, cache_read: 400n, output: 50n },
    picoUsd: 2_500_000_000_000n,
    what: 'usage',
    ...changes,
  })
  const source = (changes: Partial<SourceRow> = {}): SourceRow => ({
    day: '2026-11-01',
    tenant: 'blue',
    model: 'gpt-4o-2024-08-06',
    source: 'provider',
    unpriced: false,
    calls: 3n,
    ...changes,
  })
  const causes = (lines: object[], rows = [ledger()], sources: SourceRow[] = [source()]) =>
    compare(lines as never, rows, sources, { tenants: {}, models: {} }).rows.map((row) => row.causes)

  it('says where a difference comes from', () => {
    expect(causes([theirs()])).toEqual([['equal']])
    expect(causes([theirs({ picoUsd: 2_500_000_000_001n })])).toEqual([['rounding']])
    expect(causes([theirs({ picoUsd: 2_000_000_000_000n })])).toEqual([['other_rate']])
    expect(causes([theirs({ requests: 5n, tokens: { input: 900n, cache_read: 400n, output: 90n } })])).toEqual([
      ['not_through_kong'],
    ])
    expect(causes([theirs()], [])).toEqual([['not_through_kong']])
    expect(causes([theirs({ model: 'o3' })])).toEqual([['not_in_export'], ['not_through_kong']])
    expect(causes([theirs({ tokens: { input: 700n, cache_read: 300n, output: 50n } })])).toEqual([
      ['cache_counted_differently'],
    ])
    const estimated = [source({ calls: 2n }), source({ source: 'estimated', calls: 1n })]
    expect(causes([theirs({ tokens: { input: 650n, cache_read: 400n, output: 50n } })], [ledger()], estimated)).toEqual(
      [['usage_not_reported']],
    )
    const unpriced = [source({ unpriced: true, calls: 1n })]
    expect(causes([theirs({ picoUsd: 3_500_000_000_000n })], [ledger()], unpriced)).toEqual([['unpriced']])
    expect(causes([theirs({ tokens: { input: 600n, cache_read: 400n, output: 51n } })])).toEqual([['unexplained']])
  })

  it('finds what lies on the other side of midnight', () => {
    const late = [
      theirs({ tokens: { input: 500n, cache_read: 400n, output: 50n }, requests: 2n, picoUsd: 0n }),
      theirs({ day: '2026-11-02', tokens: { input: 100n }, requests: 1n, picoUsd: 0n }),
    ]
    const rows = [ledger({ costPicoUsd: 0n }), ledger({ day: '2026-11-02', calls: 0n, tokens: {}, costPicoUsd: 0n })]
    expect(causes(late, rows, [])).toEqual([expect.arrayContaining(['day_edge']), expect.arrayContaining(['day_edge'])])
  })

  it('is by tenant where the keys are named; refused calls are no requests', () => {
    const rows = [ledger(), ledger({ tenant: 'red', calls: 2n, tokens: {}, costPicoUsd: 0n })]
    const names = { tenants: { proj_1: 'blue' }, models: {} }
    const sources = [source(), source({ tenant: 'red', source: 'none', calls: 2n })]
    const { rows: found } = compare([theirs(), theirs({ key: 'proj_9', day: '2026-11-03' })], rows, sources, names)
    expect(found.map(({ day, tenant, causes }) => [day, tenant, causes])).toEqual([
      ['2026-11-01', 'blue', ['equal']],
      ['2026-11-01', 'red', ['equal']],
      ['2026-11-03', 'key proj_9', ['not_through_kong']],
    ])
  })

  it('adds up: the rows are the total', () => {
    const amount = fc.bigInt({ min: 0n, max: 10n ** 15n })
    const lines = fc.array(
      fc.record({
        day: fc.constantFrom('2026-11-01', '2026-11-02'),
        model: fc.constantFrom('gpt-4o', 'o3', 'gpt-4o-2024-08-06'),
        tokens: fc.record({ input: amount, output: amount }),
        picoUsd: amount,
        what: fc.constant('x'),
      }),
    )
    fc.assert(
      fc.property(lines, (given) => {
        const { total, rows } = compare(given, [], [], { tenants: {}, models: {} })
        expect(total.theirs.picoUsd ?? 0n).toBe(given.reduce((sum, { picoUsd }) => sum + picoUsd, 0n))
        expect(rows.reduce((sum, row) => sum + row.theirs.tokens.input, 0n)).toBe(
          given.reduce((sum, { tokens }) => sum + tokens.input, 0n),
        )
      }),
    )
  })

  it.each([
    ['gpt-4o-2024-08-06', 'gpt-4o'],
    ['us.anthropic.claude-sonnet-4-5-20250929-v1:0', 'claude-sonnet-4-5'],
    ['claude-sonnet-4-5@20250929', 'claude-sonnet-4-5'],
    ['gpt-4o-0806', 'gpt-4o'],
    ['amazon.nova-micro-v1:0', 'nova-micro'],
  ])('%s is %s on both sides', (name, plain) => expect(modelName(name)).toBe(plain))

  it('is told to a person and to a program', () => {
    const found = compare(
      [theirs({ picoUsd: 2_600_000_000_000n }), { day: '2026-11-01', what: 'Tax', picoUsd: 5n }],
      [ledger()],
      [source()],
      { tenants: {}, models: {} },
    )
    expect(reportText(found)).toMatchInlineSnapshot(`
      "day         model   in theirs  in ours  out theirs  out ours  USD theirs  USD ours  difference  comes from
      2026-11-01  gpt-4o       1000     1000          50        50      2.6000    2.5000      0.1000  other_rate
      total                    1000     1000          50        50      2.6000    2.5000      0.1000

      lines of no model (taxes, credits, tools), not compared:
        2026-11-01  0.0000 USD  Tax
      "
    `)
    expect(JSON.parse(reportJson(found))).toMatchObject({
      rows: [
        {
          model: 'gpt-4o',
          theirs: { usd: '2.6', tokens: { input: '600' } },
          ours: { usd: '2.5' },
          causes: ['other_rate'],
        },
      ],
      others: [{ what: 'Tax', usd: '0.000000000005' }],
      distance: 0.038461,
    })
    expect(distance(found)).toBeCloseTo(0.1 / 2.6, 5)
  })

  it('refuses a period that the export does not have', () => {
    const input: ReconcileInput = {
      provider: 'openai',
      from: '2026-12-01',
      to: '2026-12-31',
      files: [
        {
          name: 'u.json',
          text: JSON.stringify({
            data: [{ start_time: DAY, results: [{ model: 'm', input_tokens: 1, output_tokens: 1 }] }],
          }),
        },
      ],
      ledger: [ledger()],
      sources: [],
      names: { tenants: {}, models: {} },
    }
    expect(problemsOf(() => reconcile(input))).toEqual([
      'u.json: no line from 2026-12-01 to 2026-12-31; the export has 2026-11-01 to 2026-11-01',
    ])
    expect(reconcile({ ...input, from: '2026-11-01', to: '2026-11-30' }).rows[0]?.ours.tokens.input).toBe(600n)
  })
})

it('a file of names says what is wrong at its line', () => {
  expect(parseNames('tenants: { proj_1: blue }\n', 'names.yaml')).toEqual({ tenants: { proj_1: 'blue' }, models: {} })
  expect(problemsOf(() => parseNames('tenants:\n  a: 7\n', 'names.yaml'))).toEqual([
    expect.stringMatching(/^names\.yaml:2:\d+: tenants\.a: /),
  ])
})
