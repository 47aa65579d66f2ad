import { type ExtraUnit, TOKEN_TYPES, type TokenType, type UsageUnit } from '../sidecar/call.ts'

/** How many units a price in a catalogue or a price file is for. */
const EXTRA_PER: Record<ExtraUnit, number> = {
  requests: 1000,
  web_searches: 1000,
  file_searches: 1000,
  maps_searches: 1000,
  live_search_sources: 1000,
  tool_calls: 1000,
  search_units: 1000,
  pages: 1000,
  guardrail_units: 1000,
  characters: 1_000_000,
  images: 1,
  audio_milliseconds: 3_600_000, // an hour of sound
  video_milliseconds: 1000, // a second of video
  compute_milliseconds: 3_600_000, // an hour of a GPU
}
/** Fees of the provider's tools. One without a rate marks the call `tool_fee_unknown`; the rest of it is priced. */
export const TOOL_FEES: ReadonlySet<UsageUnit> = new Set([
  'web_searches',
  'file_searches',
  'maps_searches',
  'live_search_sources',
  'tool_calls',
])

export const TOKENS_PER_PRICE = 1_000_000

export function unitsPerPrice(unit: UsageUnit): number {
  return (EXTRA_PER as Partial<Record<UsageUnit, number>>)[unit] ?? TOKENS_PER_PRICE
}

/**
 * Which rate prices a kind of token. Where a book has none of its own for a kind, the next one counts, as long as that is
 * not cheaper than the truth: reasoning is output, a cached token costs at most a fresh one. Sound has no such stand-in
 * (gpt-4o-audio-preview: 16 times the text that its entry lists), nor has a generated image: such a call is `no_price`.
 */
export const STAND_INS: Record<TokenType, readonly TokenType[]> = {
  input: ['input'],
  input_audio: ['input_audio'],
  input_image: ['input_image', 'input'],
  cache_read: ['cache_read', 'input'],
  cache_read_audio: ['cache_read_audio', 'input_audio'],
  cache_read_image: ['cache_read_image', 'cache_read', 'input_image', 'input'],
  cache_write: ['cache_write', 'input'],
  cache_write_5m: ['cache_write_5m', 'cache_write', 'input'],
  cache_write_1h: ['cache_write_1h', 'input'],
  output: ['output'],
  output_reasoning: ['output_reasoning', 'output'],
  output_audio: ['output_audio'],
  output_image: ['output_image'],
}

export function isTokenType(unit: UsageUnit): unit is TokenType {
  return (TOKEN_TYPES as readonly UsageUnit[]).includes(unit)
}
