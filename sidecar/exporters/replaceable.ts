import type { Exporter } from './exporter.ts'

export interface ReplaceableExporter extends Exporter {
  /** Sends go to another exporter of the same sink from now on; those under way end at the one before, which then closes. */
  replaceBy(next: Exporter): void
}

/** An exporter whose settings can change while `deliver` uses it. Counters of scores run on. */
export function makeReplaceable(first: Exporter): ReplaceableExporter {
  let current = first
  const before = { sent: 0, refused: 0 }
  const inUse = new Map<Exporter, { sends: number; replaced: boolean }>([[first, { sends: 0, replaced: false }]])

  function closeIdle(exporter: Exporter): void {
    const use = inUse.get(exporter)
    if (use === undefined || !use.replaced || use.sends > 0) return
    inUse.delete(exporter)
    if (exporter.scores !== undefined) {
      before.sent += exporter.scores.sent
      before.refused += exporter.scores.refused
    }
    void exporter.close().catch(() => {})
  }

  const sum = (key: 'sent' | 'refused') => {
    let total = before[key]
    for (const exporter of inUse.keys()) total += exporter.scores?.[key] ?? 0
    return total
  }
  return {
    id: first.id,
    get limits() {
      return current.limits
    },
    ...(first.delivery !== undefined && { delivery: first.delivery }),
    // Whether it keeps tenants apart is a matter of the sink, which ones of its settings.
    ...(first.apart !== undefined && { apart: (tenant: string) => current.apart?.(tenant) ?? false }),
    wants: (call) => current.wants?.(call) ?? true,
    async send(batch, signal) {
      const exporter = current
      const use = inUse.get(exporter)!
      use.sends++
      try {
        return await exporter.send(batch, signal)
      } finally {
        use.sends--
        closeIdle(exporter)
      }
    },
    ...(first.scores !== undefined && {
      scores: {
        get sent() {
          return sum('sent')
        },
        get refused() {
          return sum('refused')
        },
      },
    }),
    replaceBy(next) {
      const exporter = current
      inUse.get(exporter)!.replaced = true
      inUse.set(next, { sends: 0, replaced: false })
      current = next
      closeIdle(exporter)
    },
    async close() {
      await Promise.all([...inUse.keys()].map((exporter) => exporter.close()))
      inUse.clear()
    },
  }
}
