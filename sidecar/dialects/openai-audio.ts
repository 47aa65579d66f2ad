import type { Counts } from './counts.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { asNumber, asObject, asText, type JsonObject, parseJson, withoutUndefined } from './json-value.ts'
import { countResponsesUsage } from './openai-responses.ts'
import { countOpenAiUsage } from './openai-usage.ts'
import { errorOf } from './provider-error.ts'
import { isRefusal, type ResponseView, viewResponse } from './response-view.ts'
import { usageOutcome } from './usage-outcome.ts'
import { watchUsage } from './watched-usage.ts'

/** Sound to text: OpenAI's transcriptions and translations, also as Azure, Groq and Mistral speak them. */
export const openAiTranscription: Dialect = {
  id: 'openai-transcription',
  matches: ({ path }) => /\/audio\/(?:transcriptions|translations)$/.test(path),
  read: readTranscription,
}

/** Text to sound: OpenAI's speech, also as Azure, Groq and OpenRouter speak it. */
export const openAiSpeech: Dialect = {
  id: 'openai-speech',
  matches: ({ path }) => path.endsWith('/audio/speech'),
  read: readSpeech,
}

function readTranscription(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const view = viewResponse(exchange)
  const { answer, ended, error } = answerOf(view, exchange.status, 'transcript.text.done')
  const usage = watchUsage(view.form === 'cut_json' ? view.usage : asObject(answer.usage))
  const outcome = usageOutcome({
    status: exchange.status,
    form: view.form,
    counts: usage === undefined ? undefined : countTranscription(usage),
    raw: usage,
    whole: ended,
    ended,
    failed: error !== undefined,
    started: asText(answer.text) !== undefined,
  })
  // `verbose_json` says how long the sound was: whisper is billed by its seconds.
  const length = milliseconds(answer.duration)
  const counted = outcome.usageSource === 'unknown' && length !== undefined && !isRefusal(exchange.status)
  const text = asText(answer.text)
  return {
    operation: 'transcription',
    stream: view.form === 'events',
    ...withoutUndefined({
      requestModel: asText(body?.model),
      responseModel: asText(answer.model),
      serviceTier: asText(usage?.service_tier),
      error,
    }),
    ...(counted ? { counts: { audioMilliseconds: length }, usageSource: 'counted' as const } : outcome),
    guardrails: [],
    billable: true,
    ...(text === undefined
      ? {}
      : { content: { output: [{ role: 'assistant', parts: [{ type: 'text', content: text }] }] } }),
  }
}

/** By tokens (gpt-4o-transcribe), by seconds (whisper-1), or as Mistral: seconds beside tokens. */
function countTranscription(usage: JsonObject): Counts | undefined {
  if (usage.type === 'duration') return withoutUndefined({ audioMilliseconds: milliseconds(usage.seconds) })
  const byTokens = countResponsesUsage(usage) ?? countOpenAiUsage(usage, '')
  const length = milliseconds(usage.prompt_audio_seconds)
  return byTokens === undefined && length === undefined
    ? undefined
    : withoutUndefined({ ...byTokens, audioMilliseconds: length })
}

function readSpeech(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const view = viewResponse(exchange)
  const { answer, ended, error } = answerOf(view, exchange.status, 'speech.audio.done')
  const usage = watchUsage(asObject(answer.usage))
  const spoken = asText(body?.input)
  const outcome = usageOutcome({
    status: exchange.status,
    form: view.form,
    counts: usage === undefined ? undefined : countSpeech(usage),
    raw: usage,
    whole: ended,
    ended,
    failed: error !== undefined,
    started: false,
  })
  // The answer is the sound itself and reports nothing: what is billed are the characters that were sent.
  const counted =
    outcome.usageSource === 'unknown' &&
    spoken !== undefined &&
    !exchange.requestTruncated &&
    !isRefusal(exchange.status)
  return {
    operation: 'speech',
    stream: view.form === 'events',
    ...withoutUndefined({ requestModel: asText(body?.model), error }),
    ...(counted ? { counts: { characters: [...spoken].length }, usageSource: 'counted' as const } : outcome),
    guardrails: [],
    billable: true,
    ...(spoken === undefined
      ? {}
      : { content: { input: [{ role: 'user', parts: [{ type: 'text', content: spoken }] }] } }),
  }
}

/** With `stream_format: sse` the last event has usage: text in, sound out. */
function countSpeech(usage: JsonObject): Counts | undefined {
  const counts = countResponsesUsage(usage)
  return counts?.output === undefined ? counts : { ...counts, outputAudio: counts.outputAudio ?? counts.output }
}

function answerOf(view: ResponseView, status: number, last: string) {
  if (view.form === 'json' || view.form === 'cut_json')
    return {
      answer: view.value,
      ended: view.form === 'json' || view.usage !== undefined,
      error: errorOf(view.value, status),
    }
  let answer: JsonObject = {}
  let error: DialectReading['error']
  if (view.form === 'events')
    for (const { data } of view.events) {
      const event = asObject(parseJson(data))
      if (event === undefined) continue
      if (event.type === last) answer = event
      error = errorOf(event, status) ?? error
    }
  return { answer, ended: answer.type === last, error }
}

function milliseconds(seconds: unknown): number | undefined {
  const number = asNumber(seconds)
  return number === undefined || number < 0 || number > 1e9 ? undefined : Math.round(number * 1000)
}
