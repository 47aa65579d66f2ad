import type { PriceAttributes } from '../call.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { geminiPriceAttributes, modelInGooglePath } from './gemini-usage.ts'
import { asCount, asObject, asText, type JsonObject, withoutUndefined } from './json-value.ts'
import { milliseconds } from './openai-usage.ts'
import { errorOf } from './provider-error.ts'
import { isRefusal, viewResponse } from './response-view.ts'

/**
 * Videos are made by a job: who starts it is billed by the second that was asked for (OpenAI's Sora, also Azure's and
 * xAI's, Google's Veo). Polls and downloads bill nothing.
 */
export const openAiVideos: Dialect = {
  id: 'openai-videos',
  matches: ({ path }) =>
    /\/videos?(?:\/(?:generations|jobs|edits|extensions|characters)(?:\/jobs)?)?(?:\/[^/]+(?:\/(?:remix|content|edits|extensions))?)?$/.test(
      path,
    ) && /\/videos?(?:\/|$)/.test(path),
  read: readOpenAiVideo,
}

/** Veo's `:predictLongRunning`, at Google AI and on Vertex. */
export const googleVideos: Dialect = {
  id: 'google-videos',
  matches: ({ path }) => /\/models\/[^/]+(?::|%3A)predictLongRunning$/i.test(path),
  read: readGoogleVideo,
}

/** Seconds where neither request nor answer names them: OpenAI's default. */
const SORA_DEFAULT_SECONDS = 4
const VEO_DEFAULT_SECONDS = 8

function readOpenAiVideo(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const { answer, base } = begin(exchange)
  const model = asText(answer.model) ?? asText(body?.model)
  const made = exchange.method === 'POST' && !/\/content$/.test(exchange.path)
  const seconds =
    answer.seconds ?? answer.duration ?? answer.n_seconds ?? body?.seconds ?? body?.duration ?? body?.n_seconds
  const count = asCount(Number(body?.n ?? body?.n_variants ?? 1)) ?? 1
  const known = model?.startsWith('sora') === true ? SORA_DEFAULT_SECONDS : undefined
  const length = milliseconds(seconds ?? known)
  const size = asText(answer.size) ?? asText(body?.size) ?? asText(body?.resolution)
  return finish(
    exchange,
    base,
    made && asText(answer.status) !== 'failed',
    length === undefined ? undefined : length * count,
    {
      requestModel: asText(body?.model),
      responseModel: asText(answer.model),
      responseId: asText(answer.id),
      priceAttributes: size === undefined ? undefined : { image_size: size.toLowerCase() },
    },
  )
}

function readGoogleVideo(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const { answer, base } = begin(exchange)
  const parameters = asObject(body?.parameters)
  const count = asCount(Number(parameters?.sampleCount ?? parameters?.numberOfVideos ?? 1)) ?? 1
  const length = milliseconds(parameters?.durationSeconds ?? VEO_DEFAULT_SECONDS)
  const resolution = asText(parameters?.resolution)
  return finish(exchange, base, asText(answer.name) !== undefined, length === undefined ? undefined : length * count, {
    requestModel: modelInGooglePath(exchange.path),
    responseId: asText(answer.name),
    priceAttributes: some({
      ...geminiPriceAttributes(undefined, exchange.host, exchange.path),
      ...(resolution === undefined ? {} : { image_size: resolution.toLowerCase() }),
    }),
  })
}

function begin(exchange: Exchange) {
  const view = viewResponse(exchange)
  const answer = view.form === 'json' || view.form === 'cut_json' ? view.value : {}
  const error = errorOf(answer, exchange.status)
  return {
    answer,
    base: {
      operation: 'video_generation' as const,
      stream: false,
      guardrails: [],
      ...(error === undefined ? {} : { error }),
    },
  }
}

function finish(
  exchange: Exchange,
  base: Pick<DialectReading, 'operation' | 'stream' | 'guardrails'>,
  billable: boolean,
  videoMilliseconds: number | undefined,
  said: Partial<Record<'requestModel' | 'responseModel' | 'responseId', string | undefined>> & {
    priceAttributes: PriceAttributes | undefined
  },
): DialectReading {
  const known = withoutUndefined(said)
  if (isRefusal(exchange.status) || !billable)
    return { ...base, ...known, counts: {}, usageSource: 'none', billable: false }
  if (videoMilliseconds === undefined || videoMilliseconds === 0)
    return { ...base, ...known, counts: {}, usageSource: 'unknown', usageReason: 'body_without_usage', billable: true }
  return { ...base, ...known, counts: { videoMilliseconds }, usageSource: 'counted', billable: true }
}

function some(attributes: PriceAttributes): PriceAttributes | undefined {
  return Object.keys(attributes).length > 0 ? attributes : undefined
}
