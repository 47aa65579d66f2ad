import { describe, expect, it } from 'vitest'
import { type Catalogue, entryInForce, findModel } from '../../pricing/catalogue.ts'
import { makePriceBook } from '../../pricing/price-book.ts'
import { append, catalogueText } from './append.ts'
import { catalogueOf, type GenaiPrices } from './catalogue-of-genai-prices.ts'
import { catalogueOfLiteLlm } from './catalogue-of-litellm.ts'
import { compare, differencesText } from './compare-litellm.ts'

const release = (version: string, models: GenaiPrices['providers'][number]['models']): GenaiPrices => ({
  version,
  providers: [{ id: 'openai', models }],
})
const model = (id: string, prices: GenaiPrices['providers'][number]['models'][number]['prices'], more = {}) => ({
  id,
  match: {
    is: 'ClauseOr',
    or_: [
      { is: 'ClauseEquals', equals: id },
      { is: 'ClauseStartsWith', starts_with: `${id}-2` },
    ],
  },
  prices,
  ...more,
})
const first = catalogueOf(
  release('1.0', [
    model('steady', { input_mtok: '1.50', output_mtok: { base: '2', tiers: [{ start: 200000, price: '4' }] } }),
    model('cheaper', { input_mtok: '10' }),
    model('announced', { input_mtok: '10' }),
    model('gone', { input_mtok: '3' }),
    model('by-hour', [
      { prices: { input_mtok: '1' } },
      {
        constraint: { is: 'TimeOfDateConstraint', start_time: '16:30:00+00:00', end_time: '00:30:00+00:00' },
        prices: { input_mtok: '0.5' },
      },
    ]),
  ]),
  '2026-01-10',
)
const second = catalogueOf(
  release('2.0', [
    model('steady', { input_mtok: '1.5', output_mtok: { base: '2', tiers: [{ start: 200000, price: '4' }] } }),
    model('cheaper', { input_mtok: '8' }),
    model('announced', [
      { prices: { input_mtok: '10' } },
      { constraint: { is: 'StartDateConstraint', start_date: '2026-03-01' }, prices: { input_mtok: '7' } },
    ]),
    model('by-hour', [
      { prices: { input_mtok: '1' } },
      {
        constraint: { is: 'TimeOfDateConstraint', start_time: '16:30:00+00:00', end_time: '00:30:00+00:00' },
        prices: { input_mtok: '0.5' },
      },
    ]),
    model(
      'new',
      { input_mtok: '2', audio_hours: '0.36' },
      {
        price_variants: [{ when: { processing: 'batch' }, prices: { input_mtok: '1' } }],
      },
    ),
  ]),
  '2026-02-20',
)
const perMillion = (catalogue: Catalogue, name: string, day: string, usage = { input: 1_000_000 }) => {
  const book = makePriceBook({ version: 'v', catalogue, overrides: [] })
  const cost = book.costOf({ provider: 'openai', models: [name], at: Date.parse(day) }, usage)
  return cost.state === 'priced' ? cost.picoUsd / 1e12 : cost
}

describe('an update of the prices', () => {
  const { catalogue, changes } = append(first, second)

  it('appends: a call from before keeps its price (trap 14)', () => {
    for (const { id } of first.providers[0]!.models)
      for (const day of ['2024-06-01', '2026-01-10', '2026-02-19T23:59:59Z', '2026-02-19T18:00:00Z'])
        expect(perMillion(catalogue, id, day)).toEqual(perMillion(first, id, day))
  })

  it('a new price holds from the day of the update, or from its own day if that is later', () => {
    expect(perMillion(catalogue, 'cheaper', '2026-02-20')).toBe(8)
    expect(perMillion(catalogue, 'announced', '2026-02-28')).toBe(10)
    expect(perMillion(catalogue, 'announced', '2026-03-01')).toBe(7)
    expect(perMillion(catalogue, 'gone', '2026-03-01')).toBe(3)
    expect(perMillion(catalogue, 'new', '2026-03-01')).toBe(2)
  })

  it('says what changed, and nothing else', () => {
    expect(changes.map(({ kind, name }) => `${kind}: ${name}`).sort()).toEqual([
      'gone from the source: openai/gone',
      'new model: openai/new',
      'new price: openai/announced',
      'new price: openai/cheaper',
    ])
  })

  it('a second time changes nothing; each entry keeps where it came from', () => {
    expect(append(catalogue, { ...second, updated: '2026-05-01' }).changes).toEqual([])
    const again = append(catalogue, { ...second, updated: '2026-05-01' }).catalogue
    expect(again.providers).toEqual(catalogue.providers)
    const found = findModel(catalogue, 'openai', 'cheaper')!.model
    expect(found.entries.map(({ source, from }) => [source, from])).toEqual([
      ['genai-prices@1.0', undefined],
      ['genai-prices@2.0', '2026-02-20'],
    ])
    expect(entryInForce(found, Date.UTC(2026, 1, 19))?.source).toBe('genai-prices@1.0')
  })

  it('a price that goes up and down again is three entries', () => {
    const back = append(catalogue, { ...first, source: 'genai-prices@3.0', updated: '2026-06-01' }).catalogue
    expect(perMillion(back, 'cheaper', '2026-01-01')).toBe(10)
    expect(perMillion(back, 'cheaper', '2026-03-01')).toBe(8)
    expect(perMillion(back, 'cheaper', '2026-06-01')).toBe(10)
  })

  it('is written one model a line', () => {
    const text = catalogueText(catalogue)
    expect(JSON.parse(text)).toEqual(catalogue)
    expect(text.split('\n').filter((line) => line.startsWith('{"id":"cheaper"')).length).toBe(1)
  })
})

