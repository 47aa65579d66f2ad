import type { Catalogue, CatalogueModel, PriceEntry, PriceVariant } from '../../pricing/catalogue.ts'

export interface Change {
  kind: 'new provider' | 'new model' | 'new price' | 'new variant' | 'gone from the source'
  name: string
  detail: string
}

/**
 * A newer catalogue laid over the one that stands, so that no old call changes its price: what the newer one says of a
 * model is appended, in force from its own date if that is later than the last update, else from the day of this one.
 * What it no longer has stays.
 */
export function append(before: Catalogue, newer: Catalogue): { catalogue: Catalogue; changes: Change[] } {
  const changes: Change[] = []
  const providers = before.providers.map((provider) => {
    const fresh = newer.providers.find(({ id }) => id === provider.id)
    if (fresh === undefined) return provider
    const models = provider.models.map((model) => {
      const name = `${provider.id}/${model.id}`
      const now = fresh.models.find(({ id }) => id === model.id)
      if (now === undefined) {
        if (!changes.some((change) => change.name === name))
          changes.push({ kind: 'gone from the source', name, detail: 'stays as it is' })
        return model
      }
      return appended(model, now, name, before, newer, changes)
    })
    const added = fresh.models.filter(({ id }) => !provider.models.some((model) => model.id === id))
    for (const { id, entries } of added)
      changes.push({ kind: 'new model', name: `${provider.id}/${id}`, detail: JSON.stringify(entries.at(-1)?.prices) })
    return {
      ...provider,
      ...(fresh.fallback === undefined ? {} : { fallback: fresh.fallback }),
      models: [...models, ...added],
    }
  })
  const added = newer.providers.filter(({ id }) => !before.providers.some((provider) => provider.id === id))
  for (const { id, models } of added)
    changes.push({ kind: 'new provider', name: id, detail: `${models.length} models` })
  return {
    catalogue: { source: newer.source, updated: newer.updated, providers: [...providers, ...added] },
    changes: changes.filter(({ kind }) => kind !== 'gone from the source' || newer.source !== before.source),
  }
}

function appended(
  model: CatalogueModel,
  now: CatalogueModel,
  name: string,
  before: Catalogue,
  newer: Catalogue,
  changes: Change[],
): CatalogueModel {
  const entries = [...model.entries]
  const variants = [...(model.variants ?? [])]
  for (const hours of new Set(now.entries.map(hoursOf))) {
    const ours = entries.filter((entry) => hoursOf(entry) === hours)
    const theirs = now.entries.filter((entry) => hoursOf(entry) === hours)
    // What the source now says of the past is not ours to change: it holds from today on.
    const standing = theirs.findLast((entry) => !isLater(entry, before))
    const fresh = theirs.filter((entry) => isLater(entry, before) && !ours.some((known) => same(known, entry)))
    const superseded = fresh.some(({ from }) => from !== undefined && from <= newer.updated)
    const last = ours.at(-1)
    if (standing !== undefined && !superseded && (last === undefined || !samePrices(last, standing)))
      if (last === undefined || !isLater(last, before)) fresh.unshift({ ...standing, from: newer.updated })
    for (const entry of fresh) {
      entries.push(entry)
      changes.push({
        kind: 'new price',
        name,
        detail: `${JSON.stringify(last?.prices)} → ${JSON.stringify(entry.prices)} from ${entry.from}`,
      })
    }
  }
  for (const variant of now.variants ?? []) {
    if (variants.some((known) => sameVariant(known, variant))) continue
    const dated = isLater(variant, before) ? variant : { ...variant, from: newer.updated }
    // The first that fits wins: a newer one goes before those that it follows.
    variants.unshift(dated)
    changes.push({
      kind: 'new variant',
      name,
      detail: `${JSON.stringify(variant.when)} ${JSON.stringify(variant.prices)} from ${dated.from}`,
    })
  }
  return { ...model, match: now.match, entries, ...(variants.length > 0 ? { variants } : {}) }
}

function isLater(entry: PriceEntry, before: Catalogue): boolean {
  return entry.from !== undefined && entry.from > before.updated
}

function hoursOf({ hours }: PriceEntry): string {
  return JSON.stringify(hours ?? null)
}

function same(a: PriceEntry, b: PriceEntry): boolean {
  return a.from === b.from && JSON.stringify(a.hours) === JSON.stringify(b.hours) && samePrices(a, b)
}

function samePrices(a: PriceEntry, b: PriceEntry): boolean {
  return canonical(a.prices) === canonical(b.prices) && JSON.stringify(a.hours) === JSON.stringify(b.hours)
}

function sameVariant(a: PriceVariant, b: PriceVariant): boolean {
  return canonical(a.when) === canonical(b.when) && samePrices(a, b)
}

function canonical(value: object): string {
  return JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** One model a line, so that a change is a line of a diff. */
export function catalogueText({ source, updated, providers }: Catalogue): string {
  const texts = providers.map(({ id, fallback, models }) => {
    const lines = models.map((model) => JSON.stringify(model)).join(',\n')
    const own = fallback === undefined ? '' : `"fallback":${JSON.stringify(fallback)},`
    return `{"id":${JSON.stringify(id)},${own}"models":[\n${lines}\n]}`
  })
  return `{"source":${JSON.stringify(source)},"updated":${JSON.stringify(updated)},"providers":[\n${texts.join(',\n')}\n]}\n`
}
