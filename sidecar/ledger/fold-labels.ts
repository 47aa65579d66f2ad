import type { LlmCall } from '../call.ts'

export const OTHER = '__other__'
/** Names of our own for what is not known: always labels, and no part of a limit. */
const OWN_NAMES: ReadonlySet<string> = new Set(['unknown', 'unattributed', OTHER])
const MAX_LENGTH = 128
const SEQUENCE_OF_CONTROLS = /\p{Cc}+/gu

/** What may be a label. Tenants and models are bounded by configuration, the others by what a sane set-up has. */
const FIXED_LIMITS = { provider: 200, guardrail: 200, node: 1000, route: 1000 } as const
export type LabelKind = 'tenant' | 'model' | keyof typeof FIXED_LIMITS

export interface LabelLimits {
  tenants: number
  models: number
  /** Lines of `/metrics` that tenants × providers × models may make together. */
  series: number
}

/** Lines of `/metrics` that one tenant × provider × model makes: two histograms, and its counters. */
export const LINES_A_MODEL = 45

export interface CallLabels {
  tenant: string
  provider: string
  model: string
}

/**
 * Bounds the values of labels, and their product (law 13). A name is admitted by a call that was answered or that the
 * price book knows, as long as there is room; it stays so over restarts. Whatever is not admitted is `__other__`.
 * The writer admits; elsewhere a copy of what was admitted says what a label is.
 */
export function makeLabelFold(
  limits: LabelLimits,
  admitted: { names: Iterable<{ kind: string; name: string }>; models: Iterable<CallLabels> },
) {
  const names: Record<LabelKind, Set<string>> = {
    tenant: new Set(),
    model: new Set(),
    provider: new Set(),
    guardrail: new Set(),
    node: new Set(),
    route: new Set(),
  }
  const limitOf = (kind: LabelKind) =>
    kind === 'tenant' ? limits.tenants : kind === 'model' ? limits.models : FIXED_LIMITS[kind]
  const maxModels = Math.max(1, Math.floor(limits.series / LINES_A_MODEL))
  /** Tenant × provider × model that have series. */
  const models = new Set<string>()
  const keyOf = ({ tenant, provider, model }: CallLabels) => `${tenant}\u0000${provider}\u0000${model}`
  for (const { kind, name } of admitted.names) names[kind as LabelKind]?.add(name)
  for (const labels of admitted.models) models.add(keyOf(labels))

  /** What has been admitted, or has found no room, since `take`. */
  let news: { kind: LabelKind; name: string }[] = []
  let folded: LabelKind[] = []

  function fold(kind: LabelKind, name: string, mayAdmit: boolean): string {
    const known = names[kind]
    if (known.has(name)) return name
    const label = cleanLabel(name)
    if (known.has(label) || (OWN_NAMES.has(label) && label === name)) return label
    if (!mayAdmit) return OTHER
    if (known.size >= limitOf(kind) || label === OTHER) {
      folded.push(kind)
      return OTHER
    }
    known.add(label)
    news.push({ kind, name: label })
    return label
  }

  function combine(labels: CallLabels, mayAdmit: boolean): CallLabels {
    const key = keyOf(labels)
    if (models.has(key)) return labels
    if (models.size < maxModels) {
      if (mayAdmit) models.add(key)
      return labels
    }
    if (mayAdmit) folded.push('model')
    // One series a tenant and provider for what has no room, and beyond twice the bound one a tenant.
    const other = { ...labels, model: OTHER }
    if (models.has(keyOf(other)) || models.size < 2 * maxModels) {
      if (mayAdmit) models.add(keyOf(other))
      return other
    }
    return { tenant: labels.tenant, provider: OTHER, model: OTHER }
  }

  return {
    /** Inside the writer's transaction. */
    admit: (kind: LabelKind, name: string): string => fold(kind, name, true),
    admitCall(call: LlmCall): CallLabels {
      const answered = call.status === 'ok' || isPriced(call)
      const labels = {
        tenant: fold('tenant', call.tenant, answered || !CLIENT_NAMED.has(call.tenantSource)),
        provider: fold('provider', call.provider, answered),
        model: fold('model', call.model, answered),
      }
      return combine(labels, true)
    },
    /** What a name is labelled with, without admitting anybody. */
    labelOf: (kind: LabelKind, name: string): string => fold(kind, name, false),
    labelsOf: ({ tenant, provider, model }: Pick<LlmCall, 'tenant' | 'provider' | 'model'>): CallLabels =>
      combine(
        {
          tenant: fold('tenant', tenant, false),
          provider: fold('provider', provider, false),
          model: fold('model', model, false),
        },
        false,
      ),
    /** What the writer has admitted. */
    learn(added: readonly { kind: LabelKind; name: string }[], combined: Iterable<CallLabels>): void {
      for (const { kind, name } of added) names[kind].add(name)
      for (const labels of combined) models.add(keyOf(labels))
    },
    take() {
      const taken = { news, folded }
      news = []
      folded = []
      return taken
    },
    /** Lines that the admitted tenants × providers × models may make. */
    get series() {
      return models.size * LINES_A_MODEL
    },
  }
}
export type LabelFold = ReturnType<typeof makeLabelFold>

/** Rules by which the client's own word names the tenant. */
const CLIENT_NAMED: ReadonlySet<string> = new Set(['path', 'trusted_header'])

function isPriced({ cost }: LlmCall): boolean {
  return cost.state === 'priced' || (cost.state === 'unpriced' && cost.reason === 'no_price')
}

/** Two names that are written alike must be one label, or Prometheus refuses the whole scrape: no control characters, no half of a surrogate pair. */
export function cleanLabel(name: string): string {
  const text = name.replace(SEQUENCE_OF_CONTROLS, ' ').toWellFormed()
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH - 1).toWellFormed()}…` : text
}
