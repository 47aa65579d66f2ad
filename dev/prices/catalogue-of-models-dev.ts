import { modelNames } from '../../pricing/canonical-model.ts'
import { type Catalogue, type CatalogueModel, findModel, type Prices } from '../../pricing/catalogue.ts'

/** `api.json` of models.dev: USD per 1,000,000 tokens by provider and model. */
export type ModelsDev = Record<string, { models: Record<string, { cost?: Record<string, unknown> }> }>

/** models.dev's provider → the catalogue's: hosts that the other lists have few or no prices of. Plans are left out. */
const PROVIDERS: readonly (readonly [theirs: string, ours: string])[] = [
  ['chutes', 'chutes'],
  ['friendli', 'friendli'],
  ['gmicloud', 'gmi'],
  ['inception', 'inception'],
  ['scaleway', 'scaleway'],
  ['siliconflow', 'siliconflow'],
  ['siliconflow-cn', 'siliconflow'],
  ['stepfun', 'stepfun'],
  ['upstage', 'upstage'],
  ['wandb', 'wandb'],
  ['xiaomi', 'xiaomi'],
]
const FIELDS = [
  ['input', 'input'],
  ['output', 'output'],
  ['cache_read', 'cache_read'],
] as const

/** The second list with the models that neither it nor the first one has. A model of price 0 may be a trial: it is left out. */
export function withModelsDev(first: Catalogue, second: Catalogue, map: ModelsDev, source: string): Catalogue {
  const providers = second.providers.map((provider) => ({ ...provider, models: [...provider.models] }))
  const isListed = (ours: string, id: string) =>
    [first, { ...second, providers }].some((list) =>
      modelNames('', id).some((name) => findModel(list, ours, name) !== undefined),
    )
  for (const [theirs, ours] of PROVIDERS)
    for (const [id, { cost }] of Object.entries(map[theirs]?.models ?? {})) {
      const prices = pricesOf(cost ?? {})
      if (prices === undefined || isListed(ours, id)) continue
      let provider = providers.find((one) => one.id === ours)
      if (provider === undefined) {
        provider = { id: ours, models: [] }
        providers.push(provider)
      }
      provider.models.push({ id, match: { equals: id }, entries: [{ prices, source }] } satisfies CatalogueModel)
    }
  return {
    ...second,
    source: `${second.source}+${source}`,
    providers: providers.sort((a, b) => (a.id < b.id ? -1 : 1)),
  }
}

function pricesOf(cost: Record<string, unknown>): Prices | undefined {
  const prices: Prices = {}
  for (const [theirs, unit] of FIELDS) {
    const amount = cost[theirs]
    if (typeof amount === 'number' && Number.isFinite(amount) && amount >= 0) prices[unit] = String(amount)
  }
  return Number(prices.input ?? 0) > 0 || Number(prices.output ?? 0) > 0 ? prices : undefined
}
