import { modelNames } from '../../pricing/canonical-model.ts'
import {
  type Catalogue,
  type CatalogueModel,
  type CatalogueProvider,
  findModel,
  type Price,
  type Prices,
  type PriceVariant,
} from '../../pricing/catalogue.ts'
import type { UsageUnit } from '../../sidecar/call.ts'
import type { LiteLlmMap } from './compare-litellm.ts'

/** LiteLLM's provider → the catalogue's. What is not here is no provider of an API that the sidecar knows by its host. */
const PROVIDERS: Readonly<Record<string, string>> = {
  ai21: 'ai21',
  anthropic: 'anthropic',
  assemblyai: 'assemblyai',
  azure: 'azure',
  azure_ai: 'azure',
  azure_text: 'azure',
  baseten: 'baseten',
  bedrock: 'aws',
  bedrock_converse: 'aws',
  bedrock_mantle: 'aws',
  bigmodel: 'zhipuai',
  black_forest_labs: 'black_forest_labs',
  cerebras: 'cerebras',
  cloudflare: 'cloudflare',
  codestral: 'mistral',
  cohere: 'cohere',
  cohere_chat: 'cohere',
  crusoe: 'crusoe',
  dashscope: 'alibaba_cloud',
  databricks: 'databricks',
  deepgram: 'deepgram',
  deepinfra: 'deepinfra',
  deepseek: 'deepseek',
  elevenlabs: 'elevenlabs',
  featherless_ai: 'featherless',
  fireworks_ai: 'fireworks',
  'fireworks_ai-embedding-models': 'fireworks',
  friendliai: 'friendli',
  gemini: 'google',
  gmi: 'gmi',
  gradient_ai: 'gradient',
  groq: 'groq',
  hyperbolic: 'hyperbolic',
  inception: 'inception',
  lambda_ai: 'lambda',
  meta: 'meta',
  meta_llama: 'meta',
  minimax: 'minimax',
  mistral: 'mistral',
  moonshot: 'moonshotai',
  morph: 'morph',
  nebius: 'nebius',
  novita: 'novita',
  nscale: 'nscale',
  nvidia_nim: 'nvidia',
  oci: 'oci',
  openai: 'openai',
  ovhcloud: 'ovhcloud',
  perplexity: 'perplexity',
  publicai: 'publicai',
  replicate: 'replicate',
  sambanova: 'sambanova',
  scaleway: 'scaleway',
  snowflake: 'snowflake',
  stability: 'stability',
  tencent: 'tencent',
  'text-completion-codestral': 'mistral',
  'text-completion-openai': 'openai',
  together_ai: 'together',
  v0: 'v0',
  vercel_ai_gateway: 'vercel',
  vertex_ai: 'google',
  'vertex_ai-ai21_models': 'google',
  'vertex_ai-anthropic_models': 'google',
  'vertex_ai-deepseek_models': 'google',
  'vertex_ai-embedding-models': 'google',
  'vertex_ai-language-models': 'google',
  'vertex_ai-llama_models': 'google',
  'vertex_ai-minimax_models': 'google',
  'vertex_ai-mistral_models': 'google',
  'vertex_ai-moonshot_models': 'google',
  'vertex_ai-openai_models': 'google',
  'vertex_ai-qwen_models': 'google',
  'vertex_ai-text-models': 'google',
  'vertex_ai-video-models': 'google',
  'vertex_ai-zai_models': 'google',
  volcengine: 'volcengine',
  voyage: 'voyageai',
  wandb: 'wandb',
  watsonx: 'ibm.watsonx.ai',
  xai: 'x-ai',
  xiaomi_mimo: 'xiaomi',
  zai: 'zai',
}
/** Names with a place or a deployment type before the model: their places are told by no answer. */
const NOT_TOLD = /^(?:azure\/)?(?:eu|us|global|global-standard|standard|low|medium|high|hd|\d+-x-\d+)\//
const TOKENS = 1e6

type Row = LiteLlmMap[string]

/**
 * The second list: models that the first does not have, and units that its entries leave out. Each entry names its source;
 * of two sources that disagree the first stays (compare-litellm.ts prints where they do).
 */
