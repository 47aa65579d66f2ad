export const OTHER = '__other__'
const MAX_LENGTH = 128

export interface LabelLimits {
  tenants: number
  models: number
}
export type LabelKind = 'tenant' | 'model'

/**
 * Bounds the values of a label (law 13). The first `limit` names are admitted and stay so over restarts; what comes
 * later is `__other__`. Models are chosen by clients, so junk must not mint series.
 */
export function makeLabelFold(limits: LabelLimits, admitted: Iterable<{ kind: string; name: string }>) {
  const names = { tenant: new Set<string>(), model: new Set<string>() }
  for (const { kind, name } of admitted) names[kind as LabelKind].add(name)
  return {
    /** The name to label with; `isNew` asks the caller to remember it. */
    fold(kind: LabelKind, name: string): { label: string; isNew: boolean; folded: boolean } {
      const label = name.length > MAX_LENGTH ? `${name.slice(0, MAX_LENGTH - 1)}…` : name
      const known = names[kind]
      if (known.has(label)) return { label, isNew: false, folded: false }
      if (known.size >= (kind === 'tenant' ? limits.tenants : limits.models))
        return { label: OTHER, isNew: false, folded: true }
      known.add(label)
      return { label, isNew: true, folded: false }
    },
    /** Forgets names whose transaction was rolled back. */
    forget(kind: LabelKind, label: string): void {
      names[kind].delete(label)
    },
    names: (kind: LabelKind): ReadonlySet<string> => names[kind],
  }
}
