import type { Counts } from './counts.ts'
import { asCount, asNumber, asObject, type JsonObject, withoutUndefined } from './json-value.ts'

/**
 * The usage object of OpenAI's chat completions, completions and embeddings, and of those who speak the same formats.
 * Undefined where it holds no counts.
 */
export function countOpenAiUsage(raw: JsonObject, host: string): Counts | undefined {
  const total = asCount(raw.total_tokens)
  let input = asCount(raw.prompt_tokens)
  let output = asCount(raw.completion_tokens)
  if (input === undefined && output === undefined) return undefined

  const promptDetails = asObject(raw.prompt_tokens_details) ?? asObject(raw.prompt_token_details) // Writer, threads: singular
  const completionDetails = asObject(raw.completion_tokens_details) ?? asObject(raw.completion_token_details)
  const inputAudio = asCount(promptDetails?.audio_tokens)
  const reasoning = asCount(completionDetails?.reasoning_tokens)

  if (total !== undefined && total > 0) {
    const unexplained = total - (input ?? 0) - (output ?? 0)
    if (input === undefined) input = Math.max(0, unexplained)
    else if (output === undefined) output = Math.max(0, unexplained)
    else if (unexplained > 0) {
      // xAI: reasoning stands beside completion_tokens.
      if (unexplained === reasoning) output += reasoning
      // Mistral: audio stands beside prompt_tokens.
      else if (unexplained === inputAudio) input += inputAudio
      // Gemini leaves thoughts out of completion_tokens.
      else if (host === 'generativelanguage.googleapis.com') output += unexplained
    }
  }
  return withoutUndefined({
    input,
    output,
    cacheRead:
      asCount(promptDetails?.cached_tokens) ??
      asCount(raw.prompt_cache_hit_tokens) ?? // DeepSeek
      asCount(raw.num_cached_tokens) ?? // Mistral
      asCount(raw.cached_tokens), // Together
    cacheWrite: asCount(promptDetails?.cache_write_tokens),
    inputAudio,
    inputImage: asCount(promptDetails?.image_tokens),
    cacheReadAudio: asCount(asObject(promptDetails?.cached_tokens_details)?.audio_tokens),
    reasoning,
    outputAudio: asCount(completionDetails?.audio_tokens),
    outputImage: asCount(completionDetails?.image_tokens),
    total,
    audioMilliseconds: milliseconds(raw.prompt_audio_seconds), // Mistral bills sound by its length
  })
}

function milliseconds(seconds: unknown): number | undefined {
  const number = asNumber(seconds)
  return number === undefined || number < 0 || number > 1e9 ? undefined : Math.round(number * 1000)
}
