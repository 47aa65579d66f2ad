import type { Usage, UsageUnit } from '../call.ts'

/**
 * What a provider reports, in the one sense in which all providers compare: `input` is every prompt token (cached ones,
 * tool-use prompts and sounds included), `output` every generated one (reasoning included); all other token counts are
 * parts of these two. A missing count was not reported; it is not zero.
 */
export interface Counts {
  input?: number
  output?: number
  /** Parts of `input`. */
  cacheRead?: number
  /** All cache writes; the two below are parts of it. */
  cacheWrite?: number
  cacheWrite5m?: number
  cacheWrite1h?: number
  inputAudio?: number
  inputImage?: number
  /** A part of both `cacheRead` and `inputAudio`. */
  cacheReadAudio?: number
  /** A part of both `cacheRead` and `inputImage`. */
  cacheReadImage?: number
  /** Prompt tokens that the provider's own tools added (Gemini): priced as input. */
  toolPrompt?: number
  /** Parts of `output`. */
  reasoning?: number
  outputAudio?: number
  outputImage?: number
  /** The provider's own sum of tokens, where it gives one: a check, never a source. */
  total?: number
  /** Billed besides tokens. */
  webSearches?: number
  fileSearches?: number
  mapsSearches?: number
  liveSearchSources?: number
  /** Uses of a provider's tool that has no unit of its own. */
  toolCalls?: number
  images?: number
  videoMilliseconds?: number
  audioMilliseconds?: number
  searchUnits?: number
  pages?: number
  characters?: number
  guardrailUnits?: number
  /** Fees a request (Perplexity). */
  requests?: number
}

export interface CountedUnits {
  usage: Usage
  /** `inconsistent`: a part was larger than its whole and was clamped, or the total says something else. */
  reason: 'inconsistent' | undefined
}

const EXTRAS: readonly (readonly [keyof Counts, UsageUnit])[] = [
  ['webSearches', 'web_searches'],
  ['fileSearches', 'file_searches'],
  ['mapsSearches', 'maps_searches'],
  ['liveSearchSources', 'live_search_sources'],
  ['toolCalls', 'tool_calls'],
  ['images', 'images'],
  ['videoMilliseconds', 'video_milliseconds'],
  ['audioMilliseconds', 'audio_milliseconds'],
  ['searchUnits', 'search_units'],
  ['pages', 'pages'],
  ['characters', 'characters'],
  ['guardrailUnits', 'guardrail_units'],
  ['requests', 'requests'],
]

/** The same in units that do not overlap (design law 7): each token is in one of them, and their sum is the total. */
export function unitsOf(counts: Counts): CountedUnits {
  let consistent = true
  const usage: Usage = {}
  const set = (unit: UsageUnit, amount: number) => {
    if (amount > 0) usage[unit] = amount
  }
  const part = (amount: number | undefined, whole: number) => {
    if ((amount ?? 0) > whole) consistent = false
    return Math.min(amount ?? 0, whole)
  }
  if (counts.input !== undefined) {
    const read = part(counts.cacheRead, counts.input)
    const written = part(cacheWritten(counts), counts.input - read)
    const write1h = part(counts.cacheWrite1h, written)
    const write5m = part(counts.cacheWrite5m, written - write1h)
    const audio = part(counts.inputAudio, counts.input)
    const image = part(counts.inputImage, counts.input)
    // Sounds and images may themselves be cached: what the cache took is not counted a second time.
    const readAudio = Math.min(counts.cacheReadAudio ?? 0, read)
    const readImage = Math.min(counts.cacheReadImage ?? 0, read - readAudio)
    const fresh = counts.input - read - written
    const freshAudio = Math.min(Math.max(0, audio - readAudio), fresh)
    const freshImage = Math.min(Math.max(0, image - readImage), fresh - freshAudio)
    usage.input = fresh - freshAudio - freshImage
    set('cache_read', read - readAudio - readImage)
    set('cache_read_audio', readAudio)
    set('cache_read_image', readImage)
    set('cache_write', written - write5m - write1h)
    set('cache_write_5m', write5m)
    set('cache_write_1h', write1h)
    set('input_audio', freshAudio)
    set('input_image', freshImage)
  }
  if (counts.output !== undefined) {
    const thought = part(counts.reasoning, counts.output)
    const audio = part(counts.outputAudio, counts.output - thought)
    const image = part(counts.outputImage, counts.output - thought - audio)
    usage.output = counts.output - thought - audio - image
    set('output_reasoning', thought)
    set('output_audio', audio)
    set('output_image', image)
  }
  for (const [count, unit] of EXTRAS) set(unit, counts[count] ?? 0)
  // A total of 0 beside counts is a provider that does not fill it in.
  if ((counts.total ?? 0) > 0 && counts.input !== undefined && counts.output !== undefined)
    consistent &&= counts.total === counts.input + counts.output
  return { usage, reason: consistent ? undefined : 'inconsistent' }
}

/** Some say only the parts. */
function cacheWritten({ cacheWrite, cacheWrite5m, cacheWrite1h }: Counts): number {
  return cacheWrite ?? (cacheWrite5m ?? 0) + (cacheWrite1h ?? 0)
}

/** True where the provider reported anything that is billed. */
export function reportsUsage(counts: Counts): boolean {
  return Object.entries(counts).some(([name, count]) => name !== 'total' && count !== undefined)
}

/** Lines of one bill as one: what none of them reports stays unreported. */
export function sumOfCounts(lines: readonly Counts[]): Counts {
  const sum: Counts = {}
  for (const line of lines)
    for (const [name, count] of Object.entries(line) as [keyof Counts, number | undefined][])
      if (count !== undefined) sum[name] = (sum[name] ?? 0) + count
  return sum
}