export function catalogueOfLiteLlm(first: Catalogue, map: LiteLlmMap, source: string, updated: string): Catalogue {
  const providers = new Map<string, Map<string, CatalogueModel>>()
  for (const [key, row] of Object.entries(map)) {
    const provider = PROVIDERS[row.litellm_provider ?? '']
    if (provider === undefined || NOT_TOLD.test(key)) continue
    const id = nameOf(key, row.litellm_provider ?? '')
    if (id === undefined) continue
    const prices = pricesOf(row)
    const variants = variantsOf(row, source)
    if (Object.keys(prices).length === 0 && variants.length === 0) continue
    // A place has prices of its own, whatever the first list says of the model elsewhere.
    const placed = /^us-gov(?:\/|-)|^[a-z]{2}(?:-[a-z]+)+-\d\//.test(id) && provider === 'aws'
    const known = placed
      ? undefined
      : modelNames('', id)
          .map((name) => findModel(first, provider, name))
          .find((found) => found !== undefined)
    const kept = known === undefined ? { prices, variants } : leftOut(prices, variants, known.model)
    if (Object.keys(kept.prices).length === 0 && kept.variants.length === 0) continue
    const models = providers.get(provider) ?? new Map<string, CatalogueModel>()
    providers.set(provider, models)
    const same = models.get(id)
    if (same !== undefined) {
      // One model under two names: the first has the word, the second fills in.
      same.entries[0]!.prices = { ...kept.prices, ...same.entries[0]!.prices }
      const told = new Set((same.variants ?? []).map(({ when }) => JSON.stringify(when)))
      const more = kept.variants.filter(({ when }) => !told.has(JSON.stringify(when)))
      if (more.length > 0) same.variants = [...(same.variants ?? []), ...more]
      continue
    }
    models.set(id, {
      id,
      match: { equals: id },
      entries: [{ prices: kept.prices, source }],
      ...(kept.variants.length > 0 ? { variants: kept.variants } : {}),
    })
  }
  const sorted = [...providers].sort(([a], [b]) => (a < b ? -1 : 1))
  const list: CatalogueProvider[] = sorted.map(([id, models]) => ({
    id,
    models: [...models.values()].sort((a, b) => (a.id < b.id ? -1 : 1)),
  }))
  return { source, updated, providers: list }
}

