import { expect, it } from 'vitest'
import type { Catalogue } from '../../pricing/catalogue.ts'
import { type ModelsDev, withModelsDev } from './catalogue-of-models-dev.ts'

const list = (source: string, id: string, model: string): Catalogue => ({
  source,
  updated: '2026-11-29',
  providers: [{ id, models: [{ id: model, match: { equals: model }, entries: [{ prices: { input: '9' }, source }] }] }],
})

it('adds the models that neither list has, and says where their prices come from', () => {
  const map: ModelsDev = {
    upstage: { models: { 'solar-pro3': { cost: { input: 0.25, output: 0.25 } } } },
    friendli: {
      models: { known: { cost: { input: 1 } }, fresh: { cost: { input: 1, output: 3.2, cache_read: 0.5 } } },
    },
    siliconflow: { models: { trial: { cost: { input: 0, output: 0 } }, 'not-priced': {} } },
    'siliconflow-cn': { models: { both: { cost: { input: 0.27, output: 0.42 } } } },
    'zai-coding-plan': { models: { 'glm-5': { cost: { input: 1, output: 1 } } } },
  }
  const found = withModelsDev(
    list('first@1', 'openai', 'x'),
    list('second@1', 'friendli', 'known'),
    map,
    'models-dev@1',
  )
  expect(found.source).toBe('second@1+models-dev@1')
  expect(
    found.providers.map(({ id, models }) => [
      id,
      models.map((one) => [one.id, one.entries[0]!.prices, one.entries[0]!.source]),
    ]),
  ).toEqual([
    [
      'friendli',
      [
        ['known', { input: '9' }, 'second@1'],
        ['fresh', { input: '1', output: '3.2', cache_read: '0.5' }, 'models-dev@1'],
      ],
    ],
    ['siliconflow', [['both', { input: '0.27', output: '0.42' }, 'models-dev@1']]],
    ['upstage', [['solar-pro3', { input: '0.25', output: '0.25' }, 'models-dev@1']]],
  ])
})
