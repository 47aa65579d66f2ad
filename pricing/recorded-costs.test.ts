import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { TOKEN_TYPES, type Usage } from '../sidecar/call.ts'
import { openPriceBook } from './genai-prices.ts'

const FILE = join(import.meta.dirname, '../../shared/data/provider-exchanges/exchanges.jsonl')
const present = existsSync(FILE)
if (!present) process.stdout.write(`skipped: ${FILE} is not there\n`)

const PROVIDERS: Record<string, string> = {
  azure: 'azure.ai.openai',
  mistral: 'mistral_ai',
  xai: 'x_ai',
  zai: 'z_ai',
  google: 'gcp.gemini',
  vertex: 'gcp.vertex_ai',
  bedrock: 'aws.bedrock',
}

type Expected = Record<string, number | null> & {
  model: string | null
  request_model: string | null
  service_tier: string | null
  billed: unknown
}
interface Row {
  id: string
  provider: string
  endpoint: string
  expected: Expected
  expected_cost_genai_prices: number | null
  cost_agreement: boolean | null
  cost_timestamp: string
}

/** The row's totals as units that do not overlap. */
function usageOf(expected: Expected): Usage {
  const count = (name: string) => expected[name] ?? 0
  const written = count('cache_write_tokens')
  const fiveMinutes = count('cache_write_5m_tokens')
  const oneHour = count('cache_write_1h_tokens')
  const audioRead = count('cache_read_audio_tokens')
  const usage: Usage = {
    input_audio: count('input_audio_tokens') - audioRead,
    input_image: count('input_image_tokens'),
    cache_read: count('cache_read_tokens') - audioRead,
    cache_read_audio: audioRead,
    cache_write_5m: fiveMinutes,
    cache_write_1h: oneHour,
    cache_write: Math.max(0, written - fiveMinutes - oneHour),
    output_reasoning: count('reasoning_tokens'),
    output_audio: count('output_audio_tokens'),
    output_image: count('output_image_tokens'),
  }
  let input = count('input_tokens')
  let output = count('output_tokens')
  for (const type of TOKEN_TYPES)
    if (type.startsWith('output')) output -= usage[type] ?? 0
    else input -= usage[type] ?? 0
  return { ...usage, input, output }
}

/** Where the data pinned here and the rows' newer catalogues differ, or the catalogues agree on the wrong price. */
const KNOWN_DIFFERENCES: readonly { why: string; is: (expected: Expected) => boolean }[] = [
  { why: 'another price in 0.1.8', is: ({ model }) => model === 'mistral-small-latest' },
  { why: 'not in 0.1.8', is: ({ model }) => model === 'glm-4.7' },
  { why: 'no price for sound in 0.1.8', is: ({ model }) => model === 'voxtral-small-latest' },
  { why: 'both catalogues charge the standard price', is: ({ service_tier }) => service_tier === 'priority' },
]

describe.skipIf(!present && process.env.CI === undefined)('costs of recorded exchanges', () => {
  it('chat and messages cost what both catalogues agree on', () => {
    const book = openPriceBook()
    const rows = readFileSync(FILE, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Row)
      .filter(({ endpoint }) => endpoint === 'chat' || endpoint === 'messages')
      .filter((row) => row.cost_agreement === true && row.expected_cost_genai_prices !== null)
      .filter(({ expected }) => expected.billed === null)
    const wrong: string[] = []
    let different = 0
    for (const { id, provider, expected, expected_cost_genai_prices, cost_timestamp } of rows) {
      const models = [expected.model, expected.request_model].filter((model) => model !== null)
      const cost = book.costOf(
        {
          provider: PROVIDERS[provider] ?? provider,
          models,
          at: Date.parse(cost_timestamp),
          ...(expected.service_tier === null ? {} : { serviceTier: expected.service_tier }),
        },
        usageOf(expected),
      )
      const usd = cost.state === 'priced' ? cost.picoUsd / 1e12 : undefined
      if (usd !== undefined && Math.abs(usd - expected_cost_genai_prices!) <= 1e-8) continue
      if (KNOWN_DIFFERENCES.some(({ is }) => is(expected))) different++
      else wrong.push(`${id} ${provider} ${models} ${JSON.stringify(cost)} ${expected_cost_genai_prices}`)
    }
    process.stdout.write(
      `recorded costs: ${rows.length - wrong.length - different} of ${rows.length} agree, ${different} known differences\n`,
    )
    expect(wrong).toEqual([])
    expect(rows.length).toBeGreaterThan(50)
  })
})
