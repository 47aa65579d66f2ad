import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { decimalUsd, TOKEN_TYPES, type Usage } from '../sidecar/call.ts'
import { openPriceBook } from './open-price-book.ts'

const FILE = join(import.meta.dirname, '../../shared/data/provider-exchanges/exchanges.jsonl')
const present = existsSync(FILE)
if (!present) process.stdout.write('skipped: ../shared/data/provider-exchanges is not there\n')

const PROVIDERS: Record<string, string> = {
  azure: 'azure.ai.openai',
  mistral: 'mistral_ai',
  xai: 'x_ai',
  zai: 'z_ai',
  google: 'gcp.gemini',
  vertex: 'gcp.vertex_ai',
  bedrock: 'aws.bedrock',
  voyage: 'voyage_ai',
}

type Counts = Readonly<Record<string, unknown>>
type Expected = Counts & {
  model: string | null
  request_model: string | null
  service_tier: string | null
  inference_geo: string | null
  traffic_type: string | number | null
  billed: (Counts & { model: string })[] | null
  provider_cost_usd: number | null
}
interface Row {
  id: string
  provider: string
  endpoint: string
  expected: Expected
  expected_cost_genai_prices: number | null
  cost_agreement: boolean | null
}

/** A row's totals as units that do not overlap; the fees of tools left out, as the catalogues leave them out. */
function usageOf(counts: Counts): Usage {
  const count = (name: string) => (counts[name] as number | null | undefined) ?? 0
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
    audio_milliseconds: Math.round(count('audio_seconds') * 1000),
    search_units: count('search_units'),
    pages: count('pages'),
  }
  let input = count('input_tokens')
  let output = count('output_tokens')
  for (const type of TOKEN_TYPES)
    if (type.startsWith('output')) output -= usage[type] ?? 0
    else input -= usage[type] ?? 0
  return { ...usage, input, output }
}

/** Rows where we name another cost than both catalogues, and why ours is the one to invoice. */
const OTHERWISE: Readonly<Record<string, string>> = {
  '70810c7a4ab187d0': 'transcription billed by the hour of sound; both catalogues leave the sound out and say 0',
  c2a684ec9d2d2671: 'transcription billed by the hour of sound; both catalogues leave the sound out and say 0',
  b413fd6fd0cf8c48: 'sound in a chat billed by its length; both catalogues price its tokens as text',
  a90b1398c880eb9a: 'provisioned throughput was paid for before: its tokens have no price',
}

const rows = present
  ? readFileSync(FILE, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Row)
  : []

describe.skipIf(!present && process.env.CI === undefined)('costs of recorded exchanges', () => {
  const book = openPriceBook()
  const at = Date.parse('2026-11-23T00:00:00Z')

  function costOf({ provider, expected }: Row): number | string {
    const lines = expected.billed ?? [{ ...expected, model: expected.model ?? '' }]
    let total = 0
    for (const line of lines) {
      const models = [line.model, ...(expected.billed === null ? [expected.request_model] : [])].filter(
        (model): model is string => model !== null && model !== '',
      )
      const traffic = typeof expected.traffic_type === 'string' ? expected.traffic_type.toLowerCase() : undefined
      const cost = book.costOf(
        {
          provider: PROVIDERS[provider] ?? provider,
          models,
          at,
          ...(expected.service_tier === null ? {} : { serviceTier: expected.service_tier }),
          ...(traffic === undefined ? {} : { attributes: { traffic } }),
        },
        usageOf(line),
      )
      if (cost.state !== 'priced') return `${cost.state} ${cost.reason}`
      total += cost.picoUsd
    }
    return total
  }

  it('are what both catalogues agree on, but for those that are named', () => {
    const agreed = rows.filter((row) => row.cost_agreement === true && row.expected_cost_genai_prices !== null)
    const wrong: string[] = []
    const different: string[] = []
    for (const row of agreed) {
      const want = row.expected_cost_genai_prices!
      const got = costOf(row)
      const near = typeof got === 'number' && Math.abs(got / 1e12 - want) <= Math.max(1e-8, Math.abs(want) * 1e-6)
      const said = `${row.id} ${row.provider} ${row.endpoint} ${row.expected.model}: theirs ${want}, ours ${typeof got === 'number' ? decimalUsd(got) : got}`
      if (near) continue
      if (OTHERWISE[row.id] === undefined) wrong.push(said)
      else different.push(`${said} (${OTHERWISE[row.id]})`)
    }
    process.stdout.write(
      `recorded costs: ${agreed.length - wrong.length - different.length} of ${agreed.length} as both catalogues say; otherwise:\n  ${different.join('\n  ')}\n`,
    )
    expect(wrong).toEqual([])
    expect(different.length).toBe(Object.keys(OTHERWISE).length)
    expect(agreed.length).toBeGreaterThan(300)
  })
})