it('the second source is compared, neither wins', () => {
  const map = {
    steady: { litellm_provider: 'openai', input_cost_per_token: 1.5e-6, output_cost_per_token: 2e-6 },
    'openai/cheaper': { litellm_provider: 'openai', input_cost_per_token: 9e-6 },
    reseller: { litellm_provider: 'nobody', input_cost_per_token: 1 },
  }
  const found = compare(first, map, Date.UTC(2026, 1, 1))
  expect(found).toEqual({
    compared: 2,
    differences: [{ model: 'openai/cheaper', unit: 'input', ours: '10', theirs: '9' }],
  })
  expect(differencesText('ours', 'theirs', found)).toContain('| openai/cheaper | input | 10 | 9 |')
})

it('of the second source come models that the first lacks, and units that its entries leave out', () => {
  const map = {
    steady: {
      litellm_provider: 'openai',
      mode: 'chat',
      input_cost_per_token: 9e-6, // the first list has the word
      output_cost_per_audio_token: 2e-5,
      input_cost_per_token_flex: 7e-7,
      output_cost_per_token_flex: 1e-6,
    },
    'dashscope/by-size': {
      litellm_provider: 'dashscope',
      mode: 'chat',
      tiered_pricing: [
        { range: [0, 32_000], input_cost_per_token: 1.2e-6, output_cost_per_token: 6e-6 },
        { range: [32_000, 128_000], input_cost_per_token: 2.4e-6, output_cost_per_token: 1.2e-5 },
      ],
    },
    'databricks/dusty': { litellm_provider: 'databricks', mode: 'chat', input_cost_per_token: 2.99999e-6 },
    'bedrock/us-gov-west-1/steady': { litellm_provider: 'bedrock', mode: 'chat', input_cost_per_token: 3.6e-6 },
    'github_copilot/free': { litellm_provider: 'github_copilot', mode: 'chat', input_cost_per_token: 0 },
    'deepgram/ears': { litellm_provider: 'deepgram', mode: 'audio_transcription', input_cost_per_second: 1e-4 },
  }
  const { providers, source } = catalogueOfLiteLlm(first, map, 'litellm@1', '2026-01-10')
  const found = Object.fromEntries(
    providers.flatMap(({ id, models }) =>
      models.map((one) => [`${id}/${one.id}`, [one.entries[0]!.prices, one.variants]]),
    ),
  )
  expect(source).toBe('litellm@1')
  expect(found).toEqual({
    'openai/steady': [
      { output_audio: '20' },
      [{ when: { service_tier: 'flex' }, prices: { input: '0.7', output: '1' }, source: 'litellm@1' }],
    ],
    'alibaba_cloud/by-size': [
      {
        input: { base: '1.2', tiers: [{ over: 32_000, price: '2.4' }] },
        output: { base: '6', tiers: [{ over: 32_000, price: '12' }] },
      },
      undefined,
    ],
    'databricks/dusty': [{ input: '3' }, undefined],
    'aws/us-gov-west-1/steady': [{ input: '3.6' }, undefined],
    'deepgram/ears': [{ audio_milliseconds: '0.36' }, undefined],
  })
  const book = makePriceBook({
    version: 'v',
    catalogue: first,
    second: { source, updated: '2026-01-10', providers },
    overrides: [],
  })
  const cost = book.costOf(
    { provider: 'openai', models: ['steady'], at: Date.UTC(2026, 1, 1) },
    { input: 1_000_000, output_audio: 1_000_000 },
  )
  expect(cost).toMatchObject({ picoUsd: 21.5e12 })
})
