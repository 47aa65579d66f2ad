import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Column, reconcile, renderTable, type TenantNumbers } from './demo-table.ts'

const column = (name: string, perTenant: Record<string, TenantNumbers>): Column => ({
  name,
  perTenant: new Map(Object.entries(perTenant)),
})
const NUMBERS = {
  blue: { calls: 1234, tokens: 1_234_567, picoUsd: 2_345_678_901_234n },
  red: { calls: 5, tokens: 600, picoUsd: 7n },
}
const NAMES = ['access log', 'ledger', '/metrics', 'OTLP', 'Langfuse', 'Loki']
const alike = () => NAMES.map((name) => column(name, NUMBERS))

describe('reconcile', () => {
  test('equal columns do not differ, and their totals are exact', () => {
    const { different, totals, rows, total, names } = reconcile(alike())
    expect(different).toBe(false)
    expect(names).toEqual(NAMES)
    expect(rows.map((row) => row.tenant)).toEqual(['blue', 'red'])
    expect(totals).toEqual({ calls: 1239, tokens: 1_235_167, picoUsd: 2_345_678_901_241n })
    expect(total.cells).toHaveLength(6)
  })

  test('any number changed in any column, by however little, is a difference', () => {
    fc.assert(
      fc.property(
        fc.nat(NAMES.length - 1),
        fc.constantFrom('blue', 'red'),
        fc.constantFrom('calls', 'tokens', 'picoUsd'),
        fc.integer({ min: -1000, max: 1000 }).filter((by) => by !== 0),
        (at, tenant, field, by) => {
          const columns = alike()
          const numbers = columns[at]!.perTenant.get(tenant)!
          const changed =
            field === 'picoUsd'
              ? { ...numbers, picoUsd: numbers.picoUsd + BigInt(by) }
              : { ...numbers, [field]: numbers[field as 'calls'] + by }
          columns[at] = { name: NAMES[at]!, perTenant: new Map(columns[at]!.perTenant).set(tenant, changed) }
          const reconciliation = reconcile(columns)
          expect(reconciliation.different).toBe(true)
          // In the first column: it is the others that differ from it.
          const seen = reconciliation.rows.find((row) => row.tenant === tenant)!.cells[at === 0 ? 1 : at]!
          expect(Number(seen.difference[field as 'calls'])).toBe(at === 0 ? -by : by)
          expect(renderTable(reconciliation)).toContain('Differences to access log:')
        },
      ),
    )
  })

  test('what one tenant has too much and another too little does not cancel out', () => {
    const moved = column('ledger', { blue: { ...NUMBERS.blue, calls: 1233 }, red: { ...NUMBERS.red, calls: 6 } })
    const { different, total } = reconcile([column('access log', NUMBERS), moved])
    expect(total.cells[1]!.difference.calls).toBe(0)
    expect(different).toBe(true)
  })

  test('a tenant that is missing in a column, or only there, is a difference', () => {
    const more = column('ledger', { ...NUMBERS, gold: { calls: 1, tokens: 0, picoUsd: 0n } })
    expect(reconcile([column('access log', NUMBERS), more]).different).toBe(true)
    expect(reconcile([more, column('access log', NUMBERS)]).different).toBe(true)
  })

  test('a number that is none is a difference; no columns are refused', () => {
    const none = column('ledger', { ...NUMBERS, red: { calls: Number.NaN, tokens: 600, picoUsd: 7n } })
    expect(reconcile([column('access log', NUMBERS), none]).different).toBe(true)
    expect(() => reconcile([])).toThrow('at least one column')
  })
})

describe('renderTable', () => {
  test('equal columns: exact money, one 0 for each source', () => {
    expect(renderTable(reconcile(alike()))).toBe(`\
access log                                difference to it
tenant  calls     tokens        cost USD  ledger  /metrics  OTLP  Langfuse  Loki
────────────────────────────────────────────────────────────────────────────────
blue    1,234  1,234,567  2.345678901234       0         0     0         0     0
red         5        600  0.000000000007       0         0     0         0     0
────────────────────────────────────────────────────────────────────────────────
all     1,239  1,235,167  2.345678901241       0         0     0         0     0
`)
  })

  test('fits 120 columns, with long names and with differences, which are spelled out', () => {
    const long = { ['t'.repeat(80)]: { calls: 10_000_000, tokens: 99_999_999_999, picoUsd: 10n ** 18n } }
    const columns = NAMES.map((name, index) => column(name, index === 3 ? {} : long))
    const text = renderTable(reconcile(columns))
    for (const line of text.split('\n\n')[0]!.split('\n')) expect(line.length).toBeLessThanOrEqual(120)
    expect(text).toContain(`${'t'.repeat(15)}…`)
    expect(text).toContain(
      `${'t'.repeat(80)}, OTLP: calls -10,000,000, tokens -99,999,999,999, USD -1000000.000000000000`,
    )
  })

  test('a difference in money alone is seen', () => {
    const off = column('OTLP', { ...NUMBERS, red: { ...NUMBERS.red, picoUsd: 8n } })
    const text = renderTable(reconcile([column('access log', NUMBERS), off]))
    expect(text).toContain('+ USD')
    expect(text).toContain('red, OTLP: calls 0, tokens 0, USD +0.000000000001')
  })
})
