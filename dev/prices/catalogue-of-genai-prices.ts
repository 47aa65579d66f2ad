import type {
  Catalogue,
  CatalogueModel,
  Match,
  Price,
  PriceEntry,
  Prices,
  PriceVariant,
} from '../../pricing/catalogue.ts'
import type { UsageUnit } from '../../sidecar/call.ts'

/** What dump_genai_prices.py prints: genai-prices' own classes as objects. */
export interface GenaiPrices {
  version: string
  providers: { id: string; fallback_model_providers?: string[]; models: GenaiModel[] }[]
}
interface GenaiModel {
  id: string
  match: GenaiClause
  prices: GenaiModelPrice | { constraint?: GenaiConstraint; prices: GenaiModelPrice }[]
  price_variants?: { when: Record<string, string>; prices: GenaiModelPrice; constraint?: GenaiConstraint }[]
}
type GenaiModelPrice = Record<string, string | { base: string; tiers: { start: number; price: string }[] }>
type GenaiConstraint = { is: string; start_date?: string; start_time?: string; end_time?: string }
type GenaiClause = { is: string } & Record<string, unknown>

/** Their price keys → our units. What is not here we do not count: videos (part of input), citations (input) … */
const UNITS: Readonly<Record<string, UsageUnit>> = {
  input_mtok: 'input',
  output_mtok: 'output',
  cache_read_mtok: 'cache_read',
  cache_write_mtok: 'cache_write',
  cache_write_1h_mtok: 'cache_write_1h',
  input_audio_mtok: 'input_audio',
  cache_audio_read_mtok: 'cache_read_audio',
  output_audio_mtok: 'output_audio',
  input_image_mtok: 'input_image',
  output_image_mtok: 'output_image',
  output_reasoning_mtok: 'output_reasoning',
  web_searches_kcount: 'web_searches',
  requests_kcount: 'requests',
  audio_hours: 'audio_milliseconds',
  input_audio_hours: 'audio_milliseconds',
  input_document_kpages: 'pages',
}

/** Providers whose prices a gateway's operator may meet; resellers with many hundred models are left out by nobody. */
export function catalogueOf(source: GenaiPrices, updated: string): Catalogue {
  const name = `genai-prices@${source.version}`
  return {
    source: name,
    updated,
    providers: source.providers.map(({ id, fallback_model_providers, models }) => ({
      id,
      ...(fallback_model_providers === undefined ? {} : { fallback: fallback_model_providers }),
      models: models.map((model) => modelOf(model, name)),
    })),
  }
}

function modelOf({ id, match, prices, price_variants }: GenaiModel, source: string): CatalogueModel {
  const entries: PriceEntry[] = (Array.isArray(prices) ? prices : [{ prices }]).map((entry) => ({
    ...constraintOf('constraint' in entry ? entry.constraint : undefined),
    prices: pricesOf(entry.prices as GenaiModelPrice),
    source,
  }))
  const variants: PriceVariant[] = (price_variants ?? []).map(({ when, prices: own, constraint }) => ({
    when,
    ...constraintOf(constraint),
    prices: pricesOf(own),
    source,
  }))
  return { id, match: matchOf(match), entries, ...(variants.length > 0 ? { variants } : {}) }
}

function constraintOf(constraint: GenaiConstraint | undefined): Pick<PriceEntry, 'from' | 'hours'> {
  if (constraint?.start_date !== undefined) return { from: constraint.start_date }
  if (constraint?.start_time === undefined || constraint.end_time === undefined) return {}
  return { hours: [utcTime(constraint.start_time), utcTime(constraint.end_time)] }
}

function utcTime(text: string): string {
  const found = /^(\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|\+00:00)?$/.exec(text)
  if (found === null) throw new Error(`${text} is no time of day in UTC`)
  return found[1]!
}

function pricesOf(prices: GenaiModelPrice): Prices {
  const result: Prices = {}
  for (const [key, price] of Object.entries(prices)) {
    const unit = UNITS[key]
    if (unit !== undefined) result[unit] = priceOf(price)
  }
  return result
}

function priceOf(price: GenaiModelPrice[string]): Price {
  if (typeof price === 'string') return plain(price)
  return {
    base: plain(price.base),
    tiers: price.tiers.map(({ start, price: tier }) => ({ over: start, price: plain(tier) })),
  }
}

function plain(decimal: string): string {
  return decimal.includes('.') ? decimal.replace(/0+$/, '').replace(/\.$/, '') : decimal
}

function matchOf(clause: GenaiClause): Match {
  const text = (name: string) => clause[name] as string
  switch (clause.is) {
    case 'ClauseEquals':
      return { equals: text('equals') }
    case 'ClauseStartsWith':
      return { startsWith: text('starts_with') }
    case 'ClauseEndsWith':
      return { endsWith: text('ends_with') }
    case 'ClauseContains':
      return { contains: text('contains') }
    case 'ClauseRegex':
      return { regex: text('regex') }
    case 'ClauseAnd':
      return { and: (clause.and_ as GenaiClause[]).map(matchOf) }
    case 'ClauseOr':
      return { or: (clause.or_ as GenaiClause[]).map(matchOf) }
    default:
      throw new Error(`a match of a kind that is not known: ${clause.is}`)
  }
}
