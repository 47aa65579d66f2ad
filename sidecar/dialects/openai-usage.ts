import type { Usage } from '../call.ts'
import { asCount, asObject, type JsonObject } from './json-value.ts'

export interface CountedUsage {
  usage: Usage
  /** `inconsistent`: a part was larger than its whole and was clamped, or the total says something else. */
  reason: string | undefined
}

/**
 * The usage object of OpenAI's chat completions, and of those who speak the same format, in units that do not overlap.
 * Undefined where it holds no counts.
 */
export function countOpenAiUsage(raw: JsonObject, host: string): CountedUsage | undefined {
  const total = asCount(raw.total_tokens)
  let prompt = asCount(raw.prompt_tokens)
  let completion = asCount(raw.completion_tokens)
  if (prompt === undefined && completion === undefined) return undefined

  const promptDetails = asObject(raw.prompt_tokens_details) ?? asObject(raw.prompt_token_details) // Writer: singular
  const completionDetails = asObject(raw.completion_tokens_details) ?? asObject(raw.completion_token_details)
  const cachedDetails = asObject(promptDetails?.cached_tokens_details)
  const cached =
    asCount(promptDetails?.cached_tokens) ??
    asCount(raw.prompt_cache_hit_tokens) ?? // DeepSeek
    asCount(raw.num_cached_tokens) ?? // Mistral
    asCount(raw.cached_tokens) ?? // Together
    0
  const written = asCount(promptDetails?.cache_write_tokens) ?? 0
  const promptAudio = asCount(promptDetails?.audio_tokens) ?? 0
  const cachedAudio = asCount(cachedDetails?.audio_tokens) ?? 0
  const reasoning = asCount(completionDetails?.reasoning_tokens) ?? 0
  const completionAudio = asCount(completionDetails?.audio_tokens) ?? 0

  let consistent = true
  if (total !== undefined && total > 0) {
    const unexplained = total - (prompt ?? 0) - (completion ?? 0)
    if (unexplained !== 0) {
      if (prompt === undefined) prompt = Math.max(0, unexplained)
      else if (completion === undefined) completion = Math.max(0, unexplained)
      else if (unexplained === reasoning)
        completion += reasoning // xAI: reasoning stands beside completion_tokens
      else if (unexplained === promptAudio)
        prompt += promptAudio // Mistral: audio stands beside prompt_tokens
      else if (unexplained > 0 && host === 'generativelanguage.googleapis.com')
        completion += unexplained // Gemini leaves thoughts out of completion_tokens
      else consistent = false
    }
  }

  const take = (amount: number, rest: number) => {
    if (amount > rest) consistent = false
    return Math.min(amount, rest)
  }
  const usage: Usage = {}
  const set = (unit: keyof Usage, amount: number) => {
    if (amount > 0) usage[unit] = amount
  }
  if (prompt !== undefined) {
    const read = take(cached, prompt)
    const readAudio = take(cachedAudio, read)
    const write = take(written, prompt - read)
    const audio = take(Math.max(0, promptAudio - readAudio), prompt - read - write)
    const image = take(asCount(promptDetails?.image_tokens) ?? 0, prompt - read - write - audio)
    usage.input = prompt - read - write - audio - image
    set('cache_read', read - readAudio)
    set('cache_read_audio', readAudio)
    set('cache_write', write)
    set('input_audio', audio)
    set('input_image', image)
  }
  if (completion !== undefined) {
    const thought = take(reasoning, completion)
    const audio = take(completionAudio, completion - thought)
    const image = take(asCount(completionDetails?.image_tokens) ?? 0, completion - thought - audio)
    usage.output = completion - thought - audio - image
    set('output_reasoning', thought)
    set('output_audio', audio)
    set('output_image', image)
  }
  return { usage, reason: consistent ? undefined : 'inconsistent' }
}
