import type { Cost, PriceAttributes, UnpricedReason, Usage, UsageUnit } from '../sidecar/call.ts'
import { modelNames } from './canonical-model.ts'
import {
  type Catalogue,
  entryInForce,
  type FoundModel,
  findModel,
  isInForce,
  type Price,
  type Prices,
  type PriceVariant,
} from './catalogue.ts'
import { type PricedModel, priced, ratesFrom, withRule } from './priced-usage.ts'
import { applies, type OperatorPrices, type Rule, type RuleSubject } from './rules.ts'

export interface PriceKey {
  provider: string
  /** Tried in this order: the response's model, then the request's. */
  models: readonly string[]
  /** Epoch milliseconds of the call's start: the price in force then counts. */
  at: number
  /** The tier that served the call, as the provider names it. */
  serviceTier?: string
  attributes?: PriceAttributes
  /** Whose call it is: tenants may have rates of their own. */
  tenant?: string
  /** Tokens of one model call's prompt, where the usage is the sum of several: prices by prompt size go by it. */
  prompt?: number
  /** How long the call took: self-hosted models may be priced by the time of a GPU. */
  durationMs?: number
}

/** Who charges what from when. The same key and usage give the same cost as long as the version is the same. */
export interface PriceBook {
  /** Names the data, e.g. `genai-prices@0.2.3+overrides.1f3a9c2e`. Kept with each call. */
  readonly version: string
  /** The day (UTC, `2026-11-01`) on which the list prices were last compared with their source. */
  readonly updated: string
  /** The currency to show money in; money itself is in dollars. */
  readonly display?: OperatorPrices['display']
  costOf(key: PriceKey, usage: Usage): Cost
}

export interface PriceSources {
  version: string
  catalogue: Catalogue
  /** A second list: models that the first does not have, and units that its entries leave out. */
  second?: Catalogue
  overrides: readonly Rule[]
  operator?: OperatorPrices
}

/** Provider names of our calls (OpenTelemetry's where it has one) → those of the catalogue; the same where not listed. */
const CATALOGUE_NAMES: Readonly<Record<string, string>> = {
  'azure.ai.openai': 'azure',
  'azure.ai.inference': 'azure',
  'gcp.gemini': 'google',
  'gcp.vertex_ai': 'google',
  'gcp.gen_ai': 'google',
  'aws.bedrock': 'aws',
  mistral_ai: 'mistral',
  x_ai: 'x-ai',
  z_ai: 'zai',
  moonshot_ai: 'moonshotai',
  voyage: 'voyageai',
  voyage_ai: 'voyageai',
}

/** Served tiers that pay the list price. */
const LIST_TIERS = new Set(['', 'auto', 'default', 'standard', 'standard_only', 'on_demand', 'not_available'])
/** Throughput that was paid for before: its tokens have no price of their own. */
const PREPAID = new Set(['provisioned_throughput', 'provisioned'])

/** Models are named by clients: the cache must not grow with their fancy, in number or in length. */
const MAX_CACHED = 4000
const MAX_NAME = 256
const HALF_HOUR_MS = 1_800_000

export function makePriceBook(sources: PriceSources): PriceBook {
  const { version } = sources
  const cache = new Map<string, PricedModel | UnpricedReason>()
  const tenants = new Set(sources.operator?.rules.flatMap((rule) => rule.tenant ?? []))

  function lookUp(key: PriceKey, model: string): PricedModel | UnpricedReason {
    if (model.length > MAX_NAME) return 'unknown_model'
    const tenant = key.tenant !== undefined && tenants.has(key.tenant) ? key.tenant : ''
    const attributes = key.attributes === undefined ? '' : JSON.stringify(key.attributes).slice(0, 1024)
    // Prices change at dates and times of day, on the half hour at the finest.
    const time = Math.floor(key.at / HALF_HOUR_MS)
    const name = [key.provider, model, time, key.serviceTier ?? '', tenant, attributes].join('\u0000')
    const known = cache.get(name)
    if (known !== undefined) return known
    const found = resolve(sources, key, model)
    if (cache.size >= MAX_CACHED) cache.delete(cache.keys().next().value!)
    cache.set(name, found)
    return found
  }

  return {
    version,
    updated: sources.catalogue.updated,
    ...(sources.operator?.display === undefined ? {} : { display: sources.operator.display }),
    costOf(key, usage) {
      if (Number.isNaN(new Date(key.at).getTime())) return { state: 'unpriced', reason: 'no_price', book: version }
      let reason: UnpricedReason = 'unknown_model'
      for (const model of key.models) {
        const found = lookUp(key, model)
        if (typeof found !== 'string')
          return found.plan
            ? { state: 'free', picoUsd: 0, reason: 'plan', book: version }
            : priced(found, usage, key, version)
        if (reason !== 'no_price') reason = found
      }
      return { state: 'unpriced', reason, book: version }
    },
  }
}

