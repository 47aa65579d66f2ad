import type { Counts } from './counts.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { asNumber, asText, type JsonObject, withoutUndefined } from './json-value.ts'
import { errorOf } from './provider-error.ts'
import { isRefusal, viewResponse } from './response-view.ts'

/** xAI's voice: text to sound (billed by characters) and sound to text (by its length). Neither reports usage. */
export const xAiVoice: Dialect = {
  id: 'x-ai-voice',
  matches: ({ path, host }) => /(?:^|\.)api\.x\.ai$/.test(host) && /\/v1\/(?:tts|stt)$/.test(path),
  read: readVoice,
}

function readVoice(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const view = viewResponse(exchange)
  const answer = view.form === 'json' || view.form === 'cut_json' ? view.value : {}
  const speaks = exchange.path.endsWith('/tts')
  const error = errorOf(answer, exchange.status)
  const counts = isRefusal(exchange.status) ? undefined : speaks ? characters(exchange, body) : seconds(answer)
  return {
    operation: speaks ? 'speech' : 'transcription',
    stream: false,
    ...withoutUndefined({ requestModel: asText(body?.model) ?? (speaks ? 'tts' : 'stt'), error }),
    ...(counts !== undefined
      ? { counts, usageSource: 'counted' as const }
      : isRefusal(exchange.status)
        ? { counts: {}, usageSource: 'none' as const }
        : { counts: {}, usageSource: 'unknown' as const, usageReason: 'body_without_usage' }),
    guardrails: [],
    billable: true,
  }
}

function characters({ requestTruncated }: Exchange, body: JsonObject | undefined): Counts | undefined {
  const text = asText(body?.text) ?? asText(body?.input)
  return text === undefined || requestTruncated ? undefined : { characters: [...text].length }
}

function seconds({ duration }: JsonObject): Counts | undefined {
  const length = asNumber(duration)
  return length === undefined || length < 0 || length > 1e9
    ? undefined
    : { audioMilliseconds: Math.round(length * 1000) }
}
