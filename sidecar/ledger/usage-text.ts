import type { Usage, UsageUnit } from '../call.ts'

/** Stored: a code never changes its meaning. New units get new codes. */
const CODES: Record<UsageUnit, string> = {
  input: 'i',
  input_audio: 'ia',
  input_image: 'ii',
  cache_read: 'r',
  cache_read_audio: 'ra',
  cache_read_image: 'ri',
  cache_write: 'w',
  cache_write_5m: 'w5',
  cache_write_1h: 'w1',
  output: 'o',
  output_reasoning: 'or',
  output_audio: 'oa',
  output_image: 'oi',
  requests: 'n',
  web_searches: 's',
  file_searches: 'sf',
  maps_searches: 'sm',
  live_search_sources: 'sl',
  tool_calls: 'tc',
  images: 'm',
  video_milliseconds: 'v',
  audio_milliseconds: 'a',
  search_units: 'u',
  pages: 'p',
  characters: 'c',
  guardrail_units: 'g',
  compute_milliseconds: 't',
}
const UNITS = new Map((Object.entries(CODES) as [UsageUnit, string][]).map(([unit, code]) => [code, unit]))

/** `i:15 r:10 o:7`: a fifth of the JSON. What cannot be an amount is left out, as in the cells. */
export function usageText(usage: Usage): string {
  let text = ''
  for (const unit in usage) {
    const amount = usage[unit as UsageUnit]
    if (amount === undefined || !Number.isSafeInteger(amount) || amount < 0 || !Object.hasOwn(CODES, unit)) continue
    text += `${text === '' ? '' : ' '}${CODES[unit as UsageUnit]}:${amount}`
  }
  return text
}

/** Throws where the text is none of `usageText`. */
export function usageOf(text: string): Usage {
  const usage: Usage = {}
  if (text === '') return usage
  for (const part of text.split(' ')) {
    const [code = '', digits = ''] = part.split(':')
    const unit = UNITS.get(code)
    if (unit === undefined || !/^\d+$/.test(digits)) throw new Error(`the ledger holds ${part}, and that is no usage`)
    usage[unit] = Number(digits)
  }
  return usage
}
