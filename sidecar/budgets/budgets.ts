import { z } from 'zod'
import { ofTenant, tenantMap } from '../tenant.ts'
import { type Calendar, isTimeZone, PERIODS, type Period, WEEK_STARTS } from './calendar.ts'

/** A trillion dollars: what is above it is a mistake. */
const MAX_PICO_USD = 10n ** 24n
const AMOUNT = /^(\d{1,13})(?:\.(\d{1,12}))?$/

/** Dollars as written, `2500` or `'0.25'`, to pico-USD without a float between. */
const ceiling = z.union([z.number(), z.string()]).transform((written, context): bigint => {
  const [, dollars, fraction = ''] = AMOUNT.exec(String(written).trim()) ?? []
  const pico = dollars === undefined ? 0n : BigInt(dollars + fraction.padEnd(12, '0'))
  if (pico > 0n && pico <= MAX_PICO_USD) return pico
  context.addIssue({
    code: 'custom',
    message:
      'write a ceiling in dollars, above 0 and with at most 12 decimals, as 2500 or 0.25; leave it out, or null, for none',
  })
  return z.NEVER
})
const timeZone = z.string().refine(isTimeZone, 'no such time zone: write it as Europe/Berlin or UTC')
const ceilings = Object.fromEntries(PERIODS.map((period) => [period, ceiling.optional()])) as Record<
  Period,
  z.ZodOptional<typeof ceiling>
>
const ownCeilings = Object.fromEntries(PERIODS.map((period) => [period, ceiling.nullable().optional()])) as Record<
  Period,
  z.ZodOptional<z.ZodNullable<typeof ceiling>>
>

/** `budgets` of observer.yaml. Ceilings are watched, not enforced. */
export const budgetsConfigSchema = z.strictObject({
  /** Whose days, weeks and months they are. */
  timeZone: timeZone.default('UTC'),
  weekStart: z.enum(WEEK_STARTS).default('monday'),
  /** Of each tenant that has none of its own for the period. */
  default: z.strictObject(ceilings).prefault({}),
  /** By tenant; null: none, whatever the default. */
  tenants: tenantMap(z.strictObject({ ...ownCeilings, timeZone: timeZone.optional() })).prefault({}),
})
export type BudgetsConfig = z.infer<typeof budgetsConfigSchema>

export interface Budgets {
  /** Tenants that the configuration names. */
  tenants: readonly string[]
  calendarOf(tenant: string): Calendar
  /** pico-USD; undefined: no ceiling, which is something else than one of 0. */
  ceilingOf(tenant: string, period: Period): bigint | undefined
}

export function makeBudgets(config: BudgetsConfig): Budgets {
  const { tenants, weekStart } = config
  const own = (tenant: string) => ofTenant(tenants, tenant)
  return {
    tenants: Object.keys(tenants),
    calendarOf: (tenant) => ({ timeZone: own(tenant)?.timeZone ?? config.timeZone, weekStart }),
    ceilingOf(tenant, period) {
      const ofTenant = own(tenant)?.[period]
      return (ofTenant === undefined ? config.default[period] : ofTenant) ?? undefined
    },
  }
}

/** Budgets whose configuration can change while they are in use. */
export function makeReplaceableBudgets(config: BudgetsConfig): Budgets & { use(config: BudgetsConfig): void } {
  let current = makeBudgets(config)
  return {
    get tenants() {
      return current.tenants
    },
    calendarOf: (tenant) => current.calendarOf(tenant),
    ceilingOf: (tenant, period) => current.ceilingOf(tenant, period),
    use(next) {
      current = makeBudgets(next)
    },
  }
}
