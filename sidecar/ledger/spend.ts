import type { Budgets } from '../budgets/budgets.ts'
import { type Bounds, PERIODS, type Period, periodAt } from '../budgets/calendar.ts'

/** Every zone of today is a whole number of quarters of an hour from UTC (calendar.test.ts). */
export const SLOT_MS = 900_000

/** What a batch of calls adds to a tenant's quarter of an hour. */
export interface SpendDelta {
  /** Quarters of an hour since the epoch, of the calls' starts. */
  slot: number
  tenant: string
  /** pico-USD. */
  cost: bigint
  unpriced: bigint
}
/** Spend of the slots from ≤ slot < to. */
export interface SpendRange {
  from: number
  to: number
}
export interface SpendSum {
  tenant: string
  /** pico-USD, adjustments included. */
  cost: bigint
  unpriced: bigint
}
/** What a question was answered with: all deltas of the store up to this number are in it, and no others. */
export interface SpendSums {
  /** Of each range. */
  sums: SpendSum[][]
  upTo: number
}
export interface TenantSpend extends Bounds {
  tenant: string
  period: Period
  /** pico-USD. */
  spent: bigint
  unpriced: bigint
  /** pico-USD; undefined: the tenant has no ceiling for the period. */
  limit: bigint | undefined
}

interface Running extends Bounds {
  spent: bigint
  unpriced: bigint
  /** Number of the last delta that is in it. */
  upTo: number
}

/**
 * Spend of each tenant's current day, week and month. Sums are read from the store when a period begins, a tenant appears
 * or prices were adjusted, and moved by each batch in between.
 *
 *   store ──sums──▶ running ◀──add── each batch, after its commit
 *
 * Sums are read and batches are written by two threads, whose answers come in any order: a sum says up to which batch it
 * goes, and batches that come while it is read are kept until it is there.
 */
export function makeSpend(budgets: Budgets, ask: (ranges: readonly SpendRange[]) => Promise<SpendSums>) {
  /** By period and tenant. */
  const running = new Map<string, Running>()
  const keyOf = (period: Period, tenant: string) => `${period} ${tenant}`
  let generation = 0
  let reading = 0
  /** What came while sums are read. */
  let meanwhile: { number: number; deltas: readonly SpendDelta[] }[] = []

  function move(sums: ReadonlyMap<string, Running>, number: number, deltas: readonly SpendDelta[]): void {
    for (const { slot, tenant, cost, unpriced } of deltas)
      for (const period of PERIODS) {
        const of = sums.get(keyOf(period, tenant))
        const at = slot * SLOT_MS
        if (of === undefined || number <= of.upTo || at < of.start || at >= of.end) continue
        of.spent += cost
        of.unpriced += unpriced
      }
  }

  return {
    /** `number`: of the store's delta; they come in its order. */
    add(deltas: readonly SpendDelta[], number: number): void {
      if (reading > 0) meanwhile.push({ number, deltas })
      move(running, number, deltas)
    },
    /** What was stored may have been changed by another process: everything is read again. */
    forget(): void {
      running.clear()
      generation++
    },
    /** Of these tenants, for the periods that `now` is in. */
    async read(tenants: Iterable<string>, now: number): Promise<TenantSpend[]> {
      const wanted = [...tenants].flatMap((tenant) => {
        const calendar = budgets.calendarOf(tenant)
        return PERIODS.map((period) => ({ tenant, period, ...periodAt(now, period, calendar) }))
      })
      const absent = wanted.filter(({ tenant, period, start, end }) => {
        const of = running.get(keyOf(period, tenant))
        return of === undefined || of.start !== start || of.end !== end
      })
      if (absent.length > 0) {
        reading++
        try {
          await load(absent)
        } finally {
          if (--reading === 0) meanwhile = []
        }
      }
      return wanted.map(({ tenant, period, start, end }) => {
        const { spent = 0n, unpriced = 0n } = running.get(keyOf(period, tenant)) ?? {}
        return { tenant, period, start, end, spent, unpriced, limit: budgets.ceilingOf(tenant, period) }
      })
    },
  }

  /** One question for all tenants whose periods are alike. */
  async function load(absent: readonly (Bounds & { tenant: string; period: Period })[]): Promise<void> {
    const ranges = new Map<string, { range: SpendRange; of: (typeof absent)[number][] }>()
    for (const each of absent) {
      const range = { from: Math.floor(each.start / SLOT_MS), to: Math.floor(each.end / SLOT_MS) }
      const key = `${range.from} ${range.to}`
      const known = ranges.get(key)
      if (known === undefined) ranges.set(key, { range, of: [each] })
      else known.of.push(each)
    }
    const asked = [...ranges.values()]
    const begun = generation
    const { sums, upTo } = await ask(asked.map(({ range }) => range))
    // Forgotten while the store was reading: what it has read may be too old.
    if (generation !== begun) return load(absent)
    const loaded = new Map<string, Running>()
    asked.forEach(({ of }, index) => {
      const byTenant = new Map(sums[index]!.map((sum) => [sum.tenant, sum]))
      for (const { tenant, period, start, end } of of) {
        const { cost = 0n, unpriced = 0n } = byTenant.get(tenant) ?? {}
        loaded.set(keyOf(period, tenant), { start, end, spent: cost, unpriced, upTo })
      }
    })
    for (const { number, deltas } of meanwhile) move(loaded, number, deltas)
    for (const [key, sum] of loaded) running.set(key, sum)
  }
}
export type Spend = ReturnType<typeof makeSpend>