/** Units that the second list fills in where an entry of the first leaves them out: none that the first prices otherwise. */
const FILLED: ReadonlySet<UsageUnit> = new Set([
  'input_audio',
  'input_image',
  'cache_read_audio',
  'cache_read_image',
  'cache_write_1h',
  'output_audio',
  'output_image',
  'web_searches',
  'maps_searches',
  'characters',
  'audio_milliseconds',
  'video_milliseconds',
  'pages',
])

function placedNames(names: readonly string[], { region }: Partial<Record<string, string>>): string[] {
  return names.flatMap((name) => {
    const bare = name.replace(/^us-gov\./, '')
    return [
      ...(region === undefined ? [] : [`${region}/${name}`, `${region}/${bare}`]),
      ...(bare === name ? [] : [`us-gov/${bare}`]),
    ]
  })
}

function findByNames(catalogue: Catalogue, provider: string, names: readonly string[]): FoundModel | undefined {
  for (const name of names) {
    const found = findModel(catalogue, provider, name)
    if (found !== undefined) return found
  }
  return undefined
}

/** Catalogue, then overrides, then the operator's rules for all, then those for the tenant. */
function resolve(sources: PriceSources, key: PriceKey, model: string): PricedModel | UnpricedReason {
  const { catalogue, second, overrides, operator } = sources
  const tier = tierOf(key.serviceTier)
  const context = contextOf(key, tier)
  if (PREPAID.has(context.traffic ?? '')) return 'no_price'
  // A provider may have several lists: Hugging Face one for each host behind its router, OpenAI one for decisions.
  const list = context.price_list
  const provider =
    list !== undefined && catalogue.providers.some(({ id }) => id === list)
      ? list
      : Object.hasOwn(CATALOGUE_NAMES, key.provider)
        ? CATALOGUE_NAMES[key.provider]!
        : key.provider
  const names = modelNames(key.provider, model)
  const found = findByNames(catalogue, provider, names)
  const extra = second === undefined ? undefined : findByNames(second, provider, names)
  // A place with a price list of its own: `us-gov-west-1/…`, or by the prefix of a profile `us-gov.…`.
  const placed =
    second === undefined || provider !== 'aws' ? undefined : findByNames(second, provider, placedNames(names, context))
  const prices: Prices = {}
  const ids: string[] = []
  /** Whether anything has a price for what is special about the call. */
  let tierPriced = tier === undefined
  let batchPriced = context.batch === undefined
  let speedPriced = context.speed === undefined
  const laid: PriceVariant[] = []
  if (extra !== undefined && placed === undefined) {
    const entry = entryInForce(extra.model, key.at)
    // Under the first list: of its models only the units that it leaves out.
    for (const [unit, price] of Object.entries(entry?.prices ?? {}) as [UsageUnit, Price][])
      if (found === undefined || FILLED.has(unit)) prices[unit] = price
    if (found === undefined) ids.push(`${entry?.source ?? second?.source}:${extra.provider}/${extra.model.id}`)
    for (const variant of [...(extra.model.variants ?? [])].reverse()) {
      const tierFits = variant.when.service_tier !== undefined && variant.when.service_tier === tier
      const batchFits = variant.when.processing === 'batch' && context.batch === 'true'
      if (!(tierFits || batchFits) || !isInForce(variant, key.at)) continue
      Object.assign(prices, variant.prices)
      laid.push(variant)
      if (tierFits) tierPriced = true
      if (batchFits) batchPriced = true
    }
  }
  if (found !== undefined && placed === undefined) {
    const entry = entryInForce(found.model, key.at)
    Object.assign(prices, entry?.prices)
    // Tiers and batches of the second list stand where the first has none of its own.
    for (const variant of laid) {
      Object.assign(prices, variant.prices)
      ids.push(`${variant.source ?? second?.source}:${Object.values(variant.when).join('+')}`)
    }
    const dated = found.model.entries.length > 1 ? `@${entryName(entry)}` : ''
    ids.push(`${entry?.source ?? catalogue.source}:${found.provider}/${found.model.id}${dated}`)
    const special = {
      processing: context.batch === 'true' ? 'batch' : undefined,
      service_tier: tier,
      speed: context.speed,
    }
    // The first variant that fits sets a unit; a provider that resells has no tiers of the one it sells.
    for (const variant of found.own ? [...(found.model.variants ?? [])].reverse() : []) {
      const fits = Object.entries(variant.when).every(
        ([name, value]) => (special as Record<string, string | undefined>)[name] === value,
      )
      if (!fits || !isInForce(variant, key.at)) continue
      Object.assign(prices, variant.prices)
      ids.push(Object.values(variant.when).join('+'))
      if (variant.when.service_tier === tier) tierPriced = true
      if (variant.when.processing === 'batch') batchPriced = true
      if (variant.when.speed !== undefined) speedPriced = true
    }
  }
  if (placed !== undefined) {
    const entry = entryInForce(placed.model, key.at)
    Object.assign(prices, entry?.prices)
    ids.push(`${entry?.source ?? second?.source}:${placed.provider}/${placed.model.id}`)
  }
  let rates = ratesFrom(prices)
  let plan = context.plan !== undefined
  const subject: RuleSubject = {
    provider: key.provider,
    models: names,
    tenant: key.tenant,
    at: key.at,
    context,
  }
  const catalogued = { tier: tierPriced, batch: batchPriced }
  const apply = (rule: Rule) => {
    // Only a rule that names the model makes one; others fill in what is there.
    const makes = rule.model !== undefined && (rule.rates !== undefined || rule.gpu_hour !== undefined)
    if (!applies(rule, subject)) return
    if (rule.plan !== undefined) plan = rule.plan
    if (ids.length === 0 && !makes) return
    rates = withRule(rates, rule)
    ids.push(rule.id)
    if (rule.when?.service_tier !== undefined || rule.replace) tierPriced = true
    if (rule.when?.batch !== undefined || rule.replace) batchPriced = true
    if (rule.when?.speed !== undefined || rule.replace) speedPriced = true
  }
  for (const rule of overrides) {
    // What the catalogue itself prices for batches and tiers is not multiplied once more.
    const known =
      (rule.when?.batch !== undefined && catalogued.batch) || (rule.when?.service_tier !== undefined && catalogued.tier)
    if (rule.multiply === undefined || !known) apply(rule)
  }
  for (const rule of inOrder(operator?.rules ?? [])) apply(rule)
  if (plan) return { priceId: 'plan', rates: {}, plan }
  if (ids.length === 0)
    return [...catalogue.providers, ...(second?.providers ?? [])].some(({ id }) => id === provider) ||
      [...overrides, ...(operator?.rules ?? [])].some((rule) => rule.provider?.includes(key.provider))
      ? 'unknown_model'
      : 'unknown_provider'
  // Flex, priority and batch have rates of their own: the list price would be a wrong one.
  if (!tierPriced || !batchPriced || !speedPriced) return 'no_price'
  return { priceId: ids.join('+').slice(0, 512), rates, plan: false }
}

