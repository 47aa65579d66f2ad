export const OTHER = '__other__'
const MAX_LENGTH = 128
const SEQUENCE_OF_CONTROLS = /\p{Cc}+/gu

/** What may be a label. Tenants and models are bounded by configuration, the others by what a sane set-up has. */
const FIXED_LIMITS = { provider: 200, guardrail: 200, node: 1000, route: 1000 } as const
export type LabelKind = 'tenant' | 'model' | keyof typeof FIXED_LIMITS

export interface LabelLimits {
  tenants: number
  models: number
}

/**
 * Bounds the values of a label (law 13). The first `limit` names are admitted and stay so over restarts; what comes
 * later is `__other__`. Models are chosen by clients, so junk must not mint series.
 */
export function makeLabelFold(limits: LabelLimits, admitted: Iterable<{ kind: string; name: string }>) {
  const names: Record<LabelKind, Set<string>> = {
    tenant: new Set(),
    model: new Set(),
    provider: new Set(),
    guardrail: new Set(),
    node: new Set(),
    route: new Set(),
  }
  for (const { kind, name } of admitted) names[kind as LabelKind]?.add(name)
  const limitOf = (kind: LabelKind) =>
    kind === 'tenant' ? limits.tenants : kind === 'model' ? limits.models : FIXED_LIMITS[kind]

  return {
    /** The name to label with; `isNew` asks the caller to remember it. */
    fold(kind: LabelKind, name: string): { label: string; isNew: boolean; folded: boolean } {
      const known = names[kind]
      if (known.has(name)) return { label: name, isNew: false, folded: false }
      const label = cleanLabel(name)
      if (known.has(label)) return { label, isNew: false, folded: false }
      if (known.size >= limitOf(kind) || label === OTHER) return { label: OTHER, isNew: false, folded: true }
      known.add(label)
      return { label, isNew: true, folded: false }
    },
    /** What `fold` would say, without admitting anybody. */
    labelOf(kind: LabelKind, name: string): string {
      const label = cleanLabel(name)
      return names[kind].has(label) || names[kind].size < limitOf(kind) ? label : OTHER
    },
    /** Forgets names whose transaction was given up. */
    forget(kind: LabelKind, label: string): void {
      names[kind].delete(label)
    },
    names: (kind: LabelKind): ReadonlySet<string> => names[kind],
  }
}
export type LabelFold = ReturnType<typeof makeLabelFold>

/** Two names that are written alike must be one label, or Prometheus refuses the whole scrape: no control characters, no half of a surrogate pair. */
export function cleanLabel(name: string): string {
  const text = name.replace(SEQUENCE_OF_CONTROLS, ' ').toWellFormed()
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH - 1).toWellFormed()}…` : text
}