/** Without their provider's prefix. `bedrock/us-gov-west-1/…` keeps its place: it has prices of its own. */
function nameOf(key: string, provider: string): string | undefined {
  if (provider.startsWith('bedrock')) {
    const placed = /^bedrock\/([a-z]{2}(?:-[a-z]+)+-\d)\/(.+)$/.exec(key)
    if (placed !== null) return placed[2]!.includes('/') ? undefined : `${placed[1]}/${placed[2]}`
    if (/^bedrock\/.*commitment|\/1-month|\/6-month/.test(key)) return undefined
    // Its names without a family are those of the first list.
    return key.replace(/^bedrock(?:_mantle|_converse)?\//, '').replace(/^us-gov\./, 'us-gov/')
  }
  const family = provider.replace(/-.*$/, '')
  for (const prefix of [`${provider}/`, `${family}/`, 'vertex_ai/', 'gemini/'])
    if (key.startsWith(prefix)) return key.slice(prefix.length)
  return key
}

/** Of a model of the first list only what it has no word on. */
function leftOut(
  prices: Prices,
  variants: PriceVariant[],
  model: CatalogueModel,
): { prices: Prices; variants: PriceVariant[] } {
  const has = new Set(model.entries.flatMap((entry) => Object.keys(entry.prices)))
  const told = new Set((model.variants ?? []).map(({ when }) => JSON.stringify(when)))
  return {
    prices: Object.fromEntries(Object.entries(prices).filter(([unit]) => !has.has(unit))) as Prices,
    variants: variants.filter(({ when }) => !told.has(JSON.stringify(when))),
  }
}

const TOKEN_FIELDS: readonly (readonly [string, UsageUnit])[] = [
  ['input_cost_per_token', 'input'],
  ['output_cost_per_token', 'output'],
  ['cache_read_input_token_cost', 'cache_read'],
  ['cache_creation_input_token_cost', 'cache_write'],
  ['cache_creation_input_token_cost_above_1hr', 'cache_write_1h'],
  ['input_cost_per_audio_token', 'input_audio'],
  ['output_cost_per_audio_token', 'output_audio'],
  ['cache_read_input_audio_token_cost', 'cache_read_audio'],
  ['input_cost_per_image_token', 'input_image'],
  ['output_cost_per_image_token', 'output_image'],
  ['cache_read_input_image_token_cost', 'cache_read_image'],
  ['output_cost_per_reasoning_token', 'output_reasoning'],
]

function pricesOf(row: Row): Prices {
  const prices: Prices = {}
  const set = (unit: UsageUnit, price: Price | undefined) => {
    if (price !== undefined) prices[unit] = price
  }
  for (const [field, unit] of TOKEN_FIELDS) set(unit, tieredOf(row, field))
  // A list of zeros is a list without prices.
  if (Object.values(prices).every((price) => price === '0'))
    for (const unit of Object.keys(prices)) delete prices[unit as UsageUnit]
  const { mode } = row
  const number = (field: string) => amountOf(row[field])
  if (mode === 'audio_speech' || mode === 'chat' || mode === 'completion')
    set('characters', scaled(number('input_cost_per_character'), TOKENS))
  if (mode === 'audio_transcription')
    set(
      'audio_milliseconds',
      scaled(number('input_cost_per_second') ?? number('input_cost_per_audio_per_second'), 3600),
    )
  if (mode === 'video_generation')
    set('video_milliseconds', scaled(number('output_cost_per_video_per_second') ?? number('output_cost_per_second'), 1))
  if (mode === 'image_generation' || mode === 'image_edit')
    if (prices.output_image === undefined && prices.output === undefined)
      set('images', scaled(number('output_cost_per_image') ?? number('input_cost_per_image'), 1))
  if (mode === 'rerank') set('search_units', scaled(number('input_cost_per_query'), 1000))
  if (mode === 'ocr') set('pages', scaled(number('ocr_cost_per_page'), 1000))
  const search = row.search_context_cost_per_query as Record<string, unknown> | undefined
  if (search !== undefined && row.litellm_provider !== 'perplexity')
    set('web_searches', scaled(amountOf(search.search_context_size_medium), 1000))
  set('maps_searches', scaled(number('google_maps_grounding_cost_per_query'), 1000))
  return prices
}

/** `…_above_200k_tokens`, or a list of ranges. */
function tieredOf(row: Row, field: string): Price | undefined {
  const ranges = row.tiered_pricing as { range?: [number, number]; [field: string]: unknown }[] | undefined
  if (Array.isArray(ranges) && ranges.some((range) => range[field] !== undefined)) {
    const steps = ranges.flatMap((range) => {
      const price = scaled(amountOf(range[field]), TOKENS)
      return price === undefined || range.range === undefined ? [] : [{ over: range.range[0], price }]
    })
    const [lowest, ...tiers] = steps.sort((a, b) => a.over - b.over)
    if (lowest === undefined) return undefined
    return tiers.length === 0 ? lowest.price : { base: lowest.price, tiers }
  }
  const base = scaled(amountOf(row[field]), TOKENS)
  if (base === undefined) return undefined
  const tiers = Object.keys(row).flatMap((key) => {
    const size = key.startsWith(`${field}_above_`) ? /_above_(\d+)k_tokens$/.exec(key)?.[1] : undefined
    const price = size === undefined ? undefined : scaled(amountOf(row[key]), TOKENS)
    return size === undefined || price === undefined ? [] : [{ over: Number(size) * 1000, price }]
  })
  return tiers.length === 0 ? base : { base, tiers: tiers.sort((a, b) => a.over - b.over) }
}

const VARIANTS: readonly (readonly [suffix: string, when: Record<string, string>])[] = [
  ['_batches', { processing: 'batch' }],
  ['_flex', { service_tier: 'flex' }],
  ['_priority', { service_tier: 'priority' }],
]

/** Providers whose tiers have one price everywhere; AWS's differ by region, and nobody lists them all. */
const TIERED = new Set([
  'openai',
  'azure',
  'azure_ai',
  'gemini',
  'vertex_ai',
  'vertex_ai-language-models',
  'anthropic',
  'groq',
  'xai',
])

function variantsOf(row: Row, source: string): PriceVariant[] {
  const tiers = TIERED.has(row.litellm_provider ?? '')
  return VARIANTS.filter(([, when]) => tiers || when.processing === 'batch').flatMap(([suffix, when]) => {
    const prices: Prices = {}
    for (const [field, unit] of TOKEN_FIELDS) {
      const base = scaled(amountOf(row[`${field}${suffix}`]), TOKENS)
      if (base === undefined) continue
      const tiers = Object.keys(row).flatMap((key) => {
        const size =
          key.startsWith(`${field}_above_`) && key.endsWith(`k_tokens${suffix}`)
            ? new RegExp(`_above_(\\d+)k_tokens${suffix}$`).exec(key)?.[1]
            : undefined
        const price = size === undefined ? undefined : scaled(amountOf(row[key]), TOKENS)
        return size === undefined || price === undefined ? [] : [{ over: Number(size) * 1000, price }]
      })
      prices[unit] = tiers.length === 0 ? base : { base, tiers: tiers.sort((a, b) => a.over - b.over) }
    }
    // A tier without a price for what was said is no tier.
    return prices.input === undefined ? [] : [{ when, prices, source }]
  })
}

function amountOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined
}

/** Without the float's dust, and without that of a price computed from credits (Databricks: 2.99999 for 3). */
function scaled(amount: number | undefined, factor: number): string | undefined {
  if (amount === undefined) return undefined
  const exact = Number((amount * factor).toPrecision(9))
  const round = Number(exact.toPrecision(3))
  const text = (Math.abs(exact - round) <= round * 1e-4 ? round : exact).toFixed(12)
  return text.replace(/\.?0+$/, '')
}
