import { z } from 'zod'
import { EXTRA_UNITS, PRICE_ATTRIBUTES, TOKEN_TYPES, type UsageUnit } from '../sidecar/call.ts'
import { tenantSchema } from '../sidecar/tenant.ts'
import { isInForce, type Price, type Prices } from './catalogue.ts'

/*
 * Price files: overrides.yaml (ours: what the catalogue lacks, each entry dated or with its source) and the operator's own
 * (negotiated rates, discounts, self-hosted models, mark-ups). Both are lists of rules, applied in order, each over what
 * stands so far; a later one wins.
 */

const UNITS = [...TOKEN_TYPES, 'cache_write_5m', ...EXTRA_UNITS] as const
const decimal = z
  .union([z.string(), z.number()])
  .transform((value) => (typeof value === 'number' ? plainDecimal(value) : value.trim()))
  .refine((text) => /^\d{1,15}(\.\d{1,30})?$/.test(text), { error: 'write an amount as 2.5, not negative' })
/** Sixteen times the dearest list price (600 USD a million tokens): more is a mistake of units. */
const MAX_RATE = 10_000
const rate = decimal.refine((text) => !(Number(text) > MAX_RATE), {
  error: `write at most ${MAX_RATE}: dollars for a million tokens or characters, a thousand requests, searches or pages, an image, an hour of sound or of a GPU`,
})
const price = z.union([
  rate,
  z.strictObject({
    base: rate,
    tiers: z.array(z.strictObject({ over: z.number().int().positive(), price: rate })).min(1),
  }),
])
const date = z
  .union([z.string(), z.date()])
  .transform((value) => (typeof value === 'string' ? value : value.toISOString().slice(0, 10)))
  .refine(isDate, { error: 'write a date of the calendar as 2026-11-30' })
const names = z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]).transform((value) => [value].flat())

/** Names that a rule may ask for besides those of PRICE_ATTRIBUTES. */
const CONDITIONS = ['service_tier', 'place', ...PRICE_ATTRIBUTES] as const

export const ruleSchema = z
  .strictObject({
    /** Named in the price id of every call that it priced. */
    id: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'use small letters, digits, dots and dashes, at most 64'),
    provider: names.optional(),
    /** Names of models; `*` stands for any text. */
    model: names.optional(),
    tenant: z
      .union([tenantSchema, z.array(tenantSchema).min(1)])
      .transform((value) => [value].flat())
      .optional(),
    when: z.partialRecord(z.enum(CONDITIONS), names).optional(),
    from: date.optional(),
    /** The first day on which it no longer holds. */
    until: date.optional(),
    rates: z.partialRecord(z.enum(UNITS), price).optional(),
    /** A GPU's hour, for self-hosted models: a call pays its time, shared by as many as run at once. */
    gpu_hour: rate.optional(),
    concurrency: z.number().int().positive().optional(),
    /** 0.8 is a discount of 20 %, 1.1 a mark-up of 10 %. */
    multiply: decimal
      .refine((text) => !(Number(text) > 100), { error: 'write a factor of at most 100: 0.8 is a discount of 20 %' })
      .optional(),
    units: z.array(z.enum(UNITS)).min(1).optional(),
    /** These rates are all there are: what stood before is forgotten. */
    replace: z.boolean().default(false),
    /** A subscription pays: tokens are counted, no list price applies. */
    plan: z.boolean().optional(),
    source: z.string().optional(),
  })
  .superRefine((rule, context) => {
    const fault = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
    if (rule.rates === undefined && rule.gpu_hour === undefined && rule.multiply === undefined && rule.plan !== true)
      fault('rates', 'give rates, gpu_hour, multiply or plan')
    if (rule.concurrency !== undefined && rule.gpu_hour === undefined) fault('concurrency', 'goes with gpu_hour')
    if (rule.units !== undefined && rule.multiply === undefined) fault('units', 'goes with multiply')
    if (rule.from !== undefined && rule.until !== undefined && rule.until <= rule.from)
      fault('until', `is not after from (${rule.from})`)
    if (rule.provider === undefined && rule.model === undefined && rule.tenant === undefined)
      fault('provider', 'name a provider, a model or a tenant; for all of them write provider: "*"')
  })
export type Rule = z.infer<typeof ruleSchema>

export const overridesSchema = z.strictObject({
  rules: z.array(ruleSchema.and(z.object({ source: z.string().min(1, 'say where the price comes from') }))),
})

export const operatorPricesSchema = z
  .strictObject({
    rules: z.array(ruleSchema).default([]),
    /** For people to look at: money stays in dollars everywhere else. */
    display: z
      .strictObject({
        currency: z.string().regex(/^[A-Z]{3}$/, 'three letters, as EUR'),
        /** How much of it one dollar is. */
        per_usd: decimal,
        as_of: date,
      })
      .optional(),
  })
  .superRefine(({ rules }, context) => {
    const seen = new Set<string>()
    rules.forEach(({ id }, index) => {
      if (seen.has(id))
        context.addIssue({ code: 'custom', path: ['rules', index, 'id'], message: `${id} is there twice` })
      seen.add(id)
    })
  })
export type OperatorPrices = z.infer<typeof operatorPricesSchema>

/** `Date.parse` takes 2026-02-31 for 3 March. */
function isDate(text: string): boolean {
  const time = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(text) : Number.NaN
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text)
}

function plainDecimal(value: number): string {
  if (!Number.isFinite(value)) return 'NaN'
  const text = String(value)
  return text.includes('e') ? value.toFixed(20).replace(/\.?0+$/, '') : text
}

export interface RuleSubject {
  provider: string
  /** In small letters: as it was given, and under its other names. */
  models: readonly string[]
  tenant: string | undefined
  at: number
  /** Attributes and `service_tier`, in small letters. */
  context: Readonly<Partial<Record<string, string>>>
}

export function applies(rule: Rule, subject: RuleSubject): boolean {
  if (rule.provider !== undefined && !rule.provider.some((name) => name === '*' || name === subject.provider))
    return false
  if (rule.model !== undefined && !rule.model.some((pattern) => subject.models.some((model) => named(pattern, model))))
    return false
  if (rule.tenant !== undefined && (subject.tenant === undefined || !rule.tenant.includes(subject.tenant))) return false
  if (rule.from !== undefined && !isInForce({ from: rule.from }, subject.at)) return false
  if (rule.until !== undefined && isInForce({ from: rule.until }, subject.at)) return false
  for (const [name, wanted] of Object.entries(rule.when ?? {}))
    if (!wanted.some((value) => value.toLowerCase() === subject.context[name])) return false
  return true
}

/** `gpt-4o*` and the like: parts between the stars must follow each other. */
function named(pattern: string, model: string): boolean {
  const parts = pattern.toLowerCase().split('*')
  if (parts.length === 1) return parts[0] === model
  let at = 0
  for (let index = 0; index < parts.length; index++) {
    const part = parts[index] as string
    if (index === 0) {
      if (!model.startsWith(part)) return false
      at = part.length
    } else if (index === parts.length - 1) return model.length - part.length >= at && model.endsWith(part)
    else {
      const found = model.indexOf(part, at)
      if (found < 0) return false
      at = found + part.length
    }
  }
  return true
}

/** The rates that a rule sets, by the unit; the hour of a GPU is shared by those who run at once. */
export function ratesOf(rule: Rule): { prices: Prices; computeShare: number } {
  const prices: Partial<Record<UsageUnit, Price>> = { ...rule.rates }
  if (rule.gpu_hour !== undefined) prices.compute_milliseconds = rule.gpu_hour
  return { prices, computeShare: rule.concurrency ?? 1 }
}