/** Undefined where the list price counts. Providers spell their tiers in different ways. */
function tierOf(serviceTier: string | undefined): string | undefined {
  const tier =
    serviceTier
      ?.trim()
      .toLowerCase()
      .replace(/^on_demand_|^service_tier_/, '') ?? ''
  return LIST_TIERS.has(tier) || tier === 'batch' ? undefined : tier
}

function contextOf(key: PriceKey, tier: string | undefined): Partial<Record<string, string>> {
  const context: Partial<Record<string, string>> = {}
  for (const [name, value] of Object.entries(key.attributes ?? {}))
    if (value !== undefined) context[name] = value.toLowerCase()
  if (tier !== undefined) context.service_tier = tier
  const { traffic } = context
  if (traffic?.startsWith('on_demand_') === true) context.service_tier ??= traffic.slice('on_demand_'.length)
  if (key.serviceTier?.toLowerCase() === 'batch') context.batch = 'true'
  if (context.speed === 'standard') delete context.speed
  // Vertex: the global endpoint has the list price, every place a price of its own.
  if (key.provider === 'gcp.vertex_ai' && context.region !== undefined)
    context.place = context.region === 'global' ? 'global' : 'regional'
  return context
}

/** Rules for all before rules for a tenant; each group as it stands in the file. */
function inOrder(rules: readonly Rule[]): Rule[] {
  return [...rules.filter(({ tenant }) => tenant === undefined), ...rules.filter(({ tenant }) => tenant !== undefined)]
}

function entryName(entry: { from?: string; hours?: [string, string] } | undefined): string {
  if (entry?.from !== undefined) return entry.from
  return entry?.hours === undefined ? 'first' : entry.hours.map((time) => time.slice(0, 5)).join('-')
}
