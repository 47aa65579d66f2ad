import type { Counts } from './counts.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { asList, asObject, asText, type JsonObject, withoutUndefined } from './json-value.ts'
import { milliseconds } from './openai-usage.ts'
import { errorOf } from './provider-error.ts'
import { isRefusal, viewResponse } from './response-view.ts'

/** ElevenLabs and Deepgram: text to sound is billed by characters, sound to text by its length. */
export const speechServices: Dialect = {
  id: 'speech-services',
  matches: ({ path, host, method }) =>
    method === 'POST' &&
    ((/(?:^|\.)elevenlabs\.io$/.test(host) &&
      /\/v1\/(?:text-to-speech\/[^/]+(?:\/stream|\/with-timestamps|\/stream\/with-timestamps)?|text-to-dialogue(?:\/stream)?|speech-to-text|sound-generation|speech-to-speech\/[^/]+(?:\/stream)?)$/.test(
        path,
      )) ||
      (/(?:^|\.)deepgram\.com$/.test(host) && /\/v1\/(?:listen|speak)$/.test(path))),
  read: readSpeechService,
}

function readSpeechService(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const view = viewResponse(exchange)
  const answer = view.form === 'json' || view.form === 'cut_json' ? view.value : {}
  const hears = /\/(?:speech-to-text|listen)$/.test(exchange.path)
  const error = errorOf(answer, exchange.status)
  const counts = isRefusal(exchange.status) ? undefined : hears ? heard(answer) : spoken(exchange, body)
  const model =
    asText(body?.model_id) ??
    asText(body?.model) ??
    asText(exchange.responseHeaders['dg-model-name']) ??
    asText(Object.values(asObject(asObject(answer.metadata)?.model_info) ?? {}).map((info) => asObject(info)?.name)[0])
  return {
    operation: hears ? 'transcription' : 'speech',
    stream: false,
    ...withoutUndefined({ requestModel: model, error }),
    ...(counts !== undefined
      ? { counts, usageSource: 'counted' as const }
      : isRefusal(exchange.status)
        ? { counts: {}, usageSource: 'none' as const }
        : { counts: {}, usageSource: 'unknown' as const, usageReason: 'body_without_usage' }),
    guardrails: [],
    billable: true,
  }
}

/** ElevenLabs says in a header how many characters it bills. */
function spoken({ requestTruncated, responseHeaders }: Exchange, body: JsonObject | undefined): Counts | undefined {
  const told = responseHeaders['character-cost'] ?? responseHeaders['dg-char-count']
  if (told !== undefined && /^\d{1,9}$/.test(told)) return { characters: Number(told) }
  const dialogue = asList(body?.inputs).map((input) => asText(asObject(input)?.text) ?? '')
  const text = asText(body?.text) ?? (dialogue.length > 0 ? dialogue.join('') : undefined)
  return text === undefined || requestTruncated ? undefined : { characters: [...text].length }
}

/** Deepgram says the length; ElevenLabs says when the last word ended, and bills the whole file: a lower bound is none. */
function heard(answer: JsonObject): Counts | undefined {
  const length = milliseconds(asObject(answer.metadata)?.duration ?? answer.audio_duration_secs)
  return length === undefined ? undefined : { audioMilliseconds: length }
}
