export interface TenantTotals {
  calls: number
  tokens: Record<string, number>
  picoUsd: bigint
}

/** Sums what a sink received, per tenant. */
export function sumPerTenant(
  calls: Iterable<{ tenant: string; tokens: Record<string, number>; picoUsd: bigint }>,
): Map<string, TenantTotals> {
  const totals = new Map<string, TenantTotals>()
  for (const { tenant, tokens, picoUsd } of calls) {
    let total = totals.get(tenant)
    if (total === undefined) {
      total = { calls: 0, tokens: {}, picoUsd: 0n }
      totals.set(tenant, total)
    }
    total.calls++
    total.picoUsd += picoUsd
    for (const [type, count] of Object.entries(tokens)) total.tokens[type] = (total.tokens[type] ?? 0) + count
  }
  return totals
}
