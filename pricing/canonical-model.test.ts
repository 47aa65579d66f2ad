import { describe, expect, it } from 'vitest'
import { canonicalModel, modelNames } from './canonical-model.ts'
import { openPriceBook } from './open-price-book.ts'

describe('one name for a model', () => {
  it.each([
    [
      'aws.bedrock',
      'arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-5',
      'us.anthropic.claude-sonnet-5',
    ],
    ['aws.bedrock', 'arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0', 'amazon.nova-pro-v1:0'],
    ['gcp.vertex_ai', 'projects/p/locations/l/publishers/google/models/gemini-2.5-flash', 'gemini-2.5-flash'],
    ['gcp.vertex_ai', 'google/gemini-2.5-flash', 'gemini-2.5-flash'],
    ['gcp.gemini', 'models/gemini-2.5-flash', 'gemini-2.5-flash'],
    ['fireworks', 'accounts/fireworks/models/deepseek-v3p2', 'deepseek-v3p2'],
    ['openai', 'OpenAI/GPT-4.1', 'gpt-4.1'],
    ['openrouter', 'deepseek/deepseek-v3.2:nitro', 'deepseek/deepseek-v3.2'],
    // A prefix that changes the price stays; another's model keeps its owner.
    [
      'aws.bedrock',
      'global.anthropic.claude-sonnet-4-5-20250929-v1:0',
      'global.anthropic.claude-sonnet-4-5-20250929-v1:0',
    ],
    ['groq', 'openai/gpt-oss-120b', 'openai/gpt-oss-120b'],
    ['openai', 'ft:gpt-4o-mini-2024-07-18:acme::b1', 'ft:gpt-4o-mini-2024-07-18:acme::b1'],
  ])('%s %s', (provider, name, canonical) => expect(canonicalModel(provider, name)).toBe(canonical))

  it('tries the name as it is first', () => {
    expect(modelNames('gcp.vertex_ai', 'deepseek-ai/deepseek-v3.2-maas')[0]).toBe('deepseek-ai/deepseek-v3.2-maas')
    expect(modelNames('gcp.vertex_ai', 'claude-sonnet-4-5@20250929')).toContain('claude-sonnet-4-5')
    // A fine-tuned model is not its base.
    expect(modelNames('openai', 'ft:gpt-4o:acme')).toEqual(['ft:gpt-4o:acme', 'ft:gpt-4o'])
  })
})

describe('prices of places and of the second list', () => {
  const book = openPriceBook()
  const at = Date.UTC(2026, 10, 23)
  const cost = (provider: string, model: string, attributes: object, usage: object) => {
    const found = book.costOf({ provider, models: [model], at, attributes }, usage)
    return found.state === 'priced' ? found.picoUsd / 1e12 : `${found.state} ${found.reason}`
  }
  const tokens = { input: 1000, output: 100 }

  it.each([
    ['gcp.vertex_ai', 'gemini-3.8-flash', { region: 'global' }, tokens, 0.001125],
    ['gcp.vertex_ai', 'gemini-3.8-flash', { region: 'europe-west4' }, tokens, 0.0012375],
    ['gcp.vertex_ai', 'gemini-2.5-flash', { region: 'europe-west4' }, tokens, 0.00055],
    ['aws.bedrock', 'us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0', { region: 'us-gov-west-1' }, tokens, 0.0054],
    ['aws.bedrock', 'anthropic.claude-sonnet-4-5-20250929-v1:0', { region: 'us-east-1' }, tokens, 0.00495],
    ['azure.ai.openai', 'gpt-4o-2024-11-20', { region: 'data-zone-eu' }, tokens, 0.00385],
    ['alibaba_cloud', 'qwen3-max', {}, tokens, 0.0018],
    ['alibaba_cloud', 'qwen3-max', {}, { input: 100_000, output: 100 }, 0.2412],
    ['databricks', 'databricks-claude-sonnet-4-5', {}, tokens, 0.0045],
    ['openai', 'sora-2', {}, { video_milliseconds: 8000 }, 0.8],
    ['openai', 'sora-2-pro', { image_size: '1792x1024' }, { video_milliseconds: 4000 }, 2],
    ['openai', 'gpt-4o-transcribe', {}, { input_audio: 1000, output: 100 }, 0.007],
    ['openai', 'whisper-1', {}, { audio_milliseconds: 60_000 }, 0.006],
    ['openai', 'gpt-4.1', { search_tool: 'web_search_preview' }, { web_searches: 1 }, 0.025],
    ['openai', 'gpt-5.5', { search_tool: 'web_search_preview' }, { web_searches: 1 }, 0.01],
    [
      'openai',
      'gpt-image-2',
      {},
      { input: 50, cache_read: 50, input_image: 450, cache_read_image: 1450, output_image: 100 },
      0.0098125,
    ],
    ['gcp.gemini', 'gemini-3.5-flash', {}, { maps_searches: 1 }, 0.014],
    ['huggingface', 'deepseek-ai/DeepSeek-V3.2:novita', { price_list: 'huggingface_novita' }, tokens, 0.000309],
  ])('%s %s %j', (provider, model, attributes, usage, dollars) =>
    expect(cost(provider, model, attributes, usage)).toBeCloseTo(dollars as number, 9),
  )

  it('a cached image is priced as text where images have no rate of their own', () => {
    expect(cost('openai', 'gpt-4o', {}, { cache_read_image: 1_000_000 })).toBe(1.25)
  })

  it('a rule of the operator may say that a subscription pays', () => {
    expect(cost('z_ai', 'glm-4.6', { plan: 'glm-coding' }, tokens)).toBe('free plan')
  })
})
