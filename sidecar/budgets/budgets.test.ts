import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseConfig } from '../config.ts'
import { budgetsConfigSchema, makeBudgets } from './budgets.ts'

const USD = 1_000_000_000_000n
const budgets = (config: object) => makeBudgets(budgetsConfigSchema.parse(config))

describe('budgets', () => {
  it('a tenant’s own ceiling replaces the default, period by period; null takes it away', () => {
    const { ceilingOf, calendarOf, tenants } = budgets({
      default: { day: 10, month: 200 },
      tenants: { blue: { month: '2500.5', timeZone: 'Europe/Berlin' }, red: { day: null, week: 5 } },
    })
    const all = (tenant: string) => (['day', 'week', 'month'] as const).map((period) => ceilingOf(tenant, period))
    expect(all('blue')).toEqual([10n * USD, undefined, 2500n * USD + USD / 2n])
    expect(all('red')).toEqual([undefined, 5n * USD, 200n * USD])
    expect(all('toString')).toEqual([10n * USD, undefined, 200n * USD])
    expect(calendarOf('blue')).toEqual({ timeZone: 'Europe/Berlin', weekStart: 'monday' })
    expect(calendarOf('red').timeZone).toBe('UTC')
    expect(tenants).toEqual(['blue', 'red'])
  })

  it('reads amounts to the pico-dollar', () => {
    fc.assert(
      fc.property(fc.bigInt(1n, 1_000_000_000n * USD), (pico) => {
        const text = `${pico / USD}.${String(pico % USD).padStart(12, '0')}`
        expect(budgets({ default: { day: text } }).ceilingOf('t', 'day')).toBe(pico)
      }),
    )
    expect(budgets({ default: { day: 0.1 } }).ceilingOf('t', 'day')).toBe(USD / 10n)
  })

  it.each([
    ['default: { day: 0 }', 'budgets.default.day: write a ceiling in dollars'],
    ['default: { day: -3 }', 'budgets.default.day: write a ceiling in dollars'],
    ['default: { day: 1e30 }', 'budgets.default.day: write a ceiling in dollars'],
    ["default: { day: '0.0000000000001' }", 'budgets.default.day: write a ceiling in dollars'],
    ['default: { day: 10 USD }', 'budgets.default.day: write a ceiling in dollars'],
    ['timeZone: Mars/Olympus', 'budgets.timeZone: no such time zone'],
    ['tenants: { blue: { timeZone: CEST? } }', 'budgets.tenants.blue.timeZone: no such time zone'],
    ['weekStart: friday', 'budgets.weekStart: '],
    ['tenants: { blue: { year: 3 } }', 'budgets.tenants.blue'],
  ])('says what is wrong with %s', (yaml, message) => {
    const place = /observer\.yaml:2:\d+: /
    try {
      parseConfig(`log: {}\nbudgets: { ${yaml} }\n`, 'observer.yaml', {})
      expect.unreachable()
    } catch (error) {
      expect((error as Error).message).toMatch(place)
      expect((error as Error).message).toContain(message)
    }
  })
})
